"""Tone: equalizer, filters, DC removal. Arrays (channels, frames) float32 in and out, nothing is delayed.

Filters compute in single precision, but carry their states in double precision: 32 bits are not enough for those of a
20 Hz corner at 96 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.filters import Cascade
from models.band.sound.tables import choice, number

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Band:
    """One equalizer band; `gain_db` is for shelves and peaks, `q` for peaks and passes (shelves: slope)."""

    type: str = choice(None, "highpass", "lowpass", "lowshelf", "highshelf", "peak")
    hz: float = number(None, 10.0, 20000.0)
    gain_db: float = number(0.0, -24.0, 24.0)
    q: float = number(0.7071, 0.1, 20.0)


def equalize(x: Floats, rate: int, bands: Sequence[Band], out: Floats | None = None) -> Floats:
    """Apply `bands` one after the other."""
    return run_filter(np.array([biquad(band, rate) for band in bands]), x, out)


def biquad(band: Band, rate: int) -> NDArray[np.float64]:
    """One second-order section (b0 b1 b2 1 a1 a2).

    R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients" (W3C Audio EQ Cookbook).
    A corner above 0.45 of the rate is moved there.
    """
    w = 2 * np.pi * min(band.hz, 0.45 * rate) / rate
    cos, alpha = np.cos(w), np.sin(w) / (2 * band.q)
    a = 10 ** (band.gain_db / 40)
    root = 2 * np.sqrt(a) * alpha
    if band.type == "lowpass":
        b0, b1, b2 = (1 - cos) / 2, 1 - cos, (1 - cos) / 2
        a0, a1, a2 = 1 + alpha, -2 * cos, 1 - alpha
    elif band.type == "highpass":
        b0, b1, b2 = (1 + cos) / 2, -(1 + cos), (1 + cos) / 2
        a0, a1, a2 = 1 + alpha, -2 * cos, 1 - alpha
    elif band.type == "peak":
        b0, b1, b2 = 1 + alpha * a, -2 * cos, 1 - alpha * a
        a0, a1, a2 = 1 + alpha / a, -2 * cos, 1 - alpha / a
    else:
        sign = 1.0 if band.type == "lowshelf" else -1.0
        b0 = a * ((a + 1) - sign * (a - 1) * cos + root)
        b1 = sign * 2 * a * ((a - 1) - sign * (a + 1) * cos)
        b2 = a * ((a + 1) - sign * (a - 1) * cos - root)
        a0 = (a + 1) + sign * (a - 1) * cos + root
        a1 = -sign * 2 * ((a - 1) + sign * (a + 1) * cos)
        a2 = (a + 1) + sign * (a - 1) * cos - root
    return np.array([b0, b1, b2, a0, a1, a2]) / a0


def butterworth(kind: str, hz: float | tuple[float, float], rate: int, order: int = 2) -> NDArray[np.float64]:
    """A Butterworth low-pass, high-pass or (between two corners) band-pass of order 1 or 2, as second-order sections.

    The analogue prototype through the bilinear transform, corners in their places; a band-pass has twice the poles.
    """
    corner = np.tan(np.pi * np.asarray(hz) / rate)
    if kind == "bandpass":
        width, square = corner[1] - corner[0], corner[0] * corner[1]
        if order == 1:
            pairs = [(width, square)]
        else:
            pole = np.sqrt(0.5) * (-1.0 + 1.0j) * width
            roots = 0.5 * (pole + np.array([1.0, -1.0]) * np.sqrt(pole * pole - 4.0 * square))
            pairs = [(-2.0 * root.real, abs(root) ** 2) for root in roots]
        return np.array([[width, 0.0, -width, 1 + b + c, 2 * (c - 1), 1 - b + c] / (1 + b + c) for b, c in pairs])
    if order == 2:
        return biquad(Band(kind, float(np.asarray(hz)), 0.0, np.sqrt(0.5)), rate)[None]
    ends = [corner, corner] if kind == "lowpass" else [1.0, -1.0]
    return np.array([[*ends, 0.0, 1.0 + corner, corner - 1.0, 0.0]]) / (1.0 + corner)


def run_filter(sections: NDArray[np.float64], x: Floats, out: Floats | None = None) -> Floats:
    """`x` (channels, frames) through second-order sections, from rest."""
    out = np.empty_like(x) if out is None else out
    Cascade(sections, len(x), single=True).run(x, out)
    return out


def remove_dc(x: Floats, rate: int, out: Floats | None = None) -> Floats:
    """First-order high-pass at 8 Hz: takes a standing offset away, from rest, without an edge of its own."""
    pole = np.exp(-2 * np.pi * 8.0 / rate)
    return run_filter(np.array([[(1 + pole) / 2, -(1 + pole) / 2, 0.0, 1.0, -pole, 0.0]]), x, out)
