"""From a sound to what is heard in it: features, onsets, the course of bars, the downbeat, exact beats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from studio.align.hear.bars import BarShape
from studio.align.hear.beats import Course, choose, settle, without_lateness
from studio.align.hear.downbeat import Downbeat, beginning, find_downbeat, last_attack
from studio.align.hear.features import Features, features
from studio.align.hear.felt import felt_ratio
from studio.align.hear.onsets import find_onsets, has_attacks, sound_span
from studio.align.hear.track import Path, follow
from studio.align.values import BeatMap, Floats, Heard, Material, Onsets, Pulse, Source, Wish

_ANY_TEMPO, _NEAR_TEMPO = 2**0.5, 1.12
_SPREAD, _NEAR_SPREAD = 0.12, 0.05
_FEWEST_ONSETS = 3
_PICKUP, _PICKUP_OF_ASKED = 0.47, 0.2
"""Of a bar: a sound that begins this far into one begins with a pickup to the next."""
_SOFT_PULSE, _ASKED_PULSE = -0.1, -0.4
"""Nats a second with which bars are followed though attacks do not prove them: those of swells, and where there are as
many as were asked for."""
_NO_PULSE = 0.1
"""Confidence in the tempo below which there is no pulse to speak of."""
_SOFT_GAIN = 0.5
"""Nats a second that sure bars win from changes of harmony alone."""
_RATIOS = (3 / 4, 4 / 3, 2 / 3, 3 / 2)
_NEAR_RATIO, _FARTHEST = 1.07, math.log(1.3)
_AS_ASKED = 0.05
_GAIN, _GAIN_SECONDS, _APART, _COUNT, _VOTES, _FIRST = 0.64, 0.023, 0.4, 1.7, 0.31, 1.2
"""Weights of what speaks for a course: nats a second and in all, distance from the tempo asked for, the number of bars
asked for, evidence for its bar lines, being the first found. Learned from the benchmark's tuning set."""
_DRIFTS = 0.003
"""Of the tempo: one that changes by less is steady."""


def hear(source: Source, rate: int, wish: Wish) -> Heard:
    """What is heard in `source` (1 or 2 channels at `rate` Hz), which is read twice, in blocks.

    The tempo is looked for within a half-octave of the grid's (or near the one that `wish` names): any material can
    be counted at a tempo in that range, in half or double time. Raises AlignError for samples that are not numbers.
    """
    heard = features(source, rate)
    return interpret(heard, find_onsets(source, rate, heard), wish)


