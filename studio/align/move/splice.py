"""Moves sound in the time domain: it is copied as it is, and where it has to give way one place is crossfaded into
another that is like it, or quiet. For drums and noise, which a vocoder would smear.

After WSOLA (Verhelst & Roelands 1993), but with as few joins as the warp allows, none of them in an attack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.align.move.reading import Reader
from studio.align.move.spans import Span
from studio.align.values import Audio, Floats

Integers = NDArray[np.int_]

TOLERANCE_SECONDS = 0.02
"""So far the sound between two attacks may be from where the warp has it."""
FADE_SECONDS = 0.02
_LEAST_FADE_SECONDS = 0.002
_SEARCH_SECONDS = 0.06  # before the sound would be too far off, a place for a join is looked for
_LAST_SEARCH_SECONDS = 0.5  # and before the next attack
_STEP_SECONDS = 0.0025  # between places that are tried
_LEAST_LAG_SECONDS = 0.006
_LOOK_SECONDS = 10.0
_SEARCH_RATE = 12_000
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class Join:
    """From target frame `at` on, `fade` frames lead over to the sound that lies `offset` after the target."""

    at: int
    fade: int
    offset: int
    likeness: float
    """0..1: the correlation of what is faded."""


def splice(reader: Reader, rate: int, spans: Sequence[Span], start: int, stop: int) -> Iterator[Audio]:
    """Yield target frames `start` to `stop`, float32 (channels, n) of any n. The spans are in order and meet."""
    first = sum(span.target_stop <= start for span in spans)
    now, offset = start, spans[first].offset
    for join in (join for span in spans[first:] for join in _Planner(reader, rate, span).joins()):
        if join.at + join.fade > now:
            at = max(now, min(join.at, stop))
            yield from _copied(reader, now, at, offset)
            now = max(now, min(join.at + join.fade, stop))
            if now > at:
                yield _faded(reader, join, offset, at, now)
        offset = join.offset
        if now >= stop:
            return
    yield from _copied(reader, now, stop, offset)


def _copied(reader: Reader, start: int, stop: int, offset: int) -> Iterator[Audio]:
    for at in range(start, stop, _BLOCK):
        yield reader.read(at + offset, min(_BLOCK, stop - at))


def _faded(reader: Reader, join: Join, offset: int, start: int, stop: int) -> Audio:
    """A crossfade that keeps the power for sounds as like each other as the join says."""
    up = 0.5 - 0.5 * np.cos(np.pi * (np.arange(start - join.at, stop - join.at) + 0.5) / join.fade)
    down = 1.0 - up
    power = np.sqrt(up**2 + down**2 + 2.0 * join.likeness * up * down)
    before, after = reader.read(start + offset, stop - start), reader.read(start + join.offset, stop - start)
    return before * (down / power).astype(np.float32) + after * (up / power).astype(np.float32)


class _Planner:
    """Finds the joins of one span."""

    def __init__(self, reader: Reader, rate: int, span: Span) -> None:
        self._reader, self._rate, self._span = reader, rate, span
        self._tolerance = TOLERANCE_SECONDS * rate
        self._least = max(2, round(_LEAST_FADE_SECONDS * rate))
        self._end = round(_LAST_SEARCH_SECONDS * rate)
        # What was heard of the attack is not heard again.
        self._first_free = span.source + span.hold // 2

    def joins(self) -> Iterator[Join]:
        """Yield the joins in order; they lie after what is held and end with the span at the latest."""
        span = self._span
        now, offset = span.target + span.hold, span.offset
        while True:
            last = min(span.target_stop, span.source_stop - offset)  # past it the next attack would sound
            late = self._too_far_off(now, last, offset)
            if late is None:
                break
            if abs(span.last_offset - offset) <= 2 * self._tolerance and last - late <= self._end:
                break  # one join is enough
            join = self._free(now, late, last, offset)
            if join is None:
                break
            yield join
            now, offset = join.at + join.fade, join.offset
        if offset != span.last_offset and span.target_stop > now:
            yield self._last(now, max(last, now), offset)

    def _too_far_off(self, now: int, last: int, offset: int) -> int | None:
        """The first place where the sound would be further from the warp than it may."""
        step = max(1, round(_STEP_SECONDS * self._rate))
        reach = round(_LOOK_SECONDS * self._rate)
        for begin in range(now, last, reach):
            at = np.arange(begin, min(begin + reach, last), step)
            off = np.flatnonzero(np.abs(self._span.source_at(at) - at - offset) > self._tolerance)
            if len(off):
                return int(at[off[0]])
        return None

    def _free(self, now: int, late: int, last: int, offset: int) -> Join | None:
        """The best join near `late` to any place that is near enough to the warp."""
        rate = self._rate
        fade = min(round(FADE_SECONDS * rate), max(self._least, (last - now) // 2))
        begin = max(now, min(late, last - fade) - round(_SEARCH_SECONDS * rate))
        places = np.arange(begin, max(begin, min(late, last - fade)) + 1, max(1, round(_STEP_SECONDS * rate)))
        if begin + fade > last:
            return None
        wanted = float(self._span.source_at(late + fade)) - (late + fade) - offset
        away = np.sign(wanted) * max(abs(wanted), _LEAST_LAG_SECONDS * rate)
        low, high = sorted((away - np.sign(wanted) * self._tolerance, away + np.sign(wanted) * self._tolerance))
        if wanted > 0:
            low = max(low, _LEAST_LAG_SECONDS * rate)
            high = min(high, self._span.source_stop - 2 * fade - (places[-1] + offset))
        else:
            high = min(high, -_LEAST_LAG_SECONDS * rate)
            low = max(low, self._first_free - (places[0] + offset))
        lags = np.arange(round(low), round(high) + 1)
        if len(lags) == 0:
            return None
        at, lag = self._most_alike(places + offset, lags, fade)
        before, after = self._reader.read(at, fade), self._reader.read(at + lag, fade)
        return Join(at - offset, fade, offset + lag, _likeness(before, after))

    def _most_alike(self, places: Integers, lags: Integers, fade: int) -> tuple[int, int]:
        """The source frame and the lag at which as few joins as possible differ as little as possible."""
        thin = max(1, self._rate // _SEARCH_RATE)
        count = max(4, fade // thin)
        begin, low, high = int(places[0]), int(lags[0]), int(lags[-1])
        length = (int(places[-1]) - begin) // thin + count
        near = _thinned(self._reader.read(begin, length * thin), thin)
        width = (high - low) // thin + 1
        far = _thinned(self._reader.read(begin + low, (length + width - 1) * thin), thin)
        at = (places - begin) // thin
        a = sliding_window_view(near, count, axis=1)[:, at]
        b = sliding_window_view(far, count + width - 1, axis=1)[:, at]
        size = scipy.fft.next_fast_len(count + width - 1, real=True)
        spectrum = (scipy.fft.rfft(b, size) * np.conj(scipy.fft.rfft(a, size))).sum(0)
        cross = scipy.fft.irfft(spectrum, size)[:, :width]
        energy = np.square(b).sum(0).cumsum(1)
        energy = np.concatenate([np.zeros((len(at), 1)), energy], axis=1)
        energy = energy[:, count : count + width] - energy[:, :width]
        own = np.square(a).sum((0, 2))[:, None]
        differs = 0.5 * (own + energy) - cross + 0.01 * (own + energy)
        reach = np.abs(low + thin * np.arange(width)) + 1.0
        place, lag = np.unravel_index(np.argmin(differs / reach), differs.shape)
        return int(places[place]), self._refined(int(places[place]), low + thin * int(lag), fade, thin, (low, high))

    def _refined(self, at: int, lag: int, fade: int, thin: int, limits: tuple[int, int]) -> int:
        """The lag to the frame, near one that was found in thinned sound."""
        tried = range(max(limits[0], lag - thin), min(limits[1], lag + thin) + 1)
        before = self._reader.read(at, fade)
        after = sliding_window_view(self._reader.read(at + tried[0], fade + len(tried) - 1), fade, axis=1)
        return tried[int(np.argmin(np.square(after - before[:, None]).sum((0, 2))))]

    def _last(self, now: int, last: int, offset: int) -> Join:
        """The join that brings the next attack to its place, where it changes least."""
        span, lag = self._span, self._span.last_offset - offset
        room = max(min(self._least, span.target_stop - now), last - now)
        fade = min(round(FADE_SECONDS * self._rate), room)
        begin = max(now, now + room - self._end)
        begin = min(max(begin, self._first_free - offset - lag), now + room - fade)
        before = self._reader.read(begin + offset, now + room - begin)
        after = self._reader.read(begin + offset + lag, now + room - begin)
        differs = np.square(before.astype(np.float64) - after).sum(0).cumsum()
        differs = np.concatenate([[0.0], differs])
        at = int(np.argmin(differs[fade:] - differs[:-fade]))
        likeness = _likeness(before[:, at : at + fade], after[:, at : at + fade])
        return Join(begin + at, fade, span.last_offset, likeness)


def _thinned(audio: Audio, thin: int) -> Floats:
    """Means of `thin` frames: near enough to compare by."""
    return np.asarray(audio.reshape(len(audio), -1, thin).mean(axis=2, dtype=np.float64))


def _likeness(before: Audio, after: Audio) -> float:
    """The correlation of two pieces over all channels, 0 where it is negative."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    power = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return min(1.0, max(0.0, float((a * b).sum()) / power)) if power > 0 else 1.0
