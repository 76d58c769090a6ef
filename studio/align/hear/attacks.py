"""How likely a sound begins at each moment: a small convolutional network over spectra of 3, 10 and 40 ms windows, and
over what comes and goes among semitones.

After J. Schlüter and S. Böck, "Improved musical onset detection with convolutional neural networks", ICASSP 2014; here
every 2 ms, so that its answer also tells when, and how sure that is. It is taught by `tests/bench/bar_lock/learn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.means import running_mean
from studio.align.hear.features import top_of
from studio.align.hear.network import convolved, weights
from studio.align.hear.spectra import FINE_BANDS, FINE_PER_SECOND, PITCHES_PER_SECOND, Spectra
from studio.align.rows import Rows
from studio.align.values import Floats

Singles = NDArray[np.float32]

KERNEL = 5
DILATIONS = (1, 2, 4, 8, 16, 1)
"""Of the network's layers, which together see some 130 ms to either side."""
AROUND = (KERNEL // 2) * sum(DILATIONS)
"""Frames to either side that an answer depends on."""
SILENCE = -5.0
"""Decades of power against what is loudest nearby: nothing."""
_BATCH = 10_000
"""Fine frames worked on at a time."""

GROUPS = 4
"""Of semitones, from low to high."""
STEPS = 2 * GROUPS
_STEP_DB = 35.0
_STEP_HALF = 2
"""Pitch frames before and after which semitones are compared."""
_STEP_SCALE = 4.0
_FAINT = 4.5
"""Decades below the loudest moment of all: what is softer is not made louder."""
_NEAR_S = 0.5
_SMOOTH = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
_VALLEY = 0.6
"""Two peaks with a valley between them that is no deeper than this share of the lower are one."""
_WIDEST_S = 0.1
LIKELY = 0.2
"""Probability from which something is said to begin."""


@dataclass(frozen=True)
class Bumps:
    """Where sounds are likely to begin: all arrays of one length, in rising order of time."""

    seconds: Floats
    """The mean of each."""
    spread: Floats
    """Seconds: the standard deviation, beyond what frames of 2 ms do to the sharpest attack."""
    mass: Floats
    """0..1: how likely it is that something begins there."""


def likelihood(found: Spectra) -> Singles:
    """(fine frames,): the probability that something begins in each."""
    stored = weights("attacks")
    frames = len(found.fine)
    nothing, turns = silence(), _Turns(found.pitches)
    odds = np.empty(frames, np.float32)
    for first in range(0, frames, _BATCH):
        last = min(first + _BATCH, frames)
        low, high = max(0, first - AROUND), min(frames, last + AROUND)
        parts = (contrast(found, low, high), turns.at(low, high - low))
        seen = np.tile(nothing, (last - first + 2 * AROUND, 1))
        seen[low - first + AROUND : high - first + AROUND] = np.concatenate(parts, axis=1)
        x = seen * stored["scale"] + stored["shift"]
        for layer, dilation in enumerate(DILATIONS):
            heard = np.maximum(convolved(x, stored[f"{layer}/weight"], stored[f"{layer}/bias"], dilation), 0.0)
            x = heard if layer == 0 else x + heard
        odds[first:last] = (x[AROUND : AROUND + last - first] @ stored["out/weight"] + stored["out/bias"])[:, 0]
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -40.0, 40.0))), np.float32)


def silence() -> Singles:
    """What the network sees of a moment at which there is nothing: (FINE_BANDS + STEPS,)."""
    return np.concatenate([np.full(FINE_BANDS, SILENCE, np.float32), np.zeros(STEPS, np.float32)])


def steps(pitches: Rows, first: int, count: int) -> Singles:
    """(count, STEPS) from fine frame `first` on: how much sets in among semitones, and how much ceases, in groups.

    Against the louder of three neighbours, so that vibrato counts for neither.
    """
    return _Turns(pitches).at(first, count)


