"""The join of one piece of sound and the next at a bar line: as the music has it where it can be had, else the
crossfade that is heard least.

Three ways:
- `overlay`: the piece before has died away behind the bar line, or the next one begins with a pickup: both sound.
- `crossfade`: before any attack at the bar line, where both sides are most alike. Its gains keep the power for the
  correlation that was measured: with amplitudes a + b = 1 both are divided by sqrt(a² + b² + 2abr), which is equal
  gain for r = 1 and equal power for r = 0 (M. Fink, M. Holters, U. Zölzer, "Signal-matched power-complementary
  cross-fading and dry-wet mixing", DAFx 2016). Sides that oppose each other are turned into phase in two steps.

- `late`: the next piece begins with an attack and has nothing before that: the one before is let go behind the attack.

A sound whose file ends at the bar line is gone on with for as long. An attack at the bar line always survives whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from studio.align.seam.voices import Laid, Patch, Shifted, Voice, rise
from studio.align.values import Audio, Floats

EARLY_S = 0.035
"""An attack this little before a bar line is meant for it."""
REACH_S = 0.050
"""How far from the bar line a join is looked for."""
RISE_S, RISE_BLOCKS, RISE = 0.003, 4, 6.0
"""A sound that is this many times as powerful within 3 ms as in the 12 before them begins anew."""
EDGE_S, EDGE = 0.010, 1.5
"""A file that begins with this many times the power, or with bends of it, that the sound before ends with, begins with
an attack."""
LEAST_RING_S = 0.020
"""What goes on for less behind the bar line is the file's end and no ring."""
GUARD_S = 0.001
"""What is left alone before an attack."""
LENGTHS_S = (0.005, 0.010, 0.020, 0.040, 0.080)
LONG = 1.0
"""How much a long crossfade counts against sides that are alike."""
STEP_S = 0.001
LOUD_S = 0.020
"""Over how much loudness is taken: longer than a cycle of a bass."""
ENTRY_S, EXIT_S, RELEASE_S = 0.004, 0.006, 0.040
"""How long a piece is led in before its attack, out before another's, and let go behind one."""
SOFT = 10 ** (-50 / 20)
"""Full scale: a file that begins below this rises by itself."""
HARD_ENTRY_S, QUIET = 0.00025, 1e-4
"""How long a file that begins at an attack, above this level, is led in."""
CATCH_UP_S = 0.015
"""How much of an attack sounds before its sound catches up."""
OVERLAP_S = 0.010
"""Over how much a sound is led into what goes on for it."""
TURN_S = 0.010
"""The most by which a sound is moved to turn it into phase."""
OPPOSED, AGREES = -0.1, 0.5
DIED_AWAY = 10 ** (-20 / 20)
"""A ring that ends this far below its level at the bar line has died away by itself."""


@dataclass(frozen=True)
class Side:
    """A piece at a join, with where attacks lie in it: frames, in rising order."""

    sound: Laid
    attacks: Floats


@dataclass(frozen=True)
class Join:
    """How one piece gives way to the next. Frames are those of the timeline."""

    way: str
    """`overlay`, `late`, `crossfade`, or `through` where nothing is done."""
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
    return Join("through", at, at)


