"""`song.json`: a Song as JSON and back, exactly.

The table at the end of this module *is* the format. Tempi and lengths are text ("97.3", "3/2") because JSON
numbers are not exact; a note is one list `[start tick, ticks, pitch, velocity, layer]` on the 960-PPQ grid.
Unknown fields of every record survive in its `extra`. There is no date and no absolute path, so the same song
gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from studio.project.errors import ProjectError, os_problem
from studio.project.fields import (
    FLAG,
    FRACTION,
    LINES,
    MOST_FRAMES,
    NUMBER,
    OBJECT,
    TEXT,
    Kind,
    checked,
    listed,
    optional,
    parsed,
    record,
    refuse,
    row,
    whole,
)
from studio.project.names import check_media_name, check_relative_path
from studio.song import (
    PPQ,
    Cell,
    Chord,
    ChordSpan,
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
    parse_bpm,
)

SCHEMA = "stemwright.song"
VERSION = 1
LARGEST = 256 * 2**20
"""Bytes of a song.json. An hour of dense notes is some 5 MB."""
MOST_TICKS = 2**31

Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: Mapping[int, Migration] = {}
"""`MIGRATIONS[n]` turns the JSON of version n into that of version n + 1. Version 1 is the first."""


def encode_song(song: Song) -> dict[str, Any]:
    """The song as JSON values. Raises ProjectError where a value cannot be written."""
    data = _SONG.encode(song, "")
    for name in ("schema", "version"):
        if name in data:
            raise ProjectError(f"{name}: an unknown field has the name of a known one; rename it")
    return {"schema": SCHEMA, "version": VERSION, **data}


def decode_song(data: Any, migrations: Mapping[int, Migration] = MIGRATIONS, current: int = VERSION) -> Song:
    """The song in JSON values of any version up to `current`. Raises ProjectError naming the field."""
    fields = dict(migrate(data, migrations, current))
    del fields["schema"], fields["version"]
    song: Song = _SONG.decode(fields, "")
    return song


def migrate(data: Any, migrations: Mapping[int, Migration] = MIGRATIONS, current: int = VERSION) -> dict[str, Any]:
    """The JSON brought to version `current` step by step; `data` is not changed. Raises ProjectError."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ProjectError(f'this is not a Stemwright song (its "schema" should be "{SCHEMA}")')
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise refuse("version", "write a whole number", version)
    if version > current:
        raise ProjectError(
            f"was made by a newer Stemwright (song version {str(version)[:20]}, this one reads up to {current}); "
            "update Stemwright"
        )
    while version < current:
        if version not in migrations:
            raise ProjectError(
                f"song version {version} is too old for this Stemwright; open it in an earlier one first"
            )
        data = {**migrations[version](dict(data)), "schema": SCHEMA, "version": version + 1}
        version += 1
    return data


def dump_song(song: Song) -> bytes:
    """The bytes of song.json. Raises ProjectError."""
    data = (_layout(encode_song(song), "") + "\n").encode()
    if len(data) > LARGEST:
        raise ProjectError(f"the song would take more than {LARGEST >> 20} MB; remove takes that are not needed")
    return data


def load_song(data: bytes) -> Song:
    """The song in the bytes of a song.json. Raises ProjectError naming the field or the line."""
    if len(data) > LARGEST:
        raise ProjectError(f"it is larger than {LARGEST >> 20} MB; that is no song")
    try:
        values = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise ProjectError("it is damaged: not UTF-8 text; restore it from a backup") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ProjectError(f"it is damaged at {where}: {error.msg}; restore it from a backup") from None
    except RecursionError:
        raise ProjectError("it is damaged: nested too deep; restore it from a backup") from None
    except ValueError:  # the interpreter's bound on the digits of a whole number
        raise ProjectError("it is damaged: a number has thousands of digits; restore it from a backup") from None
    return decode_song(values)


def read_song(path: Path) -> Song:
    """The song in a file. Raises ProjectError that begins with the file's path."""
    return _named(path, load_song, read_bounded(path))


def read_bounded(path: Path) -> bytes:
    """The bytes of a song.json of at most LARGEST bytes. Raises ProjectError."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ProjectError(f"{path} is not an ordinary file; a project holds only files and folders of its own")
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise os_problem("read", path, error) from error
    if len(data) > LARGEST:
        raise ProjectError(f"{path}: it is larger than {LARGEST >> 20} MB; that is no song")
    return data


def _named(path: Path, load: Callable[[bytes], Song], data: bytes) -> Song:
    try:
        return load(data)
    except ProjectError as error:
        raise ProjectError(f"{path}: {error}") from error


def _no_constant(name: str) -> Any:
    raise ProjectError(f"it is damaged: {name} is no number; restore it from a backup")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ProjectError(f"it is damaged: the field {twice[:40]!r} stands twice in one record; remove one")
    return result


def _layout(value: Any, indent: str) -> str:
    """JSON that reads and compares well: a record a block, a note or a chord a line, short lists on one line."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        inside = [f"{deeper}{_scalar(name)}: {_layout(item, deeper)}" for name, item in value.items()]
        return "{\n" + ",\n".join(inside) + "\n" + indent + "}"
    if isinstance(value, list):
        flat = not any(isinstance(item, (dict, list)) for item in value)
        line = _scalar(value) if flat else ""
        if flat and (len(line) <= 100 or not any(isinstance(item, str) for item in value)):
            return line
        return "[\n" + ",\n".join(deeper + _layout(item, deeper) for item in value) + "\n" + indent + "]"
    return _scalar(value)


