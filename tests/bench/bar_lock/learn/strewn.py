"""Lessons without bars: synthetic sounds that begin at random, drones, noise. There is nothing to follow in them, and
their onsets are those of bursts and tones that no sampler plays."""

from __future__ import annotations

import numpy as np

from studio.align.grid import Grid
from studio.align.values import Audio, BeatMap, Floats
from studio.song.meter import Meter
from tests.bench.bar_lock.learn.material import Lesson, handled
from tests.bench.bar_lock.material import Rng

METERS = ("4/4", "3/4", "6/8", "7/8", "5/4")


def strewn(seed: int) -> Lesson:
    """Draw and render one. Equal seeds give equal lessons."""
    random = np.random.Generator(np.random.PCG64([seed, 779]))
    rate = int(random.choice([44_100, 48_000, 22_050]))
    seconds = float(random.uniform(4.0, 16.0))
    grid = Grid.steady(str(round(random.uniform(60, 180))), Meter.parse(str(random.choice(METERS))), 4, rate)
    audio = _ground(seconds, rate, random)
    onsets = np.zeros(0)
    if random.random() < 0.85:
        rest = float(np.exp(random.uniform(np.log(0.08), np.log(1.5))))
        onsets = np.cumsum(random.gamma(2.0, rest / 2.0, 400) + 0.05) + random.uniform(0.0, 0.5)
        onsets = onsets[onsets < seconds - 0.1]
        for begin in onsets.tolist():
            sound = _sound(rate, random)
            first = round(begin * rate)
            count = min(len(sound), audio.shape[1] - first)
            audio[:, first : first + count] += sound[:count].astype(np.float32)
    audio /= np.float32(max(float(np.abs(audio).max()), 1e-6) / random.uniform(0.1, 0.9))
    beats = BeatMap(np.array([0.0, 1.0]), np.array([0.0, grid.bpm / 60.0]))
    return Lesson("strewn", "strewn", handled(audio, rate, random), rate, grid, beats, onsets, seconds, pulse=False)


def _ground(seconds: float, rate: int, random: Rng) -> Audio:
    """What sounds all the time: nothing, noise, or a drone whose level wavers."""
    frames = round(seconds * rate)
    kind = str(random.choice(["nothing", "noise", "drone"], p=[0.4, 0.3, 0.3]))
    ground = np.zeros(frames)
    if kind == "noise":
        ground = random.standard_normal(frames) * 10 ** (random.uniform(-60, -15) / 20)
    elif kind == "drone":
        at = np.arange(frames) / rate
        hz = float(np.exp(random.uniform(np.log(40), np.log(800))))
        harmonics = range(1, int(random.integers(2, 9)))
        ground = sum(np.sin(2 * np.pi * hz * k * at + random.uniform(0, 6)) / k for k in harmonics)
        ground = ground * (1.0 + random.uniform(0, 0.5) * np.sin(2 * np.pi * random.uniform(0.1, 6.0) * at)) * 0.2
    return ground[None].astype(np.float32)


def _sound(rate: int, random: Rng) -> Floats:
    """A burst of noise, a struck or a swelling tone, a falling one as of a kick drum."""
    at = np.arange(round(random.uniform(0.05, 1.2) * rate)) / rate
    kind = str(random.choice(["burst", "tone", "kick", "click"], p=[0.35, 0.4, 0.15, 0.1]))
    if kind == "click":
        return np.diff(random.standard_normal(round(0.002 * rate) + 2)) * random.uniform(0.1, 1.0)
    decay = np.exp(-at * random.uniform(3, 60)) * random.uniform(0.1, 1.0)
    if kind == "kick":
        turns = random.uniform(40, 70) * at + 3 * (1 - np.exp(-30 * at))
        return np.asarray(np.sin(2 * np.pi * turns + random.uniform(0, 1)) * decay)
    if kind == "burst":
        noise = random.standard_normal(len(at))
        return (np.diff(noise, prepend=0.0) if random.random() < 0.5 else noise) * decay
    hz = float(np.exp(random.uniform(np.log(45), np.log(1500))))
    harmonics, slope = range(1, int(random.integers(2, 12))), random.uniform(0.7, 2.5)
    tone = sum(np.sin(2 * np.pi * hz * k * at) / k**slope for k in harmonics)
    rise = float(np.exp(random.uniform(np.log(0.0005), np.log(0.15))))
    return np.asarray(tone * decay * np.minimum(at / rise, 1.0) * np.minimum((at[-1] - at) / 0.01, 1.0))