def join(before: Side, after: Side, at: int, rate: int, ring: int = 0, lead: int = 0) -> Join:
    """Join two pieces at frame `at`.

    ring: frames beyond `at` in which `before` may ring on; lead: frames before `at` that are a pickup of `after`.
    Both are pieces of `at`'s timeline, with whatever real sound they have beyond it.
    """
    if lead or (ring >= LEAST_RING_S * rate and _dies_away(before.sound, at, ring, rate)):
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
    room = high - low >= round(LENGTHS_S[0] * rate)
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
        return Join("late", leave, enter, 0, fade, Patch(tail, leave))
    return Join("late", until, enter, release, fade)


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
    if high - low < round(2 * LENGTHS_S[0] * rate):
        return plain
    by = start - math.floor(early)
    later = Shifted(side.sound, by)
    made = _crossfade(Side(later, side.attacks + by), side, low, high - round(GUARD_S * rate), rate)
    assert made.patch is not None  # every crossfade has one
    return [
        Voice(side.sound, made.enter, side.sound.last),
        Voice(later, start, made.leave),
        Voice(made.patch, made.patch.first, made.patch.last),
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
        return Join("overlay", at + ring, enter, min(ring, round(2 * EXIT_S * rate)), fade)
    ours = _first(before.attacks, at - EARLY_S * rate, at + REACH_S * rate)
    if ours is None and before.sound.last > at:
        leave = min(before.sound.last, at + round(RELEASE_S * rate))
        return Join("overlay", leave, enter, leave - at, fade)
    leave = at if ours is None else min(at, int(ours) - guard)
    return Join("overlay", leave, enter, round(EXIT_S * rate), fade)


# -- crossfades --------------------------------------------------------------------------------------------------


def _crossfade(before: Side, after: Side, low: int, high: int, rate: int) -> Join:
    """The crossfade between `low` and `high` in which both sides are most alike, or else quietest."""
    old, new = before.sound.read(low, high).astype(np.float64), after.sound.read(low, high).astype(np.float64)
    attacks = np.concatenate((before.attacks, after.attacks)) - low
    start, length = _best(old, new, attacks, rate)
    correlation = _correlation(old[:, start : start + length], new[:, start : start + length])
    mixed = None
    if correlation < OPPOSED:
        half = min(round(LENGTHS_S[-2] * rate), (high - low) // 2)
        begin = min(start, high - low - 2 * half)
        mixed = _turned(before.sound, new, low, begin, half, rate)
        start = start if mixed is None else begin
    if mixed is None:
        stop = start + length
        mixed = crossfaded(old[:, start:stop], new[:, start:stop], correlation).astype(np.float32)
    leave, enter = low + start, low + start + mixed.shape[1]
    if isinstance(before.sound, Continued):
        changed = min(before.sound.changed, leave)
        mixed, leave = np.concatenate((before.sound.read(changed, leave), mixed), axis=1), changed
    return Join("crossfade", leave, enter, patch=Patch(mixed, leave), correlation=correlation)


def _best(old: Floats, new: Floats, attacks: Floats, rate: int) -> tuple[int, int]:
    """Start and length of the best crossfade of two stretches, (channels, n) each."""
    from scipy.ndimage import uniform_filter1d

    total = old.shape[1]
    powers = [np.einsum("cn,cn->n", x, y) for x, y in ((old, old), (new, new), (old, new))]
    sums = [np.concatenate(([0.0], np.cumsum(power))) for power in powers]
    loudness = uniform_filter1d(powers[0] + powers[1], min(total, round(LOUD_S * rate)), mode="nearest")
    loudness /= loudness.mean() + 1e-12
    longest = LENGTHS_S[-1] * rate
    best = (np.inf, 0, total)
    step = max(1, round(STEP_S * rate))
    for seconds in LENGTHS_S:
        length = min(round(seconds * rate), total)
        starts = np.arange(0, total - length + 1, step)
        ours, theirs, both = (part[starts + length] - part[starts] for part in sums)
        alike = both / np.sqrt(ours * theirs + 1e-24)
        loud = np.minimum(1.0, loudness[np.minimum(starts + length // 2, total - 1)])
        # The longer the smoother; the later the more of the music before the bar line is its own.
        cost = (1.0 - alike) * loud + LONG * (1.0 - length / longest) + 0.05 * (1.0 - (starts + length) / total)
        struck = np.zeros(len(starts))
        for attack in attacks[(attacks >= 0) & (attacks < total)]:
            struck[(attack > starts) & (attack < starts + length)] = 1.0
        cost += struck
        least = int(cost.argmin())
        if cost[least] < best[0]:
            best = (float(cost[least]), int(starts[least]), length)
        if length == total:
            break
    return best[1], best[2]


def _correlation(x: Floats, y: Floats) -> float:
    power = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / power if power > 1e-15 else 0.0


def crossfaded(old: Floats, new: Floats, correlation: float) -> Floats:
    """`old` giving way to `new` over their length with the power kept, for a correlation of -1..1."""
    b = rise(old.shape[1]).astype(np.float64)
    a = 1.0 - b
    keep = 1.0 / np.sqrt(a * a + b * b + 2.0 * a * b * np.clip(correlation, -0.5, 1.0))
    return np.asarray(old * (a * keep) + new * (b * keep))


def _turned(sound: Laid, new: Floats, low: int, start: int, length: int, rate: int) -> Audio | None:
    """A crossfade in two steps of `length` from `low + start` on, through the sound before moved by half of what
    brings it into phase; None where nothing does."""
    most = round(TURN_S * rate)
    begin = low + start
    wide = sound.read(begin + length - most, begin + 2 * length + most).astype(np.float64)
    goal = new[:, start + length : start + 2 * length]
    lags = np.arange(-most, most + 1, max(1, rate // 24_000))
    found = np.array([_correlation(wide[:, most + lag : most + lag + length], goal) for lag in lags])
    found -= 1e-6 * np.abs(lags)  # of equal ones the nearest
    best = int(found.argmax())
    if found[best] < AGREES or begin + 2 * length + most > sound.last:
        return None
    half = int(lags[best]) // 2
    old = sound.read(begin, begin + length).astype(np.float64)
    turned = sound.read(begin + half, begin + half + 2 * length).astype(np.float64)
    first = crossfaded(old, turned[:, :length], _correlation(old, turned[:, :length]))
    second = crossfaded(turned[:, length:], goal, _correlation(turned[:, length:], goal))
    return np.concatenate((first, second), axis=1).astype(np.float32)


class Continued:
    """A sound that goes on beyond its end."""

    def __init__(self, sound: Laid, more: Patch) -> None:
        self.channels, self.first, self.last = sound.channels, sound.first, more.last
        self.changed = more.first
        """From this frame on it is not the sound itself."""
        self._sound, self._more = sound, more

    @classmethod
    def of(cls, sound: Laid, end: int, frames: int, rate: int) -> Continued:
        """`sound`, gone on with from `end` by what it did a few hundredths of a second before, where that is most
        alike (W. Verhelst and M. Roelands, "WSOLA", ICASSP 1993)."""
        have = end - sound.first
        overlap = max(1, min(round(OVERLAP_S * rate), have // 3))
        longest = max(overlap, min(round(REACH_S * rate), have - overlap))
        past = sound.read(end - longest - overlap, end).astype(np.float64)
        last = past[:, -overlap:]
        lags = np.arange(overlap, longest + 1)
        alike = [_correlation(past[:, longest - lag : longest - lag + overlap], last) for lag in lags.tolist()]
        lag = int(lags[int(np.argmax(alike))])
        head = crossfaded(last, past[:, longest - lag : longest - lag + overlap], max(alike))
        turn = np.concatenate((past[:, -lag:-overlap], head), axis=1)  # leads on into itself
        again = np.tile(turn, (1, -(-frames // lag)))[:, :frames]
        more = np.concatenate((head, again), axis=1).astype(np.float32)
        return cls(sound, Patch(more, end - overlap))

    def read(self, start: int, stop: int) -> Audio:
        """As of any laid sound, but the caller's own."""
        middle = min(max(self.changed, start), stop)
        return np.concatenate((self._sound.read(start, middle), self._more.read(middle, stop)), axis=1)
