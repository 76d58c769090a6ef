"""Measures takes whose notes are known: does the sound begin where the notes do?

An attack is where the energy of the waveform's bends rises most from what rang before: second differences hardly see a
ringing tone and see every beginning, and a ratio of energies has no threshold that slow attacks would cross late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.measure import Errors, robust_slope
from studio.align.values import Audio, Floats

MOST = 64
"""Attacks looked at in one take, spread over it."""
ENOUGH = 8
"""Notes that stand alone: with fewer, spread chords are looked at too."""
REACH_S = 0.010
"""How far from a note its attack is looked for."""
BEFORE_S, AFTER_S, FALL_S = 0.020, 0.010, 0.003
"""Over how much of what rang the energy is taken, which is a cycle of a bass; over how much of what sets in, and how
soon that counts less: what comes first counts most, so that a click is found where it is and not somewhat before."""
TOGETHER_S = 0.0005
"""Notes nearer than this share one attack."""
AUDIBLE_DB = 10.0
"""By how much an attack must rise above what rings; else it is masked."""
AROUND_S = 0.05
"""How much on either side of a loop's join is looked at."""
SEAM_MARGIN = 1.1
QUIETEST = 1e-5
"""Full scale: a note that bends the waveform by less is not heard."""


@dataclass(frozen=True)
class KnownFit:
    """How far attacks are from their notes."""

    notes: int
    """Distinct moments at which notes begin."""
    measured: int
    masked: int
    """Of those looked at: how many begin under something that sounds louder, or too softly to be placed."""
    errors: Errors | None
    """None where nothing could be measured."""
    bias_ms: float
    """By how much the attacks are late in the middle."""
    drift_ms: float
    """By how much later the last are than the first."""


def measure_known(audio: Audio, rate: int, frames: Floats) -> KnownFit:
    """Measure sound, float32 (channels, frames), against the frames at which its notes begin (unrounded, any order).

    Of many notes MOST moments are looked at. Those with no other note near them come first: between the notes of a
    spread chord an attack that comes too late can be taken for that of the next.
    """
    moments = _moments(np.sort(np.asarray(frames, np.float64)), rate)
    chosen = _chosen(moments[(moments >= 0) & (moments < audio.shape[1] - 1)], rate)
    if not len(chosen):
        return KnownFit(len(moments), 0, 0, None, 0.0, 0.0)
    found, audible = _attacks(audio, rate, chosen)
    measured = int(audible.sum())
    if not measured:
        return KnownFit(len(moments), 0, len(chosen), None, 0.0, 0.0)
    late = 1000.0 / rate * (found - moments[np.abs(found[:, None] - moments).argmin(axis=1)])[audible]
    size = np.abs(late)
    errors = Errors(measured, float(np.median(size)), float(np.quantile(size, 0.95)), float(size.max()))
    at = chosen[audible] / rate
    drift = robust_slope(at, late, np.ones(measured)) * float(at[-1] - at[0])
    return KnownFit(len(moments), measured, len(chosen) - measured, errors, float(np.median(late)), drift)


def known_seam(audio: Audio, rate: int, frames: Floats) -> float:
    """How sharply a loop's join bends the waveform, against what its notes do where they begin and what there is
    around the join: below 1 it does not stand out. Arguments as of `measure_known`."""
    length = audio.shape[1]
    around = min(round(AROUND_S * rate), length // 2)
    join = np.concatenate((audio[:, length - around :], audio[:, :around]), axis=1)
    if join.shape[1] < 8:
        return 0.0
    bends = np.abs(np.diff(join, 2, axis=1)).max(axis=0)
    place = slice(around - 3, around + 1)  # those that see both sides
    here, inside = float(bends[place].max()), float(np.delete(bends, np.arange(len(bends))[place]).max(initial=0.0))
    moments = _chosen(np.sort(frames[(frames >= 0) & (frames < length - 1)]), rate)
    if len(moments):
        first = np.rint(moments).astype(np.intp)
        inside = max(inside, float(np.sqrt(_bends(audio, first, round(AFTER_S * rate)).max())))
    return here / (SEAM_MARGIN * max(inside, QUIETEST))


def _moments(frames: Floats, rate: int) -> Floats:
    """Where notes begin, each once."""
    return frames[np.diff(frames, prepend=-np.inf) >= TOGETHER_S * rate]


def _chosen(moments: Floats, rate: int) -> Floats:
    """At most MOST moments, spread evenly: those that stand alone, or the first notes of chords where these are few."""
    apart = 2 * REACH_S * rate
    first = np.diff(moments, prepend=-np.inf) >= apart
    alone = first & (np.diff(moments, append=np.inf) >= apart)
    some = moments[alone if alone.sum() >= ENOUGH else first]
    return some if len(some) <= MOST else some[np.linspace(0, len(some) - 1, MOST).astype(np.intp)]


def _attacks(audio: Audio, rate: int, moments: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The frames of the attacks, and which of them can be heard."""
    reach, before, after = (round(seconds * rate) for seconds in (REACH_S, BEFORE_S, AFTER_S))
    first = np.rint(moments).astype(np.intp) - reach - before
    power = _bends(audio, first, 2 * reach + before + after + 1)
    search = np.arange(before, before + 2 * reach + 1)
    sums = np.zeros((len(first), power.shape[1] + 1))
    np.cumsum(power, axis=1, out=sums[:, 1:])
    floor = 1e-10 * sums[:, -1:] / power.shape[1] + 1e-18
    old = (sums[:, search] - sums[:, search - before]) / before + floor
    fall = np.exp(-np.arange(power.shape[1]) / (FALL_S * rate))
    np.cumsum(power * fall, axis=1, out=sums[:, 1:])
    new = (sums[:, search + after] - sums[:, search]) / (fall[search] * FALL_S * rate) + floor
    rise = new / old
    at = rise.argmax(axis=1)
    rows = np.arange(len(at))
    inside = (at > 0) & (at < len(search) - 1)
    audible = (10.0 * np.log10(rise[rows, at]) >= AUDIBLE_DB) & (new[rows, at] > QUIETEST**2) & inside
    return (first + search[at]).astype(np.float64), audible


def _bends(audio: Audio, first: NDArray[np.intp], length: int) -> NDArray[np.float64]:
    """The energy of second differences from each frame of `first` on, (moments, length): high where a sound sets in,
    low while one rings. Silence lies around the take."""
    windows = np.zeros((len(audio), len(first), length + 2), np.float32)
    for row, start in enumerate((first - 2).tolist()):
        low, high = max(0, start), min(start + length + 2, audio.shape[1])
        if low < high:
            windows[:, row, low - start : high - start] = audio[:, low:high]
    bend = windows[..., 2:] - 2 * windows[..., 1:-1] + windows[..., :-2]
    power: NDArray[np.float64] = np.einsum("cwn,cwn->wn", bend, bend, dtype=np.float64)
    return power
