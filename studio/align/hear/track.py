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
from studio.align.hear.phases import FRAMES_A_UNIT, PLACES, likelihoods
from studio.align.rows import Room, Rows, blocks
from studio.align.values import BeatMap

Floats = NDArray[np.float64]

_STEADINESS = 110.0
"""How unlikely it is that the tempo changes at a beat: exp(-this * relative change)."""
_WEIGHT = 5.0
"""Of a second: much less than all of its frames, for neighbours tell much the same, and a wrong guess lasts."""
_REACH, _AROUND = 0.3, 2.5
"""Units within which likely places correct the path's, and over how many on either side that is averaged."""
_SOME = 2048
"""Frames scored at a time."""


@dataclass(frozen=True)
class Path:
    """The most likely course."""

    seconds: Floats
    """When units begin."""
    gain: float
    """Nats a frame over chance, less what it costs to change the tempo."""
    likely: Rows
    """(frames, PLACES): nats over chance of each place of the bar, of the frames of the model."""
    per_second: float
    """Frames of the model a second."""


def follow(heard: Features, shape: BarShape, bpm: float, reach: float, spread: float) -> Path:
    """The course of bars of `shape` through `heard`.

    bpm: the expected tempo in quarter notes a minute; tempos from bpm / reach to bpm * reach are possible, and those
    a factor exp(spread) away are exp(-1/2) times as likely.
    """
    placed = place(heard, shape, bpm)
    likely, per_second = placed.likely, placed.per_second
    lengths = np.arange(max(4, round(FRAMES_A_UNIT / reach)), round(FRAMES_A_UNIT * reach) + 1)
    prior = -0.5 * (np.log(lengths / FRAMES_A_UNIT) / spread) ** 2
    model = _Model(shape.units, lengths, prior, heard.room)
    # The finer the frames, the less each tells.
    begins, nats = model.best(likely, _between(shape) * np.float32(_WEIGHT / per_second))
    frames = np.array([frame for frame, _ in begins], np.float64)
    if len(frames) > 1:
        frames = _refined(frames, begins[0][1], likely, shape)
    return Path(frames / per_second, nats / (_WEIGHT * max(heard.seconds, 1.0)), likely, per_second)


def place(heard: Features, shape: BarShape, bpm: float) -> Path:
    """Likely places in bars of `shape` at about a tempo, and no course through them."""
    per_second = FRAMES_A_UNIT * bpm / (60.0 * float(shape.unit))
    return Path(np.zeros(0), 0.0, likelihoods(heard, per_second, shape), per_second)


def along(units: BeatMap, other: Path, heard: Features, shape: BarShape) -> Path:
    """A course that is given instead of looked for: its unit 0 is a downbeat. `other`: any course through `heard`."""
    nats = 0.0
    for start, likely in blocks(other.likely):
        rows = np.arange(len(likely))
        at = units.beats_at((start + rows) / other.per_second) / shape.units * PLACES
        low = np.floor(at).astype(np.intp)
        share = at - low
        nats += float(((1.0 - share) * likely[rows, low % PLACES] + share * likely[rows, (low + 1) % PLACES]).sum())
    return Path(units.seconds, nats / (other.per_second * max(heard.seconds, 1.0)), other.likely, other.per_second)


