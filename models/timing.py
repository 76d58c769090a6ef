"""Where in a cell's frames a position in beats falls. Agrees to the frame with the song's own tempo map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from models.api import StemRequest, TempoSpan


class CellClock:
    """Converts positions in one cell: beats from its start to seconds and to frames from its first frame."""

    def __init__(self, tempo: Sequence[TempoSpan], rate: int, offset_seconds: Fraction = Fraction(0)) -> None:
        self._spans = tuple(tempo)
        self._rate = rate
        self._offset = offset_seconds
        self._starts = [Fraction(0)]
        for span in self._spans:
            self._starts.append(self._starts[-1] + _seconds_into(span, span.beats))
        first = self._spans[0]
        self._pace: tuple[Fraction, Fraction] | None = None
        """At one steady tempo, a beat's frames and the frames before beat 0: whole numbers then do for `frame`."""
        if len(self._spans) == 1 and first.bpm == first.bpm_end and first.start == 0:
            self._pace = Fraction(60 * rate) / first.bpm, offset_seconds * rate

    @classmethod
    def of(cls, request: StemRequest) -> CellClock:
        return cls(request.tempo, request.rate, request.offset_seconds)

    def seconds(self, beat: Fraction) -> float:
        """Seconds from the exact start of the cell; past its end the last tempo goes on."""
        return float(self._exact(beat))

    def _exact(self, beat: Fraction) -> Fraction:
        for span, start in zip(reversed(self._spans), reversed(self._starts[:-1]), strict=True):
            if beat >= span.start:
                inside = min(beat - span.start, span.beats)
                beyond = beat - span.start - inside
                return start + _seconds_into(span, inside) + 60 * beyond / span.bpm_end
        return 60 * beat / self._spans[0].bpm

    def frame(self, beat: Fraction) -> int:
        """The nearest frame, counted from the cell's first. Exact: many ticks lie halfway between two frames, and
        there a rounded number of seconds would fall to the wrong one."""
        if self._pace is not None:  # most songs: a tenth of the time of fractions, which are reduced at every step
            pace, before = self._pace
            above = beat.numerator * pace.numerator * before.denominator
            below = beat.denominator * pace.denominator
            above += before.numerator * below
            below *= before.denominator
        else:
            exact = (self._exact(beat) + self._offset) * self._rate
            above, below = exact.numerator, exact.denominator
        return (2 * above + below) // (2 * below)

    def bpm(self, beat: Fraction = Fraction(0)) -> float:
        """The tempo at a position."""
        for span in reversed(self._spans):
            if beat >= span.start:
                inside = min(beat - span.start, span.beats)
                return float(span.bpm + (span.bpm_end - span.bpm) * inside / span.beats)
        return float(self._spans[0].bpm)


def _seconds_into(span: TempoSpan, beat: Fraction) -> Fraction:
    """Time from the span's start; the integral of 60 / BPM, in closed form on a ramp."""
    if span.bpm == span.bpm_end:
        return 60 * beat / span.bpm
    slope = (span.bpm_end - span.bpm) / span.beats
    return Fraction(60 / float(slope) * math.log1p(float(slope * beat / span.bpm)))
