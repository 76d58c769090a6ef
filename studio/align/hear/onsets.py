"""Where sounds begin, how strongly and how sharply."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.attacks import bumps, likelihood
from studio.align.hear.features import Features, channel
from studio.align.hear.spectra import PER_SECOND, Spectra
from studio.align.values import Floats, Onsets

_SHARP_S = 0.006
"""An attack whose moment is known to within this is half sharp."""
_NEAR_S = 0.025
"""How far from an onset its rise is looked for."""
_SOFTER, _SOFTLY_S = 0.8, 0.08
"""Weight of single semitones' rises, which tell of soft beginnings, and how far from these they are looked for."""
_EDGE_S, _UNKNOWN = 0.015, 0.3
"""The edge of a file, and how sharp what begins there is taken to be where nothing else does."""
_CLEAR = 0.4


def find_onsets(found: Spectra, heard: Features) -> Onsets:
    """The onsets of a sound."""
    nothing = np.zeros(0)
    begun = bumps(likelihood(found)) if not heard.silent else None
    if begun is None or not len(begun.seconds):
        return Onsets(nothing, nothing, nothing, nothing)
    sharpness = _edgeless(begun.seconds, _SHARP_S / (_SHARP_S + begun.spread))
    rise = _near(channel(heard, "rise"), begun.seconds, _NEAR_S)
    softly = _SOFTER * _near(channel(heard, "notes"), begun.seconds, _SOFTLY_S)
    strength = np.maximum(rise, (1.0 - sharpness) * softly) * begun.mass + 1e-6
    frames = heard.at(begun.seconds)
    low = heard.low[frames] / np.maximum(heard.low[frames] + heard.mid[frames] + heard.high[frames], 1e-9)
    return Onsets(begun.seconds, strength / strength.max(), low.astype(np.float64), sharpness)


def _edgeless(seconds: Floats, sharpness: Floats) -> Floats:
    """A file that begins in the midst of a sound begins sharply, whatever the sound does: its first frames are no
    sharper than what else begins in it."""
    edge = seconds < _EDGE_S
    usual = float(np.median(sharpness[~edge])) if not edge.all() else _UNKNOWN
    return np.where(edge, np.minimum(sharpness, usual), sharpness)


def _near(values: NDArray[np.float32], seconds: Floats, reach_s: float) -> Floats:
    """The largest values near moments."""
    reach = round(reach_s * PER_SECOND)
    centres = np.rint(seconds * PER_SECOND).astype(np.intp)
    around = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(values) - 1)
    return np.asarray(values[around].max(axis=1), np.float64)


def has_attacks(onsets: Onsets) -> bool:
    """Whether sounds begin clearly enough to tell one sixteenth from the next."""
    return bool(len(onsets)) and float(onsets.sharpness @ onsets.strength) > _CLEAR * float(onsets.strength.sum())


def sound_span(heard: Features) -> tuple[float, float]:
    """First and last second at which the sound is above -60 dB of its loudest moment."""
    loud = np.flatnonzero(heard.level > -60.0)
    return (float(loud[0] / PER_SECOND), float((loud[-1] + 1) / PER_SECOND)) if len(loud) else (0.0, 0.0)
