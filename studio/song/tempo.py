"""Tempo, and the one conversion between beats, seconds and frames.

A tempo map is a run of segments. In a segment the tempo is constant, or BPM is a linear function of the
position in beats: v(b) = v0 + (v1 - v0) * b / L. The time spent up to b is then the integral of 60 / v(b),

    t(b) = 60 * b / v0                                   constant tempo
    t(b) = 60 * L / (v1 - v0) * ln(v(b) / v0)            ramp

Constant segments are summed as exact fractions; a ramp costs one logarithm. A boundary is converted from the
song's start, never by adding lengths, so consecutive clips meet in the same frame.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property

from studio.song.errors import SongError

SLOWEST, FASTEST = Decimal(20), Decimal(400)
MOST_DECIMALS = 6


def parse_bpm(text: str | int | Decimal) -> Decimal:
    """An exact tempo in BPM, 20..400 with at most six decimals. Raises SongError."""
    shown = str(text)[:40]
    try:
        bpm = Decimal(_number(str(text)))
    except InvalidOperation:
        raise SongError(f"tempo {shown!r} is not a number; write BPM such as 120 or 97.3") from None
    if not bpm.is_finite() or not SLOWEST <= bpm <= FASTEST:
        raise SongError(f"tempo {shown}: it must be {SLOWEST} to {FASTEST} BPM; write one such as 120 or 97.3")
    if -int(bpm.as_tuple().exponent) > MOST_DECIMALS:
        raise SongError(f"tempo {shown}: write at most {MOST_DECIMALS} decimals")
    return bpm


def _number(text: str) -> str:
    """The text, unless it holds what only Python takes for a number: "1_20", digits of other scripts."""
    return text.strip() if text.isascii() and "_" not in text else ""


@dataclass(frozen=True)
class TempoPoint:
    """From bar `bar` (1 is the song's first full bar) the tempo is `bpm`, or ramps from `bpm` to `ramp_to`,
    which is reached at the next point's bar (or at the song's end)."""

    bar: int
    bpm: Decimal
    ramp_to: Decimal | None = None

    def __post_init__(self) -> None:
        if self.bar < 1:
            raise SongError(f"tempo map: bar {self.bar} does not exist; the first bar is 1")
        parse_bpm(self.bpm)
        if self.ramp_to is not None:
            parse_bpm(self.ramp_to)

    def __str__(self) -> str:
        return f"{self.bar}={self.bpm}" + (f"..{self.ramp_to}" if self.ramp_to is not None else "")


def parse_tempo_map(text: str) -> tuple[TempoPoint, ...]:
    """Read "1=92 9=92..104 17=104": bar=BPM or bar=BPM..BPM, in rising order, from bar 1. Raises SongError."""
    points: list[TempoPoint] = []
    for word in text.split():
        bar, equals, tempo = word.partition("=")
        if not equals or not bar.isascii() or not bar.isdigit() or len(bar) > 6:
            raise SongError(f"tempo map {word[:40]!r}: write bar=BPM or bar=BPM..BPM, such as '1=92 9=92..104 17=104'")
        first, ramp, last = tempo.partition("..")
        points.append(TempoPoint(int(bar), parse_bpm(first), parse_bpm(last) if ramp else None))
    return check_tempo_points(points)


def check_tempo_points(points: Iterable[TempoPoint]) -> tuple[TempoPoint, ...]:
    """The points as a tuple, if they begin at bar 1 and rise. Raises SongError."""
    result = tuple(points)
    if not result or result[0].bar != 1:
        raise SongError("tempo map: its first point must be at bar 1, such as '1=120'")
    for before, after in itertools.pairwise(result):
        if after.bar <= before.bar:
            raise SongError(f"tempo map: bar {after.bar} comes after bar {before.bar}; put the bars in rising order")
    return result


@dataclass(frozen=True)
class TempoSegment:
    """Tempo over `beats` beats from `start` (beats from the song's start); `bpm_end` differs on a ramp."""

    start: Fraction
    beats: Fraction
    bpm: Fraction
    bpm_end: Fraction

    def seconds(self, beat: Fraction) -> Fraction:
        """Seconds from the segment's start to `beat` beats into it."""
        if self.bpm == self.bpm_end:
            return 60 * beat / self.bpm
        slope = (self.bpm_end - self.bpm) / self.beats
        # log1p keeps full precision where the ramp is nearly flat.
        return Fraction(60 / float(slope) * math.log1p(float(slope * beat / self.bpm)))

    def beat(self, seconds: float) -> float:
        """The inverse of `seconds`."""
        if self.bpm == self.bpm_end:
            return seconds * float(self.bpm) / 60
        slope = float((self.bpm_end - self.bpm) / self.beats)
        return float(self.bpm) / slope * math.expm1(seconds * slope / 60)


@dataclass(frozen=True)
class TempoMap:
    """Segments that follow one another from beat 0; the last one's final tempo holds for ever."""

    segments: tuple[TempoSegment, ...]

    @classmethod
    def constant(cls, bpm: Decimal | int | str) -> TempoMap:
        tempo = Fraction(parse_bpm(bpm))
        return cls((TempoSegment(Fraction(0), Fraction(1), tempo, tempo),))

    @classmethod
    def build(cls, points: Sequence[TempoPoint], bar_starts: Sequence[Fraction]) -> TempoMap:
        """Put points on bars. `bar_starts[k]` is the start of bar k + 1 in beats, the last entry the song's end.

        What lies before bar 1 (a pickup) has the first point's tempo. Points beyond the end are left out.
        """
        points = check_tempo_points(points)
        end = bar_starts[-1]
        segments: list[TempoSegment] = []
        if bar_starts[0] > 0:
            first = Fraction(points[0].bpm)
            segments.append(TempoSegment(Fraction(0), bar_starts[0], first, first))
        inside = [point for point in points if point.bar < len(bar_starts)]
        for index, point in enumerate(inside):
            start = bar_starts[point.bar - 1]
            stop = bar_starts[inside[index + 1].bar - 1] if index + 1 < len(inside) else end
            bpm = Fraction(point.bpm)
            ramp_to = bpm if point.ramp_to is None else Fraction(point.ramp_to)
            if index + 1 == len(inside) < len(points):
                # The next point lies beyond the end: the song stops partway up the ramp.
                beyond = end + (points[index + 1].bar - len(bar_starts)) * (end - bar_starts[-2])
                ramp_to = bpm + (ramp_to - bpm) * (stop - start) / (beyond - start)
            segments.append(TempoSegment(start, stop - start, bpm, ramp_to))
        return cls(tuple(segments))

    @cached_property
    def _starts(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """Each segment's start in beats and in seconds, with the end of the last as one more entry."""
        beats, seconds = [Fraction(0)], [Fraction(0)]
        for segment in self.segments:
            beats.append(segment.start + segment.beats)
            seconds.append(seconds[-1] + segment.seconds(segment.beats))
        return tuple(beats), tuple(seconds)

    def exact_seconds(self, beat: Fraction) -> Fraction:
        """Seconds from the song's start to `beat` (beats from the song's start; may be beyond the end)."""
        beats, seconds = self._starts
        if beat >= beats[-1]:
            return seconds[-1] + 60 * (beat - beats[-1]) / self.segments[-1].bpm_end
        index = max(bisect.bisect_right(beats, beat) - 1, 0)
        return seconds[index] + self.segments[index].seconds(beat - beats[index])

    def seconds(self, beat: Fraction | int) -> float:
        """As `exact_seconds`, rounded once to a float."""
        return float(self.exact_seconds(Fraction(beat)))

    def frame(self, beat: Fraction | int, rate: int) -> int:
        """The frame at `rate` frames a second nearest to `beat`; halves go up."""
        return nearest_frame(self.exact_seconds(Fraction(beat)), rate)

    def beat(self, seconds: float) -> float:
        """The position in beats at a time in seconds from the song's start."""
        beats, times = self._starts
        if seconds >= times[-1]:
            return float(beats[-1]) + (seconds - float(times[-1])) * float(self.segments[-1].bpm_end) / 60
        index = max(bisect.bisect_right(times, seconds) - 1, 0)
        return float(beats[index]) + self.segments[index].beat(seconds - float(times[index]))

    def beat_of_frame(self, frame: int, rate: int) -> float:
        """The position in beats of a frame."""
        return self.beat(frame / rate)

    def bpm_at(self, beat: Fraction | int) -> Fraction:
        """The tempo at a position; at a step, the tempo after it."""
        beats, _ = self._starts
        if beat >= beats[-1]:
            return self.segments[-1].bpm_end
        segment = self.segments[max(bisect.bisect_right(beats, beat) - 1, 0)]
        return segment.bpm + (segment.bpm_end - segment.bpm) * (Fraction(beat) - segment.start) / segment.beats

    def window(self, start: Fraction, end: Fraction) -> tuple[TempoSegment, ...]:
        """The segments between two positions, with starts counted from `start`: the tempo of one section."""
        result: list[TempoSegment] = []
        for index, segment in enumerate(self.segments):
            last = index == len(self.segments) - 1
            stop = end if last and end > segment.start + segment.beats else segment.start + segment.beats
            low, high = max(start, segment.start), min(end, stop)
            if high <= low:
                continue
            result.append(TempoSegment(low - start, high - low, self.bpm_at(low), self._bpm_before(high)))
        return tuple(result)

    def _bpm_before(self, beat: Fraction) -> Fraction:
        """The tempo at a position; at a step, the tempo before it."""
        beats, _ = self._starts
        if beat >= beats[-1]:
            return self.segments[-1].bpm_end
        segment = self.segments[max(bisect.bisect_left(beats, beat) - 1, 0)]
        return segment.bpm + (segment.bpm_end - segment.bpm) * (beat - segment.start) / segment.beats


def nearest_frame(seconds: Fraction, rate: int) -> int:
    """The frame nearest to an exact time; halves go up."""
    scaled = seconds * rate
    return (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
