"""Length: bends a form to a number of bars while it stays a form that a musician would write.

The search is a descent on a cost: bars off the target weigh most, then bar numbers that phrases do not come in, then
distance from the form that was there before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from studio.plan.form import Part, cycle
from studio.song import Meter
from studio.song.values import MOST_SECTIONS, MOST_SONG_BARS

TOLERANCE = 4
"""Bars that a fitted song may be off."""
_DROPS = (("postchorus",), ("break",), ("bridge",), ("prechorus",), ("outro",), ("intro",), ("verse",))
_LONGEST_FITTED = 32
# A phrase comes in 2, 4, 8, 16 bars; 12 and 24 are the next best.
_ODDITY = {1: 6.0, 2: 1.5, 4: 0.0, 8: 0.0, 16: 0.0, 32: 1.0, 12: 1.0, 24: 1.5, 6: 1.5, 20: 3.0, 28: 3.0}


def fit(parts: Sequence[Part], target: Fraction, meter: Meter, free: bool, kept: frozenset[str]) -> tuple[Part, ...]:
    """The form with about `target` beats. `free`: sections may come and go, except the kinds in `kept`.

    A section that is `fixed` keeps its bars. Where the form cannot reach the target, the nearest is returned.
    """
    bar = meter.bar_beats
    best, lowest = tuple(parts), math.inf
    for candidate in dict.fromkeys(_candidates(tuple(parts), target, bar, free, kept)):
        bent = _bend(candidate, target, bar)
        shape = _Shape(bent, target, bar)
        cost = shape.cost(tuple(part.bars for part in bent)) + 0.5 * abs(len(bent) - len(parts))
        if cost < lowest:
            best, lowest = bent, cost
    return best


def fit_exactly(parts: Sequence[Part], bars: int) -> tuple[Part, ...]:
    """The form with exactly so many bars, if a section that is not fixed can take what is over."""
    rest = bars - sum(part.bars for part in parts)
    result = list(parts)
    order = sorted(range(len(parts)), key=lambda i: ("outro", "break", "intro", "bridge").index(parts[i].kind)
                   if parts[i].kind in ("outro", "break", "intro", "bridge") else 4)  # fmt: skip
    for index in order:
        part = result[index]
        if rest and not part.fixed and part.bars + rest >= 1:
            result[index] = replace(part, bars=part.bars + rest)
            rest = 0
    return tuple(result)


def beats_of(parts: Iterable[Part], bar: Fraction) -> Fraction:
    """The length of a form in beats, `bar` being the song's bar."""
    return sum((part.bars * (part.meter.bar_beats if part.meter else bar) for part in parts), Fraction(0))


def _candidates(
    parts: tuple[Part, ...], target: Fraction, bar: Fraction, free: bool, kept: frozenset[str]
) -> Iterable[tuple[Part, ...]]:
    yield parts
    if not free:
        return
    yield from _shorter(parts, kept)
    found = cycle(parts)
    if found is None:
        return
    start, end = found
    unit = parts[start:end]
    for scale in (1, 2):
        missing = (target - scale * beats_of(parts, bar)) / (scale * beats_of(unit, bar))
        for times in {max(0, math.floor(missing)), max(0, math.ceil(missing))} - {0}:
            if "verse" in kept or len(parts) + times * len(unit) > MOST_SECTIONS:
                continue
            yield parts[:end] + unit * times + parts[end:]


def _shorter(parts: tuple[Part, ...], kept: frozenset[str]) -> Iterable[tuple[Part, ...]]:
    """Ever less: first the second cycle of verse and chorus, then the kinds that a song can do without."""
    current = parts
    while len([part for part in current if part.kind == "verse"]) > 1 and not kept & {"verse", "chorus"}:
        found = cycle(current)
        if found is None:
            break
        current = current[: found[0]] + current[found[1] :]
        yield current
    for base in dict.fromkeys((parts, current)):
        shrunk = base
        for kinds in _DROPS:
            smaller = tuple(part for part in shrunk if part.kind not in kinds or part.kind in kept)
            if "chorus" not in kept:
                smaller = _without_echo(smaller)
            if smaller and smaller != shrunk:
                shrunk = smaller
                yield shrunk
    choruses = tuple(part for part in current if part.kind == "chorus")
    if choruses and not (kept - {"chorus"}):
        yield choruses[-1:]


