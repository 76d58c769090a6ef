"""The bars that a sound is to sit on, counted from the downbeat of the first of them.

Positions are quarter-note beats, 0 is that downbeat; frame 0 is the frame nearest to it on the song's timeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studio.song.errors import SongError
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, TempoSegment, nearest_frame
from studio.song.timeline import Timeline

Floats = NDArray[np.float64]

EDGE_S = 0.010
"""A file that ends this near to a bar's end is as long as its bars."""


@dataclass(frozen=True)
class Grid:
    """Whole bars at `rate` Hz, on a tempo map that is read from its own beat `start` on."""

    rate: int
    meters: tuple[Meter, ...]
    """One a bar."""
    tempo: TempoMap
    start: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if not self.meters:
            raise SongError("a grid needs a bar at least; ask for 1 or more")

    @classmethod
    def steady(cls, bpm: str, meter: Meter, bars: int, rate: int) -> Grid:
        """`bars` bars at one tempo (20..400 BPM). Raises SongError."""
        return cls(rate, (meter,) * bars, TempoMap.constant(bpm))

    @classmethod
    def of_song(cls, timeline: Timeline, first_bar: int, bars: int, rate: int) -> Grid:
        """`bars` bars of a song from its bar `first_bar` (from 1) on; past the song's end its last bar goes on.
        Raises SongError."""
        there = timeline.bars
        if not 1 <= first_bar <= len(there):
            raise SongError(f"bar {first_bar}: the song has bars 1 to {len(there)}")
        inside = [bar.meter for bar in there[first_bar - 1 : first_bar - 1 + bars]]
        meters = (*inside, *(there[-1].meter,) * (bars - len(inside)))
        return cls(rate, meters, timeline.tempo, there[first_bar - 1].start)

    @property
    def bars(self) -> int:
        """How many bars there are."""
        return len(self.meters)

    @property
    def meter(self) -> Meter:
        """The first bar's."""
        return self.meters[0]

    @cached_property
    def bar_starts(self) -> tuple[Fraction, ...]:
        """The downbeats, and the end of the last bar, in beats."""
        starts = [Fraction(0)]
        for meter in self.meters:
            starts.append(starts[-1] + meter.bar_beats)
        return tuple(starts)

    @property
    def beats(self) -> Fraction:
        """The length."""
        return self.bar_starts[-1]

    @property
    def frames(self) -> int:
        """The length in frames: as the song counts them, from its start."""
        return self.exact_frame(self.beats)

    @property
    def first_frame(self) -> int:
        """Where frame 0 lies on the song's timeline."""
        return self.tempo.frame(self.start, self.rate)

    @property
    def bpm(self) -> float:
        """The mean tempo in quarter notes a minute."""
        return 60.0 * float(self.beats) / (self.tempo.seconds(self.start + self.beats) - self.tempo.seconds(self.start))

    def ends_bar(self, seconds: float) -> bool:
        """Whether a sound that begins with bar 1 and lasts so long is as long as whole bars, a bar at least, to within
        `EDGE_S`. Past the grid's end its last meter goes on."""
        starts = [float(start) for start in self.bar_starts]
        at, last = float(self.beat_at(seconds * self.rate)), float(self.meters[-1].bar_beats)
        after = starts[-1] + max(0, round((at - starts[-1]) / last)) * last
        ends = self.frame_at(np.array([*starts[1:], after])) / self.rate
        return bool(np.abs(ends - seconds).min() <= EDGE_S)

    def exact_frame(self, beat: Fraction) -> int:
        """The frame of a position. Positions before the tempo map's beginning have its first tempo."""
        at = self.start + beat
        if at < 0:
            return nearest_frame(60 * at / self.tempo.segments[0].bpm, self.rate) - self.first_frame
        return self.tempo.frame(at, self.rate) - self.first_frame

    def frame_at(self, beats: ArrayLike) -> Floats:
        """Positions as frames, unrounded; any shape."""
        at = np.asarray(beats, np.float64) + float(self.start)
        result = np.array(at * (60.0 / float(self.tempo.segments[0].bpm)))  # before the map's beginning
        seconds = 0.0
        for number, segment in enumerate(self.tempo.segments):
            last = number + 1 == len(self.tempo.segments)
            inside = at >= float(segment.start)
            result[inside] = seconds + _seconds_into(segment, at[inside] - float(segment.start), last)
            seconds += float(segment.seconds(segment.beats))
        return np.asarray(result * self.rate - self.first_frame)

    def beat_at(self, frames: ArrayLike) -> Floats:
        """The inverse of `frame_at`; any shape."""
        seconds = (np.asarray(frames, np.float64) + self.first_frame) / self.rate
        flat = [
            self.tempo.beat(value) if value >= 0 else value * float(self.tempo.segments[0].bpm) / 60.0
            for value in seconds.ravel().tolist()
        ]
        return np.array(flat).reshape(seconds.shape) - float(self.start)


def _seconds_into(segment: TempoSegment, beats: Floats, last: bool) -> Floats:
    """Seconds from a segment's start; after the last one its final tempo goes on."""
    length, first, final = float(segment.beats), float(segment.bpm), float(segment.bpm_end)
    inside = np.minimum(beats, length) if last else beats
    if first == final:
        return beats * (60.0 / first)
    slope = (final - first) / length
    seconds = 60.0 / slope * np.log1p(slope * np.minimum(inside, length) / first)
    return np.asarray(seconds + (beats - inside) * (60.0 / final))