def _refined(begins: Floats, first: int, likely: Rows, shape: BarShape) -> Floats:
    """Frames at which units begin, between frames: by how far the likely places around them are from the path's. The
    first one's is the bar's unit `first`."""
    count = np.arange(len(begins))
    reach = max(1, round(_REACH * PLACES / shape.units))
    offset = np.arange(-reach, reach + 1)
    found: list[tuple[Floats, Floats, Floats]] = []
    for start, nats in blocks(likely):
        frames = np.arange(start, start + len(nats), dtype=np.float64)
        inside = (frames >= begins[0]) & (frames <= begins[-1])
        at = (np.interp(frames[inside], begins, count) + first) / shape.units * PLACES
        nearest = np.rint(at).astype(np.intp)
        chance = np.exp(nats[inside][np.arange(len(at))[:, None], (nearest[:, None] + offset) % PLACES])
        there = chance.sum(axis=1)
        off = (chance * (offset + (nearest - at)[:, None])).sum(axis=1) / there
        found.append((at * shape.units / PLACES - first, (there / PLACES) ** 2, off))
    unit, weight, off = (np.concatenate(parts) for parts in zip(*found, strict=True))
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
    """A course goes from unit to unit of the bar, each of one of some lengths in frames.

    So what a whole unit is worth is known before it is decided which follow one another (a semi-Markov chain), for
    many frames at once.
    """

    def __init__(self, units: int, lengths: NDArray[np.intp], prior: Floats, room: Room) -> None:
        self._units, self._lengths, self._prior, self._room = units, lengths, prior, room
        self._longest = int(lengths.max())
        change = np.abs(lengths[:, None] / lengths[None, :] - 1.0)  # from column to row
        self._change = (-_STEADINESS * change).astype(np.float32)  # no cost for going on: slow bars are no better

    def best(self, channels: Rows, nats: NDArray[np.float32]) -> tuple[list[tuple[int, int]], float]:
        """The units that begin along the best course, as (frame, unit), and its score. The first may have begun
        before frame 0, and the last may end after the sound.

        channels: (frames, channels) observed; nats: (channels, places in the bar) that one unit of each is worth.
        """
        count, longest = len(channels), self._longest
        shape = (self._units, len(self._lengths))
        # What the best course is worth to which a unit begins at a frame; the last `longest` of these are kept.
        begun = np.empty((_SOME + longest, *shape))
        begun[: longest + 1] = self._prior
        came = self._room.rows(self._units * len(self._lengths), np.int16)
        for start in range(0, count, _SOME):
            stop = min(start + _SOME, count)
            worth = self._worth(channels, nats, start, stop + longest if stop == count else stop)
            lately = np.zeros((stop - start, *shape), np.int16)
            self._follow(begun, lately, worth, 1 if start == 0 else 0)
            came.append(lately.reshape(len(lately), -1))
            begun[:longest] = begun[stop - start : stop - start + longest].copy()
        # Of every unit that is not over when the sound is.
        at = np.arange(longest)[:, None, None]
        from_frame = at - self._lengths + longest
        ended = self._taken(begun, np.minimum(from_frame, longest - 1))
        ended += worth[:, :, -longest:].transpose(2, 0, 1)
        ended[np.broadcast_to(from_frame >= longest, ended.shape)] = -np.inf
        last, unit, tempo = np.unravel_index(int(ended.argmax()), ended.shape)
        frame = count + int(last) - int(self._lengths[tempo])
        return self._back(frame, int(unit), int(tempo), came), float(ended[last, unit, tempo])

    def _follow(self, begun: Floats, came: NDArray[np.int16], worth: NDArray[np.float32], first: int) -> None:
        """Fill in what begins with some frames, from the `first` of them on, and which length came before it."""
        step = int(self._lengths.min())  # what begins in so few frames does not depend on one another
        for low in range(first, len(came), step):
            high = min(low + step, len(came))
            ended = self._taken(begun, np.arange(low, high)[:, None, None] - self._lengths + self._longest)
            ended += worth[:, :, low:high].transpose(2, 0, 1)
            top = ended.max(axis=(1, 2), keepdims=True)  # against which single precision is enough
            before = np.roll((ended - top).astype(np.float32), 1, axis=1)
            options = before[:, :, None, :] + self._change  # (frame, unit, to, from)
            came[low:high] = options.argmax(axis=3)
            begun[low + self._longest : high + self._longest] = options.max(axis=3) + top

    def _taken(self, begun: Floats, frames: NDArray[np.intp]) -> Floats:
        """(frames, units, lengths) of what began at a frame for each length, (frames, 1, lengths)."""
        units, tempos = np.arange(self._units)[:, None], np.arange(len(self._lengths))
        return np.asarray(begun[frames, units, tempos])

    def _worth(self, channels: Rows, nats: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """(units, lengths, frames): what a unit tells that ends right before each frame from `start` to `stop`; there
        is nothing to tell before and after the sound."""
        count, longest = stop - start, self._longest
        seen = channels.read(max(0, start - longest), min(max(0, stop - 1), len(channels)))
        places = np.zeros((nats.shape[1], longest + count), np.float32)
        skip = max(0, longest - start)
        places[:, skip : skip + len(seen)] = nats.T @ seen.T
        each = places.reshape(self._units, BINS, -1)
        found = np.empty((self._units, len(self._lengths), count), np.float32)
        for number, length in enumerate(self._lengths.tolist()):
            inside = np.arange(length)
            bins = ((2 * inside * BINS + length) // (2 * length)).tolist()
            total = each[:, 0, longest - length : longest - length + count].copy()
            for at, place in enumerate(bins[1:], start=longest - length + 1):
                total += each[:, place, at : at + count]
            found[:, number] = total
        return found

    def _back(self, frame: int, unit: int, tempo: int, came: Rows) -> list[tuple[int, int]]:
        """The units from the first to the one that begins at `frame`."""
        begins = [(frame, unit)]
        while frame > 0:
            tempo = int(came.read(frame, frame + 1)[0, unit * len(self._lengths) + tempo])
            unit = (unit - 1) % self._units
            frame -= int(self._lengths[tempo])
            begins.append((frame, unit))
        begins.reverse()
        return begins
