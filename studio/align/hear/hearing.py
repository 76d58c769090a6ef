"""From a sound to what is heard in it: features, onsets, the course of bars, the downbeat, exact beats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from studio.align.grid import Grid
from studio.align.hear.bars import BarShape
from studio.align.hear.beats import Course, choose, settle
from studio.align.hear.downbeat import Downbeat, beginning, find_downbeat, last_attack
from studio.align.hear.features import Features, features
from studio.align.hear.felt import felt_ratio
from studio.align.hear.onsets import find_onsets, has_attacks, sound_span
from studio.align.hear.spectra import spectra
from studio.align.hear.track import Path, along, follow, place
from studio.align.rows import InMemory, Room
from studio.align.values import BeatMap, Counted, Floats, Heard, Material, Onsets, Pulse, Source, Wish

_ANY_TEMPO, _NEAR_TEMPO = 2**0.5, 1.12
_SPREAD, _NEAR_SPREAD = 0.12, 0.05
_PICKUP, _PICKUP_OF_ASKED = 0.47, 0.2
"""Of a bar: a sound that begins this far into one begins with a pickup to the next."""
_FEWEST_ONSETS = 3
_GATHERED, _LEAST_PULSE = 1.0, 1.1
"""How much attacks that gather count against nats a frame, and how many of these there must be for a pulse."""
_SOFTLY, _SURE_GAIN = 0.5, 2.7
"""Confidence in the tempo from the bars alone, and the nats a frame with which it is reached."""
_MANY, _NEAR_S = 0.5, 0.1
_BEAT_STRENGTH, _BEAT_SHARPNESS = 0.5, 0.3
"""What beats of the path count for among onsets, where there are fewer than so many to a unit."""
_RATIOS = (3 / 4, 4 / 3, 2 / 3, 3 / 2)
_NEAR_RATIO, _FARTHEST = 1.07, math.log(1.3)
_AS_ASKED, _SURELY = 0.05, 2.0
"""A tempo nearer than this to the one asked for is right, and so is one that this many nats a frame speak for."""
COURSE_WEIGHTS = {"gain": 3.0, "gain_seconds": 0.045, "apart": -1.04, "votes": 0.63, "count": 4.27}
"""What speaks for a course: nats a frame, also times the seconds, distance from the tempo asked for, evidence for its
bar lines, the number of bars asked for. Learned from the benchmark's tuning set."""
_LONG_S = 30.0
_AS_IT_IS, _AS_IT_IS_FEW = 2.5, 9.0
"""Nats that speak for the grid itself where a sound is as long as its bars, and where hardly anything begins in it
either. Files are cut so on purpose; but takes of models are as well, which have any tempo."""
_FEW = 0.3
"""Onsets to a unit below which the network's places are all that tells of a course, and they wander."""
_DRIFTS = 0.003
"""Of the tempo: one that changes by less is steady."""


def hear(source: Source, rate: int, wish: Wish, room: Room | None = None) -> Heard:
    """What is heard in `source` (1 or 2 channels at `rate` Hz), which is read once, in blocks. `room` is for what there
    is to remember of it; None is memory.

    The tempo is looked for within a half-octave of the grid's (or near the one that `wish` names): any material can
    be counted at a tempo in that range, in half or double time. Raises AlignError for samples that are not numbers.
    """
    found = spectra(source, rate, room or InMemory())
    heard = features(found)
    return interpret(heard, find_onsets(found, heard), wish)


def interpret(heard: Features, onsets: Onsets, wish: Wish) -> Heard:
    """What features and onsets mean against the grid."""
    shape = BarShape.of(wish.grid.meter)
    found = readings(heard, onsets, shape, wish) if not heard.silent else []
    if not found:
        return _without_pulse(heard, onsets)
    reading = max(found, key=lambda one: one.likelihood)
    settled = _from_bar_one(reading, onsets, beginning(heard, onsets), shape, wish.grid.bars)
    whole = wish.grid.ends_bar(heard.seconds)
    course = choose(settled, reading.marks, float(shape.unit), wish.grid, as_long=whole, few=reading.few)
    gathered = _gathered(course, onsets, shape)
    if wish.counted is None and reading.path.gain + _GATHERED * gathered < _LEAST_PULSE:
        return _without_pulse(heard, onsets)
    begin, end = sound_span(heard)
    return Heard(
        seconds=heard.seconds, material=_material(onsets, heard), onsets=onsets, pulse=_pulse(course),
        beat_map=course.beat_map, bpm=course.beat_map.bpm,
        felt_bpm=course.beat_map.bpm * felt_ratio(course.beat_map, heard, wish.grid.meter),
        tempo_confidence=max(gathered, _SOFTLY * min(1.0, reading.path.gain / _SURE_GAIN)),
        downbeat_confidence=reading.downbeat.probability,
        first_sound=begin, last_sound=end,
    )  # fmt: skip


