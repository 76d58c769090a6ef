"""The join of one piece of sound and the next at a bar line: as the music has it where it can be had, else the
crossfade that is heard least.

Three ways:
- `overlay`: the piece before has died away behind the bar line, or the next one begins with a pickup: both sound.
- `crossfade`: before any attack at the bar line, where both sides are most alike.
- `late`: the next piece begins with an attack and has nothing before that: the one before is let go behind the attack.

A sound whose file ends at the bar line is gone on with for as long. An attack at the bar line always survives whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from studio.align.fit import EARLY_S
from studio.align.seam.crossfade import REACH_S, SHORTEST_S, Continued, crossfade
from studio.align.seam.voices import Laid, Patch, Shifted, Voice, rise
from studio.align.values import Audio, Floats

RISE_S, RISE_BLOCKS, RISE = 0.003, 4, 6.0
"""A sound that is this many times as powerful within 3 ms as in the 12 before them begins anew."""
EDGE_S, EDGE = 0.010, 1.5
"""A file that begins with this many times the power, or with bends of it, that the sound before ends with, begins with
an attack."""
ANEW = 4.0
"""And one that begins with this many times the power has one of its own, however it is heard."""
LEAST_RING_S = 0.020
"""What goes on for less behind the bar line is the file's end and no ring."""
GUARD_S = 0.001
"""What is left alone before an attack."""
ENTRY_S, EXIT_S, RELEASE_S = 0.004, 0.006, 0.040
"""How long a piece is led in before its attack, out before another's, and let go behind one."""
SOFT = 10 ** (-50 / 20)
"""Full scale: a file that begins below this rises by itself."""
HARD_ENTRY_S, QUIET = 0.00025, 1e-4
"""How long a file that begins at an attack, above this level, is led in."""
CATCH_UP_S = 0.015
"""How much of an attack sounds before its sound catches up."""
DIED_AWAY = 10 ** (-20 / 20)
"""A ring that ends this far below its level at the bar line has died away by itself."""

NO_ATTACKS = np.zeros(0)


class Way(StrEnum):
    """How one piece gives way to the next."""

    THROUGH = "through"
    """Nothing is done."""
    OVERLAY = "overlay"
    CROSSFADE = "crossfade"
    LATE = "late"


@dataclass(frozen=True)
class Side:
    """A piece at a join, with where attacks lie in it: frames, in rising order."""

    sound: Laid
    attacks: Floats


