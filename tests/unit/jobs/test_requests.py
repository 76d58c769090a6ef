"""What an engine is told about a cell, and the order in which cells are made."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from models.api import Cancelled, Note
from studio.jobs.cells import CellJob, make_cells, written_requests
from studio.jobs.hands import Hands
from studio.jobs.requests import cell_request, cell_seed
from studio.project.errors import ProjectError
from studio.project.folder import ProjectFolder
from studio.project.media import Disk
from studio.song import Chord, ChordSpan, Key, Meter, Section, Song, SongError, Stem, TempoPoint, Timeline


def song() -> Song:
    def chords(*symbols: str) -> tuple[ChordSpan, ...]:
        return tuple(ChordSpan(Fraction(4 * k), Fraction(4), Chord.parse(s)) for k, s in enumerate(symbols))

    return Song(
        "Test", Key("A", "minor"), Meter(4, 4),
        (TempoPoint(1, Decimal("97.3")), TempoPoint(3, Decimal(90), Decimal(110))),
        (
            Section("a", "verse", 2, energy=0.4, chords=chords("Am", "F")),
            Section("b", "chorus", 2, Meter(7, 8), energy=0.9, chords=chords("C"), prompt="no fx", lyrics="la"),
            Section("c", "verse", 1, key=Key("C", "major"), chords=chords("Dm7/G")),
        ),
        (Stem("bass", "bass", prompt="deep"), Stem("drums", "drums"), Stem("fx", "fx")),
        seed=9, style="rock", pickup=Fraction(1),
    )  # fmt: skip


def request(section: int, stem: str, **context: tuple[Note, ...]):  # type: ignore[no-untyped-def]
    value = song()
    timeline = Timeline(value)
    return cell_request(value, timeline, timeline.spans[section], value.stem(stem), 3, context)


def test_a_request_says_where_the_cell_stands() -> None:
    place = request(2, "bass").place
    assert (place.kind, place.index, place.count, place.start_bar, place.bars) == ("verse", 2, 3, 5, 1)
    assert (place.occurrence, place.occurrences, place.before, place.after) == (1, 2, "chorus", None)
    assert place.is_end
    assert request(0, "bass").place.after_energy == 0.9
    assert not request(0, "bass").place.is_end


def test_fields_of_a_newer_stemwright_reach_no_engine() -> None:
    value = song()
    newer = replace(value, stems=tuple(replace(stem, extra={"parameters": 5}) for stem in value.stems))
    old, new = (
        cell_request(s, Timeline(s), Timeline(s).spans[0], s.stem("bass"), 3, {}) for s in (value, newer)
    )  # fmt: skip
    assert old == new


def test_a_request_has_the_time_of_its_cell() -> None:
    made = request(1, "drums")
    assert made.meter == (7, 8)
    assert made.felt == (Fraction(1), Fraction(1), Fraction(3, 2))
    assert made.beats == 7
    assert [(t.start, t.beats) for t in made.tempo] == [(0, 7)]
    assert made.tempo[0].bpm == 90
    assert abs(made.offset_seconds) <= 0.5 / 48000
    first = request(0, "drums")
    assert first.pickup == 1
    assert first.beats == 9


def test_chords_are_counted_from_the_cells_first_frame_and_cover_the_pickup() -> None:
    made = request(0, "bass")
    assert [(c.symbol, c.start, c.beats) for c in made.chords] == [("Am", 0, 5), ("F", 5, 4)]
    assert made.next_chord is not None
    assert (made.next_chord.symbol, made.next_chord.start) == ("C", 9)
    slash = request(2, "bass").chords[0]
    assert (slash.root, slash.bass) == (2, 7)
    assert request(2, "bass").key == "C major"


def test_words_of_stem_and_section_come_together() -> None:
    assert request(1, "bass").prompt == "deep, no fx"
    assert request(1, "bass").lyrics == "la"


def test_every_cell_and_take_has_a_seed_of_its_own() -> None:
    value = song()
    seeds = {cell_seed(value, s.id, t.id, n) for s in value.sections for t in value.stems for n in range(5)}
    assert len(seeds) == 45


def test_drums_are_written_first_and_heard_by_the_others(tmp_path: Path) -> None:
    value = song()
    jobs = [CellJob("a", "bass", 1), CellJob("a", "fx", 1), CellJob("a", "drums", 1)]
    with Hands() as hands:
        made = [(job.stem, played) for job, played in make_cells(value, jobs, ProjectFolder(tmp_path), hands)]
    assert [stem for stem, _ in made] == ["drums", "bass", "fx"]
    requests = list(written_requests(value, [CellJob("a", "drums", 1), CellJob("a", "bass", 1)]))
    assert requests[1].context["drums"] == requests[0].notes


def test_the_disk_holds_the_takes_once_all_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        flushed.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    value = song()
    with Hands(2) as hands:
        made = make_cells(value, [CellJob("a", stem, 1) for stem in ("drums", "bass")], ProjectFolder(tmp_path), hands)
        media = [played.media for _, played in made]
    assert {(tmp_path / "media" / str(name)).stat().st_ino for name in media} <= flushed
    assert os.name == "nt" or (tmp_path / "media").stat().st_ino in flushed


def test_a_take_that_the_disk_loses_is_told(tmp_path: Path) -> None:
    disk = Disk()
    disk.add(tmp_path / "gone.wav")
    with pytest.raises(ProjectError, match="cannot write"):
        disk.wait()
    disk.close()


def test_an_unknown_cell_is_refused_and_a_cancelled_one_stops(tmp_path: Path) -> None:
    with Hands() as hands:
        with pytest.raises(SongError, match="no cell"):
            list(make_cells(song(), [CellJob("z", "bass", 1)], ProjectFolder(tmp_path), hands))
        with pytest.raises(Cancelled):
            list(make_cells(song(), [CellJob("a", "bass", 1)], ProjectFolder(tmp_path), hands, lambda: True))


def test_present_takes_are_context_for_a_cell_made_again() -> None:
    from studio.song import Note as SongNote
    from studio.song import Provenance, Take
    from studio.song.edits import AddTake

    take = Take("t1", Provenance("x", "1", 1), 48000, notes=(SongNote(Fraction(0), Fraction(1), 36, 99),))
    value = AddTake("a", "drums", take).apply(song())
    (made,) = written_requests(value, [CellJob("a", "bass", 1)])
    assert made.context["drums"] == (Note(Fraction(0), Fraction(1), 36, 99),)
    assert replace(made, context={}) != made
