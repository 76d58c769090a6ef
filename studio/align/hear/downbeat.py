"""Which beat is the first of a bar: all bars of the sound are laid over one another, for every bar line there could be.

Each possible bar line gets evidence from accents in the bass, changes of harmony, backbeats, where the sound begins and
where it ends; a logistic choice between them gives the probability of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import BINS, BarShape
from studio.align.hear.features import PER_SECOND, PITCHES_PER_SECOND, Features
from studio.align.hear.onsets import has_attacks, sound_span
from studio.align.hear.templates import CHANNELS, template
from studio.align.hear.track import Path, channel, normalised
from studio.align.values import BeatMap, Floats, Onsets

EVIDENCE = (
    "fits", "low", "rise", "harmony", "back", "strong_low", "strong_harmony", "on_beat", "begins", "at_once", "pickup",
    "rest", "ends", "pointer", "count", "full",
)  # fmt: skip
WEIGHTS = (0.6, 1.4, 1.0, 5.3, 0.4, 0.65, -0.25, 0.85, 4.1, 0.7, 0.0, 0.5, 2.4, 0.4, 1.95, 2.3)
"""Learned from the benchmark's tuning set, in the order of `EVIDENCE`."""
_COUNT = EVIDENCE.index("count")
_NEAR_S = 0.03
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


def find_downbeat(course: BeatMap, path: Path, heard: Features, onsets: Onsets, shape: BarShape, bars: int) -> Downbeat:
    """The most likely bar line. `course` counts units from the first of `path` on; `bars` were asked for."""
    divisions = shape.divisions if has_attacks(onsets) else min(2, shape.divisions)
    offsets = np.arange(shape.units * divisions) / divisions
    fits = _fits(course, heard, shape, path.swing, divisions)
    rows = [
        [fit, *_evidence(at, course, path, heard, onsets, shape), *_length(at, course, onsets, shape, bars)]
        for at, fit in zip(offsets, fits, strict=True)
    ]
    evidence = np.array(rows)
    votes = evidence @ np.array(WEIGHTS)
    likely = np.exp(votes - votes.max())
    likely /= likely.sum()
    best = int(likely.argmax())
    return Downbeat(
        float(offsets[best]), float(likely[best]), float(votes[best]), bool(evidence[best, _COUNT]), offsets, evidence
    )


def _length(offset: float, course: BeatMap, onsets: Onsets, shape: BarShape, bars: int) -> list[float]:
    """Whether the sound then has as many bars as were asked for (or half, or twice as many), and how full its last
    bar is."""
    length = (float(course.beats_at(last_attack(onsets))) - offset) / shape.units + 0.02
    lines = np.floor((float(course.beats_at(onsets.seconds[0])) - offset) / shape.units + 0.5)
    count = int(np.ceil(length - lines))
    return [float(count in (bars, 2 * bars, bars / 2)), float(length - np.floor(length))]


def _fits(course: BeatMap, heard: Features, shape: BarShape, swing: float, divisions: int) -> Floats:
    """How well the whole sound, laid over one bar, fits the bar's template from each place on: nats in 0.1 s."""
    places = shape.units * BINS
    seconds = np.arange(len(heard.rise)) / PER_SECOND
    inside = (seconds >= course.seconds[0]) & (seconds <= course.seconds[-1])
    bins = np.rint(course.beats_at(seconds[inside]) * BINS).astype(np.intp) % places
    nats = template(shape, swing)
    result = np.zeros(shape.units * divisions)
    for number, name in enumerate(CHANNELS):
        values = channel(heard, name)[inside]
        folded = np.bincount(bins, weights=values, minlength=places)
        for place in range(len(result)):
            result[place] += folded @ np.roll(nats[:, number], place * BINS // divisions)
    return result / max(int(inside.sum()), 1) * PER_SECOND / 10


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
    first = beginning(heard, onsets)
    at = float(course.beats_at(first)) - offset
    into = at - np.rint(at / shape.units) * shape.units  # units after (or before) the nearest bar line
    left = (last - offset) / shape.units
    pointer = np.mean((path.units - np.rint(np.arange(len(path.units)) - offset)) % shape.units == 0)
    begins = float(np.exp(-0.5 * (into / 0.12) ** 2))
    beat_quarters = float(shape.unit)
    return [
        _mean(low, lines, course) - _mean(low, units, course),
        _mean(rise, lines, course) - _mean(rise, units, course),
        _changes(heard, lines, course) - _changes(heard, units, course),
        _mean(bright, backs, course) - _mean(bright, units, course),
        _mean(low, middle, course) - _mean(low, units, course),
        _changes(heard, middle, course) - _changes(heard, units, course),
        _mean(rise, units, course) - _mean(rise, offbeats, course),
        begins,
        begins * (first < 0.03),
        float(min(max(-into, 0.0), 2.0)) * beat_quarters,
        float(min(max(into - 0.12, 0.0), 2.0)) * beat_quarters,
        float(np.exp(-0.5 * ((left - np.rint(left)) * shape.units / 0.5) ** 2)),
        float(pointer if offset % 1.0 == 0.0 else 0.0),
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
    first, last = (course.seconds_at([start, end]) * PITCHES_PER_SECOND).tolist()
    low = min(max(int(np.ceil(first)), 0), len(heard.chroma) - 1)
    return np.asarray(heard.chroma[low : max(low + 1, int(last))].sum(axis=0))
