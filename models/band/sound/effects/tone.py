"""Tone: equalizer, saturation, DC removal. Arrays (channels, frames) float32 in and out, nothing is delayed.

Filters run in float64 over short chunks: 32-bit state is not enough for a 20 Hz corner at 96 kHz, and
chunks keep the memory small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.band.sound.tables import choice, number

Floats = NDArray[np.float32]

_CHUNK = 1 << 16
_HOP = 1024  # frames of a silent stretch that are run at a time
_DEAD = 1e-12  # a state below this (-240 dB) rings no more
_CLIP_CHUNK = 1 << 13  # its dozen arrays stay in the cache


@dataclass(frozen=True)
class Band:
    """One equalizer band; `gain_db` is for shelves and peaks, `q` for peaks and passes (shelves: slope)."""

    type: str = choice(None, "highpass", "lowpass", "lowshelf", "highshelf", "peak")
    hz: float = number(None, 10.0, 20000.0)
    gain_db: float = number(0.0, -24.0, 24.0)
    q: float = number(0.7071, 0.1, 20.0)


def equalize(x: Floats, rate: int, bands: Sequence[Band]) -> Floats:
    """Apply `bands` one after the other."""
    if not bands:
        return x
    return run_filter(np.array([biquad(band, rate) for band in bands]), x)


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


def run_filter(sections: NDArray[np.float64], x: Floats) -> Floats:
    """`x` (channels, frames) through second-order sections, from rest.

    In silence a filter's state would fade into the subnormal numbers, on which processors are many times slower:
    silent stretches are run in short pieces, between which what has died away is brought to zero, and left out
    once nothing rings any more. (Stems that rest and play are filtered in a quarter of the time.)
    """
    from scipy import signal

    out = np.empty_like(x, np.float32)
    state = np.zeros((len(sections), x.shape[0], 2))
    for start, stop, silent in _stretches(x):
        size = _HOP if silent else _CHUNK
        for first in range(start, stop, size):
            if silent and not state.any():
                out[:, first:stop] = 0.0
                break
            part = slice(first, min(first + size, stop))
            out[:, part], state = signal.sosfilt(sections, x[:, part].astype(np.float64), axis=1, zi=state)
            state[np.abs(state) < _DEAD] = 0.0
    return out


def _stretches(x: Floats) -> list[tuple[int, int, bool]]:
    """`x` cut where it falls silent and where it sounds again: (start, stop, whether it is all zeros)."""
    frames = x.shape[1]
    whole = frames // _HOP * _HOP
    sounds: NDArray[np.bool_] = np.any(x[:, :whole].reshape(len(x), -1, _HOP), axis=(0, 2))
    if whole < frames:
        sounds = np.append(sounds, x[:, whole:].any())
    edges = [0, *(np.flatnonzero(sounds[1:] != sounds[:-1]) + 1).tolist(), len(sounds)]
    return [
        (first * _HOP, min(last * _HOP, frames), not sounds[first]) for first, last in pairwise(edges) if first < last
    ]


def remove_dc(x: Floats, rate: int) -> Floats:
    """First-order high-pass at 8 Hz: takes a standing offset away, from rest, without an edge of its own."""
    pole = np.exp(-2 * np.pi * 8.0 / rate)
    return run_filter(np.array([[(1 + pole) / 2, -(1 + pole) / 2, 0.0, 1.0, -pole, 0.0]]), x)


def soft_clip(x: Floats, gain: float) -> Floats:
    """f(gain * x) with f(u) = u / sqrt(1 + u^2), without audible aliasing and without delay.

    Twice the rate, and antiderivative anti-aliasing of first order (Parker, Zavalishin & Le Bivic,
    "Reducing the aliasing of nonlinear waveshaping using continuous-time convolution", DAFx 2016). For
    this f the quotient of differences is (u1 + u0) / (s1 + s0), s = sqrt(1 + u^2): no division by a small
    number. The filter back to the plain rate makes up for the treble that the method's averaging costs;
    all filters are symmetric, so at most 16 frames before a jump hear of it.
    """
    out = np.empty_like(x, np.float32)
    rise, fall = _up_taps(), _down_taps()
    frames, edge = x.shape[1], len(rise) + len(fall)
    padded = np.pad(x, ((0, 0), (edge, edge)))
    for start in range(0, frames, _CLIP_CHUNK):
        stop = min(start + _CLIP_CHUNK, frames)
        u = padded[:, start : stop + 2 * edge] * np.float32(gain)
        on = u[:, len(rise) : -len(rise)]
        # `between` lies half a frame after `on`; f is then averaged over each half frame.
        between = _pairs_of(u, u, rise, len(rise), len(rise) + 1, on.shape[1])
        on_slope, between_slope = (
            np.sqrt(on * on + np.float32(1.0)),
            np.sqrt(between * between + np.float32(1.0)),
        )
        late = (on + between) / (on_slope + between_slope)  # a quarter frame after each frame
        early = np.zeros_like(late)  # a quarter before
        early[:, 1:] = (on[:, 1:] + between[:, :-1]) / (on_slope[:, 1:] + between_slope[:, :-1])
        at, length = len(fall), stop - start
        y = _pairs_of(early, late, fall[0::2], at, at, length)
        y += _pairs_of(late, early, fall[1::2], at - 1, at + 1, length)
        out[:, start:stop] = y
    return out


def _pairs_of(before: Floats, after: Floats, taps: Floats, left: int, right: int, length: int) -> Floats:
    """Sum of taps[k] * (before[n + left - k] + after[n + right + k]) for n in 0..`length`."""
    total = np.zeros((before.shape[0], length), np.float32)
    for k, tap in enumerate(taps):
        total += tap * (before[:, left - k : left - k + length] + after[:, right + k : right + k + length])
    return total


@cache
def _up_taps() -> Floats:
    """Half of a symmetric filter that reads between two frames: a windowed sinc of 16 points."""
    k = np.arange(8) + 0.5
    taps = np.sinc(k) * np.i0(7.0 * np.sqrt(1 - (k / 8) ** 2))
    return np.asarray(taps / (2 * taps.sum()), np.float32)


@cache
def _down_taps() -> Floats:
    """Half of the filter from twice the rate back, tilted by 1 / cos to undo the averaging; outwards."""
    from scipy import signal

    f = np.linspace(0.0, 1.0, 65)  # in units of the plain rate, which is Nyquist at twice the rate
    wanted = np.where(f <= 0.46, 1.0 / np.cos(np.pi * f / 2), 0.0)
    taps = np.asarray(signal.firwin2(32, f, wanted, window="hamming"))[16:]
    return np.asarray(taps / (2 * taps.sum()), np.float32)


def saturate(x: Floats, drive_db: float) -> Floats:
    """Odd-harmonic saturation; a peak of -6 dBFS keeps its level, softer comes up, louder comes down."""
    gain = 10 ** (drive_db / 20)
    at_half = 0.5 * gain / np.sqrt(1 + 0.25 * gain * gain)
    return soft_clip(x, gain) * np.float32(0.5 / at_half)
