"""Pieces of sound, one after the other or in a circle, as one sound with joins that are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from studio.align.fit import EARLY_S, Piece, Plan
from studio.align.move.render import whole_shift
from studio.align.seam.crossfade import REACH_S
from studio.align.seam.join import Join, Side, begins_anew, begins_softly, begun, join, through
from studio.align.seam.score import CONTEXT_S, SeamScore, seam_score
from studio.align.seam.voices import Laid, Shifted, Voice, Voices
from studio.align.values import Audio, Floats

MOST_SCORED = 24
"""Joins that are measured, evenly spread; more of them repeat what was measured."""


@dataclass(frozen=True)
class Seamed:
    """The whole sound, with what was done at every join; in a loop the last one joins its end to its start."""

    voices: Voices
    joins: tuple[Join, ...]
    scores: tuple[SeamScore, ...]
    """Of the joins, or of MOST_SCORED of them; in a loop the last one is the loop's."""

    @property
    def score(self) -> float | None:
        """The worst of all; None where nothing is joined."""
        return max((score.value for score in self.scores), default=None)


def assemble(
    plan: Plan, sounds: Sequence[Laid], attacks: Floats, rate: int, *, loop: bool, step: Callable[[float], None]
) -> Seamed:
    """Join the pieces of a plan.

    Args:
        sounds: each piece on the target's time, with the real sound around it as far as REACH_S and its ring.
        attacks: where sounds begin, in frames of the source.
        rate: Hz.
        loop: whether the end is joined to the start.
        step: told how much of it (0..1) is done; may raise to stop.
    """
    sides = _sides(plan, sounds, attacks, rate, loop)
    pieces = list(plan.pieces)
    if loop:
        period = plan.frames
        sides.append(Side(Shifted(sides[0].sound, period), sides[0].attacks + period))
        pieces.append(pieces[0])
    joins = []
    for number in range(len(sides) - 1):
        before, after = sides[number], sides[number + 1]
        joins.append(_joined(before, after, pieces[number], pieces[number + 1], rate))
        step(0.5 * (number + 1) / len(sides))
    voices = _voices(plan, sides, joins, loop, rate)
    whole = Voices(voices, -plan.pickup_frames, plan.frames, loop)
    scored = np.unique(np.linspace(0, len(joins) - 1, MOST_SCORED).astype(int)) if joins else np.zeros(0, int)
    marks = _marks(plan, sides[: len(plan.pieces)], EARLY_S * rate)
    scores = []
    for done, number in enumerate(scored):
        after = sides[number + 1]
        scores.append(_score(whole, joins[number], after, plan.pieces[number].stop, marks, rate, loop))
        step(0.5 + 0.5 * (done + 1) / len(scored))
    return Seamed(whole, tuple(joins), tuple(scores))


def _sides(plan: Plan, sounds: Sequence[Laid], attacks: Floats, rate: int, loop: bool) -> list[Side]:
    """The pieces with their attacks; also with one that was not heard as such, being cut away right before it."""
    sides = []
    for number, (piece, sound) in enumerate(zip(plan.pieces, sounds, strict=True)):
        own = np.sort(piece.warp.target_at(attacks))
        early = own < sound.first + EARLY_S * rate
        if sound.first == piece.start and not early.any() and (number or loop):
            before = sounds[number - 1] if number else Shifted(sounds[-1], -plan.frames)
            if begins_anew(before, sound, rate):
                own = np.concatenate(([float(sound.first)], own))
        sides.append(Side(sound, own))
    return sides


def _joined(before: Side, after: Side, piece: Piece, next_piece: Piece, rate: int) -> Join:
    """The join of two pieces. Where a file that is not stretched is exactly as long as the piece, as loops are, and
    leads on by itself, nothing is done."""
    at = piece.stop
    filled = before.sound.last <= at <= after.sound.first and before.sound.last > at - REACH_S * rate
    if filled and not next_piece.lead and whole_shift(piece.warp) is not None:
        reach = round(CONTEXT_S * rate)
        low, high = max(before.sound.first, at - reach), min(after.sound.last, at + reach)
        plain = np.concatenate((before.sound.read(low, at), after.sound.read(at, high)), axis=1)
        line = at - EARLY_S * rate
        marks = np.concatenate((before.attacks[before.attacks < line], after.attacks[after.attacks >= line]))
        if seam_score(plain, [(at - low, at - low)], marks - low, rate, _alone(after, at, low, high, rate)).value < 1.0:
            return through(at)
    return join(before, after, at, rate, piece.ring, next_piece.lead)


def _voices(plan: Plan, sides: Sequence[Side], joins: Sequence[Join], loop: bool, rate: int) -> list[Voice]:
    """Every piece from where its join lets it in to where the next lets it out, and the crossfades between."""
    leaves = [(each.leave, each.fade_out) for each in joins]
    if loop:
        begin = [Voice(sides[0].sound, joins[-1].enter - plan.frames, 0, joins[-1].fade_in)]
    else:
        begin = begun(sides[0], plan.pieces[0].start - plan.pickup_frames, rate)
        leaves.append((plan.pieces[-1].stop, 0))
    others = zip(sides[1 : len(plan.pieces)], joins, strict=False)
    voices = [begin[0], *(Voice(side.sound, each.enter, 0, each.fade_in) for side, each in others)]
    voices = [
        replace(voice, stop=max(voice.start, stop), fade_out=fade)
        for voice, (stop, fade) in zip(voices, leaves, strict=True)
    ]
    patches = [each.patch for each in joins if each.patch is not None]
    return voices + begin[1:] + [Voice(patch, patch.first, patch.last) for patch in patches]


def _marks(plan: Plan, sides: Sequence[Side], early: float) -> Floats:
    """Where sounds begin in the whole, in frames from bar 1, in rising order; a little early ones belong to the next
    piece."""
    inside = [
        side.attacks[(side.attacks >= piece.start - piece.lead - early) & (side.attacks < piece.stop - early)]
        for side, piece in zip(sides, plan.pieces, strict=True)
    ]
    return np.sort(np.concatenate(inside)) if inside else np.zeros(0)


def _score(whole: Voices, joined: Join, after: Side, at: int, marks: Floats, rate: int, loop: bool) -> SeamScore:
    """How much a join at frame `at` from bar 1 stands out in the whole."""
    audio, centre = whole.around(at - whole.first, round(CONTEXT_S * rate))
    low = at - centre
    turns = (-whole.frames, 0, whole.frames) if loop else (0,)
    near = np.concatenate([marks + turn for turn in turns]) - low
    near = near[(near >= 0) & (near < audio.shape[1])]
    end = low + audio.shape[1]
    spans = [
        (max(first, low) - low, min(last, end - 1) - low) for first, last in joined.spans if last >= low and first < end
    ]
    return seam_score(audio, spans, near, rate, _alone(after, at, low, end, rate))


def _alone(after: Side, at: int, low: int, high: int, rate: int) -> Audio | None:
    """What begins at frame `at` by itself, from `low` to `high`; None where its file begins there, loud and without an
    attack, so that its beginning is but a cut."""
    near = np.abs(after.attacks - at) < EARLY_S * rate
    early = after.sound.first < at - EARLY_S * rate
    return after.sound.read(low, high) if near.any() or early or begins_softly(after.sound, rate) else None
