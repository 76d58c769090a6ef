"""Limits of a song's values, and edits that can be taken back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from studio.song import (
    KINDS,
    Cell,
    Chord,
    Clip,
    Key,
    Meter,
    Note,
    Provenance,
    Section,
    Song,
    SongError,
    Stem,
    StemMix,
    Take,
    TempoPoint,
    Timeline,
    parse_bpm,
    parse_tempo_map,
)
from studio.song.edits import (
    AddTake,
    ChangeCell,
    ChangeSection,
    History,
    InsertSection,
    MoveSection,
    RemoveSection,
    RemoveStem,
    SetKey,
    SetTempo,
)
from studio.song.key import MODES
from studio.song.notes import check_notes


def song(**changes: object) -> Song:
    base = Song(
        title="Test",
        key=Key("C", "minor"),
        meter=Meter(4, 4),
        tempo=(TempoPoint(1, Decimal("97.3")),),
        sections=(Section("s1", "intro", 4), Section("s2", "verse", 8), Section("s3", "chorus", 8, Meter(7, 8))),
        stems=(Stem("drums", "drums"), Stem("bass", "bass")),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def take(name: str = "t1") -> Take:
    return Take(name, Provenance("band", "1", 3), 48000, notes=(Note(Fraction(0), Fraction(1), 60, 90),))


@pytest.mark.parametrize("text", ["0", "NaN", "inf", "-120", "19.999", "400.1", "fast", "120.1234567", "", "1e5"])
def test_impossible_tempi_name_the_limit(text: str) -> None:
    with pytest.raises(SongError, match=r"tempo .*(20 to 400|not a number|decimals)"):
        parse_bpm(text)


@pytest.mark.parametrize("text", ["20", "87.5", "97.3", "127.125", "400"])
def test_tempi_are_exact(text: str) -> None:
    assert parse_bpm(text) == Decimal(text)


@pytest.mark.parametrize("text", ["13/7", "4/3", "0/4", "33/4", "4", "4/4/4", "a/b", "4/0", "7/32", "-3/4"])
def test_impossible_meters_are_refused(text: str) -> None:
    with pytest.raises(SongError, match="meter"):
        Meter.parse(text)


@pytest.mark.parametrize("unit", [2, 4, 8, 16])
@pytest.mark.parametrize("pulses", range(1, 33))
def test_every_meter_has_felt_beats_that_fill_its_bar(pulses: int, unit: int) -> None:
    meter = Meter(pulses, unit)
    assert sum(meter.grouping()) == pulses
    assert sum(meter.felt_beats()) == meter.bar_beats == Fraction(4 * pulses, unit)


@pytest.mark.parametrize(
    ("text", "groups"),
    [("7/8", (2, 2, 3)), ("6/8", (3, 3)), ("5/8", (2, 3)), ("12/8", (3, 3, 3, 3)), ("3/4", (1, 1, 1))],
)
def test_groupings_are_the_usual_ones(text: str, groups: tuple[int, ...]) -> None:
    assert Meter.parse(text).grouping() == groups


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", ["C", "C#", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"])
def test_every_key_spells_its_scale_with_seven_letters(tonic: str, mode: str) -> None:
    key = Key(tonic, mode)
    if abs(key.fifths) > 6 or key.spell(key.tonic_pitch_class) != tonic:
        return  # C# major and its like are better spelled otherwise
    assert len(set(key.scale)) == 7
    assert len({key.spell(pc)[0] for pc in key.scale}) == 7


@pytest.mark.parametrize(
    ("text", "wanted", "fifths"),
    [("F# minor", Key("F#", "minor"), 3), ("Am", Key("A", "minor"), 0), ("Bb", Key("Bb", "major"), -2),
     ("d dorian", Key("D", "dorian"), 0), ("Eb lydian", Key("Eb", "lydian"), -2), ("C maj", Key("C", "major"), 0),
     ("B locrian", Key("B", "locrian"), 0), ("e-flat minor", Key("Eb", "minor"), -6)],
)  # fmt: skip
def test_keys_are_read(text: str, wanted: Key, fifths: int) -> None:
    assert Key.parse(text) == wanted
    assert wanted.fifths == fifths


@pytest.mark.parametrize("text", ["H major", "F## minor", "C blue", "", "minor", "C" * 100])
def test_unknown_keys_are_refused(text: str) -> None:
    with pytest.raises(SongError, match="key"):
        Key.parse(text)


def test_chords_are_read_and_written() -> None:
    for text in ["C", "F#m7b5", "Bb/D", "Ebmaj7", "G7sus4", "Asus2", "Dm9", "E7#9", "Abdim7", "N"]:
        if text == "N":
            with pytest.raises(SongError):
                Chord.parse(text)
        else:
            assert str(Chord.parse(text)) == text
    assert Chord.parse("Am7").pitch_classes == (9, 0, 4, 7)
    assert Chord.parse("Bb/D").bass_pitch_class == 2


@pytest.mark.parametrize("bars", [0, -1, 513, 10_000])
def test_a_section_has_bounded_bars(bars: int) -> None:
    with pytest.raises(SongError, match="1 to 512 bars"):
        Section("s", "verse", bars)


def test_unknown_kinds_and_roles_are_refused() -> None:
    with pytest.raises(SongError, match=r"solo.*intro"):
        Section("s", "solo", 4)
    with pytest.raises(SongError, match=r"kazoo.*drums"):
        Stem("x", "kazoo")
    assert len(KINDS) == 8


@pytest.mark.parametrize(
    "changes",
    [{"sections": ()}, {"rate": 22050}, {"tails": "loop"}, {"seed": -1}, {"prompt": "x" * 10_001},
     {"pickup": Fraction(4)}, {"pickup": Fraction(-1)}, {"stems": ()},
     {"sections": (Section("a", "intro", 4), Section("a", "verse", 4))},
     {"tempo": (TempoPoint(2, Decimal(120)),)},
     {"cells": (Cell("nowhere", "drums"),)}],
)  # fmt: skip
def test_a_song_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SongError):
        song(**changes)


@pytest.mark.parametrize("gain_db", [-120.01, 40.01, 1e5, -1e12])
def test_a_stem_has_a_gain_that_the_mixer_can_apply(gain_db: float) -> None:
    assert StemMix(gain_db=40.0).gain_db == 40.0
    with pytest.raises(SongError, match="-120 to 40 dB"):
        StemMix(gain_db=gain_db)


@pytest.mark.parametrize("text", ["", "2=120", "1=120 1=90", "1=120 0=90", "1:120", "1=120..", "x=120", "1=120 5=500"])
def test_bad_tempo_maps_are_refused(text: str) -> None:
    with pytest.raises(SongError, match="tempo"):
        parse_tempo_map(text)


def test_notes_outside_the_cell_or_off_the_grid_are_refused() -> None:
    good = Note(Fraction(0), Fraction(1), 60, 90)
    check_notes([good], Fraction(4))
    wrong = (
        {"pitch": 128}, {"velocity": 0}, {"start": Fraction(4)}, {"beats": Fraction(0)}, {"start": Fraction(1, 7)},
        {"layer": 16},
    )  # fmt: skip
    for change in wrong:
        with pytest.raises(SongError):
            check_notes([good._replace(**change)], Fraction(4))


def test_every_edit_can_be_undone_and_redone() -> None:
    start = History(song())
    edits = [
        SetTempo.constant(Decimal("127.125")),
        SetKey(Key("F#", "minor")),
        InsertSection(1, Section("s9", "break", 2)),
        MoveSection("s9", 3),
        ChangeSection(Section("s2", "verse", 16, energy=0.7)),
        AddTake("s2", "bass", take("t1")),
        AddTake("s2", "bass", take("t2")),
        ChangeCell("s2", "bass", chosen="t1", locked=True),
        RemoveSection("s1"),
        RemoveStem("bass"),
    ]
    states = [start]
    for edit in edits:
        states.append(states[-1].do(edit))
        assert states[-1].song != states[-2].song
    now = states[-1]
    for before in reversed(states[:-1]):
        now = now.undo()
        assert now.song == before.song
    for after in states[1:]:
        now = now.redo()
        assert now.song == after.song
    with pytest.raises(SongError, match="nothing to redo"):
        now.redo()
    with pytest.raises(SongError, match="nothing to undo"):
        start.undo()


def test_a_locked_cell_keeps_its_take_and_still_collects_new_ones() -> None:
    now = History(song()).do(AddTake("s2", "bass", take("t1"))).do(ChangeCell("s2", "bass", locked=True))
    cell = now.do(AddTake("s2", "bass", take("t2"))).song.cell("s2", "bass")
    assert cell.chosen == "t1"
    assert [t.id for t in cell.takes] == ["t1", "t2"]
    with pytest.raises(SongError, match="already has"):
        now.do(AddTake("s2", "bass", take("t1")))


def with_clips(now: Song) -> Song:
    """The song with a clip of every section of its bass."""
    timeline = Timeline(now)
    clips = []
    for span in timeline.spans:
        first, frames = timeline.frames(span, now.rate)
        path = f"clips/{span.index + 1:02}-{span.section.kind}/bass.wav"
        clips.append(Clip(span.section.id, "bass", "t1", path, first, frames, now.rate))
    return replace(now, clips=tuple(clips))


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        (InsertSection(3, Section("s9", "outro", 2)), ["s1", "s2", "s3"]),
        (InsertSection(1, Section("s9", "break", 2)), ["s1"]),
        (MoveSection("s3", 0), []),
        (MoveSection("s2", 2), ["s1"]),
        (RemoveSection("s2"), ["s1"]),
        (ChangeSection(Section("s2", "verse", 6)), ["s1"]),
        (ChangeSection(Section("s2", "verse", 8, energy=0.9, lyrics="la")), ["s1", "s2", "s3"]),
        (ChangeSection(Section("s2", "bridge", 8)), ["s1", "s3"]),  # the file is named after the kind
        (ChangeSection(Section("s2", "verse", 16, Meter(2, 4))), ["s1"]),  # of one length, but other bars
        (SetTempo.constant(Decimal("97.3")), ["s1", "s2", "s3"]),
        (SetTempo.constant(Decimal(98)), []),
        (SetTempo((TempoPoint(1, Decimal("97.3")), TempoPoint(13, Decimal(60)))), ["s1", "s2"]),
        (SetKey(Key("F#", "minor")), ["s1", "s2", "s3"]),
    ],
)
def test_an_edit_leaves_only_clips_that_lie_where_their_files_say(edit: Any, left: list[str]) -> None:
    start = History(with_clips(song()))
    now = start.do(edit)
    assert [clip.section for clip in now.song.clips] == left
    assert set(now.song.clips) <= set(start.song.clips)
    assert now.undo().song.clips == start.song.clips


def test_cells_lie_in_the_order_of_the_song_whatever_is_done() -> None:
    now = song()
    places = [(section.id, stem.id) for section in now.sections for stem in now.stems]
    for place in reversed(places):
        now = AddTake(*place, take()).apply(now)
    assert [(cell.section, cell.stem) for cell in now.cells] == places
    now = MoveSection("s1", 2).apply(now)
    assert [cell.section for cell in now.cells] == ["s2", "s2", "s3", "s3", "s1", "s1"]
    assert all(now.cell(*place).chosen == "t1" for place in places)
    now = now.with_cell(Cell("s3", "bass"))
    assert now.cell("s3", "bass").takes == ()
    assert len(now.cells) == len(places)
    assert replace(now, cells=tuple(reversed(now.cells))) == now
    with pytest.raises(SongError, match="two cells"):
        replace(now, cells=(*now.cells, now.cells[0]))
    with pytest.raises(SongError, match="no such section"):
        now.with_cell(Cell("s3", "kazoo"))
    with pytest.raises(SongError, match=r"no stem 'kazoo'; it has drums, bass"):
        now.cell("s3", "kazoo")


def test_bars_are_numbered_through_the_song_and_a_pickup_precedes_bar_one() -> None:
    timeline = Timeline(song(pickup=Fraction(1)))
    assert [span.start_bar for span in timeline.spans] == [1, 5, 13]
    assert timeline.bars[0].start == 1
    assert timeline.spans[0].beats == 17
    assert timeline.bars[-1].number == 20
    assert timeline.end == 1 + 16 + 32 + 28
