"""How the tempo of a benchmark's sound wanders: dense beat maps, exact by definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.values import BeatMap

Floats = NDArray[np.float64]

KNOTS = 16
"""Knots a beat. The map is straight between them: it is the truth itself, not a picture of it."""
BEFORE, AFTER = 4, 12
"""Beats that a map covers before bar 1 and past the end."""


def beat_map(bpm: float, beats: float, drift: float, walk: float, random: np.random.Generator) -> BeatMap:
    """A map with its beat 0 at 0 s, over `beats` beats and some on either side.

    `bpm` is the tempo in the middle; `drift` the linear change of tempo from the first beat to the last, as a share;
    `walk` the standard deviation, a beat, of a random walk of the tempo that slowly returns to its middle.
    """
    last = int(np.ceil(beats)) + AFTER
    at = np.arange(-BEFORE * KNOTS, last * KNOTS + 1) / KNOTS
    pace = 1.0 + drift * (np.clip(at / beats, 0.0, 1.0) - 0.5)
    if walk:
        pace = pace * (1.0 + _walk(at, walk, random))
    lengths = 60.0 / (bpm * 0.5 * (pace[1:] + pace[:-1])) / KNOTS
    seconds = np.concatenate([[0.0], np.cumsum(lengths)])
    return BeatMap(seconds - seconds[BEFORE * KNOTS], at)


def shifted(truth: BeatMap, seconds: float) -> BeatMap:
    """The same map, all of it later."""
    return BeatMap(truth.seconds + seconds, truth.beats)


def _walk(at: Floats, sd: float, random: np.random.Generator) -> Floats:
    """The tempo's deviation at positions, smooth within the beat; at most 8 %."""
    from scipy.interpolate import CubicSpline

    whole = np.arange(np.floor(at[0]), np.ceil(at[-1]) + 1)
    steps = random.normal(0.0, sd, len(whole))
    values = np.zeros(len(whole))
    for k in range(1, len(whole)):
        values[k] = 0.94 * values[k - 1] + steps[k]
    return np.clip(CubicSpline(whole, values - values.mean())(at), -0.08, 0.08)
