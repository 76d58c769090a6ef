"""The last step of every part: swing, the human touch, and notes that any instrument can play."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from random import Random

from models.api import PPQ, Note, StemRequest
from models.band.compose.grid import on_tick
from models.styles.schema import Style, Swing
from models.timing import CellClock

SHORTEST = Fraction(1, 32)
"""Beats. No note is shorter."""


@dataclass(frozen=True)
class Draft:
    """A note as it is being written. `swings`: on a straight grid, so swing applies. `exact`: not humanised in
    time. Positions in beats from the cell's start; velocity may still be out of range."""

    start: Fraction
    beats: Fraction
    pitch: int
    velocity: float
    layer: int = 0
    swings: bool = True
    exact: bool = False
    delay_ms: float = 0.0


def swung(beat: Fraction, swing: Swing, pickup: Fraction) -> Fraction:
    """A position with swing. The pairs of steps are counted from the first bar line."""
    pair = Fraction(2, swing.steps)
    whole, inside = divmod(beat - pickup, pair)
    return pickup + whole * pair + _warped(inside, pair, swing.ratio)


@lru_cache(maxsize=4096)  # a part asks for the same few places in the pair again and again
def _warped(inside: Fraction, pair: Fraction, share: float) -> Fraction:
    """A position in a pair of steps, bent so that the second step comes after `share` of it."""
    ratio = Fraction(share).limit_denominator(1000)
    half = pair / 2
    return inside * 2 * ratio if inside <= half else ratio * pair + (inside - half) * 2 * (1 - ratio)


def finish(drafts: Iterable[Draft], request: StemRequest, style: Style, random: Random) -> tuple[Note, ...]:
    """Notes in order of time: swung, humanised within the style's bounds, on the tick grid, inside the cell, with
    no two notes of one pitch sounding at once."""
    straight = style.swing.ratio == 0.5 or any(length.denominator > 1 for length in request.felt)
    clock = CellClock.of(request)
    steady = clock.bpm() if len(request.tempo) == 1 and request.tempo[0].bpm == request.tempo[0].bpm_end else None
    placed: list[Draft] = []
    for draft in drafts:
        start, end = draft.start, draft.start + draft.beats
        if draft.swings and not straight:
            start, end = swung(start, style.swing, request.pickup), swung(end, style.swing, request.pickup)
        shift_ms = draft.delay_ms
        if not draft.exact:
            shift_ms += max(-1.0, min(1.0, random.gauss(0, 0.4))) * style.feel.timing_ms
        velocity = draft.velocity + round(max(-1.0, min(1.0, random.gauss(0, 0.45))) * style.feel.velocity)
        beats_per_ms = (steady or clock.bpm(start)) / 60_000
        moved = max(start + _toward_zero(shift_ms * beats_per_ms), Fraction(0))
        placed.append(replace(draft, start=on_tick(moved), beats=end - moved, velocity=velocity))
    return playable(placed, request.beats)


def _toward_zero(beats: float) -> Fraction:
    """Ticks are rounded toward zero, so that a bound in milliseconds still holds on the grid."""
    return Fraction(int(beats * PPQ), PPQ)


def playable(drafts: Iterable[Draft], beats: Fraction) -> tuple[Note, ...]:
    """Drafts as notes: velocities 1..127, inside 0..beats, and a pitch is released before it is struck again."""
    ordered = sorted(
        drafts, key=lambda d: (d.start.numerator * PPQ // d.start.denominator, d.pitch, -d.velocity, d.layer)
    )
    notes: list[Note] = []
    sounding: dict[int, int] = {}
    for draft in ordered:
        start = min(draft.start, on_tick(beats) - SHORTEST)
        length = max(on_tick(draft.beats), SHORTEST)
        note = Note(
            start, min(length, beats - start), draft.pitch, max(1, min(127, round(draft.velocity))), draft.layer
        )
        last = sounding.get(note.pitch)
        if last is not None and notes[last].end > note.start:
            room = note.start - notes[last].start
            if room < SHORTEST:
                continue  # struck twice at once: the first (louder) one is heard
            notes[last] = notes[last]._replace(beats=room)
        sounding[note.pitch] = len(notes)
        notes.append(note)
    return tuple(sorted(notes, key=_in_time))


def _in_time(note: Note) -> tuple[int, int, int, int]:
    """The order of notes, in whole ticks: much faster to compare than fractions."""
    return int(note.start * PPQ), note.pitch, note.velocity, note.layer
