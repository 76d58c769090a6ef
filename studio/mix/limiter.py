"""A look-ahead peak limiter without latency, for whole takes (offline).

The reduction in dB needed at every frame (true peak against the ceiling) is widened by the look-ahead and a
hold, let go at a constant rate in dB per second, and smoothed by two running means whose reach equals the
look-ahead: since every value that enters the mean is at least what the frame needs, so is the mean, and no
frame ends above the ceiling. Both channels share one gain, so the stereo image stays.

Work is done only around the peaks: a take that stays below the ceiling comes back untouched, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import Audio, blocks, check_audio, check_rate, from_db
from studio.mix.errors import MixError
from studio.mix.truepeak import OVERSHOOT, REACH, gap_peaks, padded_block

#: How long before and after a peak the gain bends, in seconds. Backward masking hides 2 ms.
LOOK_AHEAD_S = 0.002
#: How long a reduction is held: longer than half a period of 40 Hz, so that a bass note is turned down as a
#: whole and not once in every swing.
HOLD_S = 0.0125
#: How fast a reduction is let go. 60 dB/s gives 6 dB back within a sixteenth at 150 BPM.
RELEASE_DB_PER_S = 60.0

#: How far a waveform is expected to rise between its samples (4.4 dB; a sine at a quarter of the rate rises by 3).
#: Signals made for the purpose can rise by more, music does not; to look between all of its samples costs a third of
#: the time of writing clips.
MOST_RISE = 10 ** (4.4 / 20)

MIN_CEILING_DB, MAX_CEILING_DB = -60.0, 60.0


@dataclass(frozen=True, slots=True)
class GainRegion:
    """Frames `start` to `start + len(gain)` of a take are to be multiplied by `gain` (float32, 0 to 1)."""

    start: int
    gain: NDArray[np.float32]


def limit(audio: Audio, rate: int, ceiling_db: float) -> Audio:
    """Return `audio` with no sample above `ceiling_db` dBFS, and no true peak above it either.

    Args:
        audio: float32 (1 or 2 channels, frames).
        rate: Hz.
        ceiling_db: -60 to +60 dBFS; plus infinity switches the limiter off.

    Returns:
        A new array of the same shape, or `audio` itself when nothing in it exceeds the ceiling. Samples obey
        the ceiling exactly; the true peak does within 0.1 dB, because the moving gain bends the waveform.

    Raises:
        MixError: a ceiling or rate outside its limits, audio of another shape or type.
    """
    regions = gain_regions(audio, rate, ceiling_db)
    if not regions:
        return audio
    out = audio.copy()
    ceiling = _float32_not_above(from_db(ceiling_db))
    for region in regions:
        part = out[:, region.start : region.start + len(region.gain)]
        part *= region.gain
        # Rounding to float32 may lift a sample by one unit in the last place.
        np.clip(part, -ceiling, ceiling, out=part)
    return out


def gain_regions(audio: Audio, rate: int, ceiling_db: float) -> list[GainRegion]:
    """Return the stretches of `audio` that the limiter turns down, in order and apart; see `limit`."""
    check_audio(audio)
    check_rate(rate)
    if math.isinf(ceiling_db) and ceiling_db > 0:
        return []
    if not MIN_CEILING_DB <= ceiling_db <= MAX_CEILING_DB:
        raise MixError(f"a ceiling lies between {MIN_CEILING_DB:g} and {MAX_CEILING_DB:g} dB, not {ceiling_db:g}")
    need, hot = _needed_reduction(audio, from_db(ceiling_db))
    look = 2 * max(1, round(rate * LOOK_AHEAD_S / 2))
    hold = round(rate * HOLD_S)
    fall = RELEASE_DB_PER_S / rate
    regions = []
    for start, stop in _spans(hot, need[hot], look, hold, fall):
        reduction = _shape(_cut(need, start, stop), look, hold, fall)
        inside = slice(max(0, -start), audio.shape[1] - start)
        gain = np.power(np.float32(10.0), reduction[inside] * np.float32(-0.05))
        regions.append(GainRegion(max(0, start), gain))
    return regions


def _needed_reduction(audio: Audio, ceiling: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the dB every frame lies above the ceiling (0 below it) and the frames where it does."""
    need = np.zeros(audio.shape[1], dtype=np.float32)
    hot_frames = [np.zeros(0, dtype=np.int64)]
    for start, stop in blocks(audio.shape[1]):
        near = audio[:, max(0, start - REACH) : stop + REACH]
        if max(float(near.max()), -float(near.min())) * MOST_RISE <= ceiling:
            continue
        padded = padded_block(audio, start, stop)
        gaps = gap_peaks(padded, ceiling * (OVERSHOOT / MOST_RISE))
        level = np.abs(audio[:, start:stop]).max(axis=0)
        np.maximum(level, gaps[:-1], out=level)
        np.maximum(level, gaps[1:], out=level)
        hot = np.flatnonzero(level > ceiling)
        need[start + hot] = 20.0 * np.log10(level[hot].astype(np.float64) / ceiling)
        hot_frames.append(hot + start)
    return need, np.concatenate(hot_frames)


def _spans(
    hot: NDArray[np.int64], need: NDArray[np.float32], look: int, hold: int, fall: float
) -> Iterator[tuple[int, int]]:
    """Yield `(start, stop)` of the stretches in which the gain is below 1; `start` may be negative."""
    if not len(hot):
        return
    starts = hot - 2 * look - 1
    stops = np.maximum.accumulate(hot + 2 * look + hold + 2 + np.ceil(need / fall).astype(np.int64))
    breaks = np.flatnonzero(starts[1:] > stops[:-1])
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(hot) - 1]))
    for first, last in zip(firsts, lasts, strict=True):
        yield int(starts[first]), int(stops[last])


def _cut(need: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Return `need[start:stop]` with zeros where that lies outside the take."""
    inside = need[max(0, start) : stop]
    after = stop - start - max(0, -start) - len(inside)
    return np.pad(inside, (max(0, -start), max(0, after)))


def _shape(need: NDArray[np.float32], look: int, hold: int, fall: float) -> NDArray[np.float32]:
    """Turn the needed reduction into a smooth one that is nowhere smaller (dB, both)."""
    # The window of frame n is [n - look - hold, n + look].
    wide = _highest_in_windows(np.pad(need, (look + hold, look)), 2 * look + hold + 1)
    level = 0.0
    for start, stop in blocks(len(wide)):
        ramp = fall * np.arange(1, stop - start + 1)
        piece = wide[start:stop] + ramp
        piece[0] = max(piece[0], level)
        held = np.maximum.accumulate(piece) - ramp
        level = float(held[-1])
        wide[start:stop] = np.maximum(held, 0.0)
    for _ in range(2):
        sums = np.cumsum(np.pad(wide, (look // 2 + 1, look // 2)), dtype=np.float64)
        wide = ((sums[look + 1 :] - sums[: -look - 1]) / (look + 1)).astype(np.float32)
    return np.maximum(wide, need)


def _highest_in_windows(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The highest of every `width` values in a row: of windows that double, then of two that overlap."""
    size = 1
    while 2 * size <= width:
        values, size = np.maximum(values[:-size], values[size:]), 2 * size
    return np.maximum(values[: len(values) - (width - size)], values[width - size :])


def _float32_not_above(value: float) -> np.float32:
    rounded = np.float32(value)
    return rounded if float(rounded) <= value else np.nextafter(rounded, np.float32(0.0))
