"""Place in the stereo field. Arrays (2, frames) float32 in and out, nothing is delayed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsp.filters import CHUNK, Cascade
from models.band.sound.effects.tone import Band, biquad

Floats = NDArray[np.float32]

_MONO_BELOW_HZ = 120.0


def width(x: Floats, rate: int, amount: float, out: Floats | None = None) -> Floats:
    """Scale the side signal above 120 Hz, mono below: 0 is mono, 2 twice as wide; the mono sum stays."""
    out = np.empty_like(x) if out is None else out
    highpass = Cascade(biquad(Band("highpass", _MONO_BELOW_HZ), rate), 1, single=True)
    for start in range(0, x.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        mid = x[0, part] + x[1, part]
        mid *= np.float32(0.5)
        side = x[:1, part] - x[1:, part]
        side *= np.float32(0.5 * amount)
        highpass.run(side, side)
        np.add(mid, side[0], out=out[0, part])
        np.subtract(mid, side[0], out=out[1, part])
    return out


def pan(x: Floats, position: float, out: Floats | None = None) -> Floats:
    """Constant power: -1 left, 0 unchanged, +1 right (the side that stays is then 3 dB up)."""
    angle = (position + 1.0) * np.pi / 4
    gains = np.array([[np.cos(angle)], [np.sin(angle)]]) * np.sqrt(2.0)
    return np.multiply(x, gains.astype(np.float32), out=out)
