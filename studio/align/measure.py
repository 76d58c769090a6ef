"""How well onsets sit on the bars, and which grid of positions they follow: what a claim of being locked rests on.

The grid is found by likelihood. An onset lies at one of the grid's positions with a normal error, or anywhere at all;
how often each position is used, how large the errors are and how many onsets are astray is taken from the onsets
themselves, and every such choice costs what Schwarz asks for it (G. Schwarz, "Estimating the dimension of a model",
Annals of Statistics 6, 1978). So a fine grid, to which anything is near, proves nothing by itself: `evidence` says by
how much the grid explains the onsets better than chance would, and only that counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.rivals import rival
from studio.align.values import BeatMap, Floats, Onsets

STRONG = 0.25
"""From this strength on an onset counts fully; ghosts count in proportion."""
VAGUE, SHARP = 0.15, 0.4
"""From SHARP on an onset is a fact and not an opinion; at VAGUE it may be none at all, and hardly counts."""
CLEAR = 8.0
"""Evidence from which a grid is beyond doubt: chance would have to be lucky once in some 3000 times."""
CLOSE = 3.0
"""Grids whose evidence differs by less are equally good."""
FEWEST = 3
"""Onsets below which no grid is looked for."""
SPREADS_S = (0.0012, 0.0025, 0.005, 0.010, 0.018)
"""Standard deviations that are tried."""
LEAST_SWING, MOST_SWING = 51.5, 76.0
STRAIGHT_S = 0.004
"""An off-beat that is late by less is straight."""
TURN_S = 0.002
"""Of a course of beats: what differs by less from a straight line is one."""
DRIFT_POINTS = 128
STRETCH = 16


@dataclass(frozen=True)
class Step:
    """The positions that music may follow: `phases` in every `period` beats, from each bar line on."""

    name: str
    period: float
    phases: tuple[float, ...]
    swing: float | None = None
    """Percent of each pair that its first note takes; None where it is straight."""

    def __str__(self) -> str:
        return self.name if self.swing is None else f"{self.name} (swing {self.swing:.0f} %)"


def _even(name: str, period: float, count: int) -> Step:
    return Step(name, period, tuple(period * k / count for k in range(count)))


def _with_triplets(step: Step) -> Step:
    """A step with sextuplets beside its own positions, as fills and rolls have them."""
    sixths = [k / 6 for k in range(6) if all(abs(k / 6 - phase) > 0.04 for phase in step.phases)]
    return replace(step, name=f"{step.name} with triplets", phases=tuple(sorted([*step.phases, *sixths])))


EIGHTH, SIXTEENTH = _even("eighth", 1.0, 2), _even("sixteenth", 1.0, 4)
SIMPLE = (
    _even("quarter", 1.0, 1), EIGHTH, _even("triplet", 1.0, 3), SIXTEENTH, _even("sextuplet", 1.0, 6),
    _even("thirty-second", 1.0, 8), _with_triplets(SIXTEENTH),
)  # fmt: skip
COMPOUND = (
    _even("dotted quarter", 1.5, 1), _even("eighth", 1.5, 3), _even("sixteenth", 1.5, 6),
    _even("thirty-second", 1.5, 12),
)  # fmt: skip


@dataclass(frozen=True)
class Errors:
    """Distances from the nearest positions, in milliseconds; `count` onsets, weak and blurred ones weighing less."""

    count: int
    median_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True)
class GridFit:
    """What the onsets say about their grid."""

    step: Step | None
    """The smallest grid that they follow; None where chance would do as well, and then the errors are those to the
    nearest sixteenth."""
    errors: Errors | None
    """None where there are no onsets."""
    bias_ms: float
    """By how much they are late in the middle (early where negative)."""
    drift_ms: float
    """By how much later the last are than the first."""
    worst_ms: float
    """The median in the worst stretch of STRETCH onsets."""
    evidence: float
    """Natural logarithm of how much better the grid explains the onsets than chance does; above CLEAR it is beyond
    doubt."""
    attacks: float
    """How many sharp onsets there are, weak ones counting in part."""
    rival: Fraction | None = None
    """In bars: what the accents repeat with, where that is neither one nor two of them (see `rivals`)."""

    @property
    def clear(self) -> bool:
        """Whether the grid is beyond doubt."""
        return self.step is not None and self.evidence >= CLEAR


@dataclass(frozen=True)
class _Placed:
    """Onsets on the bars: times in seconds, places in beats from their bar line, weights."""

    seconds: Floats
    within: Floats
    bar_start: Floats
    bar_beats: Floats
    beat_seconds: Floats
    weight: Floats


def measure(onsets: Onsets, frames: Floats, grid: Grid, free: int = 0) -> GridFit:
    """Measure onsets that lie at `frames` of the grid's timeline (unrounded; any before bar 1 or past the end too).

    `free` is how many places were put on the grid at will, as where a warp turns: that as many onsets agree with it is
    no evidence.
    """
    if not len(onsets):
        return GridFit(None, None, 0.0, 0.0, 0.0, 0.0, 0.0)
    placed = _place(onsets, frames, grid)
    attacks = float(np.minimum(1.0, onsets.strength / STRONG)[onsets.sharpness >= SHARP].sum())
    step, evidence = (None, 0.0) if len(onsets) < FEWEST else _follow(placed, grid)
    share = max(0.0, 1.0 - free / _effective(placed.weight))
    evidence *= share if evidence > 0 else 1.0
    if evidence <= 0:
        step = None
    fit = replace(_errors(placed, step or SIXTEENTH), step=step, evidence=evidence, attacks=attacks)
    return replace(fit, rival=rival(onsets, frames, grid))


def measure_on(step: Step | None, onsets: Onsets, frames: Floats, grid: Grid) -> Errors | None:
    """The errors to one grid, for comparing: None stands for sixteenths."""
    return _errors(_place(onsets, frames, grid), step or SIXTEENTH).errors if len(onsets) else None


def turns(beat_map: BeatMap, within_s: float = TURN_S) -> int:
    """How often a course of beats changes its tempo: the straight lines that keep within `within_s` of it, less one.

    As many attacks could have been put on the grid at will. H. Imai and M. Iri, "An optimal algorithm for approximating
    a piecewise linear function", J. Information Processing 9 (1986); lines begin on the course here.
    """
    count, start, least, most = 0, 0, -np.inf, np.inf
    at, seconds = beat_map.beats.tolist(), beat_map.seconds.tolist()
    for k in range(1, len(at)):
        run = at[k] - at[start]
        slope = (seconds[k] - seconds[start]) / run
        if not least <= slope <= most:
            count, start = count + 1, k - 1
            least, most, run = -np.inf, np.inf, at[k] - at[start]
            slope = (seconds[k] - seconds[start]) / run
        least, most = max(least, slope - within_s / run), min(most, slope + within_s / run)
    return count


def weights(onsets: Onsets) -> Floats:
    """How much each onset counts, 0..1."""
    sharp = np.clip((onsets.sharpness - VAGUE) / (SHARP - VAGUE), 0.0, 1.0) ** 2
    return np.asarray(np.minimum(1.0, onsets.strength / STRONG) * np.maximum(sharp, 1e-3) + 1e-9)


def _place(onsets: Onsets, frames: Floats, grid: Grid) -> _Placed:
    beats = grid.beat_at(frames)
    edges = np.array([float(start) for start in grid.bar_starts])
    first, last = edges[1] - edges[0], edges[-1] - edges[-2]
    bar = np.clip(np.searchsorted(edges, beats, side="right") - 1, 0, len(edges) - 2)
    start, length = edges[bar], np.diff(edges)[bar]
    before, after = beats < 0, beats >= edges[-1]
    start = np.where(before, np.floor(beats / first) * first, start)
    start = np.where(after, edges[-1] + np.floor((beats - edges[-1]) / last) * last, start)
    length = np.where(before, first, np.where(after, last, length))
    a_beat = (grid.frame_at(beats + 0.5) - grid.frame_at(beats - 0.5)) / grid.rate
    return _Placed(np.asarray(frames) / grid.rate, beats - start, start, length, a_beat, weights(onsets))


def _nearest(placed: _Placed, step: Step) -> tuple[Floats, NDArray[np.intp]]:
    """How late each onset is, in beats, and which of the step's phases it is near."""
    phases = np.array([*step.phases, step.period])
    base = np.floor(placed.within / step.period) * step.period
    late = (placed.within - base)[:, None] - phases
    # The next bar line is a position wherever the bar's length cuts the last period short.
    late = np.where(base[:, None] + phases > placed.bar_beats[:, None] - 1e-9, np.inf, late)
    late = np.concatenate((late, (placed.within - placed.bar_beats)[:, None]), axis=1)
    which = np.abs(late).argmin(axis=1)
    error: Floats = late[np.arange(len(late)), which]
    return error, np.where(which >= len(step.phases), 0, which)


