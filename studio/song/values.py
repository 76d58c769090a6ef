"""What a song is made of. Every value is immutable; a change makes a copy (see `edits`)."""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from studio.song.chord import ChordSpan
from studio.song.errors import SongError
from studio.song.key import Key
from studio.song.meter import Meter
from studio.song.notes import PPQ, Note
from studio.song.tempo import TempoPoint, check_tempo_points

KINDS = ("intro", "verse", "prechorus", "chorus", "postchorus", "bridge", "break", "outro")
ROLES = ("drums", "bass", "harmony", "lead", "vocals", "fx")
RATES = (44100, 48000, 88200, 96000)
TAILS = ("wrap", "ring", "cut")

MOST_BARS = 512
"""Bars in one section."""
MOST_SECTIONS = 200
MOST_SONG_BARS = 4096
MOST_STEMS = 32
LONGEST_PROMPT = 10_000
"""Characters of free text."""
LONGEST_TITLE = 200
QUIETEST_DB, LOUDEST_DB = -120.0, 40.0
"""A stem's gain; what the mixer can apply."""

Extra = Mapping[str, Any]
"""Fields of a record that this version does not know. They are kept and written back."""


def _extra() -> Any:
    return field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Section:
    """A part of the song: a kind of KINDS and a whole number of bars.

    `meter` and `key` are the song's where they are None. `energy` is 0 (barely there) to 1 (everything plays).
    `prompt` and `lyrics` are this section's own words; `chords` lie in beats from the section's first bar line.
    """

    id: str
    kind: str
    bars: int
    meter: Meter | None = None
    key: Key | None = None
    energy: float = 0.5
    chords: tuple[ChordSpan, ...] = ()
    prompt: str = ""
    lyrics: str = ""
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SongError(f"section kind {self.kind[:40]!r}: use one of {', '.join(KINDS)}")
        if not 1 <= self.bars <= MOST_BARS:
            raise SongError(f"section {self.kind}: {self.bars} bars; a section has 1 to {MOST_BARS} bars")
        if not 0 <= self.energy <= 1:
            raise SongError(f"section {self.kind}: energy {self.energy} must be 0 to 1")


@dataclass(frozen=True)
class StemMix:
    """How a stem stands in the mix: `gain_db` brings its takes to their place in the balance."""

    gain_db: float = 0.0
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        if not QUIETEST_DB <= self.gain_db <= LOUDEST_DB:
            raise SongError(f"gain of {self.gain_db:g} dB: it must be {QUIETEST_DB:g} to {LOUDEST_DB:g} dB")


@dataclass(frozen=True)
class Stem:
    """A lane of the song: a role of ROLES, played by an engine, with its own prompt."""

    id: str
    role: str
    engine: str = "band"
    prompt: str = ""
    mix: StemMix = StemMix()
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise SongError(f"role {self.role[:40]!r}: use one of {', '.join(ROLES)}")


@dataclass(frozen=True)
class Provenance:
    """Where a take came from: enough to make it again and to know what may be done with it."""

    engine: str
    version: str
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    licence: str = ""
    weights: str = ""
    weights_licence: str = ""
    extra: Extra = _extra()


@dataclass(frozen=True)
class Take:
    """One result for a cell; never changed, never overwritten.

    `media` names the audio in the project's `media/` folder by its content, `frames` of it at `rate`: it begins at
    the cell's first frame and may ring past its end. `notes` are in beats from the cell's start. `layers` name the
    instruments that `Note.layer` counts, as (name, MIDI program 0..127, or -1 for a drum kit).
    """

    id: str
    provenance: Provenance
    rate: int
    media: str | None = None
    frames: int = 0
    notes: tuple[Note, ...] | None = None
    layers: tuple[tuple[str, int], ...] = ()
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        if self.media is None and self.notes is None:
            raise SongError(f"take {self.id}: a take has audio, notes or both")


@dataclass(frozen=True)
class Cell:
    """One section of one stem: its takes in the order they were made, and the one that is used.

    `curve` names the media of a gain curve of the used take's own, by which it gives way to the other stems where
    the mix would be too loud with it (see `studio.mix.master`).
    """

    section: str
    stem: str
    takes: tuple[Take, ...] = ()
    chosen: str | None = None
    locked: bool = False
    curve: str | None = None
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        if self.chosen is not None and all(take.id != self.chosen for take in self.takes):
            raise SongError(f"cell {self.section}/{self.stem}: its chosen take {self.chosen!r} does not exist")

    @property
    def take(self) -> Take | None:
        """The take that is used, if there is one."""
        return next((take for take in self.takes if take.id == self.chosen), None)


@dataclass(frozen=True)
class Clip:
    """A take put on the grid: `frames` frames of the song from `start_frame`.

    `path` and `midi` are relative to the project folder. With tails "ring" the file holds `tail_frames` more.
    The file says in its own chunks where it lies; so an edit that moves or resizes a section drops the section's clips.
    """

    section: str
    stem: str
    take: str
    path: str
    start_frame: int
    frames: int
    rate: int
    tails: str = "wrap"
    tail_frames: int = 0
    midi: str | None = None
    report: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Extra = _extra()