@dataclass(frozen=True)
class Join:
    """How one piece gives way to the next. Frames are those of the timeline."""

    way: Way
    leave: int
    """Where the piece before stops, `fade_out` before that being led out."""
    enter: int
    """Where the next piece starts."""
    fade_out: int = 0
    fade_in: int = 0
    patch: Patch | None = None
    """What sounds from `leave` on besides: the crossfade up to `enter`, or how the piece before dies away."""
    correlation: float = 0.0
    """Of the two sides in a crossfade, -1..1."""

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Between these frames something was done."""
        if self.patch is not None:
            return ((self.enter, self.enter + self.fade_in), (self.patch.first, self.patch.last))
        return ((self.enter, self.enter + self.fade_in), (self.leave - self.fade_out, self.leave))


def through(at: int) -> Join:
    """The plain join at a frame."""
    return Join(Way.THROUGH, at, at)


def join(before: Side, after: Side, at: int, rate: int, ring: int = 0, lead: int = 0) -> Join:
    """Join two pieces at frame `at`.

    ring: frames beyond `at` in which `before` may ring on; lead: frames before `at` that are a pickup of `after`.
    Both are pieces of `at`'s timeline, with whatever real sound they have beyond it.
    """
    if ring < LEAST_RING_S * rate or not _dies_away(before.sound, at, ring, rate):
        ring = 0
    if ring or lead:
        return _overlay(before, after, at, rate, ring, lead)
    reach = max(1, min(round(REACH_S * rate), (before.sound.last - before.sound.first) // 8))
    early = round(EARLY_S * rate)
    theirs = _attack(after, at - early, at + reach, rate)
    ours = _attack(before, at - early, at + reach, rate)
    if after.sound.first >= at:
        theirs = _first_of_file(before, after, theirs, rate)
    guard = round(GUARD_S * rate)
    hard = [int(attack) - guard for attack in (theirs, ours) if attack is not None]
    low, high = max(at - reach, after.sound.first), min([at + reach, before.sound.last, *hard])
    room = high - low >= round(SHORTEST_S * rate)
    if room and (theirs is None or (ours is not None and _meet(before.sound, after.sound, low, high))):
        return _crossfade(before, after, low, high, rate)
    release = min(round(RELEASE_S * rate), reach)
    until = at + (reach if theirs is None else release)
    end = min(before.sound.last, until if ours is None else int(ours) - guard)
    if end < until:
        before = Side(Continued.of(before.sound, end, until - end, rate), before.attacks)
    if theirs is None:
        return _crossfade(before, after, at, until, rate)
    enter, fade = _entry(after.sound, min(at, int(theirs) - guard), rate)
    if isinstance(before.sound, Continued):
        leave = min(at, before.sound.changed)
        tail = before.sound.read(leave, until)
        tail[:, -release:] *= rise(release)[::-1]
        return Join(Way.LATE, leave, enter, 0, fade, Patch(tail, leave))
    return Join(Way.LATE, until, enter, release, fade)


def _first_of_file(before: Side, after: Side, attack: float | None, rate: int) -> float | None:
    """The attack of a piece that begins with its file: its rise, where it has one; but the edge of a sound that goes on
    as the one before ends is no attack."""
    first = after.sound.first
    if begins_softly(after.sound, rate):
        return float(first) if attack is None else attack
    if attack is None or attack > first + RISE_S * rate:
        return attack
    span = round(EDGE_S * rate)
    old = before.sound.read(min(first, before.sound.last) - span, min(first, before.sound.last)).astype(np.float64)
    new = after.sound.read(first, first + span).astype(np.float64)
    sizes = [(_power(new), _power(old)), (_power(np.diff(new)), _power(np.diff(old)))]
    return attack if any(theirs > EDGE * ours for theirs, ours in sizes) else None


def begins_anew(before: Laid, after: Laid, rate: int) -> bool:
    """Whether a file is cut at a stroke: it begins louder than the sound before it ends, and steps no further where it
    begins than it does by itself."""
    span = round(EDGE_S * rate)
    old, new = before.read(after.first - span, after.first), after.read(after.first, after.first + span)
    if _power(new.astype(np.float64)) < ANEW * _power(old.astype(np.float64)) + QUIET**2:
        return False
    steps = np.abs(np.diff(np.concatenate((old[:, -1:], new), axis=1), axis=1)).max(axis=0)
    edge = math.floor(HARD_ENTRY_S * rate)
    return float(steps[:edge].max(initial=0.0)) <= float(steps[edge:].max(initial=0.0))


def _power(sound: Floats) -> float:
    return float(np.mean(sound**2)) if sound.size else 0.0


def begins_softly(sound: Laid, rate: int) -> bool:
    """Whether a sound's file begins with its rise, rather than in its midst."""
    return float(np.abs(sound.read(sound.first, sound.first + round(0.001 * rate))).max()) < SOFT


def begun(side: Side, start: int, rate: int) -> list[Voice]:
    """The voices of a sound that is cut off before frame `start`. An attack that comes a little too early for it is not
    cut: the sound then begins as much later as it needs, and catches up behind the attack."""
    plain = [Voice(side.sound, start, side.sound.last)]
    near = side.attacks[np.abs(side.attacks - start) < EARLY_S * rate]
    # Where a grace note comes before the attack that is meant, it is the grace note that is cut.
    if not len(near) or near[-1] >= start - GUARD_S * rate or side.sound.first > near[-1]:
        return plain
    early = float(near[-1])
    following = _first(side.attacks, start, math.inf)
    low = start + round(CATCH_UP_S * rate)
    high = min(low + round(REACH_S * rate), side.sound.last, side.sound.last if following is None else int(following))
    if high - low < round(2 * SHORTEST_S * rate):
        return plain
    by = start - math.floor(early)
    later = Shifted(side.sound, by)
    patch, _ = crossfade(later, side.sound, NO_ATTACKS, low, high - round(GUARD_S * rate), rate)
    return [
        Voice(side.sound, patch.last, side.sound.last),
        Voice(later, start, patch.first),
        Voice(patch, patch.first, patch.last),
    ]


