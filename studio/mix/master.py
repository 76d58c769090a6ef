"""Static gains and one shared gain curve that make the plain sum of the stems a finished mix.

Stems must sum to the mix, so there can be no limiter on the mix alone. Every stem gets a static gain that gives it
its place in the balance, and all stems share one *curve* of gain over the song: what a linked look-ahead limiter on
the sum would do. Because each stem is multiplied by the same curve, their sum is the limited mix exactly.

The curve has one node every `hop` frames (1.25 ms at 48 kHz) and is linear between nodes. It is found at that rate
from the peaks of each hop, and the loudness it leaves is known at that rate too, from the K-weighted energy of each
hop; so the search for the right master gain costs nothing beside one pass over the sound.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import BLOCK, Audio, check_audio, check_rate, from_db, to_db
from studio.mix.errors import MixError
from studio.mix.loudness import SILENCE, gated_loudness, k_weighting, power_to_lufs
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.truepeak import gap_peaks, padded_block

TARGET_LUFS = -14.0
CEILING_DBTP = -1.2
"""The promise is -1 dBTP. The rest is for other meters' interpolators and for the rounding to 24 bits."""
TRUE_PEAK_MARGIN = 0.6
"""A hop whose highest sample lies this far (as a ratio) below the ceiling is not searched between its samples:
there a music signal does not rise by the 4.4 dB that would take."""
ATTACK_S, RELEASE_DB_PER_S = 0.006, 60.0
MOST_REDUCTION_DB = 9.0
"""The curve takes no more than this away; a mix that would need more stays quieter instead."""
SEARCH_STEPS = 12
MOST_GIVEN_WAY_DB = 30.0
HOPS_PER_S = 10
"""Gating hops a second (BS.1770-4: 100 ms)."""


@dataclass(frozen=True)
class PlacedTake:
    """A take, float32 (1 or 2 channels, n), whose first frame sounds at frame `start` of the song."""

    audio: Audio
    start: int


@dataclass(frozen=True)
class Curve:
    """Gain over the song: `nodes[k]` at frame `k * hop`, linear between; 1.0 beyond its ends."""

    nodes: NDArray[np.float32]
    hop: int

    def gains(self, start: int, frames: int) -> NDArray[np.float32]:
        """The gain of each of `frames` frames from `start`, shape (frames,)."""
        first, last = start // self.hop, (start + frames) // self.hop + 2
        places = np.arange(first, last + 1)
        nodes = np.ones(len(places), np.float32)
        known = (places >= 0) & (places < len(self.nodes))
        nodes[known] = self.nodes[places[known]]
        ramp = np.arange(self.hop, dtype=np.float32) / np.float32(self.hop)
        line = (nodes[:-1, None] + np.diff(nodes)[:, None] * ramp).reshape(-1)
        offset = start - first * self.hop
        return line[offset : offset + frames]

    @property
    def reduction_db(self) -> float:
        """The most that the curve takes away, in dB (0 or more)."""
        return -to_db(float(self.nodes.min())) if len(self.nodes) else 0.0


@dataclass(frozen=True)
class Master:
    """What was found: gain in dB by stem, the curve, and the loudness (LUFS) and true peak (dBTP) of the sum."""

    gains_db: Mapping[str, float]
    curve: Curve
    lufs: float
    peak_dbtp: float


