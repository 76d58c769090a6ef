"""Finds the most likely course of tempo and bar position through a sound's features.

The bar pointer model with tempo changes at beats: N. Whiteley, A. T. Cemgil and S. Godsill, "Bayesian modelling of
temporal structure in musical audio", ISMIR 2006; F. Krebs, S. Böck and G. Widmer, "An efficient state space model for
joint tempo and meter tracking", ISMIR 2015. Observations are weighed by where in the bar they fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import BINS, BarShape
from studio.align.hear.features import Features
from studio.align.hear.phases import FRAMES_A_UNIT, PLACES, likelihoods, view

Floats = NDArray[np.float64]

_STEADINESS = 110.0
"""How unlikely it is that the tempo changes at a beat: exp(-this * relative change)."""
_WEIGHT = 5.0
"""Of a second: much less than all of its frames, for neighbours tell much the same, and a wrong guess lasts."""
_REACH, _AROUND = 0.3, 2.5
"""Units within which likely places correct the path's, and over how many on either side that is averaged."""
_SOME = 4096
"""Frames scored at a time."""


@dataclass(frozen=True)
class Path:
    """The most likely course."""

    seconds: Floats
    """When units begin."""
    gain: float
    """Nats a frame over chance, less what it costs to change the tempo."""
    likely: NDArray[np.float32]
    """(frames, PLACES): nats over chance of each place of the bar, of the frames of the model."""
    per_second: float
    """Frames of the model a second."""


def follow(heard: Features, shape: BarShape, bpm: float, reach: float, spread: float) -> Path:
    """The course of bars of `shape` through `heard`.

    bpm: the expected tempo in quarter notes a minute; tempos from bpm / reach to bpm * reach are possible, and those
    a factor exp(spread) away are exp(-1/2) times as likely.
    """
    per_second = FRAMES_A_UNIT * bpm / (60.0 * float(shape.unit))
    likely = likelihoods(view(heard, per_second), shape) + np.float32(np.log(PLACES))
    lengths = np.arange(max(4, round(FRAMES_A_UNIT / reach)), round(FRAMES_A_UNIT * reach) + 1)
    prior = -0.5 * (np.log(lengths / FRAMES_A_UNIT) / spread) ** 2
    model = _Model(shape.units, lengths, prior)
    # The finer the frames, the less each tells.
    begins, nats = model.best(likely, _between(shape) * np.float32(_WEIGHT / per_second))
    frames = np.array([frame for frame, _ in begins], np.float64)
    if len(frames) > 1:
        frames = _refined(frames, begins[0][1], likely, shape)
    return Path(frames / per_second, nats / (_WEIGHT * max(heard.seconds, 1.0)), likely, per_second)


def _refined(begins: Floats, first: int, likely: NDArray[np.float32], shape: BarShape) -> Floats:
    """Frames at which units begin, between frames: by how far the likely places around them are from the path's. The
    first one's is the bar's unit `first`."""
    count = np.arange(len(begins))
    frames = np.arange(len(likely), dtype=np.float64)
    inside = (frames >= begins[0]) & (frames <= begins[-1])
    at = (np.interp(frames[inside], begins, count) + first) / shape.units * PLACES
    nearest = np.rint(at).astype(np.intp)
    reach = max(1, round(_REACH * PLACES / shape.units))
    offset = np.arange(-reach, reach + 1)
    chance = np.exp(likely[inside][np.arange(len(at))[:, None], (nearest[:, None] + offset) % PLACES])
    there = chance.sum(axis=1)
    off = (chance * (offset + (nearest - at)[:, None])).sum(axis=1) / there
    weight = (there / PLACES) ** 2
    unit = at * shape.units / PLACES - first
    ends = np.searchsorted(unit, [count - _AROUND, count + _AROUND])
    weights, moments = (np.concatenate(([0.0], np.cumsum(v)))[ends] for v in (weight, weight * off))
    late = (moments[1] - moments[0]) / (weights[1] - weights[0] + 1.0)
    # Between a place and a frame: units are about as long as their neighbours.
    length = np.gradient(begins)
    moved = begins - late * shape.units / PLACES * length
    return moved if np.all(np.diff(moved) > 0) else begins


