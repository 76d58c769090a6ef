"""What key a sound is in, and how well a given key fits it.

Spectral peaks that stand out of their neighbourhood and last (a stroke of a drum does neither) are gathered by pitch
class, after E. Gómez, "Tonal description of polyphonic audio for music content processing", INFORMS J. Computing 18
(2006): the tuning is taken from the peaks themselves, and the profiles that they are compared with have overtones too.
Profiles: J. Albrecht and D. Shanahan, "The use of large corpora to train a new type of key-finding algorithm", Music
Perception 31 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.means import running_mean
from studio.align.values import Floats, Source, as_one
from studio.song.key import Key

MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
ALTERED = {
    "major": (), "ionian": (), "lydian": ((5, 6),), "mixolydian": ((11, 10),),
    "minor": (), "aeolian": (), "dorian": ((8, 9),), "phrygian": ((2, 1),), "locrian": ((2, 1), (7, 6)),
}  # fmt: skip
"""Which degrees, in semitones above the tonic, a mode has otherwise than major or minor."""
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
OVERTONES, OVERTONE_DECAY = 5, 0.6
WINDOW_S = 0.37
"""Long enough to tell semitones apart in the bass."""
MOST_PAIRS = 240
"""Places looked at, spread over the sound: each two windows, of which what both have is tonal."""
LOWEST_HZ, HIGHEST_HZ = 55.0, 2000.0
STANDS_OUT = 3.0
"""Times the mean around it: a lower peak is noise."""
AROUND = 24
_BATCH = 16


@dataclass(frozen=True)
class KeyFit:
    """How well a key fits a sound."""

    key: Key
    in_scale: float
    """0..1: the share of the tonal energy on the seven pitch classes of the scale; by chance 0.58."""
    rank: int
    """1 where none of the 24 major and minor keys fits better."""


@dataclass(frozen=True)
class KeyHeard:
    """The key of a sound."""

    estimate: Key | None
    """None where nothing has a pitch."""
    confidence: float
    """0..1."""
    tuning_cents: float
    """Against A = 440 Hz, -50..50."""
    chroma: tuple[float, ...]
    """Twelve shares of the tonal energy, from C on; zeros where there is none."""
    fit: KeyFit | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        fit = self.fit
        return {
            "estimate": None if self.estimate is None else str(self.estimate),
            "confidence": round(self.confidence, 3), "tuning_cents": round(self.tuning_cents, 1),
            "fit": None if fit is None
            else {"key": str(fit.key), "in_scale": round(fit.in_scale, 3), "rank": fit.rank},
        }  # fmt: skip


def hear_key(source: Source, rate: int, expected: Key | None = None) -> KeyHeard:
    """The key of a sound at `rate` Hz, and how well `expected` fits it. At most some 180 s of it are read."""
    chroma, tuning, tonal = _chroma(source, rate)
    if chroma.sum() <= 0:
        return KeyHeard(None, 0.0, 0.0, (0.0,) * 12)
    chroma /= chroma.sum()
    keys = [Key(TONICS[mode][tonic], mode) for mode in ("major", "minor") for tonic in range(12)]
    scores = np.array([_agreement(chroma, key) for key in keys])
    best = int(scores.argmax())
    margin = float(scores[best] - np.delete(scores, best).max())
    sure = min(1.0, max(0.0, float(scores[best])) * min(1.0, margin / 0.12) * min(1.0, max(0.0, tonal - 0.1) / 0.35))
    fit = None
    if expected is not None:
        better = int((scores > _agreement(chroma, expected) + 1e-9).sum())
        fit = KeyFit(expected, float(chroma[list(expected.scale)].sum()), better + 1)
    return KeyHeard(keys[best], sure, tuning, tuple(chroma.tolist()), fit)


def profile(key: Key) -> Floats:
    """How much of each pitch class, from C on, music in `key` is expected to sound, overtones included."""
    plain = list(MINOR if key.is_minor else MAJOR)
    for natural, altered in ALTERED[key.mode]:
        plain[natural], plain[altered] = plain[altered], plain[natural]
    sounding = np.zeros(12)
    for overtone in range(OVERTONES):
        interval = round(12 * np.log2(overtone + 1)) + key.tonic_pitch_class
        sounding += OVERTONE_DECAY**overtone * np.roll(plain, interval)
    return sounding


def _agreement(chroma: Floats, key: Key) -> float:
    return float(np.corrcoef(chroma, profile(key))[0, 1])


def _chroma(source: Source, rate: int) -> tuple[Floats, float, float]:
    """Energy of each pitch class, the tuning in cents, and how much of all energy between LOWEST_HZ and HIGHEST_HZ is
    tonal (0..1)."""
    length = 1 << round(np.log2(WINDOW_S * rate))
    frames = np.fft.rfftfreq(length, 1 / rate)
    low, high = np.searchsorted(frames, (LOWEST_HZ, min(HIGHEST_HZ, 0.45 * rate)))
    pitches, energies, places, tonal, total = [], [], [], 0.0, 0.0
    starts = _starts(source.frames, length)
    for number in range(0, len(starts), _BATCH):
        batch = starts[number : number + _BATCH]
        spectrum = _lasting(source, batch, length)[:, low - 1 : high + 1]
        at, height, row = _peaks(spectrum)
        pitches.append(69 + 12 * np.log2((at + low - 1) * rate / length / 440.0))
        energies.append(height)
        places.append(row + number)
        tonal += float((height**2).sum()) * 1.5  # a peak of a Hann window has two thirds of its energy in one bin
        total += float((spectrum[:, 1:-1] ** 2).sum())
    if total <= 0 or not sum(len(part) for part in pitches):
        return np.zeros(12), 0.0, 0.0
    pitch, energy, place = np.concatenate(pitches), np.concatenate(energies), np.concatenate(places)
    # Each place counts with the root of its loudness, so that one loud chord does not speak for the song.
    loudness = np.sqrt(np.bincount(place, energy**2))
    weight = energy / np.sqrt(np.maximum(loudness[place], 1e-12))
    turn = np.sum(weight * np.exp(2j * np.pi * pitch))
    tuning = float(np.angle(turn) / (2 * np.pi))
    off = pitch - tuning - np.rint(pitch - tuning)
    near = np.cos(np.pi * off) ** 2
    chroma = np.bincount(np.rint(pitch - tuning).astype(np.intp) % 12, weight * near, 12).astype(np.float64)
    return chroma, 100 * tuning, min(1.0, tonal / total)


def _starts(frames: int, length: int) -> NDArray[np.intp]:
    """Where pairs of windows begin: a pair is one and a half windows long."""
    last = frames - length - length // 2
    if last <= 0:
        return np.zeros(1, np.intp)
    count = min(MOST_PAIRS, 1 + last // length)
    return np.linspace(0, last, count).astype(np.intp)


def _lasting(source: Source, starts: NDArray[np.intp], length: int) -> Floats:
    """Magnitudes that both windows of each pair have."""
    from scipy.fft import rfft

    half = length // 2
    windows = np.zeros((len(starts), length + half), np.float32)
    for row, start in zip(windows, starts.tolist(), strict=True):
        piece = source.read(start, min(length + half, source.frames - start))
        row[: piece.shape[1]] = as_one(piece)
    shape = np.hanning(length).astype(np.float32)
    first, second = (np.abs(rfft(windows[:, k : k + length] * shape, axis=1)) for k in (0, half))
    lasting: Floats = np.minimum(first, second).astype(np.float64)
    return lasting


def _peaks(spectrum: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Peaks that stand out: their bins (unrounded), magnitudes, and rows. The outer bins are neighbours only."""
    middle, before, after = spectrum[:, 1:-1], spectrum[:, :-2], spectrum[:, 2:]
    mean = running_mean(spectrum, 2 * AROUND + 1)[:, 1:-1]
    found = (middle > before) & (middle >= after) & (middle > STANDS_OUT * mean) & (middle > 1e-6)
    row, column = np.nonzero(found)
    left, top, right = (np.log(values[row, column] + 1e-12) for values in (before, middle, after))
    curve = left - 2 * top + right
    shift = np.where(curve < 0, 0.5 * (left - right) / np.where(curve < 0, curve, -1.0), 0.0)
    return column + 1 + np.clip(shift, -0.5, 0.5), middle[row, column], row
