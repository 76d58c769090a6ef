"""Step patterns on the bars of any meter.

A pattern is written beat by beat for a 4/4 bar. On another meter each *felt* beat of the bar takes one of the
pattern's beats: a bar of 3/4 takes the first, second and fourth (so that the backbeat stays), 6/8 has two felt beats,
7/8 three of which the last is longer. A longer felt beat is filled with the second half of its pattern once more; a
triplet pattern on a dotted beat is stretched over it instead, which is what a shuffle is in 12/8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from models.api import PPQ, StemRequest

# Which beats of a four-beat pattern serve a bar of n felt beats.
_BEATS = {1: (0,), 2: (0, 1), 3: (0, 1, 3), 4: (0, 1, 2, 3), 5: (0, 1, 2, 3, 1), 6: (0, 1, 2, 3, 2, 3),
          7: (0, 1, 2, 3, 0, 1, 3)}  # fmt: skip


class Step(NamedTuple):
    """A character of a pattern: where it stands in its bar and how long the step is, in beats."""

    start: Fraction
    length: Fraction
    mark: str


@dataclass(frozen=True)
class Bar:
    """A bar of a cell: its index from 0 and its start in beats from the cell's start."""

    index: int
    start: Fraction
    beats: Fraction


def to_tick(beats: Fraction | float) -> int:
    """The nearest tick of the PPQ grid to a position; halves go up."""
    above, below = beats.as_integer_ratio()  # a fifth of the time that arithmetic of fractions takes
    return (2 * PPQ * above + below) // (2 * below)


@lru_cache(maxsize=1 << 16)
def of_tick(tick: int) -> Fraction:
    """The position of a tick in beats."""
    return Fraction(tick, PPQ)


def on_tick(beats: Fraction | float) -> Fraction:
    """A position moved to the nearest tick of the PPQ grid; halves go up."""
    return of_tick(to_tick(beats))


def bars(request: StemRequest) -> list[Bar]:
    """The full bars of a cell; a pickup lies before the first."""
    length = Fraction(4 * request.meter[0], request.meter[1])
    return [Bar(k, request.pickup + k * length, length) for k in range(request.place.bars)]


def fit(pattern: str, steps: int, felt: tuple[Fraction, ...], bar_index: int = 0) -> tuple[Step, ...]:
    """The steps of the pattern's bar for bar `bar_index`, laid on a bar with these felt beats."""
    texts = pattern.split("|")
    return _laid(texts[bar_index % len(texts)], steps, felt)


@lru_cache(maxsize=1024)  # a song lays the same few bars again and again
def _laid(text: str, steps: int, felt: tuple[Fraction, ...]) -> tuple[Step, ...]:
    beats = [text[k : k + steps] for k in range(0, len(text), steps)]
    if len(beats) == sum(felt) and len(beats) != len(felt):
        return _straight(text, steps)  # written for this very meter, quarter by quarter
    result: list[Step] = []
    start = Fraction(0)
    for index, length in zip(_chosen(len(beats), len(felt)), felt, strict=True):
        result.extend(Step(start + at, size, mark) for at, size, mark in _one_beat(beats[index], steps, length))
        start += length
    return tuple(result)


def _straight(text: str, steps: int) -> tuple[Step, ...]:
    return tuple(Step(Fraction(k, steps), Fraction(1, steps), mark) for k, mark in enumerate(text))


def _chosen(written: int, wanted: int) -> list[int]:
    if written == wanted:
        return list(range(wanted))
    if written != 4:
        return [k % written for k in range(wanted)]
    groups, rest = divmod(wanted, 4)
    if wanted in _BEATS:
        return list(_BEATS[wanted])
    return [0, 1, 2, 3] * groups + (list(_BEATS[rest]) if rest else [])


def _one_beat(text: str, steps: int, length: Fraction) -> Iterator[tuple[Fraction, Fraction, str]]:
    if length > 1 and steps % 3 == 0:
        size = length / steps
        yield from ((k * size, size, mark) for k, mark in enumerate(text))
        return
    size = Fraction(1, steps)
    count = -(-length.numerator * steps // length.denominator)  # steps that begin inside the felt beat
    for k in range(count):
        start = k * size
        mark = text[k] if k < steps else _extension(text, k - steps)
        yield start, min(size, length - start), mark


def _extension(text: str, k: int) -> str:
    if len(text) == 1:
        return "-" if text != "." else "."
    half = text[len(text) // 2 :]
    return half[k % len(half)]


def strong(request: StemRequest) -> set[Fraction]:
    """Where the felt beats of a bar begin, in beats from its bar line."""
    starts, at = set[Fraction](), Fraction(0)
    for length in request.felt:
        starts.add(at)
        at += length
    return starts
