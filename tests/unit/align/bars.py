"""Sounds whose bars are known, and what a perfect ear would hear in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.align.values import Audio, BeatMap, Floats, Heard, Material, Onsets, Pulse
from studio.mix.sources import ArraySource, Source

RATE = 44_100


def nothing(done: float) -> None:
    """A step that says nothing."""


def noise(frames: int, amplitude: float = 0.2, seed: int = 1) -> Audio:
    generator = np.random.Generator(np.random.PCG64(seed))
    return (amplitude * generator.standard_normal((2, frames))).astype(np.float32)


def tone(hz: float, frames: int, amplitude: float = 0.3, phase: float = 0.0) -> Audio:
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / RATE + phase)
    return np.stack([wave, 0.8 * wave]).astype(np.float32)


def pad(frames: int, root: float = 110.0, seed: int = 1) -> Audio:
    """A held chord of detuned voices that beat against one another."""
    generator = np.random.Generator(np.random.PCG64(seed))
    out = np.zeros((2, frames), np.float32)
    for ratio in (1.0, 1.26, 1.5, 2.0, 3.0):
        for _ in range(3):
            cents, phase = generator.normal(0, 6), generator.uniform(0, 2 * np.pi)
            out += tone(root * ratio * 2 ** (cents / 1200), frames, 0.03, phase)
    return out


def struck(frames: int, seconds: Sequence[float] | Floats, decay_s: float = 0.08, seed: int = 1) -> Audio:
    """A low thump with a burst of noise at each time; strokes before the first frame or past the last are cut."""
    generator = np.random.Generator(np.random.PCG64(seed))
    time = np.arange(round(8 * decay_s * RATE)) / RATE
    stroke = 0.5 * np.sin(2 * np.pi * 70 * time) * np.exp(-time / decay_s)
    stroke = stroke + 0.25 * generator.standard_normal(len(time)) * np.exp(-time / (decay_s / 6))
    out = np.zeros((2, frames), np.float32)
    for second in seconds:
        first = round(second * RATE)
        low, high = max(first, 0), min(first + len(time), frames)
        if low < high:
            out[:, low:high] += np.stack([stroke, 0.9 * stroke])[:, low - first : high - first].astype(np.float32)
    return out


def onsets(seconds: Sequence[float] | Floats, strength: float = 1.0, sharpness: float = 1.0) -> Onsets:
    times = np.asarray(seconds, np.float64)
    same = np.ones(len(times))
    return Onsets(times, strength * same, 0.5 * same, sharpness * same)


def steady(bpm: float, zero: float = 0.0, beats: float = 400.0) -> BeatMap:
    """Beat 0 at `zero` seconds."""
    return BeatMap(np.array([zero, zero + beats * 60 / bpm]), np.array([0.0, beats]))


def heard(
    seconds: float,
    beat_map: BeatMap | None,
    attacks: Sequence[float] | Floats,
    material: Material = Material.PERCUSSIVE,
    first_sound: float | None = None,
    last_sound: float | None = None,
) -> Heard:
    """What is heard in a sound of `seconds`, attacks in seconds; it sounds from the first attack to its end."""
    first = float(attacks[0]) if len(attacks) else 0.0
    bpm = None if beat_map is None else beat_map.bpm
    return Heard(
        seconds=seconds, material=material, onsets=onsets(attacks), beat_map=beat_map, bpm=bpm, felt_bpm=bpm,
        pulse=Pulse.NONE if beat_map is None else Pulse.STEADY, tempo_confidence=1.0, downbeat_confidence=1.0,
        first_sound=first if first_sound is None else first_sound,
        last_sound=seconds if last_sound is None else last_sound,
    )  # fmt: skip


class Watched:
    """A source that knows the longest piece that was ever read from it."""

    def __init__(self, audio: Audio) -> None:
        self._source: Source = ArraySource(audio)
        self.frames, self.channels = audio.shape[1], audio.shape[0]
        self.longest = self.reads = 0

    def read(self, start: int, frames: int) -> Audio:
        assert 0 <= start <= start + frames <= self.frames
        self.longest = max(self.longest, frames)
        self.reads += 1
        return self._source.read(start, frames)


def whole(sound: Source) -> Audio:
    return sound.read(0, sound.frames)
