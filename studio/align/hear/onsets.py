"""Where sounds begin: picked from the rise of energy, then placed in the waveform to a fraction of a millisecond."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.features import PER_SECOND, Features
from studio.align.hear.track import channel, normalised
from studio.align.values import Floats, Onsets, Source

Singles = NDArray[np.float32]

_APART_S = 0.03
_LEAST = 0.12
"""Of the accents around it: a weaker rise is no onset."""
_ABOVE_MEAN = 0.07
_BEFORE_S, _AFTER_S = 0.045, 0.045
_SEARCH_S = 0.03
_SIDE_S = 0.003
"""Energy just before and just after: an attack is where they differ most."""
_SMOOTH_S = 0.0006
_CROSSING_DB = 14.0
"""Below the top of an attack: where it is taken to begin, or halfway up from what sounds already if that is higher."""
_SHARP_DB = 24.0
_SLOW_S, _SLOWEST_S, _QUIET_S, _LEAVES_DB = 0.004, 0.025, 0.015, 4.0
_BATCH = 128
_CLEAR = 0.4
_SOFTER = 0.8
_SOFT_APART_S = 0.08
_UNSHARP, _SURELY_SHARP = 0.5, 0.75
"""Sharpness below which the waveform does not tell when a soft note begins, and above which a swell has an attack."""
_SWELLS = 0.38
"""Mean sharpness of its strongest rises below which a sound has no attacks to speak of."""


def find_onsets(source: Source, rate: int, heard: Features) -> Onsets:
    """The onsets of a sound, read once more around them.

    Attacks are rises over all bands. Where there is none, notes that begin softly count as well, with the time at
    which their semitones rise; and where nothing is sharp, changes of harmony.
    """
    rise = normalised(heard.rise)
    hard = _peaks(rise)
    seconds, sharpness = _placed(source, rate, hard / PER_SECOND)
    loudest = np.argsort(-rise[hard], kind="stable")[: max(3, len(hard) // 4)]
    if len(hard) and sharpness[loudest].mean() < _SWELLS:
        sharp = (sharpness > _SURELY_SHARP) & (rise[hard] > 0.5)
        hard, seconds, sharpness = hard[sharp], seconds[sharp], sharpness[sharp]
        softly = np.maximum(channel(heard, "change"), _SOFTER * channel(heard, "notes"))
    else:
        softly = _SOFTER * channel(heard, "notes")
    soft = _peaks(softly)
    if len(hard):
        soft = soft[np.abs(soft[:, None] - hard).min(axis=1, initial=1 << 30) > round(_SOFT_APART_S * PER_SECOND)]
    softs = soft / PER_SECOND
    placed, clear = _placed(source, rate, softs)
    frames = np.concatenate([hard, soft])
    if not len(frames):
        nothing = np.zeros(0)
        return Onsets(nothing, nothing, nothing, nothing)
    seconds = np.concatenate([seconds, np.where(clear < _UNSHARP, softs, placed)])
    sharpness = np.concatenate([sharpness, np.where(clear < _UNSHARP, 0.3 * clear, clear)])
    strength = np.concatenate([rise[hard], softly[soft]]).astype(np.float64)
    low = heard.low[frames] / np.maximum(heard.low[frames] + heard.mid[frames] + heard.high[frames], 1e-9)
    keep = _distinct(seconds, strength)
    order = keep[np.argsort(seconds[keep], kind="stable")]
    top = strength[order].max(initial=1e-9)
    return Onsets(seconds[order], strength[order] / top, low[order].astype(np.float64), sharpness[order])


def _peaks(rise: Singles) -> NDArray[np.intp]:
    """Feature frames at which the rise is largest in its neighbourhood and stands out of it."""
    reach = round(_APART_S * PER_SECOND)
    wide = 5 * reach
    padded = np.pad(rise, reach)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(np.pad(rise, wide), dtype=np.float64)])
    mean = (sums[2 * wide + 1 :] - sums[: -2 * wide - 1]) / (2 * wide + 1)
    found = (rise >= around) & (rise > _LEAST) & (rise > mean + _ABOVE_MEAN)
    frames = np.flatnonzero(found)
    return frames[np.diff(frames, prepend=-reach) > 1]


def _distinct(seconds: Floats, strength: Floats) -> NDArray[np.intp]:
    """Of onsets that were placed at the same moment, the strongest."""
    order = np.argsort(seconds, kind="stable")
    kept: list[int] = []
    for number in order.tolist():
        if kept and seconds[number] - seconds[kept[-1]] < _APART_S / 3:
            if strength[number] > strength[kept[-1]]:
                kept[-1] = number
        else:
            kept.append(number)
    return np.array(kept, np.intp)


def _placed(source: Source, rate: int, seconds: Floats) -> tuple[Floats, Floats]:
    """The moments of attack near rough times, and how sharp each is (0..1)."""
    times, sharpness = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(seconds), _BATCH):
        rough = seconds[start : start + _BATCH]
        first = np.rint((rough - _BEFORE_S) * rate).astype(np.intp)
        windows = _windows(source, first, round((_BEFORE_S + _AFTER_S) * rate))
        offset, sharp = _attacks(windows, rate)
        times.append((first + offset) / rate)
        sharpness.append(sharp)
    return np.concatenate(times), np.concatenate(sharpness)


def _windows(source: Source, first: NDArray[np.intp], length: int) -> Singles:
    """(onsets, channels, length) around the onsets; silence beyond the sound."""
    out = np.zeros((len(first), source.channels, length), np.float32)
    for row, begin in zip(out, first.tolist(), strict=True):
        low, high = max(begin, 0), min(begin + length, source.frames)
        if high > low:
            row[:, low - begin : high - begin] = source.read(low, high - low)
    return out


def _attacks(windows: Singles, rate: int) -> tuple[Floats, Floats]:
    """Frames from the windows' beginning to the attack, unrounded, and its sharpness."""
    smooth, side = max(3, round(_SMOOTH_S * rate)), max(4, round(_SIDE_S * rate))
    edges = np.diff(windows, axis=-1, prepend=windows[..., :1])
    power = (edges * edges).sum(axis=1, dtype=np.float64)
    level = 10 * np.log10(_mean(power, smooth) + 1e-14)
    before, after = _greatest(level, side, ahead=False), _greatest(level, side, ahead=True)
    step = after - before
    middle = level.shape[1] * _BEFORE_S / (_BEFORE_S + _AFTER_S)
    search = slice(int(middle - _SEARCH_S * rate), int(middle + _SEARCH_S * rate))
    at = step[:, search].argmax(axis=1) + search.start
    rows = np.arange(len(at))
    top, floor = after[rows, at], before[rows, at]
    threshold = np.maximum(top - _CROSSING_DB, (top + floor) / 2)
    found = _crossings(level, at, threshold, side)
    return found - _slow_start(windows, found, rate), np.clip(step[rows, at] / _SHARP_DB, 0.0, 1.0)


