"""Short-time spectra of a sound, from one reading of it: in bands, by semitone, and finely in time.

Whatever the sound's rate, it is listened to at `RATE`: what is learned from spectra then holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from studio.align.values import AlignError, Source

Singles = NDArray[np.float32]

RATE = 22_050
PER_SECOND = 200
"""Frames in bands a second."""
PITCHES_PER_SECOND = 50
LOWEST_PITCH, PITCHES = 40, 52
"""MIDI notes looked at one by one."""
BANDS = 36
LOWEST_HZ, HIGHEST_HZ = 40.0, 9_500.0
FINE_PER_SECOND = 500
FINE = ((66, 128, 6, 300.0), (220, 256, 8, 120.0), (882, 1024, 10, 35.0))
"""Windows of 3, 10 and 40 ms: samples, FFT, bands up to 10 kHz and where these begin, in Hz."""
FINE_BANDS = sum(bands for _, _, bands, _ in FINE)

_BAND_WINDOW, _PITCH_WINDOW = 512, 4096
_BLOCK_SECONDS = 20
_AROUND = _PITCH_WINDOW // 2 + 1
"""Samples needed on either side of a frame's centre."""
_READ = 1 << 16
_SOME = 128
"""Windows transformed at a time: they overlap many times over, so all at once are a lot of memory."""


@dataclass(frozen=True)
class Spectra:
    """Frame k of each array is centred on its k-th part of a second; silence lies around the sound."""

    bands: Singles
    """(frames, BANDS): mean magnitudes, PER_SECOND a second."""
    power: Singles
    """(frames,): mean square."""
    pitches: Singles
    """(pitch frames, PITCHES): magnitudes by semitone, PITCHES_PER_SECOND a second."""
    fine: NDArray[np.float16]
    """(fine frames, FINE_BANDS): common logarithms of power, FINE_PER_SECOND a second."""
    seconds: float


def spectra(source: Source, rate: int) -> Spectra:
    """Read a source once, in blocks. Raises AlignError for samples that are not numbers."""
    seconds = source.frames / rate
    fine, pitches, bands = analyses = (_Fine(seconds), _Pitches(seconds), _Bands(seconds))
    with ThreadPoolExecutor(len(analyses)) as pool:  # most of each is arithmetic that leaves the others alone
        for start, samples in _blocks(source, rate):
            for pushed in [pool.submit(analysis.push, start, samples) for analysis in analyses]:
                pushed.result()
    return Spectra(bands.found, bands.power, pitches.found, fine.found, seconds)


def _blocks(source: Source, rate: int) -> Iterator[tuple[int, Singles]]:
    """Mono samples at RATE, some seconds at a time with `_AROUND` more on either side; and the first one's number,
    without those around it."""
    size, last = _BLOCK_SECONDS * RATE, int(source.frames / rate * RATE) + 1
    held = np.zeros(_AROUND, np.float32)
    start = 0
    for piece in _mono(source, rate):
        held = np.concatenate((held, piece))
        while len(held) >= size + 2 * _AROUND:
            yield start, held[: size + 2 * _AROUND]
            held, start = held[size:], start + size
    while start <= last:
        yield start, np.pad(held, (0, max(0, size + 2 * _AROUND - len(held))))[: size + 2 * _AROUND]
        held, start = held[size:], start + size


def _mono(source: Source, rate: int) -> Iterator[Singles]:
    resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32") if rate != RATE else None
    for start in range(0, source.frames, _READ):
        count = min(_READ, source.frames - start)
        samples = source.read(start, count).mean(axis=0)
        if not np.isfinite(samples).all():
            raise AlignError("the sound holds samples that are not numbers (NaN or infinite); export it again")
        yield samples if resampler is None else resampler.resample_chunk(samples, last=start + count == source.frames)


