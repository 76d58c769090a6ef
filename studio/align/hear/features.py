"""What changes in a sound, some 200 times a second: rises of energy in bands and of semitones.

The rise is spectral flux on compressed magnitudes, against a maximum over neighbouring bands so that vibrato does not
count as attacks: S. Böck and G. Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.spectra import BANDS, PER_SECOND, PITCHES, PITCHES_PER_SECOND, Spectra, band_centres
from studio.align.rows import Room, Rows, around, blocks

Singles = NDArray[np.float32]

_NOTE_LAG = 4
_NOTE_DB = 35.0
_PITCH_DB = 40.0
_SILENCE = -8.5
"""Decades of power in the loudest band and moment below which there is nothing to hear."""
_LOW_HZ, _HIGH_HZ = 180.0, 2_500.0
_LAG = 3
"""Feature frames over which a rise is measured: as long as the window's half."""
_FLOOR_PERCENT, _ENOUGH = 10, 1 << 14
"""What is heard between notes, and of how many frames, spread over the sound, that is told."""
_COMPRESSION_DB = 60.0
"""How far below the loudest magnitude a rise still counts."""
_LEAST_TOP = 0.45
"""Mean rise of all bands in nats of magnitude, some 4 dB: less is what any sustained sound does in itself."""
_LEAST = {"notes": 0.3}


@dataclass(frozen=True)
class Features:
    """Arrays over feature frames; frame k is centred on second k / PER_SECOND."""

    bands: Rows
    """(frames, BANDS): compressed magnitudes."""
    rises: Rows
    """(frames, BANDS): how much each has risen."""
    pitches: Rows
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
    room: Room
    """Where the rows wait."""

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The feature frames nearest to times."""
        return np.clip(np.rint(seconds * PER_SECOND).astype(np.intp), 0, len(self.rise) - 1)


def features(found: Spectra) -> Features:
    """What changes, from spectra."""
    bands, rises = _risen(found)
    centres = band_centres()
    low, high = centres < _LOW_HZ, centres >= _HIGH_HZ

    def mean(part: NDArray[np.bool_]) -> Singles:
        return np.concatenate([rows[:, part].mean(axis=1) for _, rows in blocks(rises)])

    peak = max(float(found.power.max(initial=0.0)), 1e-12)
    return Features(
        bands=bands, rises=rises, pitches=_compressed(found),
        rise=mean(low | ~low), low=mean(low), mid=mean(~low & ~high), high=mean(high), notes=_notes(found),
        level=np.maximum(10 * np.log10(found.power / peak + 1e-12), -120.0),
        seconds=found.seconds, silent=float(found.loudest.max()) < _SILENCE, room=found.room,
    )  # fmt: skip


def top_of(rows: Rows, percent: float) -> float:
    """The magnitude that so many percent of frames do not reach anywhere; never nothing."""
    tops = [block.max(axis=1) for _, block in blocks(rows)]
    return max(float(np.percentile(np.concatenate(tops), percent)), 1e-9)


def _some(rows: Rows) -> Singles:
    """Every row, or where these are many some of them, spread evenly."""
    every = -(-len(rows) // _ENOUGH)
    return np.concatenate([block[-start % every :: every].copy() for start, block in blocks(rows)])


def _risen(found: Spectra) -> tuple[Rows, Rows]:
    """(frames, BANDS) each: compressed magnitudes, and their rise over `_LAG` frames, never negative."""
    scale = np.float32(10 ** (_COMPRESSION_DB / 20) / top_of(found.bands, 99.5))
    # Before the sound stands what is heard between its notes: the hiss of a recording is no attack when it begins.
    floor = np.percentile(np.log1p(_some(found.bands) * scale), _FLOOR_PERCENT, axis=0)
    first = np.log1p(found.bands.read(0, 1) * scale)
    held = np.repeat(np.minimum(floor, first).astype(np.float32), _LAG, axis=0)
    bands, rises = found.room.rows(BANDS), found.room.rows(BANDS)
    for _, block in blocks(found.bands):
        loud = np.log1p(block * scale)
        bands.append(loud)
        held = np.concatenate([held, loud])
        before = np.pad(held[:-_LAG], ((0, 0), (1, 1)), mode="edge")
        before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
        rises.append(np.maximum(loud - before, 0.0))
        held = held[-_LAG:]
    return bands, rises


def _compressed(found: Spectra) -> Rows:
    scale = np.float32(10 ** (_PITCH_DB / 20) / top_of(found.pitches, 99.0))
    pitches = found.room.rows(PITCHES)
    for _, block in blocks(found.pitches):
        pitches.append(np.log1p(block * scale))
    return pitches


def _notes(found: Spectra) -> Singles:
    """The rise of compressed magnitudes by semitone over `_NOTE_LAG` frames: notes begin, however softly."""
    scale = np.float32(10 ** (_NOTE_DB / 20) / top_of(found.pitches, 99.0))
    floor = np.percentile(np.log1p(_some(found.pitches) * scale), _FLOOR_PERCENT, axis=0)
    nothing = np.minimum(floor, np.log1p(found.pitches.read(0, 1)[0] * scale))
    risen = []
    for start, block in blocks(found.pitches):
        held = np.log1p(around(found.pitches, start - _NOTE_LAG, start + len(block)) * scale)
        if start == 0:
            held[:_NOTE_LAG] = nothing
        before = np.pad(held[: len(block)], ((0, 0), (1, 1)), mode="edge")
        before = np.maximum(np.maximum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
        risen.append(np.maximum(held[_NOTE_LAG:] - before, 0.0).mean(axis=1))
    # The long window sees a note before it begins by as much as the lag delays it.
    places = np.arange(len(found.power)) * (PITCHES_PER_SECOND / PER_SECOND)
    every = np.concatenate(risen)
    return np.asarray(np.interp(places, np.arange(len(every)), every), np.float32)


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
