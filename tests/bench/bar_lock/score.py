"""What a method's answer is worth: its own time map against the truth, and its sound against the ideal one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from studio.align.grid import Grid
from studio.align.values import Audio, BeatMap, Floats
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.material import ideal

SIXTEENTH = 0.25
"""Beats: bar 1 is right if it lies within this of its place."""
SCALE = 0.04
"""The share by which the mean tempo may be off for the relation to be right (a wrong one is off by a third or more)."""
WORST_LOCKED_MS = 15.0
"""A sound whose 95th percentile is above this is not locked, whatever is said of it."""

ENVELOPE_RATE = 2000
REACH_S, WINDOW_S = 0.080, 0.060
"""Of the local lag: how far it is looked for, and how much to either side of a note is compared."""
ALIKE, CLEARER = 0.5, 0.15
"""Correlation of the envelopes from which a note is found again, and by how much it has to be higher there than
anywhere beyond `ELSEWHERE_S` for the lag to be beyond doubt."""
ELSEWHERE_S = 0.010
PROMINENT = 0.25
"""Notes whose rise in the ideal sound is less than this share of a strong note's are not looked for."""


@dataclass(frozen=True)
class Answer:
    """What a method made of a case.

    `audio` is at the grid's rate, its frame `first` is meant to be the downbeat of bar 1. `target_at` is the method's
    own time map: seconds of the source to frames from that downbeat.
    """

    audio: Audio
    first: int
    target_at: Callable[[Floats], Floats]
    verdict: str = ""


@dataclass(frozen=True)
class Mapped:
    """How a time map fits the truth. Errors in ms on the grid, one for each true onset."""

    errors: Floats
    relation: bool
    downbeat: bool
    off: float
    """Where the map puts the sound's bar 1, in beats of the grid."""
    scale: float
    """The map's mean tempo over the true one."""

    @property
    def right(self) -> bool:
        """Whether the music is on its bars at all: the tempo's relation and bar 1."""
        return self.relation and self.downbeat

    @property
    def p95(self) -> float:
        return float(np.percentile(np.abs(self.errors), 95))


def mapped(case: Case, target_at: Callable[[Floats], Floats]) -> Mapped:
    """Score a map from seconds of the case's sound to frames from the downbeat of bar 1."""
    onsets, grid = case.onsets, case.grid
    errors = 1000.0 / grid.rate * (target_at(onsets["seconds"]) - grid.frame_at(onsets["beat"]))
    # Over what both the sound and the grid have: beyond that a method owes nothing.
    span = np.array([0.0, min(case.beats, float(grid.beats))])
    ends = grid.beat_at(target_at(case.truth.seconds_at(span)))
    scale = float(np.ptp(ends) / np.ptp(span))
    return Mapped(errors, abs(scale - 1.0) <= SCALE, abs(float(ends[0])) <= SIXTEENTH, float(ends[0]), scale)


def by_beats(grid: Grid, beat_map: BeatMap) -> Callable[[Floats], Floats]:
    """A beat map as a time map: every beat on the grid's."""
    return lambda seconds: grid.frame_at(beat_map.beats_at(seconds))


def lags(case: Case, answer: Answer) -> tuple[Floats, int]:
    """By how many ms each prominent, sharp note of the answer's sound is late, told without any map: where the onset
    envelopes around it agree best with those of the ideal sound. And how many of them were not found again. Notes that
    could be mistaken for their neighbours in the ideal sound itself (rolls) are left out."""
    wanted, lead = ideal(case)
    rate = case.grid.rate
    goal, got = attack_envelope(wanted, rate), attack_envelope(answer.audio, rate)
    notes = case.onsets[case.onsets["sharp"]]
    places = case.grid.frame_at(np.unique(np.round(notes["beat"], 2))) / rate
    near = np.rint((places + lead / rate) * ENVELOPE_RATE).astype(int)
    rises = np.array([_cut(goal, at - 6, at + 20).max() for at in near])
    if not len(rises):
        return np.zeros(0), 0
    found, lost = [], 0
    for place in places[rises >= PROMINENT * np.percentile(rises, 90)]:
        here, there = place + lead / rate, place + answer.first / rate
        if there < 0 or there * rate >= answer.audio.shape[1] or _lag(goal, here, goal, here) is None:
            continue
        lag = _lag(goal, here, got, there)
        if lag is None:
            lost += 1
        else:
            found.append(1000.0 * lag)
    return np.array(found), lost


