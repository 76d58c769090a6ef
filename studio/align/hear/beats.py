"""From rough beats to exact ones: a smooth course of time through the attacks, as simple as they allow.

Beat times minimise a robust sum of squares of the attacks' distances plus a penalty on changes of tempo (Whittaker
smoothing, P. Eilers, "A perfect smoother", Analytical Chemistry 2003). How stiff the course is, and whether one tempo
or even the grid itself explains the attacks as well, is decided by predicting attacks that were left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.hear.onsets import has_attacks
from studio.align.values import BeatMap, Floats, Onsets

_DIVISIONS = (0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
_CLASS_WEIGHTS = (1.0, 0.3, 0.25, 0.6, 0.25, 0.3)
_TOLERANCE, _COARSE = 0.075, 0.15
"""Of a unit: an attack further from every division tells nothing about the beat. Of halves alone, while the course is
rough, and for swells."""
_NEAR_S = 0.012
"""An attack this near to a course is never taken for a stray one."""
_STRAY = 0.12
"""Of a unit: no course that is tried for being simpler may lie further from the one that was found."""
_STIFFNESS = (1e7, 1e5, 1e4, 1e3, 1e2, 10.0)
"""Penalties on squared changes of the change of a unit's length (so that a tempo may rise or fall evenly at no cost),
against squared distances of attacks."""
_THIRD = (-1.0, 3.0, -3.0, 1.0)
_ROUNDS = 6
_FOLDS = 4
_FEWEST = 3
_SIMPLER = 1.06
_AS_GOOD_S = 0.0004
"""A simpler course is taken when it predicts attacks this much worse at most (factor, and seconds added)."""
_SAME_SHARP_S, _SAME_SOFT_S, _SAME_WHOLE_S = 0.0025, 0.03, 0.07
"""The grid itself is taken when the course found is nowhere further from it: for clicks, more for swells, and still
more for swells in a sound that is as long as its bars."""


@dataclass(frozen=True)
class Course:
    """Where beats are, and how that was found."""

    kind: str
    """"grid" (nothing to do), "shift", "ratio", "steady" (another tempo on a moving grid), "drift"."""
    beat_map: BeatMap
    spread: float
    """Seconds: the median distance of attacks from the course."""


@dataclass(frozen=True)
class _Points:
    """Attacks with the places they belong to."""

    seconds: Floats
    beats: Floats
    weights: Floats
    classes: NDArray[np.intp]

    @cached_property
    def line(self) -> Callable[[Floats], Floats]:
        """One steady tempo through them."""
        return _polynomial(self.beats, self.seconds, self.weights, 1)

    def some(self, chosen: NDArray[np.bool_]) -> _Points:
        return _Points(self.seconds[chosen], self.beats[chosen], self.weights[chosen], self.classes[chosen])


def settle(rough: BeatMap, onsets: Onsets, unit: float) -> BeatMap:
    """`rough` moved onto the onsets near it, smoothly; `unit` in beats."""
    sharp = has_attacks(onsets)
    knots = _knots(rough, unit)
    current = rough
    points = _assign(current, onsets, unit, coarse=True)
    points = _without_offsets(current, points) if sharp else points
    for number, stiffness in enumerate((1e4, 1e3, 1e3) if sharp else (1e7, 1e6, 1e6)):
        if len(points.seconds) < _FEWEST:
            return rough
        current = _safe(knots, _smooth(points, knots, unit, stiffness, _NEAR_S if number else 4 * _NEAR_S), rough)
        points = _assign(current, onsets, unit, coarse=not sharp)
        points = _without_offsets(current, points) if sharp else points
    return current


def choose(
    settled: BeatMap, onsets: Onsets, unit: float, grid: Grid, *, as_long: bool = False, few: bool = False
) -> Course:
    """The simplest course near `settled`, whose beat 0 is the downbeat of bar 1, that explains the onsets.

    as_long: whether the sound is as long as its bars, as one is that was cut on the grid; few: whether its onsets are
    too few to follow a tempo that changes."""
    sharp = has_attacks(onsets)
    points = _assign(settled, onsets, unit, coarse=not sharp)
    points = _without_offsets(settled, points) if sharp else points
    if len(points.seconds) < _FEWEST:
        return Course("drift", settled, float("inf"))
    soft = _SAME_WHOLE_S if as_long else _SAME_SOFT_S
    same = soft + (_SAME_SHARP_S - soft) * _median(onsets.sharpness, onsets.strength + 1e-9)
    freedom = () if few else _STIFFNESS if sharp else _STIFFNESS[:1]
    return _chosen(points, _knots(settled, unit), unit, grid, settled, freedom, same)


def _knots(rough: BeatMap, unit: float) -> Floats:
    return np.arange(np.floor(rough.beats[0] / unit + 0.5), np.ceil(rough.beats[-1] / unit - 0.5) + 1) * unit


def _assign(current: BeatMap, onsets: Onsets, unit: float, *, coarse: bool) -> _Points:
    """The attacks that lie near a division of a unit, with its position."""
    at = current.beats_at(onsets.seconds) / unit
    whole, part = np.floor(at), at - np.floor(at)
    divisions = np.array([*_DIVISIONS, 1.0])
    weights = np.array([*_CLASS_WEIGHTS, 1.0])
    if coarse:
        weights = np.where(np.isin(divisions, (0.0, 0.5, 1.0)), weights, 0.0)
    distance = np.abs(part[:, None] - divisions)
    nearest = np.where(weights > 0, distance, np.inf).argmin(axis=1)
    off = distance[np.arange(len(at)), nearest]
    near = off < (_COARSE if coarse else _TOLERANCE)
    weight = weights[nearest] * onsets.strength * (0.15 + onsets.sharpness**2)
    classes = np.where(nearest == len(_DIVISIONS), 0, nearest)
    return _Points(onsets.seconds, (whole + divisions[nearest]) * unit, weight, classes).some(near & (weight > 0))


def _without_offsets(current: BeatMap, points: _Points) -> _Points:
    """The same with what whole classes are early or late by (swing, a lazy backbeat's off-beats) taken out."""
    late = points.seconds - current.seconds_at(points.beats)
    seconds = points.seconds.copy()
    for number in range(1, len(_DIVISIONS)):
        mine = points.classes == number
        if mine.any():
            seconds[mine] -= _median(late[mine], points.weights[mine])
    return _Points(seconds, points.beats, points.weights, points.classes)


def _smooth(points: _Points, knots: Floats, unit: float, stiffness: float, least: float = _NEAR_S) -> Floats:
    """Times of the knots: a line between neighbours, through the attacks."""
    from scipy.linalg import solveh_banded

    count = len(knots)
    place = np.clip((points.beats - knots[0]) / unit, 0.0, count - 1.000001)
    left = place.astype(np.intp)
    right_share = place - left
    left_share = 1.0 - right_share
    own = points.weights / points.weights.mean()
    weights = own
    # Solved for what is left of one steady tempo: where no attack tells anything, that tempo goes on.
    seconds = points.seconds - points.line(points.beats)
    times = np.zeros(count)
    stiff = _stiff(count, stiffness)

    def gathered(values: Floats, at: NDArray[np.intp]) -> Floats:
        return np.asarray(np.bincount(at, values, count), np.float64)

    for number in range(_ROUNDS):
        # Lower bands of the normal equations: w (x_left, x_right) squared, and third differences squared.
        to_left, to_right = weights * left_share, weights * right_share
        bands = stiff.copy()
        bands[0] += gathered(to_left * left_share, left) + gathered(to_right * right_share, left + 1)
        bands[1] += gathered(to_left * right_share, left)
        target = gathered(to_left * seconds, left) + gathered(to_right * seconds, left + 1)
        times = np.asarray(solveh_banded(bands, target, lower=True, overwrite_ab=True, check_finite=False))
        late = seconds - (times[left] * left_share + times[left + 1] * right_share)
        weights = own * _trust(late, points.weights, number, least)
    return np.asarray(times + points.line(knots))


def _stiff(count: int, stiffness: float) -> Floats:
    """Lower bands of the squares of third differences, and just enough besides to be solved, (4, count)."""
    bands = np.zeros((len(_THIRD), count))
    inner = max(count - len(_THIRD) + 1, 0)
    for place, here in enumerate(_THIRD):
        for band, other in enumerate(_THIRD[place:]):
            bands[band, place : place + inner] += stiffness * here * other
    bands[0] += 1e-6 * (1.0 + 1e-3 * stiffness)
    return bands


def _trust(late: Floats, weights: Floats, number: int, least: float = _NEAR_S) -> Floats:
    """Tukey's biweight on residuals: 1 near 0, 0 beyond some five medians."""
    scale = max(5.0 * _median(np.abs(late), weights), least) * (2.0 if number < 2 else 1.0)
    return np.clip(1.0 - (late / scale) ** 2, 0.0, 1.0) ** 2


def _median(values: Floats, weights: Floats) -> float:
    """The weighted median."""
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])