def _expected(wish: Wish) -> tuple[float, float, float]:
    """The tempo to look around, in the grid's beats, how far from it (a factor), and how likely that is."""
    if wish.felt_bpm is not None:
        return wish.felt_bpm, _NEAR_TEMPO, _NEAR_SPREAD
    if wish.from_bpm is not None:
        octaves = round(math.log2(wish.grid.bpm / wish.from_bpm))
        return wish.from_bpm * 2.0**octaves, _NEAR_TEMPO, _NEAR_SPREAD
    return wish.grid.bpm, _ANY_TEMPO, _SPREAD


@dataclass(frozen=True)
class Reading:
    """One way to count a sound: its units in time, from 0 on, and where bars begin."""

    path: Path
    marks: Onsets
    """What its course goes through: the onsets, and the path's own beats where these are few or soft."""
    units: BeatMap
    downbeat: Downbeat
    traits: dict[str, float]
    """What speaks for it, beside its bar lines."""
    few: bool
    """Whether hardly anything begins in the sound: then its course is a straight line."""
    as_it_is: bool = False
    """Whether it is the grid itself, from the sound's first frame on."""

    @property
    def likelihood(self) -> float:
        """Nats that speak for it."""
        known = self.traits | {"votes": self.downbeat.votes, "count": float(self.downbeat.count)}
        own = (_AS_IT_IS_FEW if self.few else _AS_IT_IS) if self.as_it_is else 0.0
        return own + sum(COURSE_WEIGHTS[name] * value for name, value in known.items())


def readings(heard: Features, onsets: Onsets, shape: BarShape, wish: Wish) -> list[Reading]:
    """Likely courses of bars. Where the first has not the tempo and length that were asked for, courses at simple
    ratios to it are tried as well: in threes for in twos is the commonest mistake of all who follow beats."""
    bpm, reach, spread = _expected(wish)
    if wish.counted is not None:
        return [_as_counted(wish.counted, heard, onsets, shape, wish.grid)]
    begin, end = beginning(heard, onsets), sound_span(heard)[1]

    def read(centre: float, reach: float, prior: float) -> Reading | None:
        path = follow(heard, shape, centre, reach, prior)
        if len(path.seconds) < 2:
            return None  # no longer than a beat
        counted = BeatMap(path.seconds, np.arange(len(path.seconds), dtype=np.float64))
        marks = _marks(onsets, path, begin, end)
        units = settle(counted, marks, 1.0)
        downbeat = find_downbeat(units, path, heard, onsets, shape, wish.grid.bars)
        apart = math.log(units.bpm * float(shape.unit) / bpm) / spread
        seconds = min(heard.seconds, _LONG_S)
        traits = {"gain": path.gain, "gain_seconds": path.gain * seconds, "apart": apart**2}
        return Reading(path, marks, units, downbeat, traits, _few(onsets, path))

    first = read(bpm, reach, spread)
    if first is None:
        return []
    found = [first]
    heard_bpm = first.units.bpm * float(shape.unit)
    doubtful = abs(math.log(heard_bpm / bpm)) > _AS_ASKED and first.path.gain < _SURELY
    if doubtful or not first.downbeat.count:
        for ratio in _RATIOS:
            if abs(math.log(heard_bpm * ratio / bpm)) < min(_FARTHEST, math.log(reach)):
                found += [one for one in (read(heard_bpm * ratio, _NEAR_RATIO, 10.0),) if one is not None]
    if wish.felt_bpm is None and wish.from_bpm is None and wish.grid.ends_bar(heard.seconds):
        found.append(_as_it_is(first, heard, onsets, shape, wish.grid))
    return found


def _as_counted(counted: Counted, heard: Features, onsets: Onsets, shape: BarShape, grid: Grid) -> Reading:
    """The beats that somebody else has heard, moved onto the onsets near them."""
    beats = BeatMap(counted.seconds, np.arange(len(counted.seconds), dtype=np.float64))
    bpm = beats.bpm * float(shape.unit)
    path = along(beats, place(heard, shape, bpm), heard, shape)
    marks = _marks(onsets, path, beginning(heard, onsets), sound_span(heard)[1])
    units = settle(beats, marks, 1.0)
    firsts = np.bincount(np.flatnonzero(counted.downbeats) % shape.units, minlength=shape.units)
    at = int(firsts.argmax()) if firsts.any() else None
    downbeat = find_downbeat(units, path, heard, onsets, shape, grid.bars, at=at)
    return Reading(path, marks, units, downbeat, {}, _few(onsets, path))


