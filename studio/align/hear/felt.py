"""At which tempo a sound is felt: in half or double time where its accents say so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.features import Features, channel
from studio.align.hear.spectra import PER_SECOND
from studio.align.values import BeatMap
from studio.song.meter import Meter

_NEAR_S = 0.03
_CLEARLY = 1.6
"""How much stronger accents are where they tell than where they would be in plain time."""


def felt_ratio(beat_map: BeatMap, heard: Features, meter: Meter) -> float:
    """Beats felt to a beat of the grid: 0.5 in half time, 2 in double time, else 1.

    Backbeats tell: in 4/4 they lie on beats 2 and 4; on beat 3 alone in half time; between the beats in double time.
    """
    if (meter.pulses, meter.unit) not in ((4, 4), (2, 2)):
        return 1.0
    bars = np.arange(np.ceil(beat_map.beats[0] / 4), np.floor(beat_map.beats[-1] / 4)) * 4
    if len(bars) < 2:
        return 1.0
    backbeat = np.array([_mean(heard, "mid", beat_map, bars + k / 2) for k in range(8)])
    low = np.array([_mean(heard, "low", beat_map, bars + k / 2) for k in range(8)])
    plain, half, double = backbeat[[2, 6]].mean(), backbeat[4], backbeat[[1, 3, 5, 7]].mean()
    if half > _CLEARLY * plain and low[0] > _CLEARLY * low[4]:
        return 0.5
    if double > _CLEARLY * backbeat[[0, 2, 4, 6]].mean() and low[[0, 2, 4, 6]].min() > low[[1, 3, 5, 7]].max():
        return 2.0
    return 1.0


def _mean(heard: Features, name: str, beat_map: BeatMap, beats: NDArray[np.float64]) -> float:
    values, reach = channel(heard, name), round(_NEAR_S * PER_SECOND)
    centres = np.rint(beat_map.seconds_at(beats) * PER_SECOND).astype(np.intp)
    centres = centres[(centres >= 0) & (centres < len(values))]
    near = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(values) - 1)
    return float(values[near].max(axis=1).mean()) if len(centres) else 0.0
