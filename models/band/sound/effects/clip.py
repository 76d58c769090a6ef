"""Soft clipping without audible aliasing. Arrays (channels, frames) float32, full scale +-1.0, nothing is delayed."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_CHUNK = 1 << 13  # frames; what is made on the way stays in the cache
_WIDE = 32  # frames in a row of a matrix product
_PRODUCTS = 4  # for a chunk: the BLAS library would spread larger ones over threads


def saturate(x: Floats, drive_db: float, out: Floats | None = None) -> Floats:
    """Odd-harmonic saturation; a peak of -6 dBFS keeps its level, softer comes up, louder comes down."""
    gain = 10 ** (drive_db / 20)
    at_half = 0.5 * gain / np.sqrt(1 + 0.25 * gain * gain)
    return soft_clip(x, gain, 0.5 / at_half, out)


def soft_clip(x: Floats, gain: float, level: float = 1.0, out: Floats | None = None) -> Floats:
    """level * f(gain * x) with f(u) = u / sqrt(1 + u^2), without audible aliasing and without delay.

    Twice the rate, and antiderivative anti-aliasing of first order (Parker, Zavalishin & Le Bivic,
    "Reducing the aliasing of nonlinear waveshaping using continuous-time convolution", DAFx 2016). For
    this f the quotient of differences is (u1 + u0) / (s1 + s0), s = sqrt(1 + u^2): no division by a small
    number. The filter back to the plain rate makes up for the treble that the method's averaging costs;
    all filters are symmetric, so at most 16 frames before a jump hear of it.
    """
    out = np.empty_like(x) if out is None else out
    made = _CHUNK + _PRODUCTS * _WIDE  # frames at twice the rate: 8 before those of a chunk, and more after them
    u = np.zeros((len(x), made + 15), np.float32)  # each needs 7 frames before it and 8 after it
    twice = np.empty((len(x), 2 * made), np.float32)
    slope = np.empty_like(twice)
    mean = np.empty((len(x), 2 * _CHUNK + 30), np.float32)
    up, down = _Filter(u, _up(), 1), _Filter(mean, _down() * np.float32(level), 2)
    neighbours = slice(None), slice(0, mean.shape[1])
    for start in range(0, x.shape[1], _CHUNK):
        stop = min(start + _CHUNK, x.shape[1])
        u[:, :15] = u[:, _CHUNK : _CHUNK + 15]  # the end of the chunk before, which may have been written over
        part = x[:, start : start + made]
        np.multiply(part, np.float32(gain), out=u[:, 15 : 15 + part.shape[1]])
        u[:, 15 + part.shape[1] :] = 0.0
        twice[:, 0::2] = u[:, 7:-8]
        twice[:, 1::2] = up.run()
        np.multiply(twice, twice, out=slope)
        slope += np.float32(1.0)
        np.sqrt(slope, out=slope)
        np.add(twice[:, 1:][neighbours], twice[neighbours], out=mean)
        mean /= np.add(slope[:, 1:][neighbours], slope[neighbours], out=twice[neighbours])
        out[:, start:stop] = down.run()[:, : stop - start]
    return out


class _Filter:
    """The filter of a `_matrix` over sound (channels, frames) that is written to one place, every `step` frames."""

    def __init__(self, x: Floats, matrix: Floats, step: int) -> None:
        windows = np.lib.stride_tricks.sliding_window_view(x, len(matrix), axis=1)
        self._windows, self._matrix = windows[:, :: step * _WIDE], matrix
        self._rows = np.empty(self._windows.shape, np.float32)
        self._products = self._rows.reshape(len(x), _PRODUCTS, -1, len(matrix))
        self._made = np.empty((*self._products.shape[:3], _WIDE), np.float32)

    def run(self) -> Floats:
        """The filtered sound, until the next call."""
        self._rows[:] = self._windows
        np.matmul(self._products, self._matrix, out=self._made)
        return self._made.reshape(len(self._made), -1)


def _matrix(half: NDArray[np.float64], step: int) -> Floats:
    """The symmetric filter of which `half` is the second half, brought to unit gain: window -> `_WIDE` frames."""
    taps = np.concatenate([half[::-1], half]) / (2 * half.sum())
    matrix = np.zeros((step * (_WIDE - 1) + len(taps), _WIDE), np.float32)
    for frame in range(_WIDE):
        matrix[step * frame : step * frame + len(taps), frame] = taps
    return matrix


@cache
def _up() -> Floats:
    """Reads between two frames: a windowed sinc of 16 points."""
    k = np.arange(8) + 0.5
    return _matrix(np.sinc(k) * np.i0(7.0 * np.sqrt(1 - (k / 8) ** 2)), 1)


@cache
def _down() -> Floats:
    """From twice the rate back: a Hamming-windowed low-pass of 32 points, tilted by 1 / cos to undo the averaging."""
    f = np.linspace(0.0, 1.0, 33)  # in units of the plain rate, which is Nyquist at twice the rate
    wanted = np.where(f <= 0.46, 1.0 / np.cos(np.pi * f / 2), 0.0)
    wanted[0] = 0.5  # the sum below has every other frequency twice
    k = np.arange(16) + 0.5
    return _matrix(np.cos(np.pi * np.outer(k, f)) @ wanted * (0.54 + 0.46 * np.cos(2 * np.pi * k / 31)), 2)
