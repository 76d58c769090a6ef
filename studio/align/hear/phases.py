"""Where in its bar every moment of a sound is likely to lie: a convolutional network over a course of features.

Dilated convolutions over time, after M. Davies and S. Böck, "Temporal convolutional networks for musical audio beat
tracking", EUSIPCO 2019; here the answer is a place in the bar, and time runs at the pace of the expected tempo, so that
one network knows all tempos. It is taught by `tests/bench/bar_lock/learn`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import BarShape
from studio.align.hear.features import Features
from studio.align.hear.network import convolved, weights
from studio.align.hear.spectra import PER_SECOND, PITCHES_PER_SECOND

Singles = NDArray[np.float32]

FRAMES_A_UNIT = 32
"""Frames of the model in one unit of the bar at the expected tempo."""
PLACES = 48
"""Places of a bar that are told apart."""
METER_TRAITS = 8
KERNEL = 5
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Of the network's layers, which together see some 32 units to either side."""


def view(heard: Features, per_second: float) -> Singles:
    """What the network sees, (frames, BANDS + BANDS + PITCHES), `per_second` frames a second: levels and rises of
    bands, and levels of semitones."""
    frames = len(heard.rises)
    at = np.arange(int(heard.seconds * per_second) + 1) / per_second
    centre, half = at * PER_SECOND, PER_SECOND / per_second / 2
    near = np.clip(np.rint(centre).astype(np.intp), 0, frames - 1)
    low = np.clip(np.ceil(centre - half).astype(np.intp), 0, frames - 1)
    high = np.clip(np.floor(centre + half).astype(np.intp), low, frames - 1)
    rises = heard.rises[near]
    for step in range(int(np.max(high - low)) + 1):  # the largest in each frame, so that no attack is lost
        rises = np.maximum(rises, heard.rises[np.minimum(low + step, high)])
    place = at * PITCHES_PER_SECOND
    left = np.clip(np.floor(place).astype(np.intp), 0, len(heard.pitches) - 1)
    right = np.minimum(left + 1, len(heard.pitches) - 1)
    share = (place - np.floor(place)).astype(np.float32)[:, None]
    pitches = heard.pitches[left] * (1 - share) + heard.pitches[right] * share
    return np.concatenate([heard.bands[near], rises, pitches], axis=1)


def traits(shape: BarShape) -> Singles:
    """What the network is told of the meter, (METER_TRAITS,)."""
    units = shape.units
    kinds = (shape.meter.compound, shape.simple, units == 2, units == 3, units == 4, units in (5, 7), units >= 6)
    return np.array([units / 4, *map(float, kinds)], np.float32)


def likelihoods(seen: Singles, shape: BarShape) -> Singles:
    """(frames, PLACES): natural logarithms of how likely each place of the bar is, from what `view` gives."""
    stored, told = weights("phases"), traits(shape)

    def meter(number: int) -> Singles:
        return np.asarray(told @ stored[f"told/{number}/weight"] + stored[f"told/{number}/bias"], np.float32)

    x = convolved(seen * stored["scale"] + stored["shift"], stored["first/weight"], stored["first/bias"], 1)
    x = _elu(x + meter(0))
    for number, dilation in enumerate(DILATIONS):
        at = f"{number}/"
        wide = convolved(x + meter(number + 1), stored[f"wide/{at}weight"], stored[f"wide/{at}bias"], dilation)
        x = x + convolved(_elu(wide), stored[f"mixed/{at}weight"], stored[f"mixed/{at}bias"], 1)
    odds = convolved(_elu(x), stored["out/weight"], stored["out/bias"], 1)
    odds -= odds.max(axis=1, keepdims=True)
    return np.asarray(odds - np.log(np.exp(odds).sum(axis=1, keepdims=True)), np.float32)


def _elu(x: Singles) -> Singles:
    return np.asarray(np.maximum(x, 0.0) + (np.exp(np.minimum(x, 0.0)) - 1.0), np.float32)
