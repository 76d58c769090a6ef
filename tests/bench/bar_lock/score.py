"""What a method's answer is worth: its own time map against the truth, and its sound against the ideal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.align.values import BeatMap, Floats
from tests.bench.bar_lock.case import Case

SIXTEENTH = 0.25
"""Beats: bar 1 is right if it lies within this of its place."""
SCALE = 0.04
"""The share by which the mean tempo may be off for the relation to be right (a wrong one is off by a third or more)."""


@dataclass(frozen=True)
class Mapped:
    """How a time map fits the truth. Errors in ms on the grid, one for each true onset."""

    errors: Floats
    relation: bool
    downbeat: bool
    bars_off: float
    """Where the map puts the sound's bar 1, in beats of the grid."""
    scale: float
    """The map's mean tempo over the true one."""

    @property
    def right(self) -> bool:
        return self.relation and self.downbeat


def mapped(case: Case, heard: BeatMap) -> Mapped:
    """Score a map from seconds of the case's sound to beats of its grid."""
    onsets, grid = case.onsets, case.grid
    errors = 1000.0 / grid.rate * (grid.frame_at(heard.beats_at(onsets["seconds"])) - grid.frame_at(onsets["beat"]))
    ends = heard.beats_at(case.truth.seconds_at([0.0, case.beats]))
    scale = float(np.ptp(ends)) / case.beats
    return Mapped(errors, abs(scale - 1.0) <= SCALE, abs(float(ends[0])) <= SIXTEENTH, float(ends[0]), scale)


def percentiles(cases: Sequence[Floats], of: Sequence[float]) -> list[float]:
    """Percentiles of all cases' values together, where every case counts alike, however many values it has."""
    values = np.concatenate(cases)
    weights = np.concatenate([np.full(len(own), 1.0 / len(own)) for own in cases])
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][np.searchsorted(below, share / 100.0 - 1e-12)]) for share in of]