def _meet(old: Laid, new: Laid, low: int, high: int) -> bool:
    """Whether the one has sound enough where it would take over from the other."""
    return 4.0 * _level(new.read(low, high)) >= _level(old.read(low, high))


def _first(attacks: Floats, low: float, high: float) -> float | None:
    inside = attacks[(attacks >= low) & (attacks < high)]
    return float(inside[0]) if len(inside) else None


def _attack(side: Side, low: int, high: int, rate: int) -> float | None:
    """The first attack from `low` to `high`: one that is known, or else where the sound suddenly rises."""
    known = _first(side.attacks, low, high)
    if known is not None:
        return known
    block = max(1, round(RISE_S * rate))
    low = max(low - RISE_BLOCKS * block, side.sound.first)
    count = (min(high, side.sound.last) - low) // block
    if count <= RISE_BLOCKS:
        return None
    sound = side.sound.read(low, low + count * block).astype(np.float64)
    energy = (sound**2).sum(axis=0).reshape(count, block).mean(axis=1)
    before = np.convolve(energy, np.full(RISE_BLOCKS, 1.0 / RISE_BLOCKS))[RISE_BLOCKS - 1 : count - 1]
    rises = np.flatnonzero((energy[RISE_BLOCKS:] > RISE * before) & (energy[RISE_BLOCKS:] > QUIET**2))
    return float(low + (RISE_BLOCKS + int(rises[0])) * block) if len(rises) else None


def _entry(sound: Laid, attack: int, rate: int) -> tuple[int, int]:
    """Where a piece starts for its attack to be whole, and how long it is led in before that: longer where something
    sounds there already, and hardly at all where its file begins with a step larger than its attack's own."""
    long, short = round(RELEASE_S * rate), round(ENTRY_S * rate)
    sounds = _level(sound.read(attack - long, attack - short)) > DIED_AWAY * _level(sound.read(attack, attack + long))
    start = max(sound.first, attack - (long if sounds else short))
    if start > sound.first:
        return start, attack - start
    edge = math.floor(HARD_ENTRY_S * rate)
    begin = sound.read(start - 1, start + round(RISE_S * rate))
    steps = np.abs(np.diff(begin, axis=1)).max(axis=0)
    hard = float(steps[:edge].max(initial=0.0)) > max(QUIET, float(steps[edge:].max(initial=0.0)))
    return start, max(attack - start, edge if hard else 0)


def _dies_away(sound: Laid, at: int, ring: int, rate: int) -> bool:
    span = max(1, round(0.02 * rate))
    end = _level(sound.read(at + ring - min(span, ring), at + ring))
    return end <= DIED_AWAY * _level(sound.read(at - span, at + span)) + 1e-5


def _level(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) if audio.size else 0.0


def _overlay(before: Side, after: Side, at: int, rate: int, ring: int, lead: int) -> Join:
    """Both sound: the ring to its end, the next piece from its pickup or its attack on."""
    guard = round(GUARD_S * rate)
    first = _first(after.attacks, at - lead - EARLY_S * rate, at - lead + REACH_S * rate)
    begins = min(at - lead, int(first) - guard) if first is not None else at - lead
    enter, fade = _entry(after.sound, begins, rate)
    if enter == after.sound.first:  # a file's first attack comes as it is: the other sounds on
        fade = round(ENTRY_S * rate) if first is None else 0
    if ring:
        return Join(Way.OVERLAY, at + ring, enter, min(ring, round(2 * EXIT_S * rate)), fade)
    ours = _first(before.attacks, at - EARLY_S * rate, at + REACH_S * rate)
    if ours is None and before.sound.last > at:
        leave = min(before.sound.last, at + round(RELEASE_S * rate))
        return Join(Way.OVERLAY, leave, enter, leave - at, fade)
    leave = at if ours is None else min(at, int(ours) - guard)
    return Join(Way.OVERLAY, leave, enter, round(EXIT_S * rate), fade)


def _crossfade(before: Side, after: Side, low: int, high: int, rate: int) -> Join:
    attacks = np.concatenate((before.attacks, after.attacks))
    patch, correlation = crossfade(before.sound, after.sound, attacks, low, high, rate)
    return Join(Way.CROSSFADE, patch.first, patch.last, patch=patch, correlation=correlation)