def _between(shape: BarShape) -> NDArray[np.float32]:
    """(PLACES, places of the model): the model's finer places lie between the network's."""
    at = np.arange(shape.units * BINS) * (PLACES / (shape.units * BINS))
    low, columns = np.floor(at).astype(np.intp), np.arange(len(at))
    found = np.zeros((PLACES, len(at)), np.float32)
    found[low, columns] = 1.0 - (at - low)
    found[(low + 1) % PLACES, columns] += at - low
    return found


class _Model:
    """States are frames within a unit, for each unit of the bar and each length of it."""

    def __init__(self, units: int, lengths: NDArray[np.intp], prior: Floats) -> None:
        self._units, self._lengths, self._prior = units, lengths, prior
        tempos = len(lengths)
        sizes = np.tile(lengths, units)
        self._entry = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._exit = self._entry + sizes - 1
        self._states = int(sizes.sum())
        inside = np.concatenate([np.arange(size) for size in sizes])
        unit = np.repeat(np.repeat(np.arange(units), tempos), sizes)
        each = np.repeat(sizes, sizes)
        self._place = (unit * BINS + (2 * inside * BINS + each) // (2 * each)) % (units * BINS)
        change = np.abs(lengths[:, None] / lengths[None, :] - 1.0)  # from column to row
        self._change = (-_STEADINESS * change).astype(np.float32)  # no cost for going on: slow bars are no better

    def best(self, channels: NDArray[np.float32], nats: NDArray[np.float32]) -> tuple[list[tuple[int, int]], float]:
        """The units that begin along the best course, as (frame, unit), and its score.

        channels: (frames, channels) observed; nats: (channels, places in the bar) that one unit of each is worth.
        """
        units, tempos = self._units, len(self._lengths)
        start = np.repeat(self._prior[None, :], units, axis=0).ravel()
        value = np.repeat(start, np.tile(self._lengths, units)).astype(np.float32)
        scores = channels[:_SOME] @ nats
        value += scores[0][self._place]
        came = np.zeros((len(channels), units, tempos), np.int16)
        leaving = np.roll(self._exit.reshape(units, tempos), 1, axis=0)
        options = np.empty((units, tempos, tempos), np.float32)
        best = np.empty((units, tempos), np.intp)
        total = 0.0
        moved = np.empty_like(value)
        observed = np.empty_like(value)
        for frame in range(1, len(channels)):
            if frame % _SOME == 0:
                scores = channels[frame : frame + _SOME] @ nats
            np.add(value[leaving][:, None, :], self._change, out=options)  # (unit, to, from)
            options.argmax(axis=2, out=best)
            came[frame] = best
            moved[1:] = value[:-1]
            moved[self._entry] = options.max(axis=2).ravel()
            np.take(scores[frame % _SOME], self._place, out=observed)
            np.add(moved, observed, out=value)
            if frame % 256 == 0:  # keeps single precision enough
                top = float(value.max())
                total += top
                value -= np.float32(top)
        state = int(value.argmax())
        return self._back(state, came), total + float(value[state])

    def _back(self, state: int, came: NDArray[np.int16]) -> list[tuple[int, int]]:
        tempos = len(self._lengths)
        slot = int(np.searchsorted(self._entry, state, side="right")) - 1
        frame = len(came) - 1 - (state - int(self._entry[slot]))
        begins: list[tuple[int, int]] = []
        while True:
            unit, tempo = divmod(slot, tempos)
            begins.append((frame, unit))
            if frame <= 0:
                break
            before = (unit - 1) % self._units
            slot = before * tempos + int(came[frame, unit, tempo])
            frame -= int(self._lengths[slot % tempos])
        begins.reverse()
        return begins
