"""A tempo map as Standard MIDI File tempo events, within a tenth of a millisecond of the exact map everywhere.

A file says a tempo as whole microseconds a quarter note, so almost no tempo is exact: 97.3 BPM is 616649.537
us. Rounded once, a song would drift by up to 0.5 us a beat without end. Here each event is chosen from the
*time reached so far*, so the error is carried over into the next choice and never accumulates. A ramp becomes
steps fine enough that the curve inside a step bulges by less than MOST_BULGE.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from studio.song import PPQ, TempoMap, TempoSegment, to_tick

MOST_DRIFT = Fraction(70)
"""Microseconds by which a constant tempo may drift before an event takes it back."""
MOST_BULGE = 20e-6
"""Seconds between a ramp and its chord over one step."""
LONGEST_STEP = 1.0
"""Beats of one step of a ramp."""


class TempoEvent(NamedTuple):
    """From `tick` on a quarter note lasts `microseconds`."""

    tick: int
    microseconds: int


def tempo_events(tempo: TempoMap, end: Fraction) -> list[TempoEvent]:
    """The events for beats 0 to `end`. Every position in between is within 0.1 ms of `tempo.exact_seconds`."""
    events: list[TempoEvent] = []
    spent = 0  # microseconds * PPQ up to `tick`, exactly as a reader of the file will count them
    tick, last = 0, to_tick(end)
    for segment in tempo.window(Fraction(0), end):
        stop = min(to_tick(segment.start + segment.beats), last)
        while tick < stop:
            ahead = Fraction(spent, PPQ) - tempo.exact_seconds(Fraction(tick, PPQ)) * 1_000_000
            if segment.bpm == segment.bpm_end:
                microseconds, ticks = _hold(60_000_000 / segment.bpm, ahead)
                ticks = min(ticks, stop - tick)
            else:
                ticks = min(_ramp_ticks(segment, Fraction(tick, PPQ) - segment.start), stop - tick)
                microseconds = _ramp_tempo(tempo, tick, ticks, ahead)
            if not events or events[-1].microseconds != microseconds:
                events.append(TempoEvent(tick, microseconds))
            spent += microseconds * ticks
            tick += ticks
    return events


def _hold(exact: Fraction, ahead: Fraction) -> tuple[int, int]:
    """For a constant tempo: the whole microseconds to use, and for how many ticks, `ahead` microseconds off now.

    The nearest value is held until the drift reaches MOST_DRIFT, then the one on the other side until it has
    gone over to the other bound. Changes fall on whole beats of the segment.
    """
    nearest = round(exact)
    drift = nearest - exact
    if drift == 0:
        return nearest, 2**31
    if drift * ahead > 0 and abs(ahead + drift) > MOST_DRIFT:
        nearest += -1 if drift > 0 else 1
        drift = nearest - exact
    room = (MOST_DRIFT if drift > 0 else -MOST_DRIFT) - ahead
    return nearest, max(int(room / drift), 1) * PPQ


def _ramp_tempo(tempo: TempoMap, tick: int, ticks: int, ahead: Fraction) -> int:
    """The mean tempo of one step of a ramp, and a part of the error so far: all of it over a beat, not in a jolt."""
    start, stop = (tempo.exact_seconds(Fraction(t, PPQ)) for t in (tick, tick + ticks))
    return round((stop - start) * 1_000_000 * PPQ / ticks - ahead * PPQ / max(ticks, PPQ))


def _ramp_ticks(segment: TempoSegment, beat: Fraction) -> int:
    """The length of a step of a ramp that begins `beat` beats into it.

    t'' = -60 v' / v^2, and a chord over h beats leaves a gap of at most h^2 |t''| / 8; the slow end of the
    step counts.
    """
    slope = float((segment.bpm_end - segment.bpm) / segment.beats)
    here = float(segment.bpm) + slope * float(beat)
    slowest = here if slope > 0 else max(here + slope * LONGEST_STEP, float(segment.bpm_end))
    step = min(math.sqrt(8 * MOST_BULGE * slowest**2 / (60 * abs(slope))), LONGEST_STEP)
    return max(int(step * PPQ), 1)
