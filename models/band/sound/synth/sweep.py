"""Noise and its sweeping filters, for fx sounds: (2, frames) float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsp import filters
from models.band.sound.effects.tone import Band, biquad, butterworth

Sound = NDArray[np.float64]

_STEPS_PER_OCTAVE = 4
_BLOCK = 64  # frames from a computed value of what moves slowly to the next
_HARMONICS = 40
_COLUMNS, _ROWS = 64, 64  # of the matrix products in `ringing`


def white(frames: int, rate: int, seed: int) -> Sound:
    """Stereo white noise, the sides independent, of the same power per hertz at every rate."""
    random = np.random.Generator(np.random.PCG64([seed, 40]))
    return random.standard_normal((frames, 2)).T * np.sqrt(rate / 48000)


def narrow(x: Sound, amount: float) -> Sound:
    """Share `amount` of the side signal taken out: 1 is mono."""
    mid = x.mean(axis=0)
    return mid + (x - mid) * (1.0 - amount)


def filtered(x: Sound, rate: int, kind: str, hz: float | tuple[float, float], order: int = 2) -> Sound:
    """A Butterworth filter from rest."""
    corners = np.minimum(np.array(hz), 0.45 * rate)
    return filters.run(butterworth(kind, corners, rate, order), x)


def swept(x: Sound, rate: int, kind: str, hz: NDArray[np.float64], q: float = 0.8) -> Sound:
    """`x` through a two-pole filter whose corner follows `hz` (frames,).

    Crossfades between fixed filters a quarter of an octave apart, each run only where it is heard.
    """
    place = np.log2(np.clip(hz, 20.0, 0.42 * rate) / 20.0) * _STEPS_PER_OCTAVE
    blocks = np.pad(place, (0, -len(place) % _BLOCK), mode="edge").reshape(-1, _BLOCK)
    lowest, highest = blocks.min(axis=1), blocks.max(axis=1)
    out = np.zeros_like(x)
    settle = round(0.05 * rate)
    for step in range(int(place.min()), int(place.max()) + 2):
        heard = np.flatnonzero((lowest < step + 1) & (highest > step - 1))
        if not len(heard):
            continue
        first, stop = int(heard[0]) * _BLOCK, (int(heard[-1]) + 1) * _BLOCK
        start = max(0, first - settle)
        section = _section(kind, 20.0 * 2.0 ** (step / _STEPS_PER_OCTAVE), q, rate)
        sound = filters.run(section, x[:, start:stop])[:, first - start :]
        weight = 1.0 - np.abs(place[first:stop] - step)
        out[:, first:stop] += sound * np.maximum(0.0, weight, out=weight)
    return out


def _section(kind: str, hz: float, q: float, rate: int) -> NDArray[np.float64]:
    """One second-order section; the band-pass is the cookbook's with a peak of 0 dB."""
    if kind != "bandpass":
        return biquad(Band(kind, hz, 0.0, q), rate)[None]
    w = 2 * np.pi * hz / rate
    alpha = np.sin(w) / (2 * q)
    return np.array([[alpha, 0.0, -alpha, 1 + alpha, -2 * np.cos(w), 1 - alpha]]) / (1 + alpha)


def along(frames: int) -> NDArray[np.float64]:
    """From 0 in the first of `frames` to 1 in the last, at the knots of `joined`; on to 2 at most, beyond the last."""
    return np.minimum(_BLOCK / max(frames - 1, 1) * np.arange(-(-frames // _BLOCK) + 1), 2.0)


def joined(knots: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Values at every `_BLOCK`th frame, joined by straight lines: what moves slowly is computed no finer."""
    lines = np.stack([knots[:-1], np.diff(knots)], axis=1)
    ramp = np.stack([np.ones(_BLOCK), np.arange(_BLOCK) / _BLOCK])
    return (lines @ ramp).reshape(-1)[:frames]


def geometric(start: float, end: float, frames: int, bend: float = 1.0) -> NDArray[np.float64]:
    """From `start` to `end` at an even musical pace; `bend` over 1 hurries towards the end."""
    return joined(start * (end / start) ** (along(frames) ** bend), frames)


def turns(hz: NDArray[np.float64], rate: int, start: float = 0.0) -> NDArray[np.float64]:
    """Phase in radians of a tone of pitch `hz` (frames,), at `start` (turns) in the first frame."""
    return 2 * np.pi * (start + np.concatenate([[0.0], np.cumsum(hz[:-1])]) / rate)


def fall(frames: int, rate: int, seconds: float) -> NDArray[np.float64]:
    """exp from 1, down by 60 dB after `seconds`: a product of few exponentials, for they are slow to compute."""
    slope = -6.9078 / (seconds * rate)
    rows = np.exp(slope * _BLOCK * np.arange(-(-frames // _BLOCK)))
    return np.outer(rows, np.exp(slope * np.arange(_BLOCK))).reshape(-1)[:frames]


def ringing(turning: NDArray[np.complex128], amplitudes: NDArray[np.complex128], frames: int) -> NDArray[np.float64]:
    """The sum of decaying sines: the imaginary part of sum(amplitudes * exp(turning * n)) for n in 0..`frames`.

    exp(t (row + column)) = exp(t row) exp(t column): what would be a sine and an exponential for each partial and
    frame is one product of two small matrices, some forty times as fast.
    """
    columns = np.exp(turning[:, None] * np.arange(_COLUMNS))
    starts = np.arange(-(-frames // _COLUMNS)) * _COLUMNS
    out = np.empty((len(starts), _COLUMNS))
    for first in range(0, len(starts), _ROWS):  # larger products would be spread over threads, which wait for cores
        rows = np.exp(starts[first : first + _ROWS, None] * turning) * amplitudes
        out[first : first + _ROWS] = rows.real @ columns.imag + rows.imag @ columns.real
    return out.reshape(-1)[:frames]


def saw(hz: NDArray[np.float64] | float, frames: int, rate: int, start: float = 0.0) -> NDArray[np.float64]:
    """A band-limited saw, of one pitch or a moving one (frames,): harmonics drop out before they reach 20 kHz.

    Up to 40 harmonics, which is all a riser needs; each fades out over the last fifth below its limit.
    """
    top = min(20000.0, 0.45 * rate)
    order = np.arange(1, min(_HARMONICS, int(top / np.min(hz))) + 1)
    if isinstance(hz, float):
        levels = np.clip((top - order * hz) / (0.2 * top), 0.0, 1.0) / order
        turning = np.asarray(2j * np.pi * hz / rate * order, np.complex128)
        return ringing(turning, levels * np.exp(2j * np.pi * start * order), frames)
    phase = turns(hz, rate, start)
    # sin(k p) = 2 cos(p) sin((k - 1) p) - sin((k - 2) p): two products a harmonic in place of a sine.
    last, wave, twice = np.zeros(frames), np.sin(phase), 2.0 * np.cos(phase)
    out = np.zeros(frames)
    highest = float(hz.max())
    for k in order:
        fade = np.clip((top - k * hz) / (0.2 * top), 0.0, 1.0) if k * highest > 0.8 * top else 1.0
        out += wave * (fade / k)
        last, wave = wave, twice * wave - last
    return out
