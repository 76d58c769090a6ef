"""How much of a stem is of its role: how much of a "bass" is bass.

With a separator that is asked of it. Without one it is estimated from where the energy lies: strokes are told from
tones by medians along time and along frequency (D. Fitzgerald, "Harmonic/percussive separation using median filtering",
DAFx 2010), in the bass by how long they last, and basses are told from what is above them by a crossover. The estimate
cannot tell a voice from a piano, and says nothing about effects: any sound may be one. Pure stems of the band come out
at 0.8 (drums, bass), 0.65 (harmony) and 0.95 (lead) in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.align.values import Audio, Floats, Source, as_one

ESTIMATE, SEPARATION = "band energy (estimate)", "separation"
BASS_HZ = 180.0
"""Tones below are basses, those an octave above are not, with a slope between."""
MOST_PIECES, PIECE_S = 12, 2.0
"""What is looked at: so many pieces, spread over the sound."""
WINDOW_S = 0.043
MEDIAN, LOW_MEDIAN = 11, 23
"""Windows, and bins, over which medians are taken; in the bass half a second, which outlasts every kick."""
LASTING = 2.5
"""Of the median's energy: what is above it in the bass is a stroke."""
SEPARATED_S = 10.0
"""How much a separator is given at once."""

TONES = ("other", "guitar", "piano")
"""What separators call that which plays harmony and lead: these two they cannot tell apart."""
PARTS = {"drums": ("drums",), "bass": ("bass",), "vocals": ("vocals",), "harmony": TONES, "lead": TONES}

Separator = Callable[[Audio, int], Mapping[str, Audio]]
"""Sound (channels, frames) and its rate to sounds of the same shape by name (see `PARTS`)."""


@dataclass(frozen=True)
class Purity:
    """How much of a stem is of its role."""

    role: str
    share: float | None
    """0..1 of the energy; None where that cannot be told."""
    method: str
    """ESTIMATE or SEPARATION."""

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "role": self.role, "share": None if self.share is None else round(self.share, 3), "method": self.method,
        }  # fmt: skip


def hear_purity(source: Source, rate: int, role: str, separate: Separator | None = None) -> Purity:
    """How much of a sound at `rate` Hz is of `role` (one of studio.song.ROLES)."""
    if separate is not None and role in PARTS:
        return Purity(role, _separated(source, rate, role, separate), SEPARATION)
    return Purity(role, None if role == "fx" else _estimated(source, rate, role), ESTIMATE)


def _separated(source: Source, rate: int, role: str, separate: Separator) -> float | None:
    mine = total = 0.0
    size = round(SEPARATED_S * rate)
    for start in range(0, source.frames, size):
        parts = separate(source.read(start, min(size, source.frames - start)), rate)
        energies = {name: float(np.sum(part.astype(np.float64) ** 2)) for name, part in parts.items()}
        mine += sum(energies.get(name, 0.0) for name in PARTS[role])
        total += sum(energies.values())
    return mine / total if total > 0 else None


def _estimated(source: Source, rate: int, role: str) -> float | None:
    size = 1 << round(np.log2(WINDOW_S * rate))
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    with np.errstate(divide="ignore"):
        bass = np.clip(1.0 - np.log2(frequencies / BASS_HZ), 0.0, 1.0)
    lows = int(np.searchsorted(frequencies, 2 * BASS_HZ))
    strokes = low = high = 0.0
    for start, frames in _pieces(source.frames, round(PIECE_S * rate)):
        spectrum = _spectrum(as_one(source.read(start, frames)), size)
        energy = spectrum**2
        tones, noises = _medians(spectrum, MEDIAN) ** 2, _medians(spectrum.T, MEDIAN).T ** 2
        tonal = energy * tones / (tones + noises + 1e-20)
        tonal[:, :lows] = np.minimum(energy[:, :lows], LASTING * _medians(spectrum[:, :lows], LOW_MEDIAN) ** 2)
        strokes += float((energy - tonal).sum())
        low += float((tonal * bass).sum())
        high += float((tonal * (1.0 - bass)).sum())
    total = strokes + low + high
    if total <= 0:
        return None
    return {"drums": strokes, "bass": low}.get(role, high) / total


def _pieces(frames: int, size: int) -> list[tuple[int, int]]:
    """Where the pieces begin, and how long they are."""
    if frames <= size:
        return [(0, frames)]
    count = min(MOST_PIECES, -(-frames // size))
    return [(int(start), size) for start in np.linspace(0, frames - size, count)]


def _spectrum(mono: Audio, size: int) -> Floats:
    """Magnitudes (windows, bins) of windows that overlap by half."""
    from scipy.fft import rfft

    padded = np.pad(mono, (0, max(0, size - len(mono))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    magnitudes: Floats = np.abs(rfft(windows * np.hanning(size).astype(np.float32), axis=1)).astype(np.float64)
    return magnitudes


def _medians(values: Floats, count: int) -> Floats:
    """Medians of the `count` rows around each."""
    padded = np.pad(values, ((count // 2, count // 2), (0, 0)), mode="reflect" if len(values) > count else "edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, count, axis=0)
    medians: Floats = np.partition(around, count // 2, axis=-1)[..., count // 2]
    return medians
