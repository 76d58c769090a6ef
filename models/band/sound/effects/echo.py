"""Echo and moving delay lines. Arrays (2, frames) float32; sounds that ring past the end are dropped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsp.filters import Cascade

Floats = NDArray[np.float32]

_CHUNK = 1 << 15
CONTROL = 32  # frames between computed delay times; between them they lie on straight lines


def delay(x: Floats, rate: int, seconds: float, feedback: float, damp: float = 0.3, ping_pong: bool = False) -> Floats:
    """The echoes alone: the first after `seconds`, each softer by `feedback` and duller by `damp` (0..1).

    A one-pole low-pass in the loop falls from 16 kHz (damp 0) to 1 kHz (damp 1). Ping-pong sends the mono
    input left, then right, and so on.
    """
    lag = max(1, round(seconds * rate))
    frames = x.shape[1]
    wet = np.zeros((2, frames), np.float32)
    pole = np.exp(-2 * np.pi * min(16000.0 * 2.0 ** (-4 * damp), 0.45 * rate) / rate)
    lowpass = Cascade(np.array([[1 - pole, 0.0, 0.0, 1.0, -pole, 0.0]]), 2, single=True)
    source = x
    if ping_pong:
        source = np.zeros_like(x)
        source[0] = (x[0] + x[1]) * np.float32(0.5 * np.sqrt(2.0))
    # A block is one lag long, so that all it needs is already there.
    for start in range(lag, frames, lag):
        stop = min(start + lag, frames)
        past = slice(start - lag, stop - lag)
        back = wet[::-1, past] if ping_pong else wet[:, past]
        lowpass.run(source[:, past] + np.float32(feedback) * back, wet[:, start:stop])
    return wet


def chorus(x: Floats, rate: int, depth_ms: float = 3.0, hz: float = 0.6, mix: float = 0.5) -> Floats:
    """Dry sound, and two copies a side that waver between `depth_ms` and 3 x `depth_ms` late."""
    frames = x.shape[1]
    points = np.arange(-(-frames // CONTROL) + 1) * (CONTROL / rate)
    depth = depth_ms * rate / 1000
    out = x * np.float32(1.0 - 0.4 * mix)
    for channel in range(2):
        for tap in range(2):
            turn = 2 * np.pi * (hz * (1.0 + 0.37 * tap) * points + 0.25 * channel + 0.5 * tap)
            late = 2.0 * depth + depth * np.sin(turn)
            out[channel] += np.float32(0.5 * mix) * read_moving(x[channel], late)
    return out


def read_moving(x: Floats, late: NDArray[np.float64]) -> Floats:
    """`x` (frames,) read `late` frames late, given every 32 frames; linear interpolation, silence outside."""
    frames = len(x)
    before = int(np.ceil(max(late.max(), 0.0))) + 2
    after = int(np.ceil(max(-late.min(), 0.0))) + 2
    padded = np.concatenate([np.zeros(before, np.float32), x, np.zeros(after, np.float32)])
    out = np.empty(frames, np.float32)
    ramp = np.arange(CONTROL, dtype=np.float32) / np.float32(CONTROL)
    position = np.arange(_CHUNK, dtype=np.float32)
    for start in range(0, frames, _CHUNK):
        length = min(_CHUNK, frames - start)
        first = start // CONTROL
        knots = late[first : first + -(-length // CONTROL) + 1].astype(np.float32)
        lag = (knots[:-1, None] + np.diff(knots)[:, None] * ramp).reshape(-1)[:length]
        place = position[:length] - lag + np.float32(before)
        whole = place.astype(np.int32)
        place -= whole
        window = padded[start : start + length + before + after]
        low = window[whole]
        whole += 1
        out[start : start + length] = low + place * (window[whole] - low)
    return out
