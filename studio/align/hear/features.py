"""What changes in a sound, some 200 times a second: rises of energy in bands, and chroma.

The rise is spectral flux on compressed magnitudes, against a maximum over neighbouring bands so that vibrato does not
count as attacks: S. Böck and G. Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.values import AlignError, Source

Singles = NDArray[np.float32]

PER_SECOND = 200
"""Frames of features a second."""
CHROMA_PER_SECOND = 20
_BANDS = 36
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 14_000.0
_LOW_HZ, _HIGH_HZ = 180.0, 2_500.0
_LAG = 3
"""Feature frames over which a rise is measured: as long as the window's half."""
_BLOCK_SECONDS = 20
_COMPRESSION_DB = 60.0
"""How far below the loudest magnitude a rise still counts."""
_CHROMA_HZ = (80.0, 2_000.0)


@dataclass(frozen=True)
class Features:
    """Arrays over feature frames; frame k is centred on second k / PER_SECOND."""

    rise: Singles
    """(frames,): of all bands."""
    low: Singles
    mid: Singles
    high: Singles
    """(frames,) each: of the bands below 180 Hz, up to 2.5 kHz, and above."""
    level: Singles
    """(frames,): dB below the loudest frame, at least -120."""
    chroma: Singles
    """(chroma frames, 12): magnitudes by pitch class, CHROMA_PER_SECOND of them; the first is C."""
    seconds: float

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The feature frames nearest to times."""
        return np.clip(np.rint(seconds * PER_SECOND).astype(np.intp), 0, len(self.rise) - 1)


def features(source: Source, rate: int) -> Features:
    """Read a source once, in blocks. Raises AlignError for samples that are not numbers."""
    window = 1 << max(6, round(np.log2(rate * 0.0213)))
    bank = _bank(rate, window)
    bands, power = [], []
    chroma = _Chroma(rate)
    for block, count, first in _blocks(source, rate, window):
        if not np.isfinite(block).all():
            raise AlignError("the sound holds samples that are not numbers (NaN or infinite); export it again")
        starts = np.rint(np.arange(first, first + count) * (rate / PER_SECOND)).astype(np.intp)
        starts -= starts[0] if count else 0
        views = np.lib.stride_tricks.sliding_window_view(block, window)[starts]
        spectra = np.abs(np.fft.rfft(views * np.hanning(window).astype(np.float32), axis=1)).astype(np.float32)
        bands.append(spectra @ bank)
        power.append(np.einsum("kn,kn->k", views, views) / window)
        chroma.push(block[window // 2 :], count)
    magnitudes = np.concatenate(bands) if bands else np.zeros((1, _BANDS), np.float32)
    energy = np.concatenate(power) if power else np.zeros(1, np.float32)
    rise = _rise(magnitudes)
    centres = _centres()
    low, high = centres < _LOW_HZ, centres >= _HIGH_HZ
    peak = max(float(energy.max(initial=0.0)), 1e-12)
    return Features(
        rise=rise.mean(axis=1), low=rise[:, low].mean(axis=1), mid=rise[:, ~low & ~high].mean(axis=1),
        high=rise[:, high].mean(axis=1), level=np.maximum(10 * np.log10(energy / peak + 1e-12), -120.0),
        chroma=chroma.result(), seconds=source.frames / rate,
    )  # fmt: skip


def _blocks(source: Source, rate: int, window: int) -> Iterator[tuple[Singles, int, int]]:
    """Mono samples for some feature frames at a time, the count of these, and the first one's number.

    The samples begin half a window before the first feature frame's centre, silence standing before the sound.
    """
    total = int(source.frames / rate * PER_SECOND) + 1
    some = _BLOCK_SECONDS * PER_SECOND
    for first in range(0, total, some):
        count = min(some, total - first)
        start = round(first * rate / PER_SECOND) - window // 2
        stop = round((first + count - 1) * rate / PER_SECOND) + window // 2 + 1
        low, high = max(start, 0), min(stop, source.frames)
        block = np.zeros(stop - start, np.float32)
        if high > low:
            block[low - start : high - start] = source.read(low, high - low).mean(axis=0)
        yield block, count, first


def _centres() -> NDArray[np.float64]:
    return np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS)


def _bank(rate: int, window: int) -> Singles:
    """Triangles on a logarithmic axis, (bins, bands), each of unit sum; one bin wide at least."""
    hz = np.fft.rfftfreq(window, 1 / rate)
    edges = np.geomspace(_LOWEST_HZ * 0.8, _HIGHEST_HZ * 1.2, _BANDS + 2)
    bank = np.zeros((len(hz), _BANDS))
    for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        bank[:, band] = np.clip(np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)), 0.0, None)
        if not bank[:, band].any():
            bank[np.argmin(np.abs(hz - centre)), band] = 1.0
    return np.asarray(bank / bank.sum(axis=0), np.float32)


def _rise(magnitudes: Singles) -> Singles:
    """(frames, bands): the rise of compressed magnitudes over `_LAG` frames, never negative."""
    top = max(float(np.percentile(magnitudes.max(axis=1), 99.5)), 1e-9)
    loud = np.log1p(magnitudes * (10 ** (_COMPRESSION_DB / 20) / top))
    before = np.pad(loud, ((_LAG, 0), (1, 1)), mode="edge")[: len(loud)]
    before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
    before[:_LAG] = 0.0  # silence stands before the sound
    return np.asarray(np.maximum(loud - before, 0.0), np.float32)


class _Chroma:
    """Chroma from long windows, as the samples come in."""

    def __init__(self, rate: int) -> None:
        self._hop = rate / CHROMA_PER_SECOND
        self._window = 1 << round(np.log2(rate * 0.17))
        hz = np.fft.rfftfreq(self._window, 1 / rate)
        self._bins = np.flatnonzero((hz > _CHROMA_HZ[0]) & (hz < _CHROMA_HZ[1]))
        pitch = 69.0 + 12.0 * np.log2(hz[self._bins] / 440.0)
        near = np.exp(-0.5 * ((pitch - np.rint(pitch)) / 0.25) ** 2) / np.sqrt(hz[self._bins])
        self._map = np.zeros((len(self._bins), 12), np.float32)
        self._map[np.arange(len(self._bins)), np.rint(pitch).astype(np.intp) % 12] = near
        self._shape = np.hanning(self._window).astype(np.float32)
        self._parts: list[Singles] = []

    def push(self, samples: Singles, feature_frames: int) -> None:
        """The next block. Windows at its ends see silence beyond it: chroma is compared over beats, and a block is
        twenty seconds."""
        count = -(-feature_frames * CHROMA_PER_SECOND // PER_SECOND)
        padded = np.pad(samples, (self._window // 2, self._window // 2))
        starts = np.minimum(np.rint(np.arange(count) * self._hop).astype(np.intp), len(padded) - self._window)
        views = np.lib.stride_tricks.sliding_window_view(padded, self._window)[starts]
        spectra = np.abs(np.fft.rfft(views * self._shape, axis=1))[:, self._bins].astype(np.float32)
        self._parts.append(spectra @ self._map)

    def result(self) -> Singles:
        return np.concatenate(self._parts) if self._parts else np.zeros((1, 12), np.float32)
