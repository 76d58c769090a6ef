"""Which beat is the first of a bar: all bars of the sound are laid over one another, for every bar line there could be.

Each possible bar line gets evidence from what the network says of places in the bar, from where the sound begins and
from how many bars it then has; a logistic choice between them gives the probability of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.align.hear.bars import BarShape
from studio.align.hear.features import Features
from studio.align.hear.onsets import has_attacks
from studio.align.hear.phases import PLACES
from studio.align.hear.spectra import PER_SECOND
from studio.align.hear.track import Path
from studio.align.rows import blocks
from studio.align.values import BeatMap, Floats, Onsets

EVIDENCE = ("likely", "begins", "pickup", "count", "full")
WEIGHTS = (0.86, 3.83, -0.63, 2.11, 1.49)
"""Learned from the benchmark's tuning set, in the order of `EVIDENCE`."""
_COUNT = EVIDENCE.index("count")
_FAINT_DB, _SURELY_DB, _ABOVE_NOISE_DB = -45.0, -25.0, 10.0
"""Levels against the loudest moment at which music can and must have begun, and how far above the noise."""
_AT_ONCE_S = 0.05


@dataclass(frozen=True)
class Downbeat:
    """The bar line chosen."""

    offset: float
    """Units from the beginning of the course's count to a bar line."""
    probability: float
    votes: float
    """The evidence for it, weighed."""
    count: bool
    """Whether the sound then has as many bars as were asked for, or half or twice as many."""
    offsets: Floats
    evidence: Floats
    """(candidates, len(EVIDENCE)): for learning the weights."""


def find_downbeat(
    course: BeatMap, path: Path, heard: Features, onsets: Onsets, shape: BarShape, bars: int, *, at: int | None = None
) -> Downbeat:
    """The most likely bar line, or the one `at` a unit and what speaks for it. `course` counts units from the first of
    `path` on; `bars` were asked for."""
    divisions = shape.divisions if has_attacks(onsets) else min(2, shape.divisions)
    offsets = np.arange(shape.units * divisions) / divisions
    likely = _likely(course, path, shape, offsets)
    rows = [
        [nats, *_beginning(at, course, heard, onsets, shape), *_length(at, course, onsets, shape, bars)]
        for at, nats in zip(offsets, likely, strict=True)
    ]
    evidence = np.array(rows)
    votes = evidence @ np.array(WEIGHTS)
    likely = np.exp(votes - votes.max())
    likely /= likely.sum()
    best = int(likely.argmax()) if at is None else at % shape.units * divisions
    return Downbeat(
        float(offsets[best]), float(likely[best]), float(votes[best]), bool(evidence[best, _COUNT]), offsets, evidence
    )


def _length(offset: float, course: BeatMap, onsets: Onsets, shape: BarShape, bars: int) -> list[float]:
    """Whether the sound then has as many bars as were asked for (or half, or twice as many), and how full its last
    bar is. Nothing where no onsets tell."""
    if not len(onsets):
        return [0.0, 0.0]
    length = (float(course.beats_at(last_attack(onsets))) - offset) / shape.units + 0.02
    lines = np.floor((float(course.beats_at(onsets.seconds[0])) - offset) / shape.units + 0.5)
    count = int(np.ceil(length - lines))
    return [float(count in (bars, 2 * bars, bars / 2)), float(length - np.floor(length))]


def _likely(course: BeatMap, path: Path, shape: BarShape, offsets: Floats) -> Floats:
    """The mean nats over chance that frames have for their places in the bar, by where the bar begins."""
    total, count = np.zeros(len(offsets)), 0
    for start, likely in blocks(path.likely):
        seconds = (start + np.arange(len(likely))) / path.per_second
        inside = np.flatnonzero((seconds >= course.seconds[0]) & (seconds <= course.seconds[-1]))
        at = (course.beats_at(seconds[inside])[:, None] - offsets) / shape.units % 1.0 * PLACES
        low = np.floor(at).astype(np.intp) % PLACES
        share = at - np.floor(at)
        rows = inside[:, None]
        nats = (1.0 - share) * likely[rows, low] + share * likely[rows, (low + 1) % PLACES]
        total, count = total + nats.sum(axis=0), count + len(inside)
    return total / max(count, 1)


def _beginning(offset: float, course: BeatMap, heard: Features, onsets: Onsets, shape: BarShape) -> list[float]:
    """Whether the sound begins with a bar; else how long before one, in quarter notes."""
    first = beginning(heard, onsets)
    at = float(course.beats_at(first)) - offset
    into = at - np.rint(at / shape.units) * shape.units  # units after (or before) the nearest bar line
    begins = float(np.exp(-0.5 * (into / 0.12) ** 2))
    quarters = float(shape.unit)
    return [
        begins,
        float(min(max(-into, 0.0), 2.0)) * quarters,
    ]


def beginning(heard: Features, onsets: Onsets) -> float:
    """The second at which the music begins: where the level leaves that of a noise floor, and the onset there."""
    quiet = float(np.percentile(heard.level, 1.0))
    loud = np.flatnonzero(heard.level > max(_FAINT_DB, min(quiet + _ABOVE_NOISE_DB, _SURELY_DB)))
    begin = float(loud[0]) / PER_SECOND if len(loud) else 0.0
    near = np.flatnonzero(np.abs(onsets.seconds - begin) < _AT_ONCE_S)
    if not len(near):
        return begin
    return float(onsets.seconds[near[np.argmax(onsets.strength[near])]])


def last_attack(onsets: Onsets) -> float:
    """The second of the last onset that is more than a stir in what rings."""
    clear = onsets.seconds[onsets.strength > 0.15]
    return float(clear[-1] if len(clear) else onsets.seconds[-1])
