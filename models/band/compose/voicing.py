"""Voice leading: of all ways to lay out a chord, the one that moves least and breaks no rule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, pairwise

from models.api import Harmony

Voicing = tuple[int, ...]
"""Pitches from the lowest up."""

FARTHEST = 4
"""Semitones. Voices that all move the same way by more than this make a parallel leap."""


def tones(chord: Harmony, kind: str, voices: int) -> list[tuple[int, ...]]:
    """The sets of pitch classes (with doublings) that a style's voicing may use, best first."""
    classes = list(dict.fromkeys(chord.pitch_classes))
    root, steps = chord.root, {pc: (pc - chord.root) % 12 for pc in classes}
    third = [pc for pc in classes if steps[pc] in (2, 3, 4, 5)]
    fifth = [pc for pc in classes if steps[pc] in (6, 7, 8)]
    seventh = [pc for pc in classes if steps[pc] in (9, 10, 11)]
    if kind == "power":
        five = fifth[0] if fifth else (root + 7) % 12
        pairs: list[tuple[int, ...]] = [(root, five), (five, root)]
        return pairs if voices == 2 else [(root, five, root), (five, root, five), *pairs]
    if kind == "shell" and seventh and third:
        return [tuple([root, third[0], seventh[0], *classes[4:]][:voices])]
    if kind == "rootless" and len(classes) > 3:
        upper = [pc for pc in classes if pc != root]
        return [tuple(upper[-voices:])] if len(upper) >= voices else [(*upper, root)[:voices]]
    if len(classes) >= voices:
        essential = [*third[:1], *seventh[:1], root]
        others = [pc for pc in reversed(classes) if pc not in essential]
        chosen = [*essential, *others][:voices] if len(classes) > voices else classes
        return [tuple(chosen)]
    double = [root, *fifth[:1], *third[:1]]
    return [(*classes, extra) for extra in double[: 1 if len(classes) + 1 < voices else 3]]


@lru_cache(maxsize=4096)
def layouts(classes: tuple[int, ...], kind: str, voices: int, low: int, high: int) -> tuple[Voicing, ...]:
    """Every layout of these pitch classes in low..high that keeps the style's spacing."""
    doubled = list(classes)
    while len(doubled) < voices and kind != "power":
        doubled.append(classes[len(doubled) % len(classes)])
    count = len(doubled)
    pitches = [p for p in range(low, high + 1) if p % 12 in set(classes)]
    wanted = sorted(doubled)
    found: list[Voicing] = []
    for start in range(len(pitches)):
        window = [p for p in pitches[start + 1 :] if p - pitches[start] <= _span(kind, count)]
        for rest in combinations(window, count - 1):
            voicing = (pitches[start], *rest)
            if sorted(p % 12 for p in voicing) == wanted and _spaced(voicing, kind):
                found.append(voicing)
    return tuple(found)


def _span(kind: str, count: int) -> int:
    return {"close": 14, "power": 12, "cluster": 12, "rootless": 15, "shell": 17, "drop2": 19, "open": 24}[kind] + (
        5 if count > 4 else 0
    )


def _spaced(voicing: Voicing, kind: str) -> bool:
    gaps = [b - a for a, b in pairwise(voicing)]
    if voicing[0] < 48 and gaps and gaps[0] < (3 if voicing[0] >= 43 else 5):
        return False  # thirds turn to mud below about C3, seconds well before
    if kind != "cluster" and ((min(gaps) < 2 and gaps[0] < 2) or gaps.count(1) > 1):
        return False
    if kind in ("open", "drop2"):
        return max(gaps) >= 5 and max(gaps) <= 12
    return max(gaps) <= 12


def lead(previous: Voicing | None, chord: Harmony, kind: str, voices: int, low: int, high: int) -> Voicing:
    """The layout of `chord` that follows `previous` best. Without one, the layout nearest to the range's middle."""
    centre = low + (high - low) * 0.45
    best: tuple[float, Voicing] | None = None
    for candidate in _candidates(chord, kind, voices, low, high):
        cost = 0.35 * abs(sum(candidate) / len(candidate) - centre)
        if previous is not None:
            cost += _cost(previous, candidate)
        if kind == "power":
            cost += (5.0 if candidate[0] % 12 != chord.root else 0.0) + 8.0 * (voices - len(candidate))
        if best is None or (cost, candidate) < best:
            best = (cost, candidate)
    if best is None:  # the style's spacing cannot be had in its range: the plain close position can
        return lead(previous, chord, "close", min(voices, len(set(chord.pitch_classes))), low, high)
    return best[1]


def _candidates(chord: Harmony, kind: str, voices: int, low: int, high: int) -> list[Voicing]:
    found: list[Voicing] = []
    for classes in tones(chord, kind, voices):
        found += layouts(tuple(classes), kind, voices, low, high)
    if not found and kind != "close":
        for classes in tones(chord, "close", voices):
            found += layouts(tuple(classes), "close", voices, low, high)
    return found


def _cost(before: Voicing, after: Voicing) -> float:
    moves = motion(before, after)
    cost = float(sum(abs(move) for move in moves)) / len(moves) * 2 + 0.6 * abs(after[-1] - before[-1])
    cost += sum(max(0, abs(move) - 5) for move in moves) * 2.0
    if is_parallel_leap(before, after):
        cost += 40
    elif len(before) == len(after) > 3 and is_parallel_leap(before[1:], after[1:]):
        cost += 20  # the upper voices are often played without the lowest
    return cost


def motion(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """How each voice moves, from the lowest up; where the numbers differ, each new voice from its nearest old one."""
    if len(before) == len(after):
        return [b - a for a, b in zip(sorted(before), sorted(after), strict=True)]
    return [new - min(before, key=lambda old: (abs(old - new), old)) for new in sorted(after)]


def is_parallel_leap(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether every voice leaps the same way by more than a major third."""
    moves = motion(before, after)
    return all(move > FARTHEST for move in moves) or all(move < -FARTHEST for move in moves)
