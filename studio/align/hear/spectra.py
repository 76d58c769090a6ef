"""Short-time spectra of a sound, from one reading of it: in bands, by semitone, and finely in time.

Whatever the sound's rate, it is listened to at `RATE`: what is learned from spectra then holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.align.rows import Room, Rows
from studio.align.values import AlignError, Source, as_one

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
_LONG = 800
"""Samples from which a window sees hardly any change from one fine frame to the next: every other one tells of all."""


@dataclass(frozen=True)
class Spectra:
    """Frame k of each array is centred on its k-th part of a second; silence lies around the sound."""

    bands: Rows
    """(frames, BANDS): mean magnitudes, PER_SECOND a second."""
    power: Singles
    """(frames,): mean square."""
    pitches: Rows
    """(pitch frames, PITCHES): magnitudes by semitone, PITCHES_PER_SECOND a second."""
    fine: Rows
    """(fine frames, FINE_BANDS), float16: common logarithms of power, FINE_PER_SECOND a second."""
    loudest: Singles
    """(fine frames,): the greatest of each."""
    seconds: float
    room: Room
    """Where the rows wait."""


def spectra(source: Source, rate: int, room: Room) -> Spectra:
    """Read a source once, in blocks. Raises AlignError for samples that are not numbers."""
    seconds = source.frames / rate
    fine, pitches, bands = _Fine(seconds, room), _Pitches(seconds, room), _Bands(seconds, room)
    with ThreadPoolExecutor(1) as pool:
        pushed: Future[None] | None = None
        for start, samples in _blocks(source, rate):
            if pushed is not None:
                pushed.result()
            pushed = pool.submit(fine.push, start, samples)  # as much work as all else
            pitches.push(start, samples)
            bands.push(start, samples)
        if pushed is not None:
            pushed.result()
    return Spectra(bands.found, bands.power, pitches.found, fine.found, fine.loudest, seconds, room)


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
        samples = as_one(source.read(start, count))
        if not np.isfinite(samples).all():
            raise AlignError("the sound holds samples that are not numbers (NaN or infinite); export it again")
        yield samples if resampler is None else resampler.resample_chunk(samples, last=start + count == source.frames)


class _Lens:
    """A window, and the bands that are looked at through it."""

    def __init__(self, shape: NDArray[np.float64], size: int, bank: Singles) -> None:
        self.length = len(shape)
        self._shape, self._size = shape.astype(np.float32), size
        self._bank, self._squares_bank = bank, np.repeat(bank, 2, axis=0)

    def magnitudes(self, windows: Singles) -> Singles:
        """(frames, samples), which are written over, to (frames, bands)."""
        return np.abs(self._transformed(windows)) @ self._bank

    def powers(self, windows: Singles) -> Singles:
        """(frames, samples), which are written over, to (frames, bands)."""
        parts = self._transformed(windows).view(np.float32)
        parts *= parts
        return parts @ self._squares_bank

    def _transformed(self, windows: Singles) -> NDArray[np.complex64]:
        """numpy's own takes up to nine times as long for many windows in single precision."""
        from scipy.fft import rfft

        windows *= self._shape
        return np.asarray(rfft(windows, self._size, axis=1, overwrite_x=True), np.complex64)


class _Analysis:
    """Frames at an even pace through the blocks, some at a time: they overlap, so all at once are a lot of memory."""

    def __init__(self, seconds: float, per_second: int, some: int, found: Rows) -> None:
        self.count = int(seconds * per_second) + 1
        self.found = found
        self._some = some
        self._hop = RATE / per_second

    def _frames(self, start: int, samples: Singles) -> Iterator[NDArray[np.intp]]:
        """The numbers of the frames in this block, some at a time."""
        block = len(samples) - 2 * _AROUND
        stop = min(self.count, int(np.ceil((start + block) / self._hop)))
        for first in range(len(self.found), stop, self._some):
            yield np.arange(first, min(first + self._some, stop))

    def _around(self, frames: NDArray[np.intp], start: int, windows: Singles) -> Singles:
        """Those of all windows of a block that have the frames as their centres, free to be written."""
        centres = np.rint(frames * self._hop).astype(np.intp) - start + _AROUND
        return np.asarray(windows[centres - windows.shape[1] // 2])

    def _keep(self, rows: list[Singles]) -> None:
        if rows:
            self.found.append(np.concatenate(rows))


class _Bands(_Analysis):
    def __init__(self, seconds: float, room: Room) -> None:
        super().__init__(seconds, PER_SECOND, 256, room.rows(BANDS))
        self._lens = _Lens(np.hanning(_BAND_WINDOW), _BAND_WINDOW, _triangles(_BAND_WINDOW))
        self.power = np.zeros(self.count, np.float32)

    def push(self, start: int, samples: Singles) -> None:
        every, found = sliding_window_view(samples, _BAND_WINDOW), []
        for frames in self._frames(start, samples):
            windows = self._around(frames, start, every)
            self.power[frames] = np.einsum("kn,kn->k", windows, windows) / np.float32(_BAND_WINDOW)
            found.append(self._lens.magnitudes(windows))
        self._keep(found)


class _Pitches(_Analysis):
    def __init__(self, seconds: float, room: Room) -> None:
        super().__init__(seconds, PITCHES_PER_SECOND, 32, room.rows(PITCHES))
        hz = np.fft.rfftfreq(_PITCH_WINDOW, 1 / RATE)
        semitone = np.rint(69.0 + 12.0 * np.log2(np.maximum(hz, 1.0) / 440.0)).astype(np.intp) - LOWEST_PITCH
        bank = np.asarray(semitone[:, None] == np.arange(PITCHES), np.float32)
        self._lens = _Lens(np.hanning(_PITCH_WINDOW), _PITCH_WINDOW, bank)

    def push(self, start: int, samples: Singles) -> None:
        every = sliding_window_view(samples, _PITCH_WINDOW)
        windows = (self._around(frames, start, every) for frames in self._frames(start, samples))
        self._keep([np.sqrt(self._lens.powers(some)) for some in windows])


class _Fine(_Analysis):
    def __init__(self, seconds: float, room: Room) -> None:
        super().__init__(seconds, FINE_PER_SECOND, 256, room.rows(FINE_BANDS, np.float16))
        self._lenses = [
            _Lens(np.hanning(length + 2)[1:-1], size, _boxes(size, bands, low) / np.float32(length))
            for length, size, bands, low in FINE
        ]
        self.loudest = np.zeros(self.count, np.float32)

    def push(self, start: int, samples: Singles) -> None:
        views, found = [sliding_window_view(samples, lens.length) for lens in self._lenses], []
        for frames in self._frames(start, samples):
            first, last = int(frames[0]), int(frames[-1])
            others = np.arange(first // 2, (last + 1) // 2 + 1) * 2
            powers = []
            for lens, view in zip(self._lenses, views, strict=True):
                if lens.length < _LONG:
                    powers.append(lens.powers(self._around(frames, start, view)))
                else:
                    power = _between(lens.powers(self._around(others, start, view)))
                    powers.append(power[first % 2 :][: len(frames)])
            rows = np.log10(np.concatenate(powers, axis=1) + 1e-12).astype(np.float16)
            self.loudest[frames] = rows.max(axis=1)
            found.append(rows)
        self._keep(found)


def _between(rows: Singles) -> Singles:
    """Rows with the mean of each two between them."""
    found = np.repeat(rows, 2, axis=0)[:-1]
    found[1::2] = 0.5 * (rows[:-1] + rows[1:])
    return found


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
