"""The last step of every part: swing, the human touch, and notes that any instrument can play."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import NamedTuple

from models.api import PPQ, Note, StemRequest
from models.band.compose.grid import of_tick, to_tick
from models.styles.schema import Style, Swing
from models.timing import CellClock

_ZERO = Fraction(0)
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
    placed: list[_Placed] = []
    for draft in drafts:
        start, end = draft.start, draft.start + draft.beats
        if draft.swings and not straight:
            start, end = swung(start, style.swing, request.pickup), swung(end, style.swing, request.pickup)
        shift_ms = draft.delay_ms
        if not draft.exact:
            shift_ms += max(-1.0, min(1.0, random.gauss(0, 0.4))) * style.feel.timing_ms
        velocity = draft.velocity + round(max(-1.0, min(1.0, random.gauss(0, 0.45))) * style.feel.velocity)
        beats_per_ms = (steady or clock.bpm(start)) / 60_000
        # Ticks are rounded toward zero, so that a bound in milliseconds still holds on the grid.
        ticks = int(shift_ms * beats_per_ms * PPQ)
        moved = start + of_tick(ticks) if ticks else start
        if moved < 0:
            moved = _ZERO
        placed.append(_Placed(to_tick(moved), to_tick(end - moved), draft.pitch, velocity, draft.layer))
    return _playable(placed, request.beats)


class _Placed(NamedTuple):
    """A note in ticks; its velocity may still be out of range."""

    start: int
    length: int
    pitch: int
    velocity: float
    layer: int


def playable(drafts: Iterable[Draft], beats: Fraction) -> tuple[Note, ...]:
    """Drafts on the tick grid as notes: velocities 1..127, inside 0..beats, and a pitch is released before it is struck
    again."""
    return _playable([_Placed(to_tick(d.start), to_tick(d.beats), d.pitch, d.velocity, d.layer) for d in drafts], beats)


def _playable(placed: list[_Placed], beats: Fraction) -> tuple[Note, ...]:
    """See `playable`. In whole ticks, which takes a fifth of the time of fractions."""
    end = beats.numerator * PPQ // beats.denominator
    shortest, latest = to_tick(SHORTEST), to_tick(beats - SHORTEST)
    found: list[list[int]] = []  # start, pitch, velocity, layer, length
    sounding: dict[int, int] = {}
    for note in sorted(placed, key=lambda n: (n.start, n.pitch, -n.velocity, n.layer)):
        start = min(note.start, latest)
        length = min(max(note.length, shortest), end - start)
        last = sounding.get(note.pitch)
        if last is not None and found[last][0] + found[last][4] > start:
            room = start - found[last][0]
            if room < shortest:
                continue  # struck twice at once: the first (louder) one is heard
            found[last][4] = room
        sounding[note.pitch] = len(found)
        found.append([start, note.pitch, max(1, min(127, round(note.velocity))), note.layer, length])
    return tuple(
        Note(of_tick(start), of_tick(length), pitch, velocity, layer)
        for start, pitch, velocity, layer, length in sorted(found, key=lambda note: note[:4])
    )
