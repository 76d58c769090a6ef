"""song.json: exact both ways, readable, tolerant of what is newer, and clear about what is wrong."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from studio.project import codec
from studio.project.codec import decode_song, dump_song, encode_song, load_song, migrate, read_song
from studio.project.errors import ProjectError
from studio.song import Note, Song, TempoPoint
from tests.unit.project.samples import full_song


def test_a_song_comes_back_equal_and_writes_the_same_bytes() -> None:
    song = full_song("0" * 32 + ".wav")
    data = dump_song(song)
    assert load_song(data) == song
    assert dump_song(load_song(data)) == data


def test_numbers_are_exact() -> None:
    song = replace(full_song(), tempo=(TempoPoint(1, Decimal("1E+2")), TempoPoint(2, Decimal("97.300"))))
    data = encode_song(song)
    assert data["tempo"] == ["1=100", "2=97.300"]
    assert data["pickup"] == "3/2"
    assert data["sections"][1]["chords"] == [["0", "7/2", "Am7b5/G"]]
    assert decode_song(data) == song


def test_equal_songs_give_equal_bytes_whatever_the_order_of_free_fields() -> None:
    a = replace(full_song(), extra={"x": 1, "a": {"d": 1, "c": 2}})
    b = replace(full_song(), extra={"a": {"c": 2, "d": 1}, "x": 1})
    assert a == b
    assert dump_song(a) == dump_song(b)


def test_the_file_reads_well() -> None:
    lines = dump_song(full_song()).decode().splitlines()
    assert lines[:4] == ["{", '  "schema": "stemwright.song",', '  "version": 1,', '  "title": "Ночной поезд",']
    assert "            [0, 480, 36, 100, 0]," in lines
    assert '  "tempo": ["1=97.3", "3=127.125..60"],' in lines
    assert '      "lyrics": ["la la", "la"],' in lines


RECORDS: list[list[str | int]] = [
    [],
    ["sections", 1],
    ["stems", 1],
    ["stems", 1, "mix"],
    ["cells", 0],
    ["cells", 0, "takes", 0],
    ["cells", 0, "takes", 0, "provenance"],
    ["clips", 0],
]


def _at(data: Any, path: list[str | int]) -> Any:
    for step in path:
        data = data[step]
    return data


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: ".".join(map(str, path)) or "song")
def test_unknown_fields_of_every_record_survive(path: list[str | int]) -> None:
    data = encode_song(full_song())
    _at(data, path)["from_tomorrow"] = {"deep": [1, {"x": None}], "text": "ü"}
    again = encode_song(load_song(json.dumps(data).encode()))
    assert again == data


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: ".".join(map(str, path)) or "song")
def test_every_field_of_every_record_is_written(path: list[str | int]) -> None:
    song = full_song("0" * 32 + ".wav")
    value: Any = song
    for step in path:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    # Every field of the sample has a value, so a field that is new in the song and not in the file is found here.
    written = set(_at(encode_song(song), path)) | {"extra"}
    known = {field.name for field in fields(value)}
    assert written - known == (set() if path else {"schema", "version"})
    assert known - written == set()


def test_an_unknown_field_cannot_hide_a_known_one() -> None:
    for name in ("title", "version"):
        with pytest.raises(ProjectError, match="has the name of a known one"):
            dump_song(replace(full_song(), extra={name: 2}))


def test_fields_with_a_default_may_be_missing_and_others_may_not() -> None:
    data = encode_song(full_song())
    del data["sections"][0]["energy"], data["cells"], data["clips"]
    assert decode_song(data).sections[0].energy == 0.5
    del data["sections"][0]["bars"]
    with pytest.raises(ProjectError, match=r"^sections\[0\]\.bars: it is missing$"):
        decode_song(data)


# -- versions --


def test_migrations_are_applied_one_after_the_other() -> None:
    def rename(data: dict[str, Any]) -> dict[str, Any]:
        data["title"] = data.pop("name")
        return data

    def shout(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "title": data["title"] + "!"}

    old = {**encode_song(full_song()), "version": 0}
    old["name"] = old.pop("title")
    before = json.dumps(old)
    song = decode_song(old, {0: rename, 1: shout}, 2)
    assert song == replace(full_song(), title="Ночной поезд!")
    assert json.dumps(old) == before
    assert migrate(old, {0: rename, 1: shout}, 2)["version"] == 2


def test_every_version_has_its_migration() -> None:
    assert sorted(codec.MIGRATIONS) == list(range(1, codec.VERSION))


def test_an_older_version_without_a_migration_is_refused() -> None:
    with pytest.raises(ProjectError, match="version 0 is too old"):
        migrate({"schema": "stemwright.song", "version": 0}, {}, 1)


def test_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "song.json"
    path.write_bytes(json.dumps({**encode_song(full_song()), "version": 7}).encode())
    with pytest.raises(ProjectError) as caught:
        read_song(path)
    assert str(caught.value) == (
        f"{path}: was made by a newer Stemwright (song version 7, this one reads up to 1); update Stemwright"
    )


# -- what is wrong is named --

BAD: list[tuple[list[str | int], Any, str]] = [
    (["schema"], "other", "not a Stemwright song"),
    (["version"], True, "version: write a whole number"),
    (["version"], "1", "version: write a whole number"),
    (["title"], 5, "title: write text"),
    (["title"], "\ud800", "title: its text holds half a character"),
    (["key"], "H major", "key: tonic 'H'"),
    (["key"], "C", "key: mode ''"),
    (["meter"], "13/7", "meter: meter 13/7"),
    (["tempo"], [], "its first point must be at bar 1"),
    (["tempo"], ["1=NaN"], r"tempo\[0\]: tempo NaN"),
    (["tempo"], ["1=19"], r"tempo\[0\]: tempo 19: it must be 20 to 400"),
    (["tempo"], ["0=120"], r"tempo\[0\]: tempo map: bar 0"),
    (["tempo"], ["1=120" + "0" * 100], r"tempo\[0\]: write at most 60 characters"),
    (["tempo"], "1=120", "tempo: write a list"),
    (["seed"], 1.5, "seed: write a whole number"),
    (["seed"], True, "seed: write a whole number"),
    (["seed"], 10**400, "seed: write a whole number"),
    (["rate"], 22050, "rate 22050"),
    (["pickup"], "1/0", "pickup: write beats"),
    (["pickup"], "1e999999999", "pickup: write beats"),
    (["pickup"], "1/7", "it must lie on the 1/960 beat grid"),
    (["sections"], {}, "sections: write a list"),
    (["sections"], [], "1 to 200 sections"),
    (["sections", 0], [], r"sections\[0\]: write an object"),
    (["sections", 0, "bars"], 0, r"sections\[0\]\.bars: write a whole number 1"),
    (["sections", 0, "bars"], 10_000, r"sections\[0\]: section intro: 10000 bars"),
    (["sections", 0, "bars"], "two", r"sections\[0\]\.bars: write a whole number"),
    (["sections", 0, "energy"], 2, r"sections\[0\]: section intro: energy"),
    (["sections", 0, "energy"], 10**400, r"sections\[0\]\.energy: write a number"),
    (["sections", 0, "kind"], "solo", r"sections\[0\]: section kind 'solo'"),
    (["sections", 0, "id"], "s2", "two sections are called 's2'"),
    (["sections", 1, "chords", 0], ["0", "4"], r"sections\[1\]\.chords\[0\]: write"),
    (["sections", 1, "chords", 0, 1], "0", r"sections\[1\]\.chords\[0\]: chord"),
    (["sections", 1, "chords", 0, 2], "Xm", r"sections\[1\]\.chords\[0\]\[2\]: chord 'Xm'"),
    (["stems", 0, "role"], "kazoo", r"stems\[0\]: role 'kazoo'"),
    (["cells", 0, "chosen"], "take-9", r"cells\[0\]: cell s1/drums: its chosen take"),
    (["cells", 0, "section"], "s9", "the song has no such section"),
    (["cells", 0, "takes", 0, "notes", 0], [0, 480, 36, 100], r"takes\[0\]\.notes\[0\]: write \[start tick"),
    (["cells", 0, "takes", 0, "notes", 0, 0], -1, r"notes\[0\]: it starts at tick 0"),
    (["cells", 0, "takes", 0, "notes", 0, 1], 0, r"notes\[0\]: it starts at tick 0"),
    (["cells", 0, "takes", 0, "notes", 0, 2], 128, r"notes\[0\]: pitch is 0 to 127"),
    (["cells", 0, "takes", 0, "notes", 0, 3], True, r"notes\[0\]: write"),
    (["cells", 0, "takes", 0, "layers", 0], ["kit", 128], r"layers\[0\]\[1\]: write a whole number -1 to 127"),
    (["cells", 0, "takes", 0, "media"], "../../etc/passwd", r"takes\[0\]\.media: media name"),
    (["cells", 0, "takes", 0, "media"], "/etc/passwd", r"takes\[0\]\.media: media name"),
    (["cells", 0, "takes", 0, "provenance", "parameters"], [], "parameters: write an object"),
    (["clips", 0, "path"], "../outside.wav", r"clips\[0\]\.path: path"),
    (["clips", 0, "path"], "/etc/passwd", r"clips\[0\]\.path: path"),
    (["clips", 0, "path"], "clips\\..\\..\\x.wav", r"clips\[0\]\.path: path"),
    (["clips", 0, "midi"], "C:/x.mid", r"clips\[0\]\.midi: path"),
    (["clips", 0, "start_frame"], -1, r"clips\[0\]\.start_frame: write a whole number"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), BAD, ids=[f"{'.'.join(map(str, b[0]))}={b[1]!s:.20}" for b in BAD]
)
def test_a_bad_value_is_named(path: list[str | int], value: Any, message: str) -> None:
    data = encode_song(full_song("0" * 32 + ".wav"))
    _at(data, path[:-1])[path[-1]] = value
    with pytest.raises(ProjectError, match=message) as caught:
        load_song(json.dumps(data).encode())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged at line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "not a Stemwright song"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' * 100_000, "nested too deep"),
        (b'{"schema": "stemwright.song", "version": NaN}', "NaN is no number"),
        (b'{"schema": "stemwright.song", "version": ' + b"9" * 5000 + b"}", "thousands of digits"),
        (b'{"schema": "stemwright.song", "schema": "x"}', "'schema' stands twice"),
    ],
    ids=["empty", "utf16", "list", "deep list", "deep object", "nan", "digits", "twice"],
)
def test_a_damaged_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        load_song(data)


def test_every_cut_of_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    data = dump_song(full_song())
    path = tmp_path / "song.json"
    for length in range(0, len(data) - 2, 97):
        path.write_bytes(data[:length])
        with pytest.raises(ProjectError) as caught:
            read_song(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_unknown_fields_are_bounded_too() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    data = {**encode_song(full_song()), "new": deep}
    with pytest.raises(ProjectError, match=r"^new.*deeper than 32"):
        decode_song(data)
    with pytest.raises(ProjectError, match=r"^new: .*finite"):
        load_song(json.dumps({**encode_song(full_song()), "new": 5}).replace('"new": 5', '"new": 1e999').encode())


def test_a_file_beyond_the_bound_is_not_even_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "LARGEST", 1000)
    path = tmp_path / "song.json"
    path.write_bytes(b"x" * 1001)
    with pytest.raises(ProjectError, match="larger than"):
        read_song(path)


def test_a_missing_file_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="does not exist"):
        read_song(tmp_path / "song.json")
    (tmp_path / "real.json").write_bytes(dump_song(full_song()))
    (tmp_path / "song.json").symlink_to(tmp_path / "real.json")
    with pytest.raises(ProjectError, match="not an ordinary file"):
        read_song(tmp_path / "song.json")


def test_a_byte_order_mark_is_no_damage() -> None:
    assert load_song(b"\xef\xbb\xbf" + dump_song(full_song())) == full_song()


def test_a_song_too_large_to_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "LARGEST", 1000)
    with pytest.raises(ProjectError, match="would take more than"):
        dump_song(full_song())


def _with_note(note: Note) -> Song:
    song = full_song()
    cell = song.cells[0]
    return song.with_cell(replace(cell, takes=(replace(cell.takes[0], notes=(note,)),)))


def test_what_cannot_be_written_exactly_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"notes\[0\]: it does not lie on the grid"):
        dump_song(_with_note(Note(Fraction(1, 7), Fraction(1), 60, 100)))
    with pytest.raises(ProjectError, match=r"notes\[0\]: pitch is"):
        dump_song(_with_note(Note(Fraction(0), Fraction(1), 200, 100)))
    with pytest.raises(ProjectError, match="style: its text holds half"):
        dump_song(replace(full_song(), style="\udcff"))
    with pytest.raises(ProjectError, match=r"extra\.x: use text, finite numbers"):
        dump_song(replace(full_song(), extra={"x": float("nan")}))
    with pytest.raises(ProjectError, match=r"extra\.x: use text, finite numbers"):
        dump_song(replace(full_song(), extra={"x": {1, 2}}))
