"""Static gains and one shared gain curve that make the plain sum of the stems a finished mix.

Stems must sum to the mix, so there can be no limiter on the mix alone. Every stem gets a static gain that gives it
its place in the balance, and all stems share one `Curve` of gain over the song: what a linked look-ahead limiter on
the sum would do. Because each stem is multiplied by the same curve, their sum is the limited mix exactly.

The curve is found from the peaks of each hop, and the loudness it leaves is known at that rate too, from the
K-weighted energy of each hop; so the search for the right gain costs little beside one pass over the sound. Peaks
between the samples are then looked up only where the curve may have to act.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import Audio, check_audio, check_rate, from_db, to_db
from studio.mix.curve import Curve, curve_hop, highest_in_hops, limiting_nodes
from studio.mix.errors import MixError
from studio.mix.lanes import Lanes, Part, Peaks, Spread, one_by_one
from studio.mix.loudness import (
    ABSOLUTE_GATE_LUFS,
    HOPS_PER_BLOCK,
    SILENCE,
    gated_loudness,
    hop_energies,
    power_to_lufs,
)
from studio.mix.mixer import MAX_GAIN_DB, MIN_GAIN_DB
from studio.mix.sources import Source, as_source

TARGET_LUFS = -14.0
CEILING_DBTP = -1.2
"""The promise is -1 dBTP. The rest is for other meters' interpolators and for the rounding to 24 bits."""
MOST_REDUCTION_DB = 9.0
"""The curve takes no more than this away; a mix that would need more stays quieter instead."""
QUIETEST_STEM_LUFS = -50.0
"""A stem quieter than this (next to silence, or a lone click) is not raised as if it were meant to be loud."""
WIDEST_BALANCE_LU = 60.0
"""A stem that is to stand farther than this below the loudest one is not heard beside it anyway."""
TRUE_PEAK_MARGIN_DB = 4.4
"""A sound whose highest sample lies this far below the ceiling is not searched between its samples: music does not
rise by that much there."""
LOOKED_AHEAD_DB = 0.5
"""Peaks between the samples are looked up for a gain this much higher than the one they are needed for."""
TOLERANCE_LU = 0.01
GATING_HOPS_PER_S = 10
"""BS.1770-4: 100 ms."""

Energies = NDArray[np.float64]


@dataclass(frozen=True)
class PlacedTake:
    """A take whose first frame sounds at frame `start` of the song: float32 (1 or 2 channels, n), or a source of it.

    Sources are read in blocks, several times over.
    """

    audio: Source | Audio
    start: int
    energies: Energies | None = field(default=None, compare=False)
    """What `take_energies` says of it, where that is known already."""


@dataclass(frozen=True)
class Master:
    """What was found: each stem's gain in dB, the curve they share, and what comes of it.

    `lufs` is the loudness of the sum. `peak_dbtp` is the peak of the loudest of: the sum, a stem, the sum without
    one stem; a true peak where it comes near the ceiling, of the samples alone where it does not.
    """

    gains_db: Mapping[str, float]
    curve: Curve
    lufs: float
    peak_dbtp: float