def _safe(knots: Floats, times: Floats, otherwise: BeatMap) -> BeatMap:
    """The knots as a map, if their times rise."""
    return BeatMap(times, knots) if np.all(np.diff(times) > 1e-4) else otherwise


def _chosen(
    points: _Points, knots: Floats, unit: float, grid: Grid, rough: BeatMap, freedom: tuple[float, ...], same: float
) -> Course:
    """The simplest course that predicts the attacks as well as any. `freedom`: the stiffnesses that are tried, none for
    straight courses; `same`: seconds by which one may differ from the grid itself and be taken for it."""
    there = (knots >= points.beats.min() - unit) & (knots <= points.beats.max() + unit)
    inside = knots[there]
    found = _candidates(points, inside, unit, grid, freedom)
    # A simpler course is another reading of the same beats, not of others.
    reach = _STRAY * float(np.diff(rough.seconds_at(inside)).mean())
    courses = [(kind, fit, fit(points)(inside)) for kind, fit in found]
    if freedom:  # else the one that was found wanders more than the sound does
        courses = [one for one in courses if np.abs(one[2] - rough.seconds_at(inside)).max() < reach]
    if not courses:
        return Course("drift", rough, _median(np.abs(points.seconds - rough.seconds_at(points.beats)), points.weights))
    folds = _folds(points)
    costs = [_cost(folds, fit, reach / 2) for _, fit, _ in courses]
    least = min(costs)
    number = next(k for k, cost in enumerate(costs) if cost <= least * _SIMPLER + _AS_GOOD_S)
    kind, _, times = courses[number]
    beat_map = _safe(inside, times, rough)
    spread = _median(np.abs(points.seconds - beat_map.seconds_at(points.beats)), points.weights)
    own = grid.frame_at(inside) / grid.rate
    if np.abs(times - own).max() < same:
        return Course("grid", BeatMap(own, inside), spread)
    if kind == "shift":
        frames = np.rint((times - own)[0] * grid.rate)
        return Course("shift", BeatMap(own + frames / grid.rate, inside), spread)
    return Course(kind, beat_map, spread)


