"""An engine's clock (`models.timing`) and the song's own time (`studio.song`) agree on every frame."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.timing import CellClock
from studio.jobs.requests import cell_request
from studio.song import PPQ, RATES, Key, Meter, Section, Song, Stem, TempoPoint, Timeline

TEMPI = st.decimals(20, 400, places=3) | st.sampled_from([Decimal(60), Decimal(120), Decimal(125), Decimal(150)])
METERS = st.builds(Meter, st.integers(1, 13), st.sampled_from([2, 4, 8, 16]))


@st.composite
def songs(draw: st.DrawFn) -> Song:
    bars = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    meter = draw(METERS)
    sections = tuple(Section(f"s{k}", "verse", count, meter=draw(st.none() | METERS)) for k, count in enumerate(bars))
    starts = sorted(draw(st.sets(st.integers(2, sum(bars) + 2), max_size=4)))
    tempo = tuple(TempoPoint(bar, draw(TEMPI), draw(st.none() | TEMPI)) for bar in (1, *starts))
    first = (sections[0].meter or meter).bar_beats
    pickup = Fraction(draw(st.integers(0, int(first * PPQ) - 1)), PPQ)
    return Song("Song", Key("C", "major"), meter, tempo, sections, (Stem("bass", "bass"),), pickup=pickup,
                rate=draw(st.sampled_from(RATES)))  # fmt: skip


@given(songs(), st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_note_falls_on_the_frame_the_song_gives_it(song: Song, shares: list[float]) -> None:
    timeline = Timeline(song)
    for span in timeline.spans:
        request = cell_request(song, timeline, span, song.stems[0], 0, {})
        clock = CellClock.of(request)
        first, frames = timeline.frames(span, song.rate)
        assert request.frames == frames
        assert (clock.frame(Fraction(0)), clock.frame(request.beats)) == (0, frames)
        for share in shares:
            beat = Fraction(round(share * float(request.beats) * PPQ), PPQ)
            if beat <= request.beats:
                assert first + clock.frame(beat) == timeline.frame(span.start + beat, song.rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bpm", ["87.5", "90", "112.5", "140"])
def test_ticks_halfway_between_two_frames_fall_alike(bpm: str, rate: int) -> None:
    sections = tuple(Section(f"s{k}", "verse", 1) for k in range(3))
    tempo = (TempoPoint(1, Decimal(bpm)),)
    song = Song("Song", Key("C", "major"), Meter(7, 8), tempo, sections, (Stem("bass", "bass"),), rate=rate)
    timeline = Timeline(song)
    span = timeline.spans[2]
    first, _ = timeline.frames(span, rate)
    clock = CellClock.of(cell_request(song, timeline, span, song.stems[0], 0, {}))
    for tick in range(0, int(span.beats * PPQ) + 1, 2):
        beat = Fraction(tick, PPQ)
        assert first + clock.frame(beat) == timeline.frame(span.start + beat, rate)