def _slow_start(windows: Singles, found: Floats, rate: int) -> Floats:
    """Frames by which notes began before the attack that was found: low notes first swell and then speak.

    The level is followed back to where it leaves that of the beginning of the window.
    """
    width, most = max(3, round(_SLOW_S * rate)), round(_SLOWEST_S * rate)
    level = 10 * np.log10(_mean((windows * windows).sum(axis=1, dtype=np.float64), width) + 1e-12)
    floor = np.median(level[:, : round(_QUIET_S * rate)], axis=1)
    result = np.zeros(len(found))
    for row, (place, limit) in enumerate(zip(found.astype(int).tolist(), (floor + _LEAVES_DB).tolist(), strict=True)):
        below = np.flatnonzero(level[row, max(place - most, 0) : place + 1] < limit)
        back = min(place, most) - int(below[-1]) if len(below) else 0
        result[row] = max(0, back - width // 2) if back > 0.6 * width else 0
    return result


def _crossings(level: Floats, at: NDArray[np.intp], threshold: Floats, reach: int) -> Floats:
    """Where, within `reach` of `at`, the level first goes above the threshold, between frames."""
    result = at.astype(np.float64)
    for row, (place, limit) in enumerate(zip(at.tolist(), threshold.tolist(), strict=True)):
        begin = max(place - reach, 1)
        values = level[row, begin - 1 : place + reach]
        above = np.flatnonzero((values[1:] >= limit) & (values[:-1] < limit))
        if len(above):
            k = int(above[0])
            result[row] = begin + k - 1 + (limit - values[k]) / (values[k + 1] - values[k])
    return result


def _mean(values: Floats, width: int) -> Floats:
    """Running mean over `width` frames, centred."""
    sums = np.cumsum(np.pad(values, ((0, 0), (width // 2 + 1, width - width // 2 - 1)), mode="edge"), axis=1)
    return np.asarray((sums[:, width:] - sums[:, :-width]) / width)


def _greatest(values: Floats, width: int, *, ahead: bool) -> Floats:
    """Running maximum of the `width` frames after (or before) each."""
    padded = np.pad(values, ((0, 0), (0, width) if ahead else (width, 0)), mode="edge")
    doubling, reach = padded, 1
    while reach * 2 <= width:  # maxima over 1, 2, 4 ... frames, then two that overlap
        doubling = np.maximum(doubling[:, :-reach], doubling[:, reach:])
        reach *= 2
    rest = width - reach
    whole = np.maximum(doubling[:, : doubling.shape[1] - rest], doubling[:, rest:]) if rest else doubling
    return whole[:, 1 : 1 + values.shape[1]] if ahead else whole[:, : values.shape[1]]


def has_attacks(onsets: Onsets) -> bool:
    """Whether sounds begin clearly enough to tell one sixteenth from the next."""
    return bool(len(onsets)) and float(onsets.sharpness @ onsets.strength) > _CLEAR * float(onsets.strength.sum())


def sound_span(heard: Features) -> tuple[float, float]:
    """First and last second at which the sound is above -60 dB of its loudest moment."""
    loud = np.flatnonzero(heard.level > -60.0)
    return (float(loud[0] / PER_SECOND), float((loud[-1] + 1) / PER_SECOND)) if len(loud) else (0.0, 0.0)
