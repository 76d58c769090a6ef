"""Reverberation by convolution with drawn impulse responses.

Arrays (2, frames) float32, the wet sound alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dsp import filters
from models.band.sound.effects.convolve import Response, convolver
from models.band.sound.effects.tone import butterworth

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Space:
    """What tells spaces apart, besides their decay."""

    build_ms: float  # the diffuse field's rise
    early_ms: tuple[float, float]  # first and last early reflection
    early_count: int
    early_share: float  # of the response's energy
    low_ratio: float  # decay time at 60 Hz over that at 1 kHz
    high_ratio: float  # decay time at 12 kHz over that at 1 kHz, undamped
    band_hz: tuple[float, float]  # what the space passes at all


_SPACES = {
    "room": _Space(4.0, (3.0, 32.0), 18, 0.35, 0.9, 0.55, (90.0, 14000.0)),
    "hall": _Space(28.0, (14.0, 85.0), 24, 0.14, 1.15, 0.42, (60.0, 11000.0)),
    "plate": _Space(0.6, (0.5, 6.0), 30, 0.08, 0.85, 0.75, (120.0, 16000.0)),
    "ambience": _Space(1.5, (1.5, 48.0), 40, 0.55, 0.8, 0.5, (150.0, 12000.0)),
}
KINDS = (*_SPACES, "spring")

_COLUMNS = 256
_OCTAVES = 2
_CROSS = 0.25  # how much of each side is heard in the other side's response


def reverb(
    x: Floats,
    rate: int,
    kind: str = "hall",
    seconds: float = 1.8,
    predelay_ms: float = 0.0,
    damp: float = 0.3,
    level: float = 1.0,
    out: Floats | None = None,
) -> Floats:
    """The reverberation of `x`, as many frames as `x` has; added to `out` where given, which may be `x` itself.

    `seconds` is the time to fall by 60 dB around 1 kHz, `damp` (0..1) shortens the treble. White noise
    comes back with about the power it went in with, times `level` (a ratio) squared.
    """
    out = np.zeros_like(x) if out is None else out
    room = convolver(_responses(rate, kind, seconds, predelay_ms, damp))
    for start in range(0, x.shape[1], room.size):
        part = slice(start, min(start + room.size, x.shape[1]))
        for side in range(2):
            feed = room.feed(side, part.stop - start)
            np.multiply(x[1 - side, part], np.float32(_CROSS), out=feed)
            feed += x[side, part]
            feed *= np.float32(level / np.hypot(1.0, _CROSS))
        for side in range(2):
            room.run(side, out[side, part])
    return out


@lru_cache(maxsize=16)
def _responses(rate: int, kind: str, seconds: float, predelay_ms: float, damp: float) -> tuple[Response, Response]:
    lag = round(predelay_ms * rate / 1000)
    left, right = np.pad(impulse_response(rate, kind, seconds, damp), ((0, 0), (lag, 0)))
    return Response(left), Response(right)


def impulse_response(rate: int, kind: str, seconds: float, damp: float) -> Floats:
    """(2, frames) float32 of unit energy a side; the sides are not correlated."""
    frames = fast_length(round(1.1 * seconds * rate) + round(0.1 * rate))
    random = np.random.Generator(np.random.PCG64([KINDS.index(kind), 30]))
    if kind == "spring":
        response = _spring(rate, frames, seconds, damp)
    else:
        response = _diffuse(_SPACES[kind], rate, frames, seconds, damp, random)
    fade = round(0.1 * rate)
    response[:, -fade:] *= np.linspace(1.0, 0.0, fade)
    response /= np.sqrt(np.sum(response**2, axis=1, keepdims=True))
    return response.astype(np.float32)


def _diffuse(
    space: _Space, rate: int, frames: int, seconds: float, damp: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Early reflections, then noise that decays in each octave at that octave's own pace (Moorer 1979)."""
    noise = random.standard_normal((frames, 2)).T * np.sqrt(rate / 48000)
    # numpy transforms in float32 only where it also divides by the size.
    spectrum = np.fft.rfft(noise.astype(np.float32), axis=1, norm="forward")
    hz = np.fft.rfftfreq(frames, 1 / rate)
    octave = np.log2(np.maximum(hz, 1.0) / 1000.0)
    field = np.zeros((2, frames), np.float32)
    centres = np.arange(-4.0, 4.6)
    for first in range(0, len(centres), _OCTAVES):  # together, for the transform works on four rows at once
        group = centres[first : first + _OCTAVES]
        shares = np.stack([_octave(octave, centre, centres) for centre in group])
        bands = np.fft.irfft(spectrum * shares[:, None], frames, axis=2)
        for band, centre in zip(bands, group, strict=True):
            if centre < 0:
                pace = space.low_ratio ** (-centre / 4.0)
            else:
                pace = (space.high_ratio * (1.0 - 0.75 * damp)) ** (centre / 3.6)
            band *= _decay(frames, -6.9078 / (seconds * pace * rate))
            field += band
    field *= 1.0 - _decay(frames, -1000.0 / (space.build_ms * rate))
    field /= np.sqrt(np.sum(np.square(field, dtype=np.float64), axis=1, keepdims=True))
    early = _early(space, rate, frames, random)
    return _band(np.sqrt(1 - space.early_share) * field + np.sqrt(space.early_share) * early, rate, space.band_hz)


