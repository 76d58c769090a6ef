"""Old media: narrow band, unsteady speed, coarse steps. Arrays (2, frames) float32, nothing is delayed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.band.sound.effects.echo import CONTROL, read_moving
from models.band.sound.effects.tone import Band, equalize

Floats = NDArray[np.float32]

_MOST_MS = 0.9  # what speed changes may move an onset by, either way


def lofi(
    x: Floats,
    rate: int,
    low_hz: float = 80.0,
    high_hz: float = 6000.0,
    wow: float = 0.4,
    flutter: float = 0.2,
    bits: float = 12.0,
) -> Floats:
    """Band `low_hz`..`high_hz`, `wow` and `flutter` (0..1: slow, fast speed changes), steps of `bits` bits.

    The speed wavers around the true one: an onset is never more than 0.9 ms from its place.
    """
    frames = x.shape[1]
    if wow > 0.0 or flutter > 0.0:
        points = np.arange(-(-frames // CONTROL) + 1) * (CONTROL / rate)
        slow = 0.7 * np.sin(2 * np.pi * 0.55 * points) + 0.3 * np.sin(2 * np.pi * 0.83 * points)
        fast = 0.6 * np.sin(2 * np.pi * 6.1 * points) + 0.4 * np.sin(2 * np.pi * 9.7 * points)
        late = np.asarray((0.9 * wow * slow + 0.1 * flutter * fast) * (_MOST_MS * rate / 1000))
        x = np.stack([read_moving(channel, late) for channel in x])
    x = equalize(x, rate, (Band("highpass", low_hz), Band("lowpass", high_hz)))
    if bits < 16.0:
        # Rounding towards the nearest step keeps silence silent.
        steps = np.float32(2.0 ** (bits - 1))
        x = (np.round(x * steps) / steps).astype(np.float32)
    return x
