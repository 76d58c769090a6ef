"""Seeded test material for the sound room: hits, tones and noise, float32 (2, frames)."""

from __future__ import annotations

import numpy as np

from studio.mix.arrays import Audio

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
