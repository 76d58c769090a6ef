"""The contract between the song and whatever makes sound: requests, results, events, errors. Imports no torch.

A request is plain values, resolved and complete: an engine needs to know nothing about songs, projects or DAWs.
Positions are Fraction quarter-note beats from the cell's first frame; audio is float32 (channels, frames), ±1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

PPQ = 960
"""Ticks a quarter note: every note starts and ends on this grid."""

Audio = NDArray[np.float32]


class EngineError(Exception):
    """An engine cannot do what was asked. One line: what, the limit, the remedy."""


class Cancelled(EngineError):
    """The user took the request back."""


class Note(NamedTuple):
    """One note; the same fields as a song's note, so that either converts by unpacking."""

    start: Fraction
    beats: Fraction
    pitch: int
    velocity: int
    layer: int = 0

    @property
    def end(self) -> Fraction:
        return self.start + self.beats


class Harmony(NamedTuple):
    """A chord that sounds for `beats` from `start`: its symbol, root and bass pitch classes, and all its pitch
    classes from the root up in stacking order."""

    start: Fraction
    beats: Fraction
    symbol: str
    root: int
    bass: int
    pitch_classes: tuple[int, ...]

    @property
    def end(self) -> Fraction:
        return self.start + self.beats


class TempoSpan(NamedTuple):
    """Tempo over `beats` beats from `start`: constant, or BPM linear in the position from `bpm` to `bpm_end`."""

    start: Fraction
    beats: Fraction
    bpm: Fraction
    bpm_end: Fraction


@dataclass(frozen=True)
class Place:
    """Where the cell's section stands in the song.

    `occurrence` counts sections of this kind from 0, of `occurrences` in all; `before` and `after` are the kinds of
    the neighbours, None at the ends. `energy` is 0..1, `after_energy` the next section's. `start_bar` counts from 1.
    """

    kind: str
    index: int = 0
    count: int = 1
    start_bar: int = 1
    bars: int = 1
    occurrence: int = 0
    occurrences: int = 1
    energy: float = 0.5
    before: str | None = None
    after: str | None = None
    after_energy: float = 0.0

    @property
    def is_end(self) -> bool:
        """Whether the song ends here. A song of one section is a loop and does not end, unless it is an outro."""
        return self.after is None and (self.count > 1 or self.kind == "outro")


@dataclass(frozen=True)
class StemRequest:
    """One cell to be made.

    `beats` is the cell's length with its `pickup` beats, which come before the first full bar; `frames` the same in
    frames at `rate`. `offset_seconds` is the exact time of the cell's start less the time of its first frame (at most
    half a frame), so that an engine can convert a position to the very frame the song would. `felt` are the lengths
    in beats of the felt beats of one bar. `scale` holds the seven pitch classes from the tonic. `song_seed` fixes
    what the whole song shares (motif, groove family, instruments), `seed` what is this take's own. `context` holds
    the notes of other stems in this cell by role. With `notes` given, an engine that can play notes performs those
    and composes nothing. `previous_chord` is the last chord
    before the cell and `next_chord` the first after it.
    """

    role: str
    rate: int
    frames: int
    beats: Fraction
    meter: tuple[int, int]
    felt: tuple[Fraction, ...]
    tempo: tuple[TempoSpan, ...]
    place: Place
    key: str
    mode: str
    scale: tuple[int, ...]
    chords: tuple[Harmony, ...]
    seed: int = 0
    song_seed: int = 0
    style: str = ""
    prompt: str = ""
    negative: str = ""
    pickup: Fraction = Fraction(0)
    offset_seconds: Fraction = Fraction(0)
    previous_chord: Harmony | None = None
    next_chord: Harmony | None = None
    lyrics: str = ""
    context: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StemResult:
    """What an engine made: audio from the cell's first frame (it may ring past the cell's end), notes, or both.

    `layers` name the instruments that `Note.layer` counts: (name, MIDI program 0..127, or -1 for a drum kit).
    `parameters` is everything that decided the result, beside the seed.
    """

    rate: int
    seed: int
    engine: str
    version: str
    audio: Audio | None = None
    notes: tuple[Note, ...] | None = None
    layers: tuple[tuple[str, int], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    weights: str = ""
    weights_licence: str = ""


@dataclass(frozen=True)
class EngineInfo:
    """What an engine can do.

    `composes`: it can write the notes of a cell without playing them (`Composer`). `light`: it loads in a second and
    into little memory, so that several processes may hold it at once; others are held by one.
    """

    name: str
    version: str
    roles: tuple[str, ...]
    composes: bool = False
    light: bool = False
    needs_weights: bool = False
    code_licence: str = ""
    output_licence: str = ""
    weights_licence: str = ""


Cancel = Callable[[], bool]
"""Asked between steps; True means stop now by raising Cancelled."""


def never_cancelled() -> bool:
    """The `Cancel` of work that cannot be taken back."""
    return False


class Engine(Protocol):
    """Makes takes. Raises EngineError (or Cancelled)."""

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, request: StemRequest, cancel: Cancel = never_cancelled) -> StemResult: ...

    def release(self) -> None:
        """Give back memory that only makes the next request faster."""
        ...


class Composer(Engine, Protocol):
    """An engine that can write a cell's notes first and play them later (see `StemRequest.notes`)."""

    def compose(self, request: StemRequest) -> tuple[Note, ...]: ...


class TextEncoder(Protocol):
    """Turns texts into unit vectors, shape (texts, dimensions), whose dot product says how close they are."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
