"""Which beat is the first of a bar: all bars of the sound are laid over one another, for every bar line there could be.

Each possible bar line gets evidence from accents in the bass, changes of harmony, backbeats, where the sound begins and
where it ends; a logistic choice between them gives the probability of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import BarShape
from studio.align.hear.features import CHROMA_PER_SECOND, PER_SECOND, Features
from studio.align.hear.onsets import sound_span
from studio.align.hear.track import Path, normalised
from studio.align.values import BeatMap, Floats, Onsets

EVIDENCE = (
    "low", "rise", "harmony", "back", "strong_low", "strong_harmony", "on_beat", "begins", "pickup", "ends", "pointer",
)  # fmt: skip
WEIGHTS = (1.2, 0.5, 1.5, 0.6, 0.3, 0.3, 1.5, 2.5, -0.5, 0.5, 1.0)
"""Learned from the benchmark's tuning set; see `EVIDENCE` for their order."""
_NEAR_S = 0.03


@dataclass(frozen=True)
class Downbeat:
    """The bar line chosen."""

    offset: float
    """Units from the first unit of the path to a bar line."""
    probability: float
    offsets: Floats
    evidence: Floats
    """(candidates, len(EVIDENCE)): for learning the weights."""


def find_downbeat(path: Path, heard: Features, onsets: Onsets, shape: BarShape) -> Downbeat:
    """The most likely bar line, in units from `path.seconds[0]`."""
    numbers = np.arange(len(path.seconds), dtype=np.float64)
    course = BeatMap(path.seconds, numbers)
    halves = np.arange(0, shape.units, 0.5)
    evidence = np.array([_evidence(offset, course, path, heard, onsets, shape) for offset in halves])
    votes = evidence @ np.array(WEIGHTS)
    likely = np.exp(votes - votes.max())
    likely /= likely.sum()
    best = int(likely.argmax())
    return Downbeat(float(halves[best]), float(likely[best]), halves, evidence)


def _evidence(
    offset: float, course: BeatMap, path: Path, heard: Features, onsets: Onsets, shape: BarShape
) -> list[float]:
    begin, end = sound_span(heard)
    last = float(course.beats_at(end))
    lines = np.arange(offset, last - 0.25, shape.units)
    lines = lines[(lines >= float(course.beats_at(begin)) - 0.5)]
    units = np.arange(offset % 1.0, last, 1.0)
    offbeats = units + 0.5
    starts = np.array(shape.starts, np.float64)
    backs = _folded(offset, starts[1::2], shape.units, last) if len(starts) % 2 == 0 else lines + 1
    middle = _folded(offset, np.array([shape.units / 2]), shape.units, last) if shape.units % 2 == 0 else lines
    low, rise = normalised(heard.low), normalised(heard.rise)
    bright = normalised(heard.mid) + normalised(heard.high)
    first = _first_attack(onsets)
    at = float(course.beats_at(first)) - offset
    into = at - np.rint(at / shape.units) * shape.units  # units after (or before) the nearest bar line
    left = (last - offset) / shape.units
    pointer = np.mean((path.units - np.rint(np.arange(len(path.units)) - offset)) % shape.units == 0)
    return [
        _mean(low, lines, course) - _mean(low, units, course),
        _mean(rise, lines, course) - _mean(rise, units, course),
        _changes(heard, lines, course) - _changes(heard, units, course),
        _mean(bright, backs, course) - _mean(bright, units, course),
        _mean(low, middle, course) - _mean(low, units, course),
        _changes(heard, middle, course) - _changes(heard, units, course),
        _mean(rise, units, course) - _mean(rise, offbeats, course),
        float(np.exp(-0.5 * (into / 0.12) ** 2)),
        float(min(max(-into, 0.0), 2.0) + 2.0 * max(into - 0.12, 0.0)),
        float(np.exp(-0.5 * ((left - np.rint(left)) * shape.units / 0.5) ** 2)),
        float(pointer if offset % 1.0 == 0.0 else 0.0),
    ]


def _first_attack(onsets: Onsets) -> float:
    heard = np.flatnonzero(onsets.strength > 0.2)
    return float(onsets.seconds[heard[0]]) if len(heard) else 0.0


def _folded(offset: float, inside: Floats, units: int, last: float) -> Floats:
    """Places inside every bar, in units."""
    bars = np.arange(offset - units, last, units)
    places = (bars[:, None] + inside).ravel()
    return places[(places >= 0) & (places < last)]


def _mean(values: NDArray[np.float32], places: Floats, course: BeatMap) -> float:
    """The mean of the largest values near places."""
    if not len(places):
        return 0.0
    reach = round(_NEAR_S * PER_SECOND)
    centres = np.rint(course.seconds_at(places) * PER_SECOND).astype(np.intp)
    near = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(values) - 1)
    inside = (centres >= 0) & (centres < len(values))
    return float(values[near].max(axis=1)[inside].mean()) if inside.any() else 0.0


def _changes(heard: Features, places: Floats, course: BeatMap) -> float:
    """The mean change of harmony at places: 0 none, 1 nothing in common."""
    if not len(places):
        return 0.0
    changes = []
    for place in places.tolist():
        before = _chroma(heard, course, place - 1.0, place)
        after = _chroma(heard, course, place, place + 1.0)
        size = float(np.linalg.norm(before) * np.linalg.norm(after))
        if size > 1e-12:
            changes.append(1.0 - float(before @ after) / size)
    return float(np.mean(changes)) if changes else 0.0


def _chroma(heard: Features, course: BeatMap, start: float, end: float) -> NDArray[np.float32]:
    first, last = (course.seconds_at([start, end]) * CHROMA_PER_SECOND).tolist()
    low = min(max(int(np.ceil(first)), 0), len(heard.chroma) - 1)
    return np.asarray(heard.chroma[low : max(low + 1, int(last))].sum(axis=0))