def _follow(placed: _Placed, grid: Grid) -> tuple[Step, float]:
    """The step that explains the onsets best, and its evidence."""
    if all(meter.compound for meter in grid.meters):
        steps = [*COMPOUND]
    else:
        swung = [step for base in (EIGHTH, SIXTEENTH) for step in _swung(placed, base)]
        swung += [_with_triplets(step) for step in swung if step.name == SIXTEENTH.name]
        steps = [*SIMPLE, *swung]
    scores = np.array([_evidence(placed, step) for step in steps]) - np.log(len(steps))
    # Of steps that explain the onsets about as well, the one that leaves the fewest astray; else the coarsest.
    close = [k for k in range(len(steps)) if scores[k] >= scores.max() - CLOSE]
    best = min(close, key=lambda k: (round(_astray(placed, steps[k]), 2), len(steps[k].phases), -scores[k]))
    return steps[best], float(scores[best])


def _swung(placed: _Placed, base: Step) -> list[Step]:
    """`base` with the swing that its off-beats have, if they have any: where they are densest, in their middle."""
    pair = 2 * base.phases[1]
    phase = (placed.within % pair) / pair
    inside = (phase > 0.46) & (phase < 0.80)
    if inside.sum() < FEWEST:
        return []
    off, weight = phase[inside], placed.weight[inside]
    seconds = float(np.median(placed.beat_seconds)) * pair
    width = max(0.008, 0.005 / seconds)
    at = np.linspace(0.48, 0.78, 121)
    density = np.exp(-0.5 * ((at[:, None] - off) / width) ** 2) @ weight
    peak = at[int(density.argmax())]
    near = np.abs(off - peak) < 3 * width
    # Against the beats themselves: a sound that is late as a whole does not swing.
    on = (phase + 0.1) % 1.0 < 0.2
    late = weighted_quantile((phase[on] + 0.5) % 1.0 - 0.5, placed.weight[on], 0.5) if on.any() else 0.0
    ratio = weighted_quantile(off[near], weight[near], 0.5) - late
    if (ratio - 0.5) * seconds < STRAIGHT_S or not LEAST_SWING <= 100 * ratio <= MOST_SWING:
        return []
    phases = tuple(k * pair + part for k in range(round(1 / pair)) for part in (0.0, ratio * pair))
    return [Step(base.name, 1.0, phases, round(100 * ratio, 1))]