def _octave(octave: NDArray[np.float64], centre: float, centres: NDArray[np.float64]) -> Floats:
    """The share of each frequency (given in octaves) in the band around `centre`: raised cosines an octave apart, which
    add up to one; the outermost go on to the ends."""
    share = np.zeros(len(octave), np.float32)
    low, middle, high = np.searchsorted(octave, [centre - 1.0, centre, centre + 1.0])
    share[low:high] = 0.5 + 0.5 * np.cos(np.pi * (octave[low:high] - centre))
    if centre == centres[0]:
        share[:middle] = 1.0
    if centre == centres[-1]:
        share[middle:] = 1.0
    return share


def _decay(frames: int, slope: float) -> Floats:
    """exp(slope * n): a product of few exponentials, for they are slow to compute."""
    rows = np.exp(slope * _COLUMNS * np.arange(-(-frames // _COLUMNS)))
    columns = np.exp(slope * np.arange(_COLUMNS))
    return np.outer(rows.astype(np.float32), columns.astype(np.float32)).reshape(-1)[:frames]


def _early(space: _Space, rate: int, frames: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Single reflections, denser and softer with time, at other times on each side; unit energy a side."""
    early = np.zeros((2, frames))
    first, last = space.early_ms
    for side in range(2):
        places = first + (last - first) * np.sort(random.random(space.early_count)) ** 0.8
        signs = np.where(random.random(space.early_count) < 0.5, -1.0, 1.0)
        for place, sign in zip(places, signs, strict=True):
            frame = place * rate / 1000
            whole = int(frame)
            if whole + 1 < frames:
                level = sign * (first + 3.0) / (place + 3.0)
                early[side, whole] += level * (1 - (frame - whole))
                early[side, whole + 1] += level * (frame - whole)
    return early / np.sqrt(np.maximum(np.sum(early**2, axis=1, keepdims=True), 1e-12))


def _spring(rate: int, frames: int, seconds: float, damp: float) -> NDArray[np.float64]:
    """Three springs a side: every pass through a spring delays treble more than bass, which makes the chirp.

    After the measurements in Abel, Berners, Costello & Smith, "Spring reverb emulation using dispersive
    allpass filters in a waveguide structure" (AES 121, 2006): passes 2k+1 of a transit that lengthens
    towards 4.3 kHz.
    """
    size = 1 << int(np.ceil(np.log2(frames + rate)))
    hz = np.fft.rfftfreq(size, 1 / rate)
    top = 4300.0 * (1.0 - 0.4 * damp)
    stretch = np.minimum(hz / 4300.0, 1.0)
    gain = 1.0 / (1.0 + (hz / top) ** 12)
    response = np.zeros((2, frames))
    for side, transits in enumerate(((0.0331, 0.0383, 0.0417), (0.0347, 0.0372, 0.0429))):
        spectrum = np.zeros(len(hz), np.complex128)
        for transit in transits:
            late = transit * (0.62 + 0.38 * stretch**2)
            turn = 2 * np.pi * np.concatenate([[0.0], np.cumsum(0.5 * (late[1:] + late[:-1]))]) * (hz[1] - hz[0])
            echo = gain * np.exp(-1j * turn) * 10 ** (-3 * transit * 0.75 / seconds)
            there_and_back = np.exp(-2j * turn) * 10 ** (-6 * transit * 0.75 / seconds)
            for _ in range(int(0.6 * seconds / transit) + 1):
                spectrum += echo
                echo *= there_and_back
        response[side] = np.fft.irfft(spectrum, size)[:frames]
    return _band(response, rate, (110.0, 5000.0))


def _band(x: NDArray[np.float64], rate: int, band_hz: tuple[float, float]) -> NDArray[np.float64]:
    low, high = band_hz
    return filters.run(butterworth("bandpass", (low, min(high, 0.45 * rate)), rate, 1), x)


def fast_length(least: int) -> int:
    """The smallest number from `least` on with no prime factor above 5."""
    odd = [3**threes * 5**fives for threes in range(12) for fives in range(9)]
    return min(number << max(0, (-(-least // number) - 1).bit_length()) for number in odd)
