"""Bar lock itself, as the benchmark sees it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from studio.align.lock import Aligned, lock
from studio.align.values import Floats
from studio.mix.sources import ArraySource
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.score import Answer


def bar_lock(case: Case) -> Answer:
    """Bar lock told nothing but the grid."""
    aligned = lock(ArraySource(case.at_grid_rate()), case.grid.rate, case.wish)
    audio = aligned.read(0, aligned.frames)
    return Answer(audio, aligned.pickup_frames, _time_map(aligned), str(aligned.report.verdict))


def _time_map(aligned: Aligned) -> Callable[[Floats], Floats]:
    """Where it put each moment of the sound the first time that it plays it: its plan's warps, piece by piece."""
    warps, starts, played = [], [], -np.inf
    for piece in aligned.plan.pieces:
        begin, end = piece.warp.source_at(np.array([piece.start - piece.lead, piece.stop]))
        if begin < played - 0.05 * aligned.rate:
            break  # from here on it is repeated
        warps.append(piece.warp)
        starts.append(begin)
        played = end

    def target_at(seconds: Floats) -> Floats:
        frames = seconds * aligned.rate
        which = np.clip(np.searchsorted(starts, frames, side="right") - 1, 0, len(warps) - 1)
        return np.choose(which, [warp.target_at(frames) for warp in warps])

    return target_at
