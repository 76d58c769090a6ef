"""Edits: immutable descriptions of a change, and a history that takes them back.

An edit is a value with `apply(song) -> song`. Because songs are immutable, undo needs no inverse: the history keeps
the songs themselves, which share everything that did not change.

A clip's file names the bar and frame it belongs to, so a clip cannot be moved: edits of time and of sections drop the
clips whose place they change, to be written anew from their takes, and undo brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from studio.song.errors import SongError
from studio.song.key import Key
from studio.song.tempo import TempoPoint
from studio.song.timeline import Timeline
from studio.song.values import Cell, Clip, Section, Song, Take


class Edit(Protocol):
    """A change to a song, with words for a menu ("Undo ...")."""

    @property
    def words(self) -> str: ...

    def apply(self, song: Song) -> Song:
        """The changed song. Raises SongError where the change is impossible; the song given is never touched."""
        ...


@dataclass(frozen=True)
class SetTempo:
    """Replace the tempo map."""

    tempo: tuple[TempoPoint, ...]
    words: str = "change tempo"

    @classmethod
    def constant(cls, bpm: Decimal) -> SetTempo:
        return cls((TempoPoint(1, bpm),))

    def apply(self, song: Song) -> Song:
        return _retimed(song, tempo=self.tempo)


@dataclass(frozen=True)
class SetKey:
    """Replace the song's key."""

    key: Key
    words: str = "change key"

    def apply(self, song: Song) -> Song:
        return replace(song, key=self.key)


@dataclass(frozen=True)
class InsertSection:
    """Put a section before position `index` (the number of sections: at the end)."""

    index: int
    section: Section
    words: str = "insert section"

    def apply(self, song: Song) -> Song:
        if not 0 <= self.index <= len(song.sections):
            raise SongError(f"position {self.index}: the song has {len(song.sections)} sections")
        sections = list(song.sections)
        sections.insert(self.index, self.section)
        return _retimed(song, sections=tuple(sections))


@dataclass(frozen=True)
class RemoveSection:
    """Take a section out, with its cells and clips. (The takes' media stays in the project.)"""

    section: str
    words: str = "remove section"

    def apply(self, song: Song) -> Song:
        song.section(self.section)
        return _retimed(
            song,
            sections=tuple(s for s in song.sections if s.id != self.section),
            cells=tuple(c for c in song.cells if c.section != self.section),
            pickup=Fraction(0) if song.sections[0].id == self.section else song.pickup,
        )


@dataclass(frozen=True)
class MoveSection:
    """Move a section to position `index` of the order without it."""

    section: str
    index: int
    words: str = "move section"

    def apply(self, song: Song) -> Song:
        moved = song.section(self.section)
        rest = [s for s in song.sections if s.id != self.section]
        if not 0 <= self.index <= len(rest):
            raise SongError(f"position {self.index}: the song has {len(song.sections)} sections")
        rest.insert(self.index, moved)
        return _retimed(song, sections=tuple(rest))


@dataclass(frozen=True)
class ChangeSection:
    """Replace a section by a changed one with the same id (bars, chords, prompt, lyrics, energy ...)."""

    section: Section
    words: str = "change section"

    def apply(self, song: Song) -> Song:
        song.section(self.section.id)
        return _retimed(song, sections=tuple(self.section if s.id == self.section.id else s for s in song.sections))


@dataclass(frozen=True)
class RemoveStem:
    """Take a stem out, with its cells and clips."""

    stem: str
    words: str = "remove stem"

    def apply(self, song: Song) -> Song:
        song.stem(self.stem)
        return replace(
            song,
            stems=tuple(s for s in song.stems if s.id != self.stem),
            cells=tuple(c for c in song.cells if c.stem != self.stem),
            clips=tuple(c for c in song.clips if c.stem != self.stem),
        )