def _evidence(placed: _Placed, step: Step) -> float:
    """Log likelihood of the onsets on `step` against anywhere, less what its free parameters cost."""
    late, which = _nearest(placed, step)
    error = late * placed.beat_seconds
    period = step.period * placed.beat_seconds
    count = _effective(placed.weight)
    weight = placed.weight * (count / placed.weight.sum())
    phases = len(step.phases)
    best = -np.inf
    for spread in SPREADS_S:
        near = np.abs(error) < 3 * spread
        used = np.bincount(which[near], weight[near], phases)
        astray = min(0.5, (count - used.sum() + 0.5) / (count + 1.0))
        use = (used + 0.5) / (used.sum() + 0.5 * phases)
        density = np.exp(-0.5 * (error / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        best = max(best, float(weight @ np.log((1 - astray) * use[which] * period * density + astray)))
    free = phases - 1 + (step.swing is not None) + 2
    return best - 0.5 * free * float(np.log(max(count, 2.0)))


def _astray(placed: _Placed, step: Step) -> float:
    """The share of the onsets, 0..1, that lie beside every position."""
    error = _nearest(placed, step)[0] * placed.beat_seconds
    return float(placed.weight[np.abs(error) > 2 * SPREADS_S[-1]].sum() / placed.weight.sum())


def _errors(placed: _Placed, step: Step) -> GridFit:
    late, _ = _nearest(placed, step)
    error = 1000.0 * late * placed.beat_seconds
    size, weight = np.abs(error), placed.weight
    loud = weight >= 0.1 * weight.max()
    errors = Errors(
        len(error),
        weighted_quantile(size, weight, 0.5),
        weighted_quantile(size, weight, 0.95),
        float(size[loud].max()),
    )
    slope = robust_slope(placed.seconds, error, weight)
    length = float(placed.seconds[-1] - placed.seconds[0])
    stretches = np.array_split(np.arange(len(error)), max(1, len(error) // STRETCH))
    worst = max(weighted_quantile(size[part], weight[part], 0.5) for part in stretches)
    return GridFit(step, errors, weighted_quantile(error, weight, 0.5), slope * length, worst, 0.0, 0.0)


def _effective(weight: Floats) -> float:
    """How many onsets of equal weight would count as much (Kish)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def weighted_quantile(values: Floats, weight: Floats, share: float) -> float:
    """The smallest value with `share` (0..1) of all weight at or below it."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order[min(int(np.searchsorted(total, share * total[-1])), len(order) - 1)]])


def robust_slope(x: Floats, y: Floats, weight: Floats) -> float:
    """The weighted median of the slopes between all points, which up to a quarter of outliers do not move.

    Many points are first drawn together into DRIFT_POINTS medians. Sen, J. Am. Stat. Assoc. 63 (1968).
    """
    if len(x) > DRIFT_POINTS:
        parts = np.array_split(np.arange(len(x)), DRIFT_POINTS)
        y = np.array([weighted_quantile(y[part], weight[part], 0.5) for part in parts])
        x = np.array([x[part].mean() for part in parts])
        weight = np.array([weight[part].sum() for part in parts])
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] - x[i]
    i, j, apart = i[apart > 0], j[apart > 0], apart[apart > 0]
    if not len(i):
        return 0.0
    return weighted_quantile((y[j] - y[i]) / apart, weight[i] * weight[j] * apart, 0.5)