_Fit = Callable[[_Points], Callable[[Floats], Floats]]


def _candidates(
    points: _Points, knots: Floats, unit: float, grid: Grid, freedom: tuple[float, ...]
) -> list[tuple[str, _Fit]]:
    """Courses from the simplest to the freest, each as a way to fit it to attacks."""

    def own(beats: Floats) -> Floats:
        return grid.frame_at(beats) / grid.rate

    def shift(p: _Points) -> Callable[[Floats], Floats]:
        late = _median(p.seconds - own(p.beats), p.weights)
        return lambda beats: own(beats) + late

    def line(along: Callable[[Floats], Floats], degree: int) -> _Fit:
        def fit(p: _Points) -> Callable[[Floats], Floats]:
            course = _polynomial(along(p.beats), p.seconds, p.weights, degree)
            return lambda beats: course(along(beats))

        return fit

    def smooth(stiffness: float) -> _Fit:
        def fit(p: _Points) -> Callable[[Floats], Floats]:
            times = _smooth(p, knots, unit, stiffness)
            return lambda beats: np.asarray(np.interp(beats, knots, times), np.float64)

        return fit

    found: list[tuple[str, _Fit]] = [("shift", shift), ("ratio", line(own, 1))]
    if len({(s.bpm, s.bpm_end) for s in grid.tempo.segments}) > 1 or any(
        s.bpm != s.bpm_end for s in grid.tempo.segments
    ):
        found.append(("steady", line(lambda beats: beats, 1)))
    if freedom and len(points.seconds) >= 8:
        found.append(("drift", line(lambda beats: beats, 2)))
        found += [("drift", smooth(stiffness)) for stiffness in freedom]
    return found


def _polynomial(x: Floats, y: Floats, weights: Floats, degree: int) -> Callable[[Floats], Floats]:
    """A robust polynomial through points."""
    # About its own middle and in its own width, so that powers of it stay small.
    middle, width = float(x.mean()), max(float(np.ptp(x)), 1e-9)
    exponents = np.arange(degree + 1)

    def powers(at: Floats) -> Floats:
        return np.asarray(((at - middle) / width)[:, None] ** exponents)

    known, trust = powers(x), np.ones(len(x))
    own: Floats = np.zeros(degree + 1)
    for number in range(_ROUNDS):
        weighed = known * (weights * trust + 1e-12)[:, None]
        own = np.asarray(np.linalg.solve(known.T @ weighed + 1e-12 * np.eye(degree + 1), weighed.T @ y), np.float64)
        trust = _trust(y - known @ own, weights, number)
    return lambda at: np.asarray(powers(at) @ own)


def _folds(points: _Points) -> list[tuple[_Points, _Points]]:
    """A part of the attacks and all others, for each part by which a course can be judged."""
    beats = np.rint(points.beats).astype(np.intp)
    parts = [beats % _FOLDS == fold for fold in range(_FOLDS)]
    return [(points.some(out), points.some(~out)) for out in parts if out.any() and (~out).sum() >= _FEWEST]


def _cost(folds: list[tuple[_Points, _Points]], fit: _Fit, most: float) -> float:
    """How far attacks are from courses fitted without them: a mean in seconds, each counting `most` at most."""
    if not folds:
        return float("inf")
    late = np.concatenate([np.abs(out.seconds - fit(others)(out.beats)) for out, others in folds])
    weights = np.concatenate([out.weights for out, _ in folds])
    late = np.where(np.isfinite(late), late, most)
    return float(np.sum(np.minimum(late, most) * weights) / weights.sum())