_scalar = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


# -- notes ---------------------------------------------------------------------------------------------------


def _write_notes(notes: Any, where: str) -> list[list[int]]:
    rows: list[list[int]] = []
    for index, note in enumerate(notes):
        start, ticks = note.start * PPQ, note.beats * PPQ
        if start.denominator != 1 or ticks.denominator != 1:
            raise ProjectError(f"{where}[{index}]: it does not lie on the grid of 1/{PPQ} beat")
        rows.append([int(start), int(ticks), note.pitch, note.velocity, note.layer])
    _read_notes(rows, where)
    return rows


def _read_notes(rows: Any, where: str) -> tuple[Note, ...]:
    if not isinstance(rows, list):
        raise refuse(where, "write a list in square brackets", rows)
    notes: list[Note] = []
    for index, values in enumerate(rows):
        # type() rather than isinstance(): true is an int too.
        if type(values) is not list or len(values) != 5 or any(type(value) is not int for value in values):
            raise refuse(f"{where}[{index}]", "write [start tick, ticks, pitch, velocity, layer]", values)
        start, ticks, pitch, velocity, layer = values
        if not (0 <= start < MOST_TICKS and 0 < ticks < MOST_TICKS):
            raise ProjectError(f"{where}[{index}]: it starts at tick 0 or later and lasts 1 to {MOST_TICKS - 1} ticks")
        if not (0 <= pitch <= 127 and 1 <= velocity <= 127 and 0 <= layer <= 15):
            raise ProjectError(f"{where}[{index}]: pitch is 0 to 127, velocity 1 to 127, layer 0 to 15")
        notes.append(Note(Fraction(start, PPQ), Fraction(ticks, PPQ), pitch, velocity, layer))
    return tuple(notes)


# -- values with a text form of their own --------------------------------------------------------------------


def _key(text: str) -> Key:
    tonic, _, mode = text.partition(" ")
    return Key(tonic, mode)


def _tempo_point(text: str) -> TempoPoint:
    bar, equals, tempo = text.partition("=")
    if not (equals and bar.isascii() and bar.isdigit()):
        raise SongError(f"tempo {text[:40]!r}: write bar=BPM or bar=BPM..BPM, such as '1=92' or '9=92..104'")
    first, ramp, last = tempo.partition("..")
    return TempoPoint(int(bar), parse_bpm(first), parse_bpm(last) if ramp else None)


def _tempo_text(point: TempoPoint) -> str:
    return f"{point.bar}={point.bpm:f}" + (f"..{point.ramp_to:f}" if point.ramp_to is not None else "")


# -- the format ----------------------------------------------------------------------------------------------

_METER = parsed(str, Meter.parse)
_KEY = parsed(str, _key)
_CHORDS = listed(
    row(
        (FRACTION, FRACTION, parsed(str, Chord.parse)),
        ("start", "beats", "chord"),
        ChordSpan,
        '["start", "beats", "chord"]',
    )
)
_FRAMES = whole(0, MOST_FRAMES)
_PATH = checked(check_relative_path)

_SECTION = record(Section, {
    "id": TEXT, "kind": TEXT, "bars": whole(1, 10**6), "meter": optional(_METER), "key": optional(_KEY),
    "energy": NUMBER, "prompt": TEXT, "lyrics": LINES, "chords": _CHORDS,
})  # fmt: skip
_MIX = record(StemMix, {"gain_db": NUMBER})
_STEM = record(Stem, {"id": TEXT, "role": TEXT, "engine": TEXT, "prompt": TEXT, "mix": _MIX})
_PROVENANCE = record(Provenance, {
    "engine": TEXT, "version": TEXT, "seed": whole(-(2**63), 2**64 - 1), "parameters": OBJECT, "licence": TEXT,
    "weights": TEXT, "weights_licence": TEXT,
})  # fmt: skip
_TAKE = record(Take, {
    "id": TEXT, "provenance": _PROVENANCE, "rate": whole(1, 10**6), "media": optional(checked(check_media_name)),
    "frames": _FRAMES,
    "layers": listed(row((TEXT, whole(-1, 127)), None, lambda *pair: pair, '["name", MIDI program]')),
    "notes": optional(Kind(_write_notes, _read_notes)),
})  # fmt: skip
_CELL = record(Cell, {
    "section": TEXT, "stem": TEXT, "chosen": optional(TEXT), "locked": FLAG,
    "curve": optional(checked(check_media_name)), "takes": listed(_TAKE),
})  # fmt: skip
_CLIP = record(Clip, {
    "section": TEXT, "stem": TEXT, "take": TEXT, "path": _PATH, "midi": optional(_PATH), "start_frame": _FRAMES,
    "frames": _FRAMES, "rate": whole(1, 10**6), "tails": TEXT, "tail_frames": _FRAMES, "report": optional(OBJECT),
})  # fmt: skip
_SONG = record(Song, {
    "title": TEXT, "key": _KEY, "meter": _METER, "tempo": listed(parsed(_tempo_text, _tempo_point)),
    "seed": whole(0, 2**63 - 1), "rate": whole(1, 10**6), "style": TEXT, "prompt": LINES,
    "pickup": FRACTION, "tails": TEXT,
    "master": optional(checked(check_media_name)), "sections": listed(_SECTION), "stems": listed(_STEM),
    "cells": listed(_CELL), "clips": listed(_CLIP),
})  # fmt: skip
