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
PITCHES_PER_SECOND = 50
LOWEST_PITCH, PITCHES = 40, 52
"""MIDI notes looked at one by one."""
_NOTE_LAG = 4
_NOTE_DB = 35.0
_BANDS = 36
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 14_000.0
_LOW_HZ, _HIGH_HZ = 180.0, 2_500.0
_LAG = 3
"""Feature frames over which a rise is measured: as long as the window's half."""
_BLOCK_SECONDS = 20
_FLOOR_PERCENT = 10
_SOME = 4096
"""Feature frames worked on at a time."""
_COMPRESSION_DB = 60.0
"""How far below the loudest magnitude a rise still counts."""


@dataclass(frozen=True)
class Features:
    """Arrays over feature frames; frame k is centred on second k / PER_SECOND."""

    rise: Singles
    """(frames,): of all bands."""
    low: Singles
    mid: Singles
    high: Singles
    """(frames,) each: of the bands below 180 Hz, up to 2.5 kHz, and above."""
    notes: Singles
    """(frames,): of single semitones, over some 80 ms: notes that begin softly too."""
    change: Singles
    """(frames,): of harmony; 0 none, 1 nothing in common between a quarter of a second before and after."""
    level: Singles
    """(frames,): dB below the loudest frame, at least -120."""
    chroma: Singles
    """(chroma frames, 12): magnitudes by pitch class, PITCHES_PER_SECOND a second; the first is C."""
    seconds: float

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The feature frames nearest to times."""
        return np.clip(np.rint(seconds * PER_SECOND).astype(np.intp), 0, len(self.rise) - 1)


def features(source: Source, rate: int) -> Features:
    """Read a source once, in blocks. Raises AlignError for samples that are not numbers."""
    window = 1 << max(6, round(np.log2(rate * 0.0213)))
    bank = _bank(rate, window)
    bands, power = [], []
    pitches = _Pitches(rate)
    for block, count, first in _blocks(source, rate, window):
        if not np.isfinite(block).all():
            raise AlignError("the sound holds samples that are not numbers (NaN or infinite); export it again")
        starts = np.rint(np.arange(first, first + count) * (rate / PER_SECOND)).astype(np.intp)
        starts -= starts[0] if count else 0
        views = np.lib.stride_tricks.sliding_window_view(block, window)[starts]
        spectra = np.abs(np.fft.rfft(views * np.hanning(window).astype(np.float32), axis=1)).astype(np.float32)
        bands.append(spectra @ bank)
        power.append(np.einsum("kn,kn->k", views, views) / window)
        pitches.push(block[window // 2 :], count)
    magnitudes = np.concatenate(bands) if bands else np.zeros((1, _BANDS), np.float32)
    energy = np.concatenate(power) if power else np.zeros(1, np.float32)
    rise = _rise(magnitudes)
    centres = _centres()
    low, high = centres < _LOW_HZ, centres >= _HIGH_HZ
    by_pitch = pitches.result()
    chroma = np.zeros((len(by_pitch), 12), np.float32)
    for pitch in range(PITCHES):
        chroma[:, (LOWEST_PITCH + pitch) % 12] += by_pitch[:, pitch]
    peak = max(float(energy.max(initial=0.0)), 1e-12)
    return Features(
        rise=rise.mean(axis=1), low=rise[:, low].mean(axis=1), mid=rise[:, ~low & ~high].mean(axis=1),
        high=rise[:, high].mean(axis=1), notes=_notes(by_pitch, len(rise)), change=_change(chroma, len(rise)),
        level=np.maximum(10 * np.log10(energy / peak + 1e-12), -120.0),
        chroma=chroma, seconds=source.frames / rate,
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


def _rise(loud: Singles) -> Singles:
    """(frames, bands): the rise of compressed magnitudes over `_LAG` frames, never negative. The magnitudes given are
    compressed in place, and what is needed on the way is small: an hour of sound has a hundred megabytes of them."""
    top = max(float(np.percentile(loud.max(axis=1), 99.5)), 1e-9)
    loud *= np.float32(10 ** (_COMPRESSION_DB / 20) / top)
    np.log1p(loud, out=loud)
    # Before the sound stands what is heard between its notes: the hiss of a recording is no attack when it begins.
    floor = np.minimum([np.percentile(band, _FLOOR_PERCENT) for band in loud.T], loud[0]).astype(np.float32)
    rise = np.empty_like(loud)
    for start in range(0, len(loud), _SOME):
        stop = min(start + _SOME, len(loud))
        before = np.pad(loud[max(start - _LAG, 0) : max(stop - _LAG, 0)], ((0, 0), (1, 1)), mode="edge")
        before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
        if start == 0:
            before = np.concatenate([np.broadcast_to(floor, (min(_LAG, stop), len(floor))), before])
        np.maximum(loud[start:stop] - before, 0.0, out=rise[start:stop])
    return rise


def _change(chroma: Singles, frames: int) -> Singles:
    """How far the chroma of the quarter second after each feature frame is from that before, by the cosine, weighed
    by how loud it is."""
    side = PITCHES_PER_SECOND // 4
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0, dtype=np.float64)])
    at = np.arange(len(chroma) + 1)
    after = sums[np.minimum(at + side, len(chroma))] - sums[at]
    before = sums[at] - sums[np.maximum(at - side, 0)]
    late, early = np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1)
    floor = 1e-2 * float(late.max(initial=0.0)) + 1e-9
    likeness = np.einsum("kc,kc->k", after, before) / np.maximum(late * early, 1e-30)
    # A note after silence is no change of harmony: attacks tell of that, and much more exactly.
    even = np.sqrt(np.minimum(late, early) / np.maximum(np.maximum(late, early), floor))
    novelty = (1.0 - likeness) * even * np.minimum(late / (10 * floor), 1.0)
    return _at_features(novelty, -0.5, frames)


def _notes(pitches: Singles, frames: int) -> Singles:
    """The rise of compressed magnitudes by semitone over `_NOTE_LAG` frames: notes begin, however softly."""
    top = max(float(np.percentile(pitches.max(axis=1), 99.0)), 1e-9)
    loud = np.log1p(pitches * (10 ** (_NOTE_DB / 20) / top))
    before = np.pad(loud, ((_NOTE_LAG, 0), (1, 1)), mode="edge")[: len(loud)]
    before[:_NOTE_LAG] = np.pad(np.minimum(np.percentile(loud, _FLOOR_PERCENT, axis=0), loud[0]), 1, mode="edge")
    before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
    # The long window sees a note before it begins by as much as the lag delays it.
    return _at_features(np.maximum(loud - before, 0.0).mean(axis=1), 0.0, frames)


def _at_features(values: NDArray[np.floating], shift: float, frames: int) -> Singles:
    """Values at frames of pitch, moved by `shift` of them, at feature frames."""
    times = np.arange(frames) * (PITCHES_PER_SECOND / PER_SECOND)
    return np.asarray(np.interp(times, np.arange(len(values)) + shift, values), np.float32)


class _Pitches:
    """Magnitudes by semitone from long windows, as the samples come in."""

    def __init__(self, rate: int) -> None:
        self._hop = rate / PITCHES_PER_SECOND
        self._window = 1 << round(np.log2(rate * 0.17))
        hz = np.fft.rfftfreq(self._window, 1 / rate)
        semitone = np.rint(69.0 + 12.0 * np.log2(np.maximum(hz, 1.0) / 440.0)).astype(np.intp)
        self._bins = np.flatnonzero((semitone >= LOWEST_PITCH) & (semitone < LOWEST_PITCH + PITCHES))
        self._map = np.zeros((len(self._bins), PITCHES), np.float32)
        self._map[np.arange(len(self._bins)), semitone[self._bins] - LOWEST_PITCH] = 1.0
        self._shape = np.hanning(self._window).astype(np.float32)
        self._parts: list[Singles] = []

    def push(self, samples: Singles, feature_frames: int) -> None:
        """The next block. Windows at its ends see silence beyond it, which in twenty seconds does not matter."""
        count = -(-feature_frames * PITCHES_PER_SECOND // PER_SECOND)
        padded = np.pad(samples, (self._window // 2, self._window // 2))
        starts = np.minimum(np.rint(np.arange(count) * self._hop).astype(np.intp), len(padded) - self._window)
        views = np.lib.stride_tricks.sliding_window_view(padded, self._window)
        for first in range(0, count, 64):  # the windows overlap eight times over: all at once are a lot of memory
            spectra = np.fft.rfft(views[starts[first : first + 64]] * self._shape, axis=1)[:, self._bins]
            power = (spectra.real**2 + spectra.imag**2).astype(np.float32)
            self._parts.append(np.sqrt(power @ self._map))

    def result(self) -> Singles:
        return np.concatenate(self._parts) if self._parts else np.zeros((1, PITCHES), np.float32)