@dataclass(frozen=True)
class Song:
    """A song: words, time, sections in order, stems, and the cells where they cross.

    `pickup` is the length in beats of an incomplete bar before bar 1; it belongs to the first section.
    `seed` fixes everything that is drawn by chance; `style` names the style that filled what the words left open.
    `master` names the media of the gain curve that all stems share (see `studio.mix.master`): mono, one value for
    every so many frames of the song. `cells` lie in the order of the sections, those of a section in that of the stems,
    in whatever order they are given.
    """

    title: str
    key: Key
    meter: Meter
    tempo: tuple[TempoPoint, ...]
    sections: tuple[Section, ...]
    stems: tuple[Stem, ...]
    seed: int = 0
    rate: int = 48000
    style: str = ""
    prompt: str = ""
    pickup: Fraction = Fraction(0)
    tails: str = "wrap"
    master: str | None = None
    cells: tuple[Cell, ...] = ()
    clips: tuple[Clip, ...] = ()
    extra: Extra = _extra()

    def __post_init__(self) -> None:
        check_tempo_points(self.tempo)
        self._check_sections()
        if not 1 <= len(self.stems) <= MOST_STEMS:
            raise SongError(f"a song has 1 to {MOST_STEMS} stems, not {len(self.stems)}")
        _check_unique("section", [section.id for section in self.sections])
        _check_unique("stem", [stem.id for stem in self.stems])
        if self.rate not in RATES:
            raise SongError(f"rate {self.rate}: use one of {', '.join(map(str, RATES))} frames a second")
        if self.tails not in TAILS:
            raise SongError(f"tails {self.tails[:20]!r}: use one of {', '.join(TAILS)}")
        if not 0 <= self.seed < 2**63:
            raise SongError(f"seed {self.seed}: it must be 0 to {2**63 - 1}")
        _check_text("prompt", self.prompt, LONGEST_PROMPT)
        _check_text("title", self.title, LONGEST_TITLE)
        self._check_cells()

    def _check_sections(self) -> None:
        if not 1 <= len(self.sections) <= MOST_SECTIONS:
            raise SongError(f"a song has 1 to {MOST_SECTIONS} sections, not {len(self.sections)}")
        bars = sum(section.bars for section in self.sections)
        if bars > MOST_SONG_BARS:
            raise SongError(f"a song has at most {MOST_SONG_BARS} bars, not {bars}; make two songs")
        first = self.sections[0].meter or self.meter
        if not 0 <= self.pickup < first.bar_beats:
            raise SongError(
                f"pickup of {self.pickup} beats: it must be 0 or more and shorter than the first bar ({first})"
            )
        if (self.pickup * PPQ).denominator != 1:
            raise SongError(f"pickup of {self.pickup} beats: it must lie on the 1/{PPQ} beat grid, such as 1/2 or 3/4")

    def _check_cells(self) -> None:
        """Put the cells in order, which also finds those that come twice. Raises SongError."""
        places = [self._place(cell) for cell in self.cells]
        if any(after <= before for before, after in itertools.pairwise(places)):
            _check_unique("cell", [f"{cell.section}/{cell.stem}" for cell in self.cells])
            object.__setattr__(self, "cells", tuple(sorted(self.cells, key=self._place)))

    @cached_property
    def _order(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Where each section stands among the sections, and each stem among the stems, by id."""
        return (
            {section.id: index for index, section in enumerate(self.sections)},
            {stem.id: index for index, stem in enumerate(self.stems)},
        )

    def _place(self, cell: Cell) -> tuple[int, int]:
        rows, lanes = self._order
        try:
            return rows[cell.section], lanes[cell.stem]
        except KeyError:
            raise SongError(f"cell {cell.section}/{cell.stem}: the song has no such section or stem") from None

    def _crossing(self, cell: Cell) -> tuple[int, int]:
        """`cells[start:end]` is what stands where `cell` belongs: one cell or none."""
        place = self._place(cell)
        start = bisect.bisect_left(self.cells, place, key=self._place)
        return start, start + (start < len(self.cells) and self._place(self.cells[start]) == place)

    def section(self, section_id: str) -> Section:
        """The section with this id. Raises SongError."""
        if section_id not in self._order[0]:
            raise _unknown("section", section_id, [section.id for section in self.sections])
        return self.sections[self._order[0][section_id]]

    def stem(self, stem_id: str) -> Stem:
        """The stem with this id. Raises SongError."""
        if stem_id not in self._order[1]:
            raise _unknown("stem", stem_id, [stem.id for stem in self.stems])
        return self.stems[self._order[1][stem_id]]

    def cell(self, section_id: str, stem_id: str) -> Cell:
        """The cell where they cross; an empty one where nothing was made yet. Raises SongError."""
        empty = Cell(self.section(section_id).id, self.stem(stem_id).id)
        start, end = self._crossing(empty)
        return self.cells[start] if end > start else empty

    def with_cell(self, cell: Cell) -> Song:
        """A copy in which `cell` stands where its section and stem cross. Raises SongError."""
        start, end = self._crossing(cell)
        # All the rest has been checked: done again for every cell, it would take a song's filling quadratic time.
        song = copy.copy(self)
        object.__setattr__(song, "cells", (*self.cells[:start], cell, *self.cells[end:]))
        return song


def _check_text(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise SongError(f"{what} of {len(text)} characters: use at most {most}")
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SongError(f"the {what} holds bytes that are not UTF-8 text; type it again")


def _check_unique(what: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise SongError(f"two {what}s are called {name!r}; every {what} needs an id of its own")
        seen.add(name)


def _unknown(what: str, wanted: str, ids: list[str]) -> SongError:
    return SongError(f"the song has no {what} {wanted[:40]!r}; it has {', '.join(ids)}")