class _Analysis:
    """Frames at an even pace through the blocks."""

    def __init__(self, seconds: float, per_second: int) -> None:
        self.count = int(seconds * per_second) + 1
        self._hop = RATE / per_second
        self._next = 0

    def _windows(self, start: int, samples: Singles, length: int) -> Iterator[tuple[slice, Singles]]:
        """Frames in this block, some at a time, and (frames, length) samples about their centres."""
        block = len(samples) - 2 * _AROUND
        stop = min(self.count, int(np.ceil((start + block) / self._hop)))
        if stop <= self._next:
            return
        views = np.lib.stride_tricks.sliding_window_view(samples, length)
        for first in range(self._next, stop, _SOME):
            frames = np.arange(first, min(first + _SOME, stop))
            centres = np.rint(frames * self._hop).astype(np.intp) - start + _AROUND
            yield slice(first, first + len(frames)), views[centres - length // 2]
        self._next = stop


class _Bands(_Analysis):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, PER_SECOND)
        self._bank = _triangles(_BAND_WINDOW)
        self._shape = np.hanning(_BAND_WINDOW).astype(np.float32)
        self.found = np.zeros((self.count, BANDS), np.float32)
        self.power = np.zeros(self.count, np.float32)

    def push(self, start: int, samples: Singles) -> None:
        for frames, windows in self._windows(start, samples, _BAND_WINDOW):
            self.found[frames] = np.abs(_transformed(windows * self._shape)) @ self._bank
            self.power[frames] = np.einsum("kn,kn->k", windows, windows) / np.float32(_BAND_WINDOW)


class _Pitches(_Analysis):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, PITCHES_PER_SECOND)
        hz = np.fft.rfftfreq(_PITCH_WINDOW, 1 / RATE)
        semitone = np.rint(69.0 + 12.0 * np.log2(np.maximum(hz, 1.0) / 440.0)).astype(np.intp) - LOWEST_PITCH
        self._bins = np.flatnonzero((semitone >= 0) & (semitone < PITCHES))
        self._map = np.zeros((len(self._bins), PITCHES), np.float32)
        self._map[np.arange(len(self._bins)), semitone[self._bins]] = 1.0
        self._shape = np.hanning(_PITCH_WINDOW).astype(np.float32)
        self.found = np.zeros((self.count, PITCHES), np.float32)

    def push(self, start: int, samples: Singles) -> None:
        for frames, windows in self._windows(start, samples, _PITCH_WINDOW):
            found = _transformed(windows * self._shape)[:, self._bins]
            self.found[frames] = np.sqrt((found.real**2 + found.imag**2) @ self._map)


class _Fine(_Analysis):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, FINE_PER_SECOND)
        self._parts = [
            (length, size, np.hanning(length + 2)[1:-1].astype(np.float32), _boxes(size, bands, low) / length)
            for length, size, bands, low in FINE
        ]
        self._longest = max(length for length, *_ in self._parts)
        self.found = np.zeros((self.count, FINE_BANDS), np.float16)

    def push(self, start: int, samples: Singles) -> None:
        for frames, windows in self._windows(start, samples, self._longest):
            powers = []
            for length, size, shape, bank in self._parts:
                first = (self._longest - length) // 2
                found = _transformed(windows[:, first : first + length] * shape, size)
                powers.append((found.real**2 + found.imag**2) @ bank)
            self.found[frames] = np.log10(np.concatenate(powers, axis=1) + 1e-12)


def _transformed(windows: Singles, size: int | None = None) -> NDArray[np.complex64]:
    """Along the last axis; numpy's own takes up to nine times as long for many windows in single precision."""
    from scipy.fft import rfft

    return np.asarray(rfft(windows, size, axis=1), np.complex64)


def band_centres() -> NDArray[np.float64]:
    """The middles of the bands, in Hz."""
    return np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS)


def _triangles(window: int) -> Singles:
    """Triangles on a logarithmic axis, (bins, bands), each of unit sum; one bin wide at least."""
    hz = np.fft.rfftfreq(window, 1 / RATE)
    ratio = (HIGHEST_HZ / LOWEST_HZ) ** (1 / (BANDS - 1))
    edges = np.geomspace(LOWEST_HZ / ratio, HIGHEST_HZ * ratio, BANDS + 2)
    bank = np.zeros((len(hz), BANDS))
    for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        bank[:, band] = np.clip(np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)), 0.0, None)
        if not bank[:, band].any():
            bank[np.argmin(np.abs(hz - centre)), band] = 1.0
    return np.asarray(bank / bank.sum(axis=0), np.float32)


def _boxes(size: int, bands: int, low: float) -> Singles:
    """Bands side by side on a logarithmic axis, (bins, bands), each a mean over its bins; one bin wide at least."""
    hz = np.fft.rfftfreq(size, 1 / RATE)
    edges = np.geomspace(low, 10_000.0, bands + 1)
    bank = np.zeros((len(hz), bands), np.float32)
    for band in range(bands):
        inside = (hz >= edges[band]) & (hz < edges[band + 1])
        if not inside.any():
            inside[np.argmin(np.abs(hz - np.sqrt(edges[band] * edges[band + 1])))] = True
        bank[inside, band] = 1.0 / inside.sum()
    return bank
