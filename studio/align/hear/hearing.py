"""From a sound to what is heard in it: features, onsets, the course of bars, the downbeat, exact beats."""

from __future__ import annotations

import math

import numpy as np

from studio.align.hear.bars import BarShape
from studio.align.hear.beats import Course, choose, settle
from studio.align.hear.downbeat import Downbeat, beginning, find_downbeat
from studio.align.hear.features import Features, features
from studio.align.hear.onsets import find_onsets, sound_span
from studio.align.hear.track import follow
from studio.align.values import BeatMap, Floats, Heard, Material, Onsets, Pulse, Source, Wish

_ANY_TEMPO, _NEAR_TEMPO = 2**0.5, 1.12
_SPREAD, _NEAR_SPREAD = 0.12, 0.05
_FEWEST_ONSETS = 3
_NO_PULSE = 0.1
"""Confidence in the tempo below which there is no pulse to speak of."""
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
    bpm, reach, spread = _expected(wish)
    path = follow(heard, shape, bpm, reach, spread)
    units = settle(BeatMap(path.seconds, np.arange(len(path.seconds), dtype=np.float64)), onsets, 1.0)
    downbeat = find_downbeat(units, path, heard, onsets, shape, wish.grid.bars)
    course = choose(
        _from_bar_one(units, downbeat, beginning(heard, onsets), shape), onsets, float(shape.unit), wish.grid
    )
    confidence = _confidence(course, onsets, shape)
    if confidence < _NO_PULSE:
        return _without_pulse(heard, onsets)
    begin, end = sound_span(heard)
    return Heard(
        seconds=heard.seconds, material=_material(onsets, heard), onsets=onsets, pulse=_pulse(course),
        beat_map=course.beat_map, bpm=course.beat_map.bpm, felt_bpm=course.beat_map.bpm,
        tempo_confidence=confidence, downbeat_confidence=downbeat.probability, first_sound=begin, last_sound=end,
    )  # fmt: skip


def _expected(wish: Wish) -> tuple[float, float, float]:
    """The tempo to look around, in the grid's beats, how far from it (a factor), and how likely that is."""
    if wish.felt_bpm is not None:
        return wish.felt_bpm, _NEAR_TEMPO, _NEAR_SPREAD
    if wish.from_bpm is not None:
        octaves = round(math.log2(wish.grid.bpm / wish.from_bpm))
        return wish.from_bpm * 2.0**octaves, _NEAR_TEMPO, _NEAR_SPREAD
    return wish.grid.bpm, _ANY_TEMPO, _SPREAD


def _from_bar_one(units: BeatMap, downbeat: Downbeat, begin: float, shape: BarShape) -> BeatMap:
    """The course with the downbeat of bar 1 as beat 0: of the bar in which the sound begins, or of the next one if it
    begins in a bar's second half."""
    bars = (float(units.beats_at(begin)) - downbeat.offset) / shape.units
    whole = math.floor(bars + 0.12 / shape.units)
    if bars - whole >= 0.5:
        whole += 1
    return BeatMap(units.seconds, (units.beats - downbeat.offset - whole * shape.units) * float(shape.unit))


def _confidence(course: Course, onsets: Onsets, shape: BarShape) -> float:
    """How much the attacks gather at places in the beat, whichever these are, beyond what chance would give: 0..1.

    The largest Fourier coefficient of their phases (Rayleigh's test), for divisions of the beat up to six.
    """
    phase = course.beat_map.beats_at(onsets.seconds) / float(shape.unit)
    weights = onsets.strength / onsets.strength.sum()
    gathered = max(abs(np.sum(weights * np.exp(2j * np.pi * k * phase))) for k in range(1, 7))
    chance = min(0.95, 1.7 * float(np.sqrt(np.sum(weights**2))))
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
