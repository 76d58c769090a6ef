"""From how likely beats are to beats: the most likely course of whole bars, by the dynamic Bayesian network of S. Böck,
F. Krebs and G. Widmer ("Joint beat and downbeat tracking with recurrent neural networks", ISMIR 2016), as the package
`madmom-infer` has it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.api import Audio
from models.api.tools import Beats

RATE = 22_050
"""Hz, at which both listeners hear."""
PER_SECOND = 50
_LEAST = 1e-5


def counted(odds: NDArray[np.float64], units: int, slowest: float, fastest: float, early: float) -> Beats:
    """Beats of bars of `units`, at `slowest` to `fastest` of them a minute.

    odds: (frames, 2) at PER_SECOND: how likely each is a beat that is no downbeat, and a downbeat. early: seconds by
    which the frames are too early.
    """
    if len(odds) < 2:
        return Beats(np.zeros(0), np.zeros(0, np.bool_))
    found = np.asarray(_decoder(units, slowest, fastest)(np.clip(odds, _LEAST / 2, 1.0 - _LEAST / 2)))
    found = found.reshape(-1, 2)
    return Beats(np.maximum(found[:, 0] + early, 0.0), found[:, 1] == 1)


@lru_cache(4)
def _decoder(units: int, slowest: float, fastest: float) -> Any:
    from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor

    return DBNDownBeatTrackingProcessor(beats_per_bar=[units], min_bpm=slowest, max_bpm=fastest, fps=PER_SECOND)


def heard_at(audio: Audio, rate: int) -> Audio:
    """(channels, frames) as (frames,) at RATE."""
    import soxr

    mono = audio.mean(axis=0)
    return mono if rate == RATE else np.asarray(soxr.resample(mono, rate, RATE), np.float32)