def curve_hop(rate: int) -> int:
    """Frames between two nodes: 735 or 800 nodes a second, so that the usual rates divide evenly."""
    check_rate(rate)
    return max(1, rate // (735 if rate % 735 == 0 else 800))


def solve_master(
    stems: Mapping[str, Sequence[PlacedTake]],
    frames: int,
    rate: int,
    balance: Mapping[str, float],
    target_lufs: float = TARGET_LUFS,
) -> Master:
    """Find gains and curve for stems given as raw takes.

    `frames` is the song's length (what rings past it does not count); `balance` is each stem's wanted loudness in LU
    relative to the others. The sum then lies at `target_lufs`, no stem and no sum above CEILING_DBTP; where that would
    need more than MOST_REDUCTION_DB of limiting, peaks come before loudness. Silent stems get 0 dB.
    Raises MixError for no frames, a missing or infinite balance, or bad audio.
    """
    _check(stems, frames, balance, target_lufs)
    hop = curve_hop(rate)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="master") as pool:
        loudness = dict(
            zip(stems, pool.map(lambda takes: _rough_loudness(takes, frames, rate), stems.values()), strict=True)
        )
        static = {name: balance[name] - lufs if lufs > SILENCE else 0.0 for name, lufs in loudness.items()}
        total, peaks = _summed(stems, static, frames, rate, hop, pool)
        energies = _hop_energies(total, rate, hop, pool)
    if not np.any(energies):
        return Master(dict.fromkeys(stems, 0.0), Curve(np.ones(1, np.float32), hop), SILENCE, SILENCE)
    gain, curve = _search(total, peaks, energies, rate, hop, target_lufs)
    top = float((_node_floor(curve.nodes) * peaks[: len(curve.nodes) - 1]).max()) * gain
    lufs = _loudness(energies, curve.nodes, gain, rate, hop)
    return Master({name: db + to_db(gain) for name, db in static.items()}, curve, lufs, to_db(top))


def _check(
    stems: Mapping[str, Sequence[PlacedTake]], frames: int, balance: Mapping[str, float], target_lufs: float
) -> None:
    if frames < 1:
        raise MixError(f"a song lasts at least 1 frame, not {frames}")
    if not math.isfinite(target_lufs):
        raise MixError(f"the loudness of a mix must be finite, not {target_lufs}; -14 LUFS is usual")
    for name, takes in stems.items():
        if not math.isfinite(balance.get(name, math.nan)):
            raise MixError(f"the balance names no finite loudness for {name!r}; give one in LU")
        for take in takes:
            check_audio(take.audio)


def _mixer(takes: Sequence[PlacedTake], rate: int, gain_db: float = 0.0) -> Mixer:
    return Mixer([Track("stem", tuple(Placed(t.audio, t.start) for t in takes), gain_db=gain_db)], rate)


