"""What must hold for every song: it is written exactly, and its MIDI file keeps its time."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.project.codec import dump_song, load_song
from studio.project.errors import ProjectError
from studio.project.midi import write_song_midi
from studio.project.midi_tempo import tempo_events
from studio.song import (
    KINDS,
    PPQ,
    ROLES,
    Chord,
    ChordSpan,
    Key,
    Meter,
    Note,
    Provenance,
    Section,
    Song,
    Stem,
    StemMix,
    Take,
    TempoMap,
    TempoPoint,
    Timeline,
    to_tick,
)
from studio.song.chord import QUALITIES
from studio.song.key import MODES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = ("C", "F#", "Bb", "Eb", "G#", "Cb", "B#")
BPM = st.one_of(
    st.decimals(20, 400, places=3, allow_nan=False),
    st.sampled_from([Decimal(text) for text in ("20", "97.3", "127.125", "87.5", "400", "120.000001", "1E+2")]),
)
METER = st.builds(Meter, st.integers(1, 32), st.sampled_from((2, 4, 8, 16)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
EXTRA = st.dictionaries(st.text("xyz", min_size=4, max_size=6), JSON, max_size=2)
TICKS = st.integers(1, 10_000).map(lambda ticks: Fraction(ticks, PPQ))
NOTE = st.builds(Note, TICKS, TICKS, st.integers(0, 127), st.integers(1, 127), st.integers(0, 15))
CHORD = st.builds(
    Chord, st.sampled_from((*NAMES, "F##", "Abb")), st.sampled_from(list(QUALITIES)), st.none() | st.sampled_from(NAMES)
)


@st.composite
def tempo_points(draw: Any, bars: int = 40) -> tuple[TempoPoint, ...]:
    """One to five points, some of them ramps."""
    places = sorted({1, *draw(st.lists(st.integers(2, bars), max_size=4))})
    return tuple(TempoPoint(bar, draw(BPM), draw(st.none() | BPM)) for bar in places)


@st.composite
def songs(draw: Any) -> Song:
    """Songs with every kind of value in them."""
    key = st.builds(Key, st.sampled_from(NAMES), st.sampled_from(MODES))
    span = st.builds(ChordSpan, TICKS, TICKS, CHORD)
    sections = tuple(
        Section(
            f"s{i}", draw(st.sampled_from(KINDS)), draw(st.integers(1, 16)), draw(st.none() | METER),
            draw(st.none() | key), draw(st.floats(0, 1)), tuple(draw(st.lists(span, max_size=2))),
            draw(TEXT), draw(TEXT), draw(EXTRA),
        )
        for i in range(draw(st.integers(1, 3)))
    )  # fmt: skip
    mix = st.builds(
        StemMix,
        gain_db=st.floats(-60, 12),
        extra=EXTRA,
    )
    stems = tuple(
        Stem(f"i{i}", draw(st.sampled_from(ROLES)), draw(TEXT), draw(TEXT), draw(mix), draw(EXTRA)) for i in range(2)
    )
    made = Provenance(draw(TEXT), "1", draw(st.integers(0, 2**63)), draw(EXTRA), draw(TEXT), extra=draw(EXTRA))
    notes = draw(st.none() | st.lists(NOTE, max_size=4).map(tuple))
    take = Take("t", made, 48000, "0" * 32 + ".flac", 7, notes, (("a", -1), ("b", 5)), draw(EXTRA))
    pickup = Fraction(draw(st.integers(0, to_tick((sections[0].meter or Meter()).bar_beats) - 1)), PPQ)
    song = Song(
        draw(TEXT), draw(key), Meter(), draw(tempo_points()), sections, stems, draw(st.integers(0, 2**63 - 1)), 44100,
        draw(TEXT), draw(TEXT), pickup, "cut", extra=draw(EXTRA),
    )  # fmt: skip
    cell = song.cell("s0", "i1")
    return song.with_cell(type(cell)(cell.section, cell.stem, (take,), "t", locked=True, extra=draw(EXTRA)))


@given(songs())
@settings(max_examples=150)
def test_a_song_survives_its_file(song: Song) -> None:
    data = dump_song(song)
    again = load_song(data)
    assert again == song
    assert dump_song(again) == data


@given(songs(), st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
@settings(max_examples=150)
def test_a_damaged_file_is_a_song_or_an_error_of_one_line(song: Song, place: int, junk: bytes) -> None:
    data = dump_song(song)
    place %= len(data)
    message = ""
    try:
        load_song(data[:place] + junk + data[place + len(junk) :])
    except ProjectError as error:
        message = str(error)
    assert "\n" not in message


def worst_error(events: list[tuple[int, int]], tempo: TempoMap, end: Fraction, probes: list[int]) -> float:
    """The largest difference in seconds between a file's (tick, microseconds) events and the exact map."""
    last = to_tick(end)
    ticks = sorted({last, *(tick for tick, _ in events), *(probe % (last + 1) for probe in probes)})
    spent, place, worst = 0, 0, Fraction(0)
    for tick in ticks:
        while place + 1 < len(events) and events[place + 1][0] <= tick:
            spent += events[place][1] * (events[place + 1][0] - events[place][0])
            place += 1
        at = spent + events[place][1] * (tick - events[place][0])
        worst = max(worst, abs(Fraction(at, PPQ * 10**6) - tempo.exact_seconds(Fraction(tick, PPQ))))
    return float(worst)


@pytest.mark.slow
@given(songs(), st.lists(st.integers(0, 10**7), max_size=200))
@settings(max_examples=60)
def test_midi_time_is_within_a_tenth_of_a_millisecond(
    tmp_path_factory: pytest.TempPathFactory, song: Song, probes: list[int]
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "property.mid"
    timeline = Timeline(song)
    write_song_midi(path, song, timeline, [])
    events, tick = [], 0
    for message in mido.MidiFile(path).tracks[0]:
        tick += message.time
        if message.type == "set_tempo":
            events.append((tick, message.tempo))
    assert events[0][0] == 0
    assert tick == to_tick(timeline.end)
    assert worst_error(events, timeline.tempo, timeline.end, probes) < 1e-4


@pytest.mark.slow
@given(tempo_points(2000), st.lists(st.integers(0, 10**9), max_size=300))
@settings(max_examples=8)
def test_the_error_never_accumulates(points: tuple[TempoPoint, ...], probes: list[int]) -> None:
    starts = [Fraction(4 * bar) for bar in range(2049)]
    tempo = TempoMap.build(points, starts)
    events = [tuple(event) for event in tempo_events(tempo, starts[-1])]
    assert worst_error(events, tempo, starts[-1], probes) < 1e-4  # type: ignore[arg-type]
