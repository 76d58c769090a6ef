"""Where the bars and sections of a song lie, in beats, seconds and frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from studio.song.errors import SongError
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, TempoPoint
from studio.song.values import Section, Song

LONGEST_SONG_MINUTES = 60
"""As many bars as a song may have last half a day at 20 BPM: more than fits into a computer's memory and disk."""


@dataclass(frozen=True)
class Bar:
    """A bar: its number (1 is the first full bar), meter, and start in beats from the song's start."""

    number: int
    meter: Meter
    start: Fraction

    @property
    def end(self) -> Fraction:
        return self.start + self.meter.bar_beats


@dataclass(frozen=True)
class Span:
    """A section in time. `start` and `end` in beats from the song's start; `pickup` beats of it precede its bar."""

    index: int
    section: Section
    meter: Meter
    start_bar: int
    start: Fraction
    end: Fraction
    pickup: Fraction

    @property
    def beats(self) -> Fraction:
        return self.end - self.start


class Timeline:
    """The time of one song. Cheap to make; every question about when something happens is asked here."""

    def __init__(self, song: Song) -> None:
        self._meters = [(section, section.meter or song.meter) for section in song.sections]
        self._pickup = song.pickup
        self._points: tuple[TempoPoint, ...] = song.tempo

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The sections in order. They tile the song from beat 0."""
        result: list[Span] = []
        start, bar = Fraction(0), 1
        for index, (section, meter) in enumerate(self._meters):
            pickup = self._pickup if index == 0 else Fraction(0)
            end = start + pickup + section.bars * meter.bar_beats
            result.append(Span(index, section, meter, bar, start, end, pickup))
            start, bar = end, bar + section.bars
        return tuple(result)

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """Every full bar of the song."""
        return tuple(
            Bar(span.start_bar + k, span.meter, span.start + span.pickup + k * span.meter.bar_beats)
            for span in self.spans
            for k in range(span.section.bars)
        )

    @cached_property
    def tempo(self) -> TempoMap:
        """The tempo map over the song's beats."""
        return TempoMap.build(self._points, [bar.start for bar in self.bars] + [self.end])

    @property
    def end(self) -> Fraction:
        """The song's length in beats."""
        return self.spans[-1].end

    def frame(self, beat: Fraction | int, rate: int) -> int:
        """The frame nearest to a position in beats, counted from the song's start."""
        return self.tempo.frame(beat, rate)

    def frames(self, span: Span, rate: int) -> tuple[int, int]:
        """First frame and number of frames of a section. Neighbours share the boundary exactly."""
        first = self.frame(span.start, rate)
        return first, self.frame(span.end, rate) - first

    def total_frames(self, rate: int) -> int:
        """The song's length in frames."""
        return self.frame(self.end, rate)

    def span(self, section_id: str) -> Span:
        """The place of a section. Raises SongError."""
        for span in self.spans:
            if span.section.id == section_id:
                return span
        raise SongError(f"the song has no section {section_id[:40]!r}")


def check_duration(song: Song) -> None:
    """Raise SongError for a song that lasts more than LONGEST_SONG_MINUTES."""
    timeline = Timeline(song)
    seconds = timeline.tempo.seconds(timeline.end)
    if seconds > 60 * LONGEST_SONG_MINUTES:
        raise SongError(
            f"a song of {seconds / 60:.0f} minutes: it lasts at most {LONGEST_SONG_MINUTES}; "
            "take fewer bars or a faster tempo, or make two songs"
        )
