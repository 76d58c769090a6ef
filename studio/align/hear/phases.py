"""Where in its bar every moment of a sound is likely to lie: a convolutional network over a course of features.

Dilated convolutions over time, after M. Davies and S. Böck, "Temporal convolutional networks for musical audio beat
tracking", EUSIPCO 2019; here the answer is a place in the bar, and time runs at the pace of the expected tempo, so that
one network knows all tempos. It is taught by `tests/bench/bar_lock/learn`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import BarShape
from studio.align.hear.features import Features
from studio.align.hear.network import inside, through, weights
from studio.align.hear.spectra import PER_SECOND, PITCHES_PER_SECOND
from studio.align.rows import Rows

Singles = NDArray[np.float32]

FRAMES_A_UNIT = 32
"""Frames of the model in one unit of the bar at the expected tempo."""
PLACES = 48
"""Places of a bar that are told apart."""
METER_TRAITS = 8
KERNEL = 5
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Of the network's layers, which together see some 32 units to either side."""
_SOME = 2048
"""Frames that enter the network at a time."""


def moments(heard: Features, per_second: float) -> int:
    """How many frames the model has of a sound, `per_second` a second."""
    return int(heard.seconds * per_second) + 1


def view(heard: Features, per_second: float, start: int, stop: int) -> Singles:
    """What the network sees from frame `start` to `stop`, (frames, BANDS + BANDS + PITCHES): levels and rises of
    bands, and levels of semitones."""
    at = np.arange(start, stop) / per_second
    centre, half = at * PER_SECOND, PER_SECOND / per_second / 2
    last = len(heard.rises) - 1
    near = np.clip(np.rint(centre).astype(np.intp), 0, last)
    low = np.clip(np.ceil(centre - half).astype(np.intp), 0, last)
    high = np.clip(np.floor(centre + half).astype(np.intp), low, last)
    first = min(int(low[0]), int(near[0]))
    until = max(int(high[-1]), int(near[-1])) + 1
    bands, risen = heard.bands.read(first, until), heard.rises.read(first, until)
    rises = risen[near - first]
    for step in range(int(np.max(high - low)) + 1):  # the largest in each frame, so that no attack is lost
        rises = np.maximum(rises, risen[np.minimum(low + step, high) - first])
    place = at * PITCHES_PER_SECOND
    left = np.minimum(np.floor(place).astype(np.intp), len(heard.pitches) - 1)
    right = np.minimum(left + 1, len(heard.pitches) - 1)
    share, begin = (place - np.floor(place)).astype(np.float32)[:, None], int(left[0])
    tones = heard.pitches.read(begin, int(right[-1]) + 1)
    pitches = tones[left - begin] * (1 - share) + tones[right - begin] * share
    return np.concatenate([bands[near - first], rises, pitches], axis=1)


def traits(shape: BarShape) -> Singles:
    """What the network is told of the meter, (METER_TRAITS,)."""
    units = shape.units
    kinds = (shape.meter.compound, shape.simple, units == 2, units == 3, units == 4, units in (5, 7), units >= 6)
    return np.array([units / 4, *map(float, kinds)], np.float32)


def likelihoods(heard: Features, per_second: float, shape: BarShape) -> Rows:
    """(frames, PLACES), `per_second` a second: nats over chance of each place of the bar."""
    stored, told = weights("phases"), traits(shape)

    def meter(number: int) -> Singles:
        return np.asarray(told @ stored[f"told/{number}/weight"] + stored[f"told/{number}/bias"], np.float32)

    count = moments(heard, per_second)
    seen = (view(heard, per_second, at, min(at + _SOME, count)) for at in range(0, count, _SOME))
    scaled = (piece * stored["scale"] + stored["shift"] for piece in seen)
    first, told_first = stored["first/weight"], meter(0)
    reach = len(first) // 2
    x = through(
        scaled, np.zeros_like(stored["shift"]), reach,
        lambda held: _elu(inside(held, first, stored["first/bias"], 1) + told_first),
    )  # fmt: skip
    for number, dilation in enumerate(DILATIONS):
        told_here = meter(number + 1)
        x = through(x, -told_here, KERNEL // 2 * dilation, _layer(stored, number, dilation, told_here))
    found = heard.room.rows(PLACES)
    for piece in x:
        odds = inside(_elu(piece), stored["out/weight"], stored["out/bias"], 1)
        odds -= odds.max(axis=1, keepdims=True)
        found.append(odds - np.log(np.exp(odds).sum(axis=1, keepdims=True)) + np.float32(np.log(PLACES)))
    return found


def _layer(stored: dict[str, Singles], number: int, dilation: int, told: Singles) -> Callable[[Singles], Singles]:
    """A dilated layer with a way around it."""
    wide, wide_bias, mixed, mixed_bias = (
        stored[f"{name}/{number}/{kind}"] for name in ("wide", "mixed") for kind in ("weight", "bias")
    )
    reach = KERNEL // 2 * dilation

    def layer(held: Singles) -> Singles:
        heard = _elu(inside(held + told, wide, wide_bias, dilation))
        return held[reach:-reach] + inside(heard, mixed, mixed_bias, 1)

    return layer


def _elu(x: Singles) -> Singles:
    return np.asarray(np.maximum(x, 0.0) + (np.exp(np.minimum(x, 0.0)) - 1.0), np.float32)