def _without_echo(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Choruses that came to stand side by side, because what parted them is gone, become one."""
    return tuple(
        part for index, part in enumerate(parts) if not (index and part.kind == parts[index - 1].kind == "chorus")
    )


def _bend(parts: tuple[Part, ...], target: Fraction, bar: Fraction) -> tuple[Part, ...]:
    """Change bar numbers, a whole kind or one section at a time, while that brings the cost down."""
    shape = _Shape(parts, target, bar)
    home = tuple(part.bars for part in parts)
    found = [shape.descend(shape.scaled(factor)) for factor in (1.0, 0.25, 0.5, 2.0, 4.0)]
    bent = min(found, key=lambda bars: shape.cost(bars) + 0.5 * _change(bars, home))
    return tuple(replace(part, bars=bars) for part, bars in zip(parts, bent, strict=True))


def _change(bars: tuple[int, ...], home: tuple[int, ...]) -> float:
    return sum(abs(math.log2(new / old)) for new, old in zip(bars, home, strict=True))


class _Shape:
    """A form whose bar numbers are still open: what each choice of them costs, and which lie next to it.

    Bars of n/2, n/4, n/8 and n/16 are binary fractions of a beat, so that floats count them exactly, and fast.
    """

    def __init__(self, parts: tuple[Part, ...], target: Fraction, bar: Fraction) -> None:
        self._parts = parts
        self._bar, self._target = float(bar), float(target)
        self._weights = [float(part.meter.bar_beats) if part.meter else self._bar for part in parts]
        self._free = [not part.fixed for part in parts]
        self._oddness = [
            _Oddness(part.kind) if free else _Nothing() for part, free in zip(parts, self._free, strict=True)
        ]
        self._places: dict[str, list[int]] = {}
        for index, part in enumerate(parts):
            self._places.setdefault(part.kind, []).append(index)
        self._repeated = [places for places in self._places.values() if len(places) > 1]
        self._costs: dict[tuple[int, ...], float] = {}

    def scaled(self, factor: float) -> tuple[int, ...]:
        return tuple(
            min(_LONGEST_FITTED, max(2, int(part.bars * factor))) if free and factor != 1 else part.bars
            for part, free in zip(self._parts, self._free, strict=True)
        )

    def descend(self, bars: tuple[int, ...]) -> tuple[int, ...]:
        cost = self.cost(bars)
        for _ in range(200):
            better = min(self._neighbours(bars), key=self.cost, default=bars)
            lower = self.cost(better)
            if lower >= cost:
                break
            bars, cost = better, lower
        return bars

    def cost(self, bars: tuple[int, ...]) -> float:
        known = self._costs.get(bars)
        if known is None:
            known = self._costs[bars] = self._cost(bars)
        return known

    def _cost(self, bars: tuple[int, ...]) -> float:
        if sum(bars) > MOST_SONG_BARS:
            return math.inf
        beats = odd = 0.0
        for count, weight, oddness in zip(bars, self._weights, self._oddness, strict=True):
            beats += count * weight
            odd += oddness[count]
        off = abs(beats - self._target) / self._bar
        uneven = sum(len({bars[index] for index in places}) - 1 for places in self._repeated)
        return 0.7 * off + (100 * (off - TOLERANCE) if off > TOLERANCE else 0) + odd + 2.0 * uneven

    def _neighbours(self, bars: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
        alone = len(bars) == 1
        least = 1 if alone else 2
        for places in self._places.values():
            open_places = [index for index in places if self._free[index]]
            if not open_places:
                continue
            for chosen in dict.fromkeys((tuple(open_places), (open_places[-1],))):
                for step in (-8, -4, -2, 2, 4, 8, *((-1, 1) if alone else ())):
                    changed = list(bars)
                    for index in chosen:
                        changed[index] += step
                    if all(least <= changed[index] <= _LONGEST_FITTED for index in chosen):
                        yield tuple(changed)


class _Oddness(dict[int, float]):
    """How odd it is for a kind of section to have so many bars."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, bars: int) -> float:
        self[bars] = _ODDITY.get(bars, 3.0) + _disproportion(self._kind, bars)
        return self[bars]


class _Nothing(dict[int, float]):
    """A section that is fixed is not judged."""

    def __missing__(self, bars: int) -> float:
        return 0.0


def _disproportion(kind: str, bars: int) -> float:
    """A verse or chorus of less than 8 bars is short; what opens, links and ends is no longer than that."""
    if kind in ("verse", "chorus"):
        return 2.0 if bars < 8 else 0.0 if bars <= 16 else 1.5
    usual = 16 if kind == "bridge" else 8
    return 0.0 if bars <= usual else 1.0 if bars <= 16 else 4.0
