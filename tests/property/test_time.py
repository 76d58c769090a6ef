"""Beats, seconds and frames agree in both directions, ramps are integrated exactly, and clips tile."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, reject
from hypothesis import strategies as st

from models.api import TempoSpan
from models.timing import CellClock
from studio.song import RATES, Clip, Key, Meter, Section, Song, SongError, Stem, TempoMap, TempoPoint, Timeline
from studio.song.edits import ChangeSection, Edit, InsertSection, MoveSection, RemoveSection, SetTempo

tempi = st.decimals(min_value=20, max_value=400, places=3)
meters = st.builds(Meter, st.integers(1, 15), st.sampled_from([2, 4, 8, 16]))


@st.composite
def songs(draw: st.DrawFn) -> Song:
    sections = tuple(
        Section(f"s{index}", "verse", draw(st.integers(1, 12)), draw(st.none() | meters))
        for index in range(draw(st.integers(1, 8)))
    )
    bars = sum(section.bars for section in sections)
    places = sorted({1, *draw(st.lists(st.integers(1, bars + 4), max_size=5))})
    tempo = tuple(TempoPoint(bar, draw(tempi), draw(st.none() | tempi)) for bar in places)
    meter = draw(meters)
    first = (sections[0].meter or meter).bar_beats
    pickup = draw(st.sampled_from([Fraction(0), first / 4, first / 2]))
    return Song("t", Key(), meter, tempo, sections, (Stem("drums", "drums"),), pickup=pickup)


@given(songs(), st.sampled_from(RATES))
def test_clips_tile_without_gap_or_overlap(song: Song, rate: int) -> None:
    timeline = Timeline(song)
    at = 0
    for span in timeline.spans:
        first, frames = timeline.frames(span, rate)
        assert first == at
        assert frames > 0
        at = first + frames
    assert at == timeline.total_frames(rate)


@given(songs(), st.floats(0, 1), st.sampled_from(RATES))
def test_beats_to_frames_and_back(song: Song, share: float, rate: int) -> None:
    timeline = Timeline(song)
    beat = timeline.end * Fraction(share).limit_denominator(10_000)
    frame = timeline.frame(beat, rate)
    seconds_a_beat = 60 / float(timeline.tempo.bpm_at(beat))
    back = timeline.tempo.beat_of_frame(frame, rate)
    assert abs(back - float(beat)) <= 1.01 / rate / seconds_a_beat * 20  # a frame, whatever the tempo just beside it
    assert abs(timeline.tempo.seconds(Fraction(back)) - frame / rate) < 1e-7


@st.composite
def edits(draw: st.DrawFn, song: Song) -> Edit:
    section = draw(st.sampled_from(song.sections))
    place = draw(st.integers(0, len(song.sections) - 1))
    bar = draw(st.integers(2, 30))
    name = "n" + max((other.id for other in song.sections if other.id[0] == "n"), default="")
    return draw(
        st.sampled_from(
            [
                InsertSection(place, Section(name, "break", bar)),
                MoveSection(section.id, place),
                ChangeSection(replace(section, bars=bar)),
                ChangeSection(replace(section, prompt="other words")),
                SetTempo((*song.tempo[:1], TempoPoint(bar, draw(tempi)))),
                *([RemoveSection(section.id)] if len(song.sections) > 1 else []),
            ]
        )
    )


@given(songs(), st.data())
def test_after_any_edit_the_clips_lie_where_their_files_say(song: Song, data: st.DataObject) -> None:
    def files(song: Song) -> dict[str, tuple[object, ...]]:
        timeline = Timeline(song)
        return {
            span.section.id: (f"{span.index}-{span.section.kind}", span.start_bar, *timeline.frames(span, song.rate))
            for span in timeline.spans
        }

    written = files(song)
    clips = [
        Clip(section, "drums", "t1", str(path), first, frames, song.rate)
        for section, (path, _, first, frames) in written.items()
    ]
    song = replace(song, clips=tuple(clips))
    for _ in range(3):
        try:
            song = data.draw(edits(song)).apply(song)
        except SongError:
            reject()  # the pickup is longer than the bar that would come first
        now = files(song)
        assert all(now[clip.section] == written[clip.section] for clip in song.clips)


@given(songs())
def test_time_only_goes_forward(song: Song) -> None:
    timeline = Timeline(song)
    times = [timeline.tempo.exact_seconds(bar.start) for bar in timeline.bars]
    assert all(a < b for a, b in itertools.pairwise(times))


@given(tempi, tempi, st.integers(1, 64))
def test_a_ramp_is_the_integral_of_its_tempo(first: Decimal, last: Decimal, bars: int) -> None:
    starts = [Fraction(4 * k) for k in range(bars + 1)]
    tempo = TempoMap.build((TempoPoint(1, first, last),), starts)
    beats = 4 * bars
    steps = 2000  # Simpson's rule on 60 / v(b), whose error at this step is far below a frame
    h = beats / steps
    v0, v1 = float(first), float(last)
    samples = [60 / (v0 + (v1 - v0) * k / steps) for k in range(steps + 1)]
    simpson = h / 3 * (samples[0] + samples[-1] + 4 * sum(samples[1:-1:2]) + 2 * sum(samples[2:-1:2]))
    assert math.isclose(tempo.seconds(beats), simpson, rel_tol=1e-9)


def test_a_known_ramp_in_closed_form() -> None:
    tempo = TempoMap.build((TempoPoint(1, Decimal(60), Decimal(120)),), [Fraction(0), Fraction(4)])
    assert math.isclose(tempo.seconds(4), 4 * math.log(2), rel_tol=1e-12)


def test_a_ramp_whose_goal_lies_beyond_the_song_is_cut_not_hurried() -> None:
    bars = [Fraction(4 * k) for k in range(9)]
    points = (TempoPoint(1, Decimal(100), Decimal(140)), TempoPoint(17, Decimal(140)))
    assert TempoMap.build(points, bars).bpm_at(32) == 120


@given(songs(), st.sampled_from(RATES))
def test_an_engine_finds_the_same_frames_as_the_song(song: Song, rate: int) -> None:
    timeline = Timeline(song)
    for span in timeline.spans:
        first, _ = timeline.frames(span, rate)
        window = timeline.tempo.window(span.start, span.end)
        offset = timeline.tempo.exact_seconds(span.start) - Fraction(first, rate)
        clock = CellClock([TempoSpan(s.start, s.beats, s.bpm, s.bpm_end) for s in window], rate, offset)
        for k in range(9):
            beat = span.beats * k / 8
            assert first + clock.frame(beat) == timeline.frame(span.start + beat, rate)