def attack_envelope(audio: Audio, rate: int) -> Floats:
    """How sharply the sound rises, at ENVELOPE_RATE: in four bands, on a logarithmic scale, over some milliseconds."""
    from scipy import signal

    edges = (30.0, 200.0, 800.0, 3200.0, 0.45 * min(rate, 22_050))
    count = int(audio.shape[1] / rate * ENVELOPE_RATE)
    at = np.arange(count) * (rate / ENVELOPE_RATE)
    half = 0.002 * rate
    total = np.zeros(count)
    for low, high in itertools.pairwise(edges):
        sections = signal.butter(2, (low, high), "bandpass", fs=rate, output="sos")
        power = np.square(signal.sosfiltfilt(sections, audio, axis=1)).sum(axis=0)
        sums = np.concatenate([[0.0], np.cumsum(power)])
        places = np.arange(len(sums))
        mean = np.interp(at + half, places, sums) - np.interp(at - half, places, sums)
        level = np.log1p(50.0 * mean / max(float(mean.max()), 1e-12))
        total[1:] += np.maximum(np.diff(level), 0.0)
    window = signal.windows.hann(11)
    return np.asarray(np.convolve(total, window / window.sum(), "same"))


def _lag(goal: Floats, here: float, got: Floats, there: float) -> float | None:
    """Seconds by which `got` around `there` is later than `goal` around `here`; None where that cannot be told."""
    width, reach = round(WINDOW_S * ENVELOPE_RATE), round(REACH_S * ENVELOPE_RATE)
    # Both centres are rounded to the envelope's grid; what the rounding takes is given back at the end.
    ours, theirs = round(here * ENVELOPE_RATE), round(there * ENVELOPE_RATE)
    pattern = _cut(goal, ours - width, ours + width + 1)
    field = _cut(got, theirs - width - reach, theirs + width + reach + 1)
    size = len(pattern)
    dots = np.correlate(field, pattern, "valid")
    energy = np.concatenate([[0.0], np.cumsum(np.square(field))])
    alike = dots / np.sqrt(np.maximum((energy[size:] - energy[:-size]) * np.sum(np.square(pattern)), 1e-18))
    best = int(alike.argmax())
    away = round(ELSEWHERE_S * ENVELOPE_RATE)
    others = np.concatenate([alike[: max(0, best - away)], alike[best + away + 1 :]])
    if alike[best] < ALIKE or alike[best] - others.max() < CLEARER:
        return None
    place = float(best)
    if 0 < best < len(alike) - 1:
        left, middle, right = alike[best - 1 : best + 2]
        bend = left - 2 * middle + right
        place += 0.5 * (left - right) / bend if bend < 0 else 0.0
    rounding = (ours / ENVELOPE_RATE - here) - (theirs / ENVELOPE_RATE - there)
    return (place - reach) / ENVELOPE_RATE - rounding


def _cut(values: Floats, start: int, stop: int) -> Floats:
    inside = values[max(0, start) : max(0, stop)]
    before = min(max(0, -start), stop - start)
    return np.pad(inside, (before, stop - start - before - len(inside)))


def bit_exact(case: Case, answer: Answer) -> bool:
    """Whether a sound that lay on the grid already came back untouched."""
    frames = min(case.grid.frames, case.audio.shape[1])
    back = answer.audio[:, answer.first : answer.first + frames]
    return case.rate == case.grid.rate and np.array_equal(back, case.audio[:, :frames])