def _as_it_is(other: Reading, heard: Features, onsets: Onsets, shape: BarShape, grid: Grid) -> Reading:
    """The grid itself as a reading of a sound that is as long as its bars; `other` is what was heard in it."""
    unit = float(shape.unit)
    count = np.arange(round(float(grid.beat_at(heard.seconds * grid.rate)) / unit) + 1, dtype=np.float64)
    own = BeatMap(grid.frame_at(count * unit) / grid.rate, count)
    path = along(own, other.path, heard, shape)
    marks = _marks(onsets, path, beginning(heard, onsets), sound_span(heard)[1])
    units = settle(own, marks, 1.0)
    downbeat = find_downbeat(units, path, heard, onsets, shape, grid.bars, at=0)
    traits = {"gain": path.gain, "gain_seconds": path.gain * min(heard.seconds, _LONG_S), "apart": 0.0}
    return Reading(path, marks, units, downbeat, traits, _few(onsets, path), as_it_is=True)


def _from_bar_one(reading: Reading, onsets: Onsets, begin: float, shape: BarShape, bars: int) -> BeatMap:
    """The course with the downbeat of bar 1 as beat 0: of the bar in which the sound begins, or of the next one if it
    begins in a bar's second half, or earlier and only so has as many bars as were asked for."""
    units, offset = reading.units, reading.downbeat.offset
    if reading.as_it_is:
        return BeatMap(units.seconds, units.beats * float(shape.unit))
    into = (float(units.beats_at(begin)) - offset) / shape.units
    whole = math.floor(into + 0.12 / shape.units)
    one_more = False
    if len(onsets):
        last = (float(units.beats_at(last_attack(onsets))) - offset) / shape.units
        one_more = math.ceil(last - whole + 0.02) == bars + 1
    if into - whole >= (_PICKUP_OF_ASKED if one_more else _PICKUP):
        whole += 1
    return BeatMap(units.seconds, (units.beats - offset - whole * shape.units) * float(shape.unit))


def _marks(onsets: Onsets, path: Path, begin: float, end: float) -> Onsets:
    """What a course is laid through, between two seconds: onsets, and beats of the path where they are few or soft."""
    if len(onsets) >= _MANY * len(path.seconds) and has_attacks(onsets):
        return onsets
    beats = path.seconds[(path.seconds >= begin - _NEAR_S) & (path.seconds <= end)]
    order = np.argsort(np.concatenate([onsets.seconds, beats]), kind="stable")

    def joined(heard: Floats, beat: float | Floats) -> Floats:
        return np.concatenate([heard, np.broadcast_to(beat, len(beats))])[order]

    return Onsets(
        joined(onsets.seconds, beats), joined(onsets.strength, _BEAT_STRENGTH), joined(onsets.low, 0.5),
        joined(onsets.sharpness, _BEAT_SHARPNESS),
    )  # fmt: skip


def _few(onsets: Onsets, path: Path) -> bool:
    return len(onsets) < _FEW * len(path.seconds)


def _gathered(course: Course, onsets: Onsets, shape: BarShape) -> float:
    """How much the attacks gather at places in the beat, whichever these are, beyond what chance would give: 0..1.

    The largest Fourier coefficient of the attacks' phases (Rayleigh's test), for divisions of the beat up to six.
    """
    if len(onsets) < _FEWEST_ONSETS:
        return 0.0
    phase = course.beat_map.beats_at(onsets.seconds) / float(shape.unit)
    weights = onsets.strength / onsets.strength.sum()
    gathered = max(abs(np.sum(weights * np.exp(2j * np.pi * k * phase))) for k in range(1, 7))
    chance = min(0.95, 2.15 * float(np.sqrt(np.sum(weights**2))))
    return float(np.clip((gathered - chance) / (1.0 - chance), 0.0, 1.0))


def _pulse(course: Course) -> Pulse:
    if course.kind != "drift":
        return Pulse.STEADY
    lengths = np.diff(course.beat_map.seconds) / np.diff(course.beat_map.beats)
    return Pulse.DRIFTING if np.ptp(lengths) / lengths.mean() > _DRIFTS else Pulse.STEADY


def _material(onsets: Onsets, heard: Features) -> Material:
    sharp = _weighted(onsets.sharpness, onsets.strength)
    bright = float(heard.high.sum() / max(float((heard.low + heard.mid + heard.high).sum()), 1e-9))
    if sharp < 0.5:
        return Material.SUSTAINED
    return Material.PERCUSSIVE if bright > 0.45 else Material.PITCHED


def _weighted(values: Floats, weights: Floats) -> float:
    return float((values * weights).sum() / max(float(weights.sum()), 1e-9))


def _without_pulse(heard: Features, onsets: Onsets) -> Heard:
    begin, end = sound_span(heard)
    material = _material(onsets, heard) if len(onsets) else Material.SUSTAINED
    return Heard(heard.seconds, material, onsets, Pulse.NONE, None, None, None, 0.0, 0.0, begin, end)