def interpret(heard: Features, onsets: Onsets, wish: Wish) -> Heard:
    """What features and onsets mean against the grid."""
    shape = BarShape.of(wish.grid.meter)
    if len(onsets) < _FEWEST_ONSETS:
        return _without_pulse(heard, onsets)
    reading = _best_reading(heard, onsets, shape, wish)
    settled = _from_bar_one(reading, beginning(heard, onsets), shape, wish.grid.bars)
    course = choose(settled, reading.onsets, float(shape.unit), wish.grid)
    confidence = _confidence(course, reading.onsets, shape, reading)
    if confidence < 0.0 or (confidence < _NO_PULSE and (has_attacks(onsets) or reading.path.gain < _SOFT_PULSE)):
        return _without_pulse(heard, onsets)
    begin, end = sound_span(heard)
    return Heard(
        seconds=heard.seconds, material=_material(onsets, heard), onsets=reading.onsets, pulse=_pulse(course),
        beat_map=course.beat_map, bpm=course.beat_map.bpm,
        felt_bpm=course.beat_map.bpm * felt_ratio(course.beat_map, heard, wish.grid.meter),
        tempo_confidence=max(confidence, 0.0), downbeat_confidence=reading.downbeat.probability,
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
class _Reading:
    """One way to count a sound: its units in time, from 0 on, and where bars begin."""

    path: Path
    onsets: Onsets
    """As they would be without what swells are heard late by."""
    units: BeatMap
    downbeat: Downbeat
    likelihood: float


def _best_reading(heard: Features, onsets: Onsets, shape: BarShape, wish: Wish) -> _Reading:
    """The most likely course of bars. Where it has not the tempo and length that were asked for, courses at simple
    ratios to it are tried as well: in threes for in twos is the commonest mistake of all who follow beats."""
    bpm, reach, spread = _expected(wish)

    asked = spread

    def read(centre: float, reach: float, spread: float, bonus: float) -> _Reading:
        path = follow(heard, shape, centre, reach, spread)
        counted = BeatMap(path.seconds, np.arange(len(path.seconds), dtype=np.float64))
        counted, punctual = without_lateness(counted, onsets)
        units = settle(counted, punctual, 1.0)
        downbeat = find_downbeat(units, path, heard, punctual, shape, wish.grid.bars)
        nats = path.gain * (_GAIN + _GAIN_SECONDS * min(heard.seconds, 30.0))
        apart = math.log(units.bpm * float(shape.unit) / bpm) / asked
        likelihood = nats - _APART * apart**2 + _COUNT * downbeat.count + _VOTES * downbeat.votes + bonus
        return _Reading(path, punctual, units, downbeat, likelihood)

    found = [read(bpm, reach, spread, _FIRST)]
    heard_bpm = found[0].units.bpm * float(shape.unit)
    if abs(math.log(heard_bpm / bpm)) > _AS_ASKED or not found[0].downbeat.count:
        for ratio in _RATIOS:
            if abs(math.log(heard_bpm * ratio / bpm)) < min(_FARTHEST, math.log(reach)):
                found.append(read(heard_bpm * ratio, _NEAR_RATIO, 10.0, 0.0))
    return max(found, key=lambda reading: reading.likelihood)


def _plausible(reading: _Reading, sharp: bool) -> bool:
    """Whether bars are worth following that attacks do not prove. What comes of it is never called locked."""
    if reading.downbeat.count and reading.path.gain > _ASKED_PULSE:
        return True
    return not sharp and reading.path.gain > _SOFT_PULSE


def _from_bar_one(reading: _Reading, begin: float, shape: BarShape, bars: int) -> BeatMap:
    """The course with the downbeat of bar 1 as beat 0: of the bar in which the sound begins, or of the next one if it
    begins in a bar's second half, or earlier and only so has as many bars as were asked for."""
    units, offset = reading.units, reading.downbeat.offset
    into = (float(units.beats_at(begin)) - offset) / shape.units
    whole = math.floor(into + 0.12 / shape.units)
    last = (float(units.beats_at(last_attack(reading.onsets))) - offset) / shape.units
    one_more = math.ceil(last - whole + 0.02) == bars + 1
    if into - whole >= (_PICKUP_OF_ASKED if one_more else _PICKUP):
        whole += 1
    return BeatMap(units.seconds, (units.beats - offset - whole * shape.units) * float(shape.unit))


def _confidence(course: Course, onsets: Onsets, shape: BarShape, reading: _Reading) -> float:
    """How much the attacks gather at places in the beat, whichever these are, beyond what chance would give: 0..1;
    where nothing is sharp, how much better bars explain the changes of harmony than nothing does. -1: by no means.

    The largest Fourier coefficient of the attacks' phases (Rayleigh's test), for divisions of the beat up to six.
    """
    phase = course.beat_map.beats_at(onsets.seconds) / float(shape.unit)
    weights = onsets.strength / onsets.strength.sum()
    gathered = max(abs(np.sum(weights * np.exp(2j * np.pi * k * phase))) for k in range(1, 7))
    chance = min(0.95, 2.15 * float(np.sqrt(np.sum(weights**2))))
    rayleigh = float(np.clip((gathered - chance) / (1.0 - chance), 0.0, 1.0))
    beats = float(course.beat_map.beats_at(onsets.seconds[-1]) - course.beat_map.beats_at(onsets.seconds[0]))
    if len(onsets) < beats / float(shape.beats) / 2:
        return -1.0  # a drone's few swells prove nothing
    if has_attacks(onsets):
        return rayleigh
    return max(rayleigh, 0.5 * float(np.clip(1.0 - math.exp(-reading.path.gain / _SOFT_GAIN), 0.0, 1.0)))


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