class _Turns:
    """What comes and goes among semitones."""

    def __init__(self, pitches: Rows) -> None:
        self._pitches, self._scale = pitches, np.float32(10 ** (_STEP_DB / 20) / top_of(pitches, 99.0))

    def at(self, first: int, count: int) -> Singles:
        """(count, STEPS) from a fine frame on, with lines between pitch frames."""
        place = (first + np.arange(count)) * (PITCHES_PER_SECOND / FINE_PER_SECOND)
        last = len(self._pitches) - 1
        left = np.minimum(place.astype(np.intp), last)
        right, share = np.minimum(left + 1, last), (place - np.floor(place)).astype(np.float32)[:, None]
        begin = int(left[0])
        columns = self._columns(begin, int(right[-1]) + 1)
        return np.asarray(columns[left - begin] * (1.0 - share) + columns[right - begin] * share, np.float32)

    def _columns(self, start: int, stop: int) -> Singles:
        """(pitch frames, STEPS): those from `start` to `stop`."""
        low, high = max(0, start - _STEP_HALF), min(len(self._pitches), stop + _STEP_HALF)
        loud = np.log1p(self._pitches.read(low, high) * self._scale)
        padded = np.pad(loud, ((low - start + _STEP_HALF, stop + _STEP_HALF - high), (0, 0)))
        before, after = padded[: stop - start], padded[2 * _STEP_HALF :]
        found = [_mean_of_groups(np.maximum(b - _neighbours(a), 0.0)) for a, b in ((before, after), (after, before))]
        return np.asarray(_STEP_SCALE * np.concatenate(found, axis=1), np.float32)


def _mean_of_groups(values: Singles) -> Singles:
    return np.asarray(values.reshape(len(values), GROUPS, -1).mean(axis=2), np.float32)


def _neighbours(loud: Singles) -> Singles:
    padded = np.pad(loud, ((0, 0), (1, 1)), mode="edge")
    return np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])


def bumps(likely: Singles) -> Bumps:
    """Draws together what is spread over neighbouring frames."""
    edge = len(_SMOOTH)
    likely = np.pad(likely, edge)  # something may begin with the very first frame
    smooth = np.convolve(likely, _SMOOTH / _SMOOTH.sum(), "same")
    inner = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > 0.002)
    reach = round(_WIDEST_S * FINE_PER_SECOND)
    seconds, spread, mass = [], [], []
    for begin, peak, end in _hills(smooth, np.flatnonzero(inner) + 1):
        start, stop = max(begin, peak - reach), min(end, peak + reach)
        here = likely[start:stop].astype(np.float64)
        total = float(here.sum())
        if total < LIKELY:
            continue
        at = np.arange(start, stop)
        mean = float(here @ at) / total
        variance = float(here @ (at - mean) ** 2) / total
        seconds.append(max(mean - edge, 0.0) / FINE_PER_SECOND)
        spread.append(np.sqrt(max(variance - 0.25, 0.0)) / FINE_PER_SECOND)
        mass.append(min(total, 1.0))
    return Bumps(np.array(seconds), np.array(spread), np.array(mass))


def _hills(smooth: Singles, peaks: NDArray[np.intp]) -> list[tuple[int, int, int]]:
    """(start, peak, stop) of every hill: from valley to valley, small valleys not counting."""
    hills: list[tuple[int, int, int]] = []
    for peak in peaks.tolist():
        if not hills:
            hills.append((0, peak, len(smooth)))
            continue
        start, last, _ = hills[-1]
        valley = last + int(smooth[last : peak + 1].argmin())
        if smooth[valley] > _VALLEY * min(smooth[last], smooth[peak]):
            hills[-1] = (start, peak if smooth[peak] > smooth[last] else last, len(smooth))
        else:
            hills[-1] = (start, last, valley)
            hills.append((valley, peak, len(smooth)))
    return hills


def contrast(found: Spectra, start: int, stop: int) -> Singles:
    """Fine spectra from frame `start` to `stop` against what is loudest within half a second: decades of power, from
    -5 (nothing) to about 0."""
    fine, top = found.fine.read(start, stop).astype(np.float32), _loudest(found.loudest, start, stop)
    return np.asarray(np.log10(10.0 ** (fine - top[:, None]) + 10.0**SILENCE), np.float32)


def _loudest(loudest: Singles, start: int, stop: int) -> Singles:
    """(frames,): what there is within half a second, smoothly."""
    reach = round(_NEAR_S * FINE_PER_SECOND)
    low, high = max(0, start - 2 * reach), min(len(loudest), stop + 2 * reach)
    heard = np.maximum(loudest[low:high], loudest.max() - _FAINT)
    smooth = running_mean(_greatest(heard, reach), 2 * (reach // 2) + 1)
    return np.asarray(smooth[start - low : stop - low], np.float32)


def _greatest(values: Singles, reach: int) -> Singles:
    """Running maximum of `reach` values to either side."""
    padded = np.pad(values, reach, mode="edge")
    width, done = 2 * reach + 1, 1
    while done * 2 <= width:
        padded = np.maximum(padded[:-done], padded[done:])
        done *= 2
    return np.maximum(padded[: len(values)], padded[width - done :][: len(values)])
