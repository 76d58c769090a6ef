"""Curves over a note: envelopes, low-frequency oscillators, pitch; all (frames,) float32 from the onset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.band.sound.synth.patch import Envelope

Floats = NDArray[np.float32]

_FALL = np.log(1000.0)  # 60 dB


def seconds(frames: int, rate: int) -> NDArray[np.float64]:
    return np.arange(frames, dtype=np.float64) / rate


def decay(frames: int, rate: int, ms: float) -> Floats:
    """exp from 1, down by 60 dB after `ms`."""
    return np.exp(seconds(frames, rate) * (-_FALL * 1000.0 / ms)).astype(np.float32)


def envelope(shape: Envelope, frames: int, rate: int) -> Floats:
    """Attack (a raised half cosine: no corner at either end), then decay to the sustain."""
    rise = min(frames, round(shape.attack_ms * rate / 1000))
    curve = np.empty(frames, np.float32)
    curve[:rise] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / max(rise, 1))
    curve[rise:] = shape.sustain + (1.0 - shape.sustain) * decay(frames - rise, rate, shape.decay_ms)
    return curve


def release(frames: int) -> Floats:
    """From 1 to exactly 0 in `frames`: the cube of a straight line, close to exponential but with an end."""
    return (np.linspace(1.0, 0.0, frames, dtype=np.float32)) ** 3


def vibrato(frames: int, rate: int, hz: float, depth: float, delay_ms: float) -> NDArray[np.float64]:
    """A sine of `depth` at `hz` that fades in over 300 ms after `delay_ms`."""
    time = seconds(frames, rate)
    late = np.maximum(time - delay_ms / 1000, 0.0)
    return depth * np.minimum(late / 0.3, 1.0) * np.sin(2 * np.pi * hz * late)