def solve_master(
    stems: Mapping[str, Sequence[PlacedTake]],
    frames: int,
    rate: int,
    balance: Mapping[str, float],
    target_lufs: float = TARGET_LUFS,
    spread: Spread = one_by_one,
) -> Master:
    """Find gains and curve for stems given as raw takes.

    `frames` is the song's length (what rings past it does not count); `balance` is each stem's wanted loudness in LU
    relative to the others. The sum then lies at `target_lufs`, and no stem, no sum and no sum without one of the
    stems above CEILING_DBTP; where that would need more than MOST_REDUCTION_DB of limiting, peaks come before
    loudness. Silent stems get 0 dB. The result does not depend on how the work is `spread`.
    Raises MixError for no frames, a missing or infinite balance, or bad audio.
    """
    placed = _checked(stems, frames, rate, balance, target_lufs)
    hop = curve_hop(rate)
    loudness = {name: _rough_loudness(takes, frames, rate) for name, takes in stems.items()}
    heard = {name: lufs for name, lufs in loudness.items() if lufs is not None}
    if not heard:
        return Master(dict.fromkeys(stems, 0.0), Curve(np.ones(1, np.float32), hop), SILENCE, SILENCE)
    top = max(balance[name] for name in heard)
    static = {
        name: max(balance[name] - top, -WIDEST_BALANCE_LU) - max(lufs, QUIETEST_STEM_LUFS)
        for name, lufs in heard.items()
    }
    lanes = Lanes([(placed[name], np.float32(from_db(static[name]))) for name in heard], frames, rate, hop)
    energies, peaks = lanes.measured(spread)
    if not np.isfinite(peaks).all():
        raise MixError("a take holds values that are not finite (NaN or infinity); make it again")
    search = _Search(lanes, peaks, energies, rate, target_lufs, MAX_GAIN_DB - max(static.values()), spread)
    gain_db = search.gain_db()
    nodes = search.nodes(gain_db)
    highest = float((highest_in_hops(nodes) * search.peaks).max())
    gains = {name: max(static[name] + gain_db, MIN_GAIN_DB) if name in static else 0.0 for name in stems}
    return Master(gains, Curve(nodes, hop), search.loudness(gain_db), to_db(highest) + gain_db)


def _checked(
    stems: Mapping[str, Sequence[PlacedTake]], frames: int, rate: int, balance: Mapping[str, float], target: float
) -> dict[str, list[Part]]:
    check_rate(rate)
    if frames < 1:
        raise MixError(f"a song lasts at least 1 frame, not {frames}")
    if not math.isfinite(target):
        raise MixError(f"the loudness of a mix must be finite, not {target}; -14 LUFS is usual")
    for name in stems:
        if not math.isfinite(balance.get(name, math.nan)):
            raise MixError(f"the balance names no finite loudness for {name!r}; give one in LU")
    return {name: [(as_source(take.audio), take.start) for take in takes] for name, takes in stems.items()}


