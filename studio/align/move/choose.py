"""Chooses how a sound is moved, by what was measured to matter: how much of it lies in steady tones."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from studio.align.move.reading import Reader
from studio.align.values import Floats, Material, Source, as_one


class Method(StrEnum):
    """A way of moving sound whose length changes."""

    SPLICE = "splice"
    """Copied, with crossfades where it is quiet or like itself: `studio.align.move.splice`."""
    VOCODE = "vocode"
    """A phase vocoder: `studio.align.move.vocode`."""


TONAL = {Material.PERCUSSIVE: 0.66, Material.PITCHED: 0.62, Material.SUSTAINED: 0.58}
"""From this tonality on a sound is vocoded (tests/bench/stretch_quality.py has the figures on either side)."""
_FRAME_SECONDS = 0.064
_PLACES = 96
_SOME = 8  # that are looked at together
_BANDS = 24
_LOWEST, _HIGHEST = 60.0, 8000.0
_FLOOR = 1e-6
_LOUDNESS = 0.3  # the exponent of Stevens' law: a quiet band counts nearly as much as a loud one


def choose_method(source: Source, rate: int, onsets: Floats, material: Material) -> Method:
    """Return how a sound is best moved. onsets: attacks in source frames, rising."""
    return Method.VOCODE if tonality(source, rate, onsets) >= TONAL[material] else Method.SPLICE


def tonality(source: Source, rate: int, onsets: Floats) -> float:
    """Return 0..1: how well a spectrum follows from the two before it (the unpredictability of Brandenburg & Johnston
    1990, turned round), as a mean over bands and moments between attacks, by loudness; 0 for silence."""
    size = scipy.fft.next_fast_len(max(16, round(_FRAME_SECONDS * rate)), real=True)
    hop = size // 4
    reader = Reader(source)
    window = np.asarray(np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2, np.float32)
    frequencies = scipy.fft.rfftfreq(size, 1.0 / rate)
    bands = np.geomspace(_LOWEST, min(_HIGHEST, 0.4 * rate), _BANDS + 1)
    edges = np.unique(np.searchsorted(frequencies, bands))
    begins = np.rint(_moments(source.frames, size + 2 * hop, onsets)).astype(int).tolist()
    power, regular = [], []
    for first in range(0, len(begins), _SOME):
        audio = np.stack([as_one(reader.read(at, size + 2 * hop)) for at in begins[first : first + _SOME]])
        frames = sliding_window_view(audio, size, axis=1)[:, ::hop].swapaxes(0, 1)
        oldest, old, new = np.asarray(scipy.fft.rfft(frames * window), np.complex64)
        # As much further and louder than before as that was than before it: no angle needs to be known for it.
        size_before, size_now, size_new = np.abs(oldest), np.abs(old), np.abs(new)
        led = (2.0 * size_now - size_before) * (old * old * np.conj(oldest))
        led /= np.maximum(size_now * size_now * size_before, 1e-30)
        energy = np.square(size_new)
        off = np.abs(new - led) / np.maximum(size_new + np.abs(led), 1e-30)
        power.append(np.add.reduceat(energy, edges, axis=1)[:, :-1])
        regular.append(np.add.reduceat(energy * (1.0 - off), edges, axis=1)[:, :-1])
    if not power:
        return 0.0
    loud, steady = np.concatenate(power).astype(np.float64), np.concatenate(regular)
    if loud.max() <= 0.0:
        return 0.0
    loud = np.where(loud > _FLOOR * loud.max(), loud, 0.0)
    weight = loud**_LOUDNESS
    share = np.divide(steady, loud, out=np.zeros_like(loud), where=loud > 0)
    return float((weight * share).sum() / weight.sum())


def _moments(frames: int, length: int, onsets: Floats) -> Floats:
    """Where to listen: places spread over the sound from which `length` frames hold no attack, if there are such."""
    if frames < length:
        return np.zeros(min(frames, 1))
    begins = np.unique(np.linspace(0, frames - length, 8 * _PLACES).astype(int))
    following = np.searchsorted(onsets, begins - length // 8)
    ends = np.append(onsets, np.inf)[following]
    free = begins[ends >= begins + length]
    chosen = free if len(free) >= 4 else begins
    return chosen[:: max(1, len(chosen) // _PLACES)]
