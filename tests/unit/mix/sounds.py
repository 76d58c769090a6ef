"""Seeded test material for the sound room: hits, tones and noise, float32 (2, frames)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from studio.mix.arrays import Audio, from_db
from studio.mix.master import Master, PlacedTake

RATE = 48_000


def sine(hz: float, frames: int, amplitude: float = 1.0, rate: int = RATE, phase: float = 0.0) -> Audio:
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / rate + phase)
    return np.stack([wave, wave]).astype(np.float32)


def noise(frames: int, amplitude: float = 0.2, seed: int = 1) -> Audio:
    generator = np.random.Generator(np.random.PCG64(seed))
    return (amplitude * generator.standard_normal((2, frames))).astype(np.float32)


def pink(frames: int, amplitude: float = 0.1, seed: int = 1) -> Audio:
    """Noise that falls by 3 dB an octave, nearer to music than white noise."""
    generator = np.random.Generator(np.random.PCG64(seed))
    spectrum = np.fft.rfft(generator.standard_normal((2, frames)))
    spectrum /= np.sqrt(np.maximum(1.0, np.arange(spectrum.shape[1])))
    wave = np.fft.irfft(spectrum, frames)
    return np.asarray(amplitude * wave / wave.std(), dtype=np.float32)


def hits(frames: int, amplitude: float = 0.9, seed: int = 1, rate: int = RATE, every_s: float = 0.25) -> Audio:
    """A kick and a noise hit in turn, sharp and decaying, panned a little."""
    generator = np.random.Generator(np.random.PCG64(seed))
    out = np.zeros((2, frames), dtype=np.float32)
    time = np.arange(rate // 4) / rate
    for index, start in enumerate(range(0, frames, round(rate * every_s))):
        if index % 2 == 0:
            hit = np.sin(2 * np.pi * 50 * time) * np.exp(-12 * time)
        else:
            hit = 0.5 * generator.standard_normal(len(time)) * np.exp(-30 * time)
        room = min(len(hit), frames - start)
        out[:, start : start + room] += (amplitude * hit[:room] * np.array([[1.0], [0.8]])).astype(np.float32)
    return out


def on_24_bits(audio: Audio) -> Audio:
    """The audio rounded to the grid of 24-bit samples, inside full scale."""
    return np.asarray(np.clip(np.rint(audio * np.float32(1 << 23)), 1 - (1 << 23), (1 << 23) - 1) / np.float32(1 << 23))


BALANCE = {"drums": -2.5, "bass": -3.0, "harmony": -4.0, "lead": -3.0, "fx": -12.0}


def song(frames: int, rate: int = RATE) -> dict[str, list[PlacedTake]]:
    """Five stems of two takes each; the first take of each rings over into the second."""
    swell = (0.6 + 0.4 * np.sin(np.arange(frames) / rate * 9)).astype(np.float32)
    sounds: dict[str, Audio] = {
        "drums": hits(frames, 0.9, rate=rate),
        "bass": sine(55, frames, 0.3, rate) * swell,
        "harmony": sum((sine(hz, frames, 0.05, rate, hz) for hz in (220.0, 277.2, 329.6)), np.float32(0)),
        "lead": sine(660, frames, 0.2, rate, 0.4),
        "fx": pink(frames, 0.02, 3),
    }
    half = frames // 2
    ring = min(rate // 5, frames - half)
    stems = {}
    for role, audio in sounds.items():
        first = audio[:, : half + ring].copy()
        first[:, half:] = pink(ring, 0.005, 7) * np.linspace(1, 0, ring, dtype=np.float32)
        stems[role] = [PlacedTake(first, 0), PlacedTake(audio[:, half:].copy(), half)]
    return stems


def finished(stems: Mapping[str, Sequence[PlacedTake]], master: Master, frames: int) -> dict[str, Audio]:
    """Every stem at its gain and under the curve."""
    gains = master.curve.gains(0, frames)
    out = {}
    for name, takes in stems.items():
        audio = np.zeros((2, frames), np.float32)
        for take in takes:
            piece = take.audio[:, : frames - take.start]
            audio[:, take.start : take.start + piece.shape[1]] += piece
        out[name] = audio * np.float32(from_db(master.gains_db[name])) * gains
    return out


def heard_alike(stems: Mapping[str, Audio]) -> dict[str, Audio]:
    """All that must keep its peak: the sum, every stem, and the sum without each of them."""
    total = sum(stems.values(), np.float32(0))
    return {"mix": total} | dict(stems) | {f"without {name}": total - stem for name, stem in stems.items()}