def _rough_loudness(takes: Sequence[PlacedTake], frames: int, rate: int) -> float:
    """A stem's gated loudness to about 0.2 LU, from every second frame: the balance needs no more."""
    from scipy.signal import sosfilt

    sos = k_weighting(rate // 2).astype(np.float32)
    state = np.zeros((len(sos), 2, 2), np.float32)
    hop = rate // 2 // HOPS_PER_S
    size = 16 * hop
    powers: list[NDArray[np.float64]] = []
    mixer = _mixer(takes, rate)
    for start in range(0, frames, 2 * size):
        piece = mixer.mix(start, min(2 * size, frames - start))[:, ::2]
        weighted, state = sosfilt(sos, piece, axis=-1, zi=state)
        powers.append(_in_hops(weighted, hop))
    return _gated(np.concatenate(powers) / hop)


def _in_hops(audio: NDArray[np.float32], hop: int) -> NDArray[np.float64]:
    """The energy of each hop over the channels; the last one may be shorter."""
    frames = audio.shape[1]
    whole = frames // hop * hop
    head = audio[:, :whole].reshape(len(audio), -1, hop)
    energy = np.einsum("chn,chn->h", head, head).astype(np.float64)
    if whole < frames:
        rest = audio[:, whole:]
        energy = np.append(energy, float(np.einsum("cn,cn->", rest, rest)))
    return energy


def _gated(powers: NDArray[np.float64]) -> float:
    if len(powers) >= 4:
        return gated_loudness(powers)
    return power_to_lufs(float(powers.mean())) if len(powers) and powers.any() else SILENCE


def _summed(
    stems: Mapping[str, Sequence[PlacedTake]], gains_db: Mapping[str, float], frames: int, rate: int, hop: int,
    pool: ThreadPoolExecutor,
) -> tuple[Audio, NDArray[np.float32]]:  # fmt: skip
    """The balanced sum, and for each hop the highest sample of the sum, of any stem, or of the sum without it: whoever
    mutes a stem, or makes one of its takes again, must not find the others too loud together."""
    total = np.zeros((2, frames), np.float32)
    peaks = np.zeros(-(-frames // hop), np.float32)
    mixers = [_mixer(takes, rate) for takes in stems.values()]
    gains = [np.float32(from_db(gains_db[name])) for name in stems]
    size = BLOCK // hop * hop

    def block(start: int) -> None:
        count = min(size, frames - start)
        where = slice(start // hop, start // hop - (-count // hop))
        pieces = [mixer.mix(start, count) * gain for mixer, gain in zip(mixers, gains, strict=True)]
        whole = total[:, start : start + count]
        for piece in pieces:
            whole += piece
        for sound in (whole, *pieces, *(whole - piece for piece in pieces)):
            np.maximum(peaks[where], _hop_peaks(sound, hop), out=peaks[where])

    list(pool.map(block, range(0, frames, size)))
    return total, peaks


def _hop_peaks(audio: Audio, hop: int) -> NDArray[np.float32]:
    frames = audio.shape[1]
    whole = frames // hop * hop
    head = audio[:, :whole].reshape(len(audio), -1, hop)
    peaks = np.maximum(head.max(axis=(0, 2)), -head.min(axis=(0, 2))) if whole else np.zeros(0, np.float32)
    if whole < frames:
        peaks = np.append(peaks, np.abs(audio[:, whole:]).max())
    return peaks.astype(np.float32)


def _hop_energies(total: Audio, rate: int, hop: int, pool: ThreadPoolExecutor) -> NDArray[np.float64]:
    """The K-weighted energy of each hop of the sum, over both channels."""
    from scipy.signal import sosfilt

    sos = k_weighting(rate)

    def channel(samples: NDArray[np.float32]) -> NDArray[np.float64]:
        state = np.zeros((len(sos), 2))
        size = BLOCK // hop * hop
        parts: list[NDArray[np.float64]] = []
        for start in range(0, len(samples), size):
            weighted, state = sosfilt(sos, samples[start : start + size].astype(np.float64), zi=state)
            parts.append(_in_hops(weighted[None], hop))
        return np.concatenate(parts)

    left, right = pool.map(channel, total)
    return np.asarray(left + right)


def _search(
    total: Audio, peaks: NDArray[np.float32], energies: NDArray[np.float64], rate: int, hop: int, target: float
) -> tuple[float, Curve]:
    """The master gain, and the curve for it, whose result is as loud as wanted."""
    flat = np.ones(len(energies) + 1, np.float32)
    gain = from_db(target - _loudness(energies, flat, 1.0, rate, hop))
    highest = peaks.copy()
    ceiling = from_db(CEILING_DBTP)
    nodes = flat
    for _ in range(SEARCH_STEPS):
        # Peaks between samples are looked up only where they can matter at a gain this high, and 1 dB above it.
        highest = _with_true_peaks(total, highest, ceiling / (gain * from_db(1.0)), hop)
        nodes = _nodes(highest * gain, ceiling, rate / hop)
        deepest = -to_db(float(nodes.min()))
        if deepest > MOST_REDUCTION_DB:
            gain *= from_db(MOST_REDUCTION_DB - deepest - 0.01)
            target = -math.inf  # peaks come first: no more loudness is asked for
            continue
        missing = target - _loudness(energies, nodes, gain, rate, hop)
        if missing < 0.02:
            break
        gain *= from_db(min(missing, 1.0))
    peaks[:] = highest
    return gain, Curve(nodes, hop)


def _with_true_peaks(total: Audio, peaks: NDArray[np.float32], ceiling: float, hop: int) -> NDArray[np.float32]:
    """The peaks with those between the samples, for hops that come near `ceiling`."""
    near = np.flatnonzero(peaks > ceiling * TRUE_PEAK_MARGIN)
    result = peaks.copy()
    frames = total.shape[1]
    for first, last in _runs(near):
        start, stop = first * hop, min((last + 1) * hop, frames)
        between = gap_peaks(padded_block(total, start, stop), 0.0)
        inside = np.maximum(between[:-1], between[1:])
        edges = np.arange(0, len(inside), hop)
        found = np.maximum.reduceat(inside, edges)
        result[first : last + 1] = np.maximum(result[first : last + 1], found)
    return result


def _runs(places: NDArray[np.int64], most: int = 1024) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last) pairs; small gaps are bridged, long runs are cut."""
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > 4)
    firsts = [places[0], *places[cuts + 1]]
    lasts = [*places[cuts], places[-1]]
    return [
        (start, min(start + most - 1, int(last)))
        for first, last in zip(firsts, lasts, strict=True)
        for start in range(int(first), int(last) + 1, most)
    ]


def _nodes(peaks: NDArray[np.float32], ceiling: float, nodes_per_s: float) -> NDArray[np.float32]:
    """The smoothest curve that keeps every hop at or below `ceiling`.

    In decibels: a release line falls from each peak, a minimum filter looks ahead by the attack, and a mean of the
    same width rounds its corners; a mean of values that are all low enough is low enough. A hop lies between two
    nodes, so both take the lower of their neighbours.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    with np.errstate(divide="ignore"):
        over = np.maximum(20 * np.log10(peaks / ceiling), 0.0)
    at_nodes = np.maximum(np.append(over, 0.0), np.append(0.0, over))
    slope = RELEASE_DB_PER_S / nodes_per_s
    line = slope * np.arange(len(at_nodes))
    released = np.maximum.accumulate(at_nodes + line) - line
    released = np.maximum(released, at_nodes)
    width = 2 * max(1, round(ATTACK_S * nodes_per_s / 2)) + 1
    held = maximum_filter1d(released, width, mode="nearest")
    smooth = uniform_filter1d(held, width, mode="nearest")
    return np.asarray(10 ** (-smooth / 20), dtype=np.float32)


def giving_way(sound: Audio, others: Audio, ceiling: float, rate: int) -> Curve | None:
    """The curve by which `sound` must give way to `others` for their sum to keep below `ceiling` (a ratio).

    Both are float32 (2, n); the curve counts from their first frame. None where nothing needs to be done. Where the
    others alone are louder than that, the sound is taken down by as much as is of any use.
    """
    hop = curve_hop(rate)
    total = sound + others
    over = np.abs(total) > ceiling
    if not over.any():
        return None
    share = np.ones(sound.shape, np.float32)
    room = np.copysign(np.float32(ceiling), total[over]) - others[over]
    heard = np.where(sound[over] == 0.0, np.float32(np.inf), sound[over])  # what is silent can give nothing way
    share[over] = np.clip(room / heard, from_db(-MOST_GIVEN_WAY_DB), 1.0)
    needed = 1.0 / (1.0 - _hop_peaks(1.0 - share, hop))
    return Curve(_nodes(needed.astype(np.float32), 1.0, rate / hop), hop)


def _node_floor(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The highest gain inside each hop."""
    return np.maximum(nodes[:-1], nodes[1:])


def _loudness(energies: NDArray[np.float64], nodes: NDArray[np.float32], gain: float, rate: int, hop: int) -> float:
    """The gated loudness of the sum under the curve, from its hops' energies."""
    middle = (nodes[:-1].astype(np.float64) + nodes[1:]) / 2
    limited = energies * (middle * gain) ** 2
    count = round(rate / HOPS_PER_S / hop)
    if len(limited) < count:
        return power_to_lufs(float(limited.sum()) / (len(limited) * hop))
    edges = np.arange(0, len(limited) - count + 1, count)
    return _gated(np.add.reduceat(limited, edges)[: len(edges)] / (count * hop))
