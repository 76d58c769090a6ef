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
from studio.align.hear.features import PER_SECOND, Features
from studio.align.hear.templates import CHANNELS, template

Floats = NDArray[np.float64]

_FRAMES_A_UNIT = 44
"""Frames of the model in one unit at the expected tempo: fine enough for steps of tempo of 2 %."""
_STEADINESS = 110.0
"""How unlikely it is that the tempo changes at a beat: exp(-this * relative change)."""
_WEIGHT = 30.0
"""Of the features of a second: less than all of them, for neighbours tell much the same."""
_SOME = 4096
"""Frames scored at a time."""
_SWING_COSTS = 0.25
"""Nats a second by which a swung bar has to fit better than a straight one."""
_LEAST_TOP = 0.45
"""Mean rise of all bands in nats of magnitude, some 4 dB: less is what any sustained sound does in itself."""
LEAST = {"notes": 0.3, "change": 0.15}


@dataclass(frozen=True)
class Path:
    """The most likely course: every unit of a bar that began, and its place."""

    seconds: Floats
    """When units begin."""
    units: NDArray[np.intp]
    """Which unit of its bar each is, from 0."""
    gain: float
    """Nats a second won over knowing nothing."""
    swing: float
    """Where the second half of a felt beat begins, of those that were tried."""


def follow(heard: Features, shape: BarShape, bpm: float, reach: float, spread: float) -> Path:
    """The course of bars of `shape` through `heard`.

    bpm: the expected tempo in quarter notes a minute; tempos from bpm / reach to bpm * reach are possible, and those
    a factor exp(spread) away are exp(-1/2) times as likely.
    """
    unit_seconds = 60.0 / bpm * float(shape.unit)
    per_second = _FRAMES_A_UNIT / unit_seconds
    channels = _channels(heard, per_second)
    lengths = np.arange(max(4, round(_FRAMES_A_UNIT / reach)), round(_FRAMES_A_UNIT * reach) + 1)
    prior = -0.5 * (np.log(lengths / _FRAMES_A_UNIT) / spread) ** 2
    model = _Model(shape.units, lengths, prior)
    weight = np.float32(_WEIGHT / per_second)  # the finer the frames, the less each tells
    found: Path | None = None
    for swing in shape.swings:
        begins, nats = model.best(channels, template(shape, swing).T * weight)
        gain = nats / max(heard.seconds, 1.0)
        if found is None or gain > found.gain + _SWING_COSTS:
            units = np.array([unit for _, unit in begins], np.intp)
            found = Path(np.array([frame / per_second for frame, _ in begins]), units, gain, swing)
    assert found is not None  # every bar can be straight
    return found


def _channels(heard: Features, per_second: float) -> NDArray[np.float32]:
    """(frames of the model, channels)."""
    count = int(heard.seconds * per_second) + 1
    at = np.arange(count) / per_second * PER_SECOND
    half = PER_SECOND / per_second / 2
    channels = []
    for name in CHANNELS:
        values = channel(heard, name)
        # The largest value in each frame of the model, so that coarse frames lose no attack.
        low = np.clip(np.ceil(at - half).astype(np.intp), 0, len(values) - 1)
        high = np.clip(np.floor(at + half).astype(np.intp), low, len(values) - 1)
        frame = np.interp(at, np.arange(len(values)), values).astype(np.float32)
        for step in range(int(np.max(high - low)) + 1):
            frame = np.maximum(frame, values[np.minimum(low + step, high)])
        channels.append(frame)
    return np.stack(channels, axis=1)


def channel(heard: Features, name: str) -> NDArray[np.float32]:
    """One of `templates.CHANNELS`, normalised."""
    return normalised(getattr(heard, name), LEAST.get(name, _LEAST_TOP))


def normalised(values: NDArray[np.float32], least: float = _LEAST_TOP) -> NDArray[np.float32]:
    """A rise above its mean of the second around it, against the strongest ones of the ten seconds around it: about 1
    for an accent, whatever the level, and 0 between accents. `least`: accents below this are nothing but noise."""
    hop = PER_SECOND
    half = hop // 2
    sums = np.concatenate([[0.0], np.cumsum(np.pad(values, half), dtype=np.float64)])
    mean = (sums[hop + 1 :] - sums[: -hop - 1])[: len(values)] / (hop + 1)
    above = np.maximum(values[: len(mean)] - mean, 0.0)
    pieces = max(1, -(-len(above) // hop))
    padded = np.zeros(pieces * hop)
    padded[: len(above)] = above
    tops = np.partition(padded.reshape(pieces, hop), hop - 4, axis=1)[:, hop - 4]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(tops, 5), 11).max(axis=1)
    floor = max(0.25 * float(around.max(initial=0.0)), least)
    local = np.interp(np.arange(len(above)), (np.arange(pieces) + 0.5) * hop, np.maximum(around, floor))
    return np.asarray(np.minimum(above / local, 1.5), np.float32)


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
        self._place = unit * BINS + inside * BINS // np.repeat(sizes, sizes)
        change = np.abs(lengths[None, :] / lengths[:, None] - 1.0)  # from row to column
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
        previous = np.roll(np.arange(units), 1)
        total = 0.0
        moved = np.empty_like(value)
        observed = np.empty_like(value)
        for frame in range(1, len(channels)):
            if frame % _SOME == 0:
                scores = channels[frame : frame + _SOME] @ nats
            leaving = value[self._exit].reshape(units, tempos)[previous]
            options = leaving[:, :, None] + self._change  # (unit, from, to)
            best = options.argmax(axis=1)
            came[frame] = best
            moved[1:] = value[:-1]
            moved[self._entry] = np.take_along_axis(options, best[:, None, :], axis=1).ravel()
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