def take_energies(audio: Audio, rate: int) -> Energies:
    """The K-weighted energy of a take in every gating hop (100 ms) from its first frame, a mean square each.

    Measured while the take is at hand, it saves `solve_master` a pass over the whole song. From every second frame at
    48 kHz: the balance between stems needs no more than the 0.3 LU that this is good for.
    """
    check_audio(audio)
    step, hop = _decimation(rate)
    powers = np.zeros(0)
    for phase in range(step):
        powers = hop_energies(audio[:, phase::step], rate // step, hop) / hop
        if powers.any():
            break  # else a lone click may lie between the frames that were heard
    return powers


def clip_loudness(energies: Energies, rate: int, gain_db: float, curve: Curve, start: int, wrap: int | None) -> float:
    """The loudness in LUFS, to some 0.3 LU, of a take under a gain and a curve, whose frame `start` is its first.

    `energies` are those of `take_energies`. `wrap` is the length of the loop, in frames, over whose start the rest is
    laid; None where it is left behind it.
    """
    step, hop = _decimation(rate)
    length = step * hop
    middles = (start + (np.arange(len(energies)) + 0.5) * length) // curve.hop
    gains = curve.nodes[np.minimum(middles.astype(np.intp), len(curve.nodes) - 1)]
    powers = energies * (gains * from_db(gain_db)) ** 2
    if wrap is not None:
        whole = max(1, round(wrap / length))
        powers = np.pad(powers, (0, -len(powers) % whole)).reshape(-1, whole).sum(axis=0)
    return _gated(powers) if powers.any() else SILENCE


def _decimation(rate: int) -> tuple[int, int]:
    """Every which frame is heard for the balance, and how many of those make a gating hop."""
    step = max(1, rate // 22_050)
    return step, rate // step // GATING_HOPS_PER_S


def _rough_loudness(takes: Sequence[PlacedTake], frames: int, rate: int) -> float | None:
    """A stem's gated loudness from the energies of its takes; None where nothing is to be heard.

    Where a tail rings under the next take their energies are added, as of unrelated sounds.
    """
    step, hop = _decimation(rate)
    powers = np.zeros(-(-frames // (hop * step)))
    for take in takes:
        energies = take.energies
        if energies is None:
            source = as_source(take.audio)
            energies = take_energies(source.read(0, source.frames), rate)
        first = min(round(take.start / (hop * step)), len(powers) - 1)  # a take may start in the song's last moment
        last = min(first + len(energies), len(powers))
        powers[first:last] += energies[: last - first]
    return _gated(powers) if powers.any() else None


def _gated(powers: Energies) -> float:
    """Gated loudness of mean squares by gating hop; plain loudness of what is shorter than a gating block."""
    if len(powers) >= HOPS_PER_BLOCK:
        return gated_loudness(powers)
    lufs = power_to_lufs(float(powers.mean()))
    return lufs if lufs >= ABSOLUTE_GATE_LUFS else SILENCE


class _Search:
    """The search for the gain of all stems together under which the limited sum is as loud as wanted.

    Both the loudness and the reduction grow with the gain, so a bisection finds it.
    """

    def __init__(
        self, lanes: Lanes, peaks: Peaks, energies: Energies, rate: int, target: float, most_db: float, spread: Spread
    ) -> None:
        self.peaks = peaks
        self._lanes, self._energies, self._spread = lanes, energies, spread
        self._rate, self._hop, self._target, self._most_db = rate, lanes.hop, target, most_db

    def nodes(self, gain_db: float) -> NDArray[np.float32]:
        """The curve that this gain needs."""
        return limiting_nodes(self.peaks, from_db(CEILING_DBTP - gain_db), self._rate / self._hop)

    def loudness(self, gain_db: float) -> float:
        """The loudness of the sum at this gain, under its curve."""
        nodes = self.nodes(gain_db).astype(np.float64)
        limited = self._energies * ((nodes[:-1] + nodes[1:]) / 2 * from_db(gain_db)) ** 2
        return _hops_loudness(limited, self._lanes.frames, self._rate, self._hop)

    def gain_db(self) -> float:
        """The gain; `peaks` then hold the peaks between the samples wherever its curve depends on them."""
        looked_db = -math.inf
        while (gain_db := self._gain_for_peaks()) > looked_db:
            looked_db = gain_db + LOOKED_AHEAD_DB
            self._look_between(from_db(CEILING_DBTP - looked_db - TRUE_PEAK_MARGIN_DB))
        return gain_db

    def _gain_for_peaks(self) -> float:
        """The gain for the peaks as they are known."""
        unlimited = CEILING_DBTP - to_db(float(self.peaks.max()))
        plain = _hops_loudness(self._energies, self._lanes.frames, self._rate, self._hop)
        if plain == SILENCE:  # nothing to be heard is raised by nothing
            return min(0.0, unlimited, self._most_db)
        low, high = self._target - plain, min(unlimited + MOST_REDUCTION_DB, self._most_db)
        if high <= low or self.loudness(high) <= self._target:
            return high
        return _root(lambda db: self._target - self.loudness(db), low, high)

    def _look_between(self, level: float) -> None:
        """Raise the peaks by what lies between the samples, in all hops and sounds that come above `level`."""
        for first, found in self._lanes.between_samples(np.flatnonzero(self.peaks > level), level, self._spread):
            there = self.peaks[first : first + len(found)]
            np.maximum(there, found, out=there)


def _hops_loudness(energies: Energies, frames: int, rate: int, hop: int) -> float:
    """The gated loudness of `frames` frames whose K-weighted energy in each hop is known."""
    count = round(rate / GATING_HOPS_PER_S / hop)
    whole = len(energies) // count
    if whole < HOPS_PER_BLOCK:
        return _gated(np.array([energies.sum() / frames]))
    return _gated(energies[: whole * count].reshape(whole, count).sum(axis=1) / (count * hop))


def _root(missing: Callable[[float], float], low: float, high: float) -> float:
    """Where a loudness that grows with the gain stops being too low, to TOLERANCE_LU; too high it never is."""
    while high - low > TOLERANCE_LU:
        middle = (low + high) / 2
        if missing(middle) > 0:
            low = middle
        else:
            high = middle
    return low
