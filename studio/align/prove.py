"""Hears a finished sound once more and writes down what it is: nothing is claimed that was not measured in it."""

from __future__ import annotations

import numpy as np

from studio.align.fit import Plan
from studio.align.hear.features import features
from studio.align.hear.onsets import find_onsets
from studio.align.hear.spectra import spectra
from studio.align.level import Levels
from studio.align.measure import measure, measure_on, turns
from studio.align.move import stretch_ratios
from studio.align.report import Level, Moved, Report, judge
from studio.align.rows import Room
from studio.align.seam import Seamed
from studio.align.values import Heard, Source


def prove(
    result: Source, rate: int, plan: Plan, heard: Heard, method: str, seams: Seamed, levels: Levels, room: Room
) -> Report:
    """Report on a finished sound at `rate` Hz. `method` is how its pieces were moved, as `lay` has it."""
    found = spectra(result, rate, room)
    onsets = find_onsets(found, features(found))
    single = 0 if heard.beat_map is None else turns(heard.beat_map) * len(plan.pieces)
    after = measure(onsets, onsets.seconds * rate - plan.pickup_frames, plan.grid, free=single)
    before = measure_on(after.step, heard.onsets, heard.onsets.seconds * rate, plan.grid)
    verdict, reason = judge(heard, after)
    return Report(
        verdict,
        reason,
        plan.grid.bpm,
        str(plan.grid.meter),
        heard=heard,
        before=before,
        after=after,
        moved=_moved(plan, rate, method),
        seam=seams.score,
        level=Level(levels.lufs, levels.true_peak_dbtp, max(map(abs, levels.dc), default=None)),
        warnings=_warnings(plan, seams, levels),
    )


def _moved(plan: Plan, rate: int, method: str) -> Moved:
    first = plan.pieces[0].warp
    ratios = np.concatenate([stretch_ratios(piece.warp) for piece in plan.pieces])
    lengths = np.concatenate([np.diff(piece.warp.source) for piece in plan.pieces])
    return Moved(
        method,
        shift_ms=-1000.0 * float(first.source_at(0.0)) / rate,
        stretch=(float(ratios.min()), float(ratios.max()), float(np.average(ratios, weights=lengths))),
        pickup_beats=plan.pickup_beats,
        bars=plan.grid.bars,
        own_bars=plan.own_bars,
    )


def _warnings(plan: Plan, seams: Seamed, levels: Levels) -> tuple[str, ...]:
    """What a user should know besides the figures."""
    said = []
    if plan.own_bars > plan.grid.bars:
        said.append(f"trimmed to {plan.grid.bars} of its {plan.own_bars} bars")
    elif len(plan.pieces) > 1:
        said.append(f"its {plan.own_bars} bar{'s' if plan.own_bars > 1 else ''} repeated to fill {plan.grid.bars}")
    if seams.score is not None and seams.score >= 1.0:
        said.append("a join can be heard: what meets there has nothing in common")
    if levels.note:
        said.append(levels.note)
    return tuple(said)
