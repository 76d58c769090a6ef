"""Band-limited waves: a wave is its harmonic amplitudes, a filter is a gain on them, a note reads the table.

A table holds one period per row; rows differ in the corner of the note's filter, an eighth of an octave
apart. Reading crossfades between two rows, so a sweeping resonant filter costs no more than a second
look-up, can never become unstable, and nothing above the highest allowed harmonic exists at any moment.
Filter gains are used without their phase: all rows are then in step, and a crossfade between them is a
filter between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.band.sound.synth.patch import Filter, Oscillator

Floats = NDArray[np.float32]

TOP_HZ = 20000.0
ROWS_PER_OCTAVE = 8
_CHUNK = 1 << 13  # frames; what a look-up needs stays in the cache
_GRID_OCTAVE = 4.0  # log2 Hz of row 0: 16 Hz, below every corner

# Formants of sung vowels: centre Hz, bandwidth Hz, level dB (values of the order of Peterson & Barney 1952).
FORMANTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "ah": ((750.0, 110.0, 0.0), (1150.0, 120.0, -5.0), (2700.0, 180.0, -16.0), (3500.0, 220.0, -22.0)),
    "oh": ((450.0, 90.0, 0.0), (800.0, 100.0, -7.0), (2700.0, 180.0, -22.0), (3400.0, 220.0, -26.0)),
    "oo": ((330.0, 80.0, 0.0), (750.0, 90.0, -14.0), (2600.0, 180.0, -28.0), (3300.0, 220.0, -32.0)),
    "ee": ((290.0, 80.0, 0.0), (2200.0, 140.0, -12.0), (2950.0, 180.0, -16.0), (3500.0, 220.0, -20.0)),
}

_ORGAN = {1: 1.0, 2: 0.8, 3: 0.55, 4: 0.4, 6: 0.22, 8: 0.3, 10: 0.08, 12: 0.08, 16: 0.12}
_GLASS = {1: 1.0, 2: 0.12, 3: 0.35, 5: 0.22, 7: 0.10, 9: 0.14, 13: 0.06, 17: 0.04}


def harmonics(oscillator: Oscillator, count: int) -> NDArray[np.float64]:
    """Sine amplitudes of harmonics 1..`count`, wave of about unit power."""
    k = np.arange(1, count + 1, dtype=np.float64)
    wave = oscillator.wave
    if wave == "saw" or wave == "pulse":  # a pulse is two saws, see note.py
        amplitude = 1.0 / k
    elif wave == "square":
        amplitude = np.where(k % 2 == 1, 1.4 / k, 0.0)
    elif wave == "triangle":
        amplitude = np.where(k % 2 == 1, 1.3 / k**2 * np.where(k % 4 == 1, 1.0, -1.0), 0.0)
    elif wave == "hollow":  # odd harmonics that fall faster than a square's: clarinet, whistle
        amplitude = np.where(k % 2 == 1, 1.3 / k**1.6, 0.12 / k**1.8)
    else:
        drawn = {"organ": _ORGAN, "glass": _GLASS}.get(wave, {1: 1.2})
        amplitude = np.array([drawn.get(int(i), 0.0) for i in k])
    return np.asarray(amplitude)


def filter_gain(kind: str, resonance: float, ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of the analog prototype at `ratio` = frequency / corner.

    lowpass24 is four one-pole stages in a feedback loop (Moog's ladder; Stilson & Smith, "Analyzing the
    Moog VCF", 1996) with half of its loss in the passband made up; the others are the two-pole
    state-variable filter.
    """
    s = 1j * ratio
    if kind == "lowpass24":
        k = 3.9 * resonance
        return np.asarray((1.0 + 0.5 * k) * np.abs(1.0 / ((1.0 + s) ** 4 + k)))
    q = 0.707 + 11.0 * resonance**2
    below = s * s + s / q + 1.0
    if kind == "lowpass12":
        return np.asarray(np.abs(1.0 / below))
    if kind == "highpass":
        return np.asarray(np.abs(s * s / below))
    return np.asarray(np.abs(s / q / below))


