"""MIDI files as mido reads them: what imports, where it ends, and who plays on which channel."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mido
import pytest

from studio.project.errors import ProjectError
from studio.project.midi import MidiPart, parts_of, write_clip_midi, write_song_midi
from studio.song import Key, Meter, Note, Provenance, Section, Song, Stem, Take, TempoMap, Timeline, parse_tempo_map
from tests.unit.project.samples import full_song

F = Fraction


def absolute(track: mido.MidiTrack) -> list[tuple[int, mido.Message]]:
    """The messages of a track with their ticks from its start."""
    tick, result = 0, []
    for message in track:
        tick += message.time
        result.append((tick, message))
    return result


def of_type(track: mido.MidiTrack, kind: str) -> list[tuple[int, mido.Message]]:
    """The messages of one type with their ticks."""
    return [(tick, message) for tick, message in absolute(track) if message.type == kind]


def read(path: Path) -> mido.MidiFile:
    """A MIDI file, its texts as UTF-8."""
    return mido.MidiFile(path, charset="utf-8")


def clip(path: Path, part: MidiPart, beats: Fraction | int = 4, **changes: object) -> mido.MidiTrack:
    """Write a clip at 120 BPM and give back its one track."""
    values = {
        "beats": F(beats),
        "meter": Meter(4, 4),
        "key": Key("A", "minor"),
        "tempo": TempoMap.constant(120).segments,
    }
    write_clip_midi(path, part, **{**values, **changes})  # type: ignore[arg-type]
    file = read(path)
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (0, 960, 1)
    return file.tracks[0]


def test_a_clip_is_one_track_that_ends_with_its_bars(tmp_path: Path) -> None:
    layers = (("kit", -1), ("piano", 0), ("strings", 48))
    notes = (Note(F(0), F(1), 36, 100), Note(F(1), F(1), 60, 90, 1), Note(F(2), F(1), 64, 80, 2))
    track = clip(tmp_path / "a.mid", MidiPart("harmony", notes, layers), F(16))
    assert track.name == "harmony"
    assert [(tick, m.note, m.velocity, m.channel) for tick, m in of_type(track, "note_on")] == [
        (0, 36, 100, 9), (960, 60, 90, 0), (1920, 64, 80, 1),
    ]  # fmt: skip
    assert [(m.channel, m.program) for _, m in of_type(track, "program_change")] == [(0, 0), (1, 48)]
    assert [(tick, m.tempo) for tick, m in of_type(track, "set_tempo")] == [(0, 500000)]
    assert [m.key for _, m in of_type(track, "key_signature")] == ["Am"]
    assert of_type(track, "end_of_track")[0][0] == 16 * 960


def test_no_key_sounds_twice_or_hangs(tmp_path: Path) -> None:
    notes = (
        Note(F(0), F(3), 60, 100), Note(F(1), F(1), 60, 50), Note(F(1), F(2), 60, 70), Note(F(3), F(1), 60, 9),
        Note(F(7, 2), F(4), 62, 1),
    )  # fmt: skip
    track = clip(tmp_path / "a.mid", MidiPart("lead", notes))
    seen = [(tick, m.type, m.note) for tick, m in absolute(track) if m.type in ("note_on", "note_off")]
    assert seen == [
        (0, "note_on", 60), (960, "note_off", 60), (960, "note_on", 60), (2880, "note_off", 60),
        (2880, "note_on", 60), (3360, "note_on", 62), (3840, "note_off", 60), (3840, "note_off", 62),
    ]  # fmt: skip
    assert [m.velocity for _, m in of_type(track, "note_on")] == [100, 70, 9, 1]


def test_a_note_outside_its_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="does not lie inside"):
        clip(tmp_path / "a.mid", MidiPart("lead", (Note(F(4), F(1), 60, 100),)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pickup", "meter", "first"),
    [
        (F(1), Meter(4, 4), (1, 4)),
        (F(3, 2), Meter(4, 4), (3, 8)),
        (F(3, 2), Meter(7, 8), (3, 8)),
        (F(1, 4), Meter(3, 4), (1, 16)),
        (F(1, 3), Meter(4, 4), (4, 4)),
    ],
    ids=str,
)
def test_a_pickup_is_a_bar_of_its_own(tmp_path: Path, pickup: Fraction, meter: Meter, first: tuple[int, int]) -> None:
    part = MidiPart("lead", ())
    track = clip(tmp_path / "a.mid", part, meter.bar_beats + pickup, meter=meter, pickup=pickup)
    meters = [(tick, m.numerator, m.denominator) for tick, m in of_type(track, "time_signature")]
    assert meters == [(0, *first), (int(pickup * 960), meter.pulses, meter.unit)]


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("C major", "C"),
        ("F# minor", "F#m"),
        ("Bb dorian", "Fm"),
        ("E mixolydian", "A"),
        ("Cb major", "Cb"),
        ("D locrian", "Cm"),
    ],
)
def test_a_mode_is_written_with_its_accidentals(tmp_path: Path, key: str, written: str) -> None:
    track = clip(tmp_path / "a.mid", MidiPart("lead", ()), key=Key.parse(key))
    assert [m.key for _, m in of_type(track, "key_signature")] == [written]


def two_section_song() -> Song:
    """Bass and drums over a 7/8 verse with a pickup and a 4/4 chorus."""
    song = replace(
        full_song(),
        meter=Meter(7, 8),
        key=Key("F#", "minor"),
        tempo=parse_tempo_map("1=97.3 3=100..140"),
        sections=(Section("a", "verse", 2), Section("b", "chorus", 1, meter=Meter(4, 4), key=Key("A", "major"))),
        stems=(Stem("d", "drums"), Stem("x", "bass"), Stem("y", "bass"), Stem("z", "fx")),
        pickup=F(1, 2),
        cells=(),
        clips=(),
    )
    made = Provenance("band", "1", 1)

    def put(song: Song, section: str, stem: str, notes: tuple[Note, ...], layers: tuple[tuple[str, int], ...]) -> Song:
        take = Take("t", made, 48000, notes=notes, layers=layers)
        return song.with_cell(replace(song.cell(section, stem), takes=(take,), chosen="t"))

    song = put(song, "a", "d", (Note(F(0), F(1), 36, 100),), (("kit", -1),))
    song = put(song, "b", "d", (Note(F(3), F(1), 38, 100),), (("kit", -1),))
    song = put(song, "a", "x", (Note(F(1, 2), F(1), 40, 100),), (("finger", 33),))
    song = put(
        song, "b", "x", (Note(F(0), F(1), 41, 100, 0), Note(F(1), F(1), 42, 100, 1)), (("slap", 36), ("finger", 33))
    )
    return put(song, "b", "y", (Note(F(0), F(1), 43, 100),), (("synth", 38),))


def test_the_song_file_tells_the_whole_song(tmp_path: Path) -> None:
    song = two_section_song()
    timeline = Timeline(song)
    write_song_midi(tmp_path / "song.mid", song, timeline, parts_of(song, timeline))
    file = read(tmp_path / "song.mid")
    assert (file.type, file.ticks_per_beat) == (1, 960)
    assert [track.name for track in file.tracks] == ["Ночной поезд", "drums", "bass", "bass 2"]
    head = file.tracks[0]
    chorus = 480 + 2 * 7 * 480
    assert [(tick, m.text) for tick, m in of_type(head, "marker")] == [(0, "verse"), (chorus, "chorus")]
    assert [(tick, m.numerator, m.denominator) for tick, m in of_type(head, "time_signature")] == [
        (0, 1, 8), (480, 7, 8), (chorus, 4, 4),
    ]  # fmt: skip
    assert [(tick, m.key) for tick, m in of_type(head, "key_signature")] == [(0, "F#m"), (chorus, "A")]
    for track in file.tracks:
        assert of_type(track, "end_of_track")[0][0] == chorus + 3840 == timeline.end * 960
    assert file.length == pytest.approx(timeline.tempo.seconds(timeline.end), abs=1e-4)
    notes = [[(tick, m.note, m.channel) for tick, m in of_type(track, "note_on")] for track in file.tracks]
    assert notes == [
        [],
        [(0, 36, 9), (chorus + 2880, 38, 9)],
        [(480, 40, 0), (chorus, 41, 1), (chorus + 960, 42, 0)],
        [(chorus, 43, 2)],
    ]
    programs = [[(m.channel, m.program) for _, m in of_type(track, "program_change")] for track in file.tracks]
    assert programs == [[], [], [(0, 33), (1, 36)], [(2, 38)]]


def test_more_instruments_than_channels_share_them(tmp_path: Path) -> None:
    layers = tuple((f"i{index}", index) for index in range(16))
    notes = tuple(Note(F(index, 4), F(1, 4), 60 + index, 100, index) for index in range(16))
    track = clip(tmp_path / "a.mid", MidiPart("harmony", notes, layers))
    channels = [m.channel for _, m in of_type(track, "note_on")]
    assert channels == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 0]
