"""Notes as written: the content of a take that is music rather than sound."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from studio.song.errors import SongError

PPQ = 960
"""Ticks a quarter note. Every note starts and ends on this grid, so a MIDI file says exactly what sounds."""


class Note(NamedTuple):
    """One note. `start` and `beats` are in beats from its section's start, on the PPQ grid.

    `pitch` is a MIDI key 0..127, `velocity` 1..127; `layer` numbers the instruments inside one stem from 0.
    """

    start: Fraction
    beats: Fraction
    pitch: int
    velocity: int
    layer: int = 0

    @property
    def end(self) -> Fraction:
        return self.start + self.beats


def to_tick(beats: Fraction | float | int) -> int:
    """The nearest tick to a position in beats; halves go up."""
    above, below = beats.as_integer_ratio()  # a fifth of the time that arithmetic of fractions takes
    return (2 * PPQ * above + below) // (2 * below)


def on_tick(beats: Fraction | float | int) -> Fraction:
    """A position in beats moved to the nearest tick."""
    return Fraction(to_tick(beats), PPQ)


def check_notes(notes: Iterable[Note], beats: Fraction) -> None:
    """Raise SongError unless every note lies in a cell of `beats` beats, on the grid, in MIDI's ranges."""
    for note in notes:
        if not (0 <= note.pitch <= 127 and 1 <= note.velocity <= 127 and 0 <= note.layer <= 15):
            raise SongError(f"note {tuple(note)}: pitch is 0..127, velocity 1..127, layer 0..15")
        if note.start < 0 or note.beats <= 0 or note.end > beats:
            raise SongError(
                f"note at beat {float(note.start):.3f}: it must lie inside the cell's {float(beats):g} beats"
            )
        if PPQ % note.start.denominator or PPQ % note.beats.denominator:
            raise SongError(f"note at beat {float(note.start):.6f}: it must start and end on the 1/{PPQ} beat grid")
