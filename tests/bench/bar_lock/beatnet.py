"""A published neural beat tracker as a peer: what its beats and downbeats would make of a sound.

BeatNet (M. Heydari, F. Cwitkowitz and Z. Duan, "BeatNet: CRNN and particle filtering for online joint beat downbeat and
meter tracking", ISMIR 2021) was taught on recordings; its weights ship in its wheel. They are decoded over the whole
sound by the dynamic Bayesian network of S. Böck, F. Krebs and G. Widmer ("Joint beat and downbeat tracking with
recurrent neural networks", ISMIR 2016). It needs, in an environment of its own:

    pip install torch && pip install --no-deps BeatNet==1.1.3 madmom-infer==0.2.0

It is given every benefit of the doubt: it knows the meter, its tempo is looked for where bar lock's is, its constant
earliness is taken out, and its beats are moved by `studio.align.move`, so that only what is heard differs. Its first
beat counts as bar 1: on the tuning set that is right more often than its own downbeats are (62 cases of 140, and 47).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from studio.align.grid import Grid
from studio.align.hear.bars import BarShape
from studio.align.move import render
from studio.align.values import Audio, BeatMap, Material, Warp
from studio.mix.sources import ArraySource
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.score import Answer

REACH = 2**0.5


def beatnet_beats(case: Case) -> Answer:
    """The case with BeatNet's beats on the grid's."""
    grid = case.grid
    audio = case.at_grid_rate()
    course = course_of(audio, grid)
    if course is None:
        return Answer(audio, 0, lambda seconds: np.asarray(seconds * grid.rate))
    warp = Warp(course.seconds * grid.rate, grid.frame_at(course.beats))
    first, last = (int(at) for at in np.rint(warp.target_at(np.array([0.0, audio.shape[1]]))))
    lead = max(0, -first)
    blocks = render(ArraySource(audio), grid.rate, warp, -lead, max(last, grid.frames), np.zeros(0), Material.PITCHED)
    moved = np.concatenate(list(blocks), axis=1)
    return Answer(moved, lead, lambda seconds: np.asarray(warp.target_at(np.asarray(seconds) * grid.rate)))


def course_of(audio: Audio, grid: Grid) -> BeatMap | None:
    """What BeatNet hears in (channels, frames) at the grid's rate, as positions in quarter notes from bar 1 on; None
    for fewer than two beats."""
    shape = BarShape.of(grid.meter)
    unit = float(shape.unit)
    bpm = grid.bpm / unit
    seconds = _network().beats(audio, grid.rate, shape.units, bpm / REACH, bpm * REACH).seconds
    return BeatMap(seconds, np.arange(len(seconds)) * unit) if len(seconds) > 1 else None


@cache
def _network() -> Any:
    from models.analysis.beatnet import BeatNet

    return BeatNet()
