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
_ODDITY = {1: 6.0, 2: 1.5, 4: 0.0, 8: 0.0, 16: 0.0, 32: 1.0, 12: 0.8, 24: 1.0, 6: 1.5, 20: 1.5, 28: 2.0}


def fit(parts: Sequence[Part], target: Fraction, meter: Meter, free: bool, kept: frozenset[str]) -> tuple[Part, ...]:
    """The form with about `target` beats. `free`: sections may come and go, except the kinds in `kept`.

    A section that is `fixed` keeps its bars. Where the form cannot reach the target, the nearest is returned.
    """
    bar = meter.bar_beats
    return min(
        (_bend(candidate, target, bar) for candidate in _candidates(tuple(parts), target, bar, free, kept)),
        key=lambda found: (_cost(found, target, bar) + 0.5 * abs(len(found) - len(parts)), len(found)),
    )


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
            if smaller and smaller != shrunk:
                shrunk = smaller
                yield shrunk
    choruses = tuple(part for part in current if part.kind == "chorus")
    if choruses and not (kept - {"chorus"}):
        yield choruses[-1:]


def _bend(parts: tuple[Part, ...], target: Fraction, bar: Fraction) -> tuple[Part, ...]:
    """Change bar numbers, a whole kind or one section at a time, while that brings the cost down."""
    starts = [parts, *(_scaled(parts, factor) for factor in (Fraction(1, 4), Fraction(1, 2), Fraction(2), Fraction(4)))]
    found = [_descend(start, target, bar) for start in starts]
    return min(found, key=lambda bent: _cost_from(bent, parts, target, bar))


def _scaled(parts: tuple[Part, ...], factor: Fraction) -> tuple[Part, ...]:
    return tuple(
        part if part.fixed else replace(part, bars=min(_LONGEST_FITTED, max(2, int(part.bars * factor))))
        for part in parts
    )


def _descend(parts: tuple[Part, ...], target: Fraction, bar: Fraction) -> tuple[Part, ...]:
    cost = _cost(parts, target, bar)
    for _ in range(200):
        better = min(_neighbours(parts), key=lambda near: _cost(near, target, bar), default=parts)
        lower = _cost(better, target, bar)
        if lower >= cost:
            break
        parts, cost = better, lower
    return parts


def _neighbours(parts: tuple[Part, ...]) -> Iterable[tuple[Part, ...]]:
    kinds = dict.fromkeys(part.kind for part in parts if not part.fixed)
    alone = len(parts) == 1
    for step in (-8, -4, -2, 2, 4, 8, *((-1, 1) if alone else ())):
        for kind in kinds:
            places = [index for index, part in enumerate(parts) if part.kind == kind and not part.fixed]
            for chosen in dict.fromkeys((tuple(places), (places[-1],))):
                changed = list(parts)
                for index in chosen:
                    changed[index] = replace(parts[index], bars=parts[index].bars + step)
                least = 1 if alone else 2
                if all(least <= changed[index].bars <= _LONGEST_FITTED for index in chosen):
                    yield tuple(changed)


def _cost(parts: tuple[Part, ...], target: Fraction, bar: Fraction) -> float:
    # Bars of n/2, n/4, n/8 and n/16 are binary fractions of a beat: floats count them exactly, and fast.
    whole = float(bar)
    beats = sum(part.bars * (float(part.meter.bar_beats) if part.meter else whole) for part in parts)
    off = abs(beats - float(target)) / whole
    if sum(part.bars for part in parts) > MOST_SONG_BARS:
        return math.inf
    odd = sum(_ODDITY.get(part.bars, 3.0) + _ill_proportioned(part) for part in parts if not part.fixed)
    lengths: dict[str, set[int]] = {}
    for part in parts:
        lengths.setdefault(part.kind, set()).add(part.bars)
    uneven = sum(len(found) - 1 for found in lengths.values())
    return 2 * off + (100 * (off - TOLERANCE) if off > TOLERANCE else 0) + odd + 2.0 * uneven


def _ill_proportioned(part: Part) -> float:
    """A verse or chorus of less than 8 bars is short; what opens, links and ends is no longer than that."""
    if part.kind in ("verse", "chorus"):
        return 2.0 if part.bars < 8 else 0.0
    return 1.0 if part.bars > 8 and part.kind != "bridge" else 0.0


def _cost_from(parts: tuple[Part, ...], home: tuple[Part, ...], target: Fraction, bar: Fraction) -> float:
    changed = sum(abs(math.log2(part.bars / before.bars)) for part, before in zip(parts, home, strict=True))
    return _cost(parts, target, bar) + 0.5 * changed