def formant_gain(vowel: str, hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of a vowel's formants at `hz`, a floor of -40 dB between them."""
    if vowel == "none":
        return np.ones_like(hz)
    total = np.full_like(hz, 0.01)
    for centre, bandwidth, level in FORMANTS[vowel]:
        total += 10 ** (level / 20) / np.sqrt(1.0 + ((hz - centre) / (0.5 * bandwidth + 0.02 * centre)) ** 2) ** 1.5
    return total


def highest_harmonic(hz: float, rate: int) -> int:
    """How many harmonics of `hz` stay below 20 kHz and 0.45 of the rate; 0 where not even the first does."""
    return int(min(TOP_HZ, 0.45 * rate) / hz)


class Table:
    """Rows of one period each, for filter corners an eighth of an octave apart.

    The corners lie on one grid for all notes, and each row is made by itself: a table that reaches further
    has the same rows, to the bit, where two overlap.
    """

    def __init__(self, spectrum: NDArray[np.float64], hz: float, shape: Filter | None, corners: Floats | None):
        """`corners` are the log2 Hz that `read` may be asked for; a single one makes a table of one row."""
        count = len(spectrum)
        self.bits = max(8, int(np.ceil(np.log2(8 * count))))
        self._first = 0
        if shape is None or corners is None:
            rows = [spectrum]
        else:
            wanted = [float(corners[0])]
            if len(corners) > 1:
                self._first = int(np.floor((corners.min() - _GRID_OCTAVE) * ROWS_PER_OCTAVE))
                last = int(np.floor((corners.max() - _GRID_OCTAVE) * ROWS_PER_OCTAVE)) + 1
                wanted = [_GRID_OCTAVE + row / ROWS_PER_OCTAVE for row in range(self._first, last + 1)]
            partials = hz * np.arange(1.0, count + 1.0)
            rows = [spectrum * filter_gain(shape.kind, shape.resonance, partials / 2.0**at) for at in wanted]
        size = 1 << self.bits
        # One sample more than a period, so that interpolation never wraps.
        self.rows = np.empty((len(rows), size + 1), np.float32)
        bins = np.zeros(size // 2 + 1, np.complex128)
        for row, amplitudes in zip(self.rows, rows, strict=True):
            bins[1 : count + 1] = amplitudes * (-0.5j * size)
            row[:size] = np.fft.irfft(bins, size)
            row[size] = row[0]
        # Value and slope side by side: one look-up fetches both.
        self._flat = (self.rows + 1j * np.diff(self.rows, axis=1, append=0)).astype(np.complex64).ravel()

    def read(self, phase: NDArray[np.uint32], octave: Floats | None) -> Floats:
        """The wave at `phase` (a period is 2**32) and filter corners `octave` (log2 Hz), both (frames,)."""
        out = np.empty(len(phase), np.float32)
        for start in range(0, len(phase), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._read(phase[part], octave[part] if octave is not None else None)
        return out

    def _read(self, phase: NDArray[np.uint32], octave: Floats | None) -> Floats:
        shift = np.uint32(32 - self.bits)
        index = (phase >> shift).astype(np.intp)
        along = (phase & np.uint32((1 << int(shift)) - 1)).astype(np.float32) * np.float32(2.0 ** -int(shift))
        if octave is None or len(self.rows) == 1:
            at = self._flat[index]
            return np.asarray(at.real + along * at.imag, np.float32)
        place = (octave - np.float32(_GRID_OCTAVE)) * np.float32(ROWS_PER_OCTAVE)
        whole = np.floor(place)
        place -= whole
        index += (whole.astype(np.intp) - self._first) * self.rows.shape[1]
        at = self._flat[index]
        low = at.real + along * at.imag
        index += self.rows.shape[1]
        at = self._flat[index]
        high = at.real + along * at.imag
        return np.asarray(low + place * (high - low), np.float32)