@dataclass(frozen=True)
class AddTake:
    """Append a take to a cell and use it. A locked cell keeps the take it uses."""

    section: str
    stem: str
    take: Take
    words: str = "add take"

    def apply(self, song: Song) -> Song:
        cell = song.cell(self.section, self.stem)
        if any(take.id == self.take.id for take in cell.takes):
            raise SongError(f"cell {self.section}/{self.stem} already has a take {self.take.id!r}")
        takes = (*cell.takes, self.take)
        if cell.locked:
            return song.with_cell(replace(cell, takes=takes))
        return song.with_cell(replace(cell, takes=takes, chosen=self.take.id, curve=None))


@dataclass(frozen=True)
class SetCurve:
    """Give a cell's used take a gain curve of its own (a media name), or take it away."""

    section: str
    stem: str
    curve: str | None
    words: str = "level"

    def apply(self, song: Song) -> Song:
        return song.with_cell(replace(song.cell(self.section, self.stem), curve=self.curve))


@dataclass(frozen=True)
class ChangeCell:
    """Choose another take of a cell, or lock or unlock it."""

    section: str
    stem: str
    chosen: str | None = None
    locked: bool | None = None
    words: str = "change cell"

    def apply(self, song: Song) -> Song:
        cell: Cell = song.cell(self.section, self.stem)
        changes: dict[str, Any] = {}
        if self.chosen is not None:
            changes |= {"chosen": self.chosen, "curve": None if self.chosen != cell.chosen else cell.curve}
        if self.locked is not None:
            changes["locked"] = self.locked
        return song.with_cell(replace(cell, **changes))


@dataclass(frozen=True)
class PutClips:
    """Record clips, each in the place of the clip its cell had before."""

    clips: tuple[Clip, ...]
    words: str = "write clips"

    def apply(self, song: Song) -> Song:
        places = {(clip.section, clip.stem): clip for clip in (*song.clips, *self.clips)}
        order = {(s.id, stem.id): (i, j) for i, s in enumerate(song.sections) for j, stem in enumerate(song.stems)}
        known = sorted((place for place in places if place in order), key=lambda place: order[place])
        return replace(song, clips=tuple(places[place] for place in known))


@dataclass(frozen=True)
class History:
    """A song with what came before and what was undone. Immutable like the rest."""

    song: Song
    past: tuple[tuple[str, Song], ...] = ()
    future: tuple[tuple[str, Song], ...] = ()

    def do(self, edit: Edit) -> History:
        """Apply an edit. What had been undone is forgotten."""
        return History(edit.apply(self.song), (*self.past, (edit.words, self.song)))

    def undo(self) -> History:
        """Take the last edit back. Raises SongError when there is none."""
        if not self.past:
            raise SongError("there is nothing to undo")
        words, song = self.past[-1]
        return History(song, self.past[:-1], ((words, self.song), *self.future))

    def redo(self) -> History:
        """Apply again what was undone last. Raises SongError when there is nothing."""
        if not self.future:
            raise SongError("there is nothing to redo")
        words, song = self.future[0]
        return History(song, (*self.past, (words, self.song)), self.future[1:])


def _retimed(song: Song, **changes: Any) -> Song:
    """The song with these changes, of its clips those whose section is where it was."""
    changed = replace(song, **changes, clips=())
    if not song.clips:
        return changed
    before, after = _places(song), _places(changed)
    kept = tuple(clip for clip in song.clips if after.get(clip.section, ()) == before.get(clip.section))
    return replace(changed, clips=kept)


def _places(song: Song) -> dict[str, tuple[object, ...]]:
    """All that a clip's file and its name say of where it lies, by section: what is equal here may keep its clips."""
    timeline = Timeline(song)
    return {
        span.section.id: (
            span.index, span.section.kind, span.start_bar, span.section.bars, span.meter, span.start, span.pickup,
            timeline.frames(span, song.rate), timeline.tempo.window(span.start, span.end),
        )
        for span in timeline.spans
    }  # fmt: skip
