"""What changes in a sound, some 200 times a second: rises of energy in bands and of semitones.

The rise is spectral flux on compressed magnitudes, against a maximum over neighbouring bands so that vibrato does not
count as attacks: S. Böck and G. Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.spectra import PER_SECOND, PITCHES_PER_SECOND, Spectra, band_centres

Singles = NDArray[np.float32]

_NOTE_LAG = 4
_NOTE_DB = 35.0
_PITCH_DB = 40.0
_SILENCE = -8.5
"""Decades of power in the loudest band and moment below which there is nothing to hear."""
_LOW_HZ, _HIGH_HZ = 180.0, 2_500.0
_LAG = 3
"""Feature frames over which a rise is measured: as long as the window's half."""
_FLOOR_PERCENT = 10
_SOME = 4096
"""Feature frames worked on at a time."""
_COMPRESSION_DB = 60.0
"""How far below the loudest magnitude a rise still counts."""
_LEAST_TOP = 0.45
"""Mean rise of all bands in nats of magnitude, some 4 dB: less is what any sustained sound does in itself."""
_LEAST = {"notes": 0.3}


@dataclass(frozen=True)
class Features:
    """Arrays over feature frames; frame k is centred on second k / PER_SECOND."""

    bands: Singles
    """(frames, BANDS): compressed magnitudes."""
    rises: Singles
    """(frames, BANDS): how much each has risen."""
    pitches: Singles
    """(pitch frames, PITCHES): compressed magnitudes by semitone, PITCHES_PER_SECOND a second."""
    rise: Singles
    """(frames,): of all bands."""
    low: Singles
    mid: Singles
    high: Singles
    """(frames,) each: of the bands below 180 Hz, up to 2.5 kHz, and above."""
    notes: Singles
    """(frames,): of single semitones, over some 80 ms: notes that begin softly too."""
    level: Singles
    """(frames,): dB below the loudest frame, at least -120."""
    seconds: float
    silent: bool
    """Whether there is nothing to hear."""

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The feature frames nearest to times."""
        return np.clip(np.rint(seconds * PER_SECOND).astype(np.intp), 0, len(self.rise) - 1)


def features(found: Spectra) -> Features:
    """What changes, from spectra."""
    bands = found.bands.copy()
    rises = _rise(bands)
    centres = band_centres()
    low, high = centres < _LOW_HZ, centres >= _HIGH_HZ
    peak = max(float(found.power.max(initial=0.0)), 1e-12)
    frames = len(rises)
    return Features(
        bands=bands, rises=rises, pitches=_compressed(found.pitches, _PITCH_DB),
        rise=rises.mean(axis=1), low=rises[:, low].mean(axis=1), mid=rises[:, ~low & ~high].mean(axis=1),
        high=rises[:, high].mean(axis=1), notes=_notes(found.pitches, frames),
        level=np.maximum(10 * np.log10(found.power / peak + 1e-12), -120.0),
        seconds=found.seconds, silent=float(found.fine.max()) < _SILENCE,
    )  # fmt: skip


def _compressed(pitches: Singles, decibels: float) -> Singles:
    top = max(float(np.percentile(pitches.max(axis=1), 99.0)), 1e-9)
    return np.asarray(np.log1p(pitches * np.float32(10 ** (decibels / 20) / top)), np.float32)


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


def _notes(pitches: Singles, frames: int) -> Singles:
    """The rise of compressed magnitudes by semitone over `_NOTE_LAG` frames: notes begin, however softly."""
    loud = _compressed(pitches, _NOTE_DB)
    before = np.pad(loud, ((_NOTE_LAG, 0), (1, 1)), mode="edge")[: len(loud)]
    before[:_NOTE_LAG] = np.pad(np.minimum(np.percentile(loud, _FLOOR_PERCENT, axis=0), loud[0]), 1, mode="edge")
    before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
    # The long window sees a note before it begins by as much as the lag delays it.
    risen = np.maximum(loud - before, 0.0).mean(axis=1)
    places = np.arange(frames) * (PITCHES_PER_SECOND / PER_SECOND)
    return np.asarray(np.interp(places, np.arange(len(risen)), risen), np.float32)


def channel(heard: Features, name: str) -> NDArray[np.float32]:
    """One of the features by its name, normalised."""
    return normalised(getattr(heard, name), _LEAST.get(name, _LEAST_TOP))


def normalised(values: NDArray[np.float32], least: float = _LEAST_TOP) -> NDArray[np.float32]:
    """A rise above its mean of the second around it, against the strongest ones of the ten seconds around it: about 1
    for an accent, whatever the level, and 0 between accents. `least`: accents below this are nothing but noise."""
    hop = PER_SECOND
    half = hop // 2
    sums = np.concatenate([[0.0], np.cumsum(np.pad(values, half), dtype=np.float64)])
    mean = (sums[hop + 1 :] - sums[: -hop - 1])[: len(values)] / (hop + 1)
    above = np.maximum(values[: len(mean)] - mean, 0.0)
    pieces = max(1, -(-len(above) // hop))
    padded = np.zeros(pieces * hop)
    padded[: len(above)] = above
    tops = np.partition(padded.reshape(pieces, hop), hop - 4, axis=1)[:, hop - 4]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(tops, 5), 11).max(axis=1)
    floor = max(0.25 * float(around.max(initial=0.0)), least)
    local = np.interp(np.arange(len(above)), (np.arange(pieces) + 0.5) * hop, np.maximum(around, floor))
    return np.asarray(np.minimum(above / local, 1.5), np.float32)
