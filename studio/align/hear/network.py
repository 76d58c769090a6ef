"""Convolutional networks in plain numpy: what was learned is read from files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


@cache
def weights(name: str) -> dict[str, Singles]:
    """The arrays of `data/NAME.npz`."""
    path = resources.files("studio.align.hear") / "data" / f"{name}.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def convolved(x: Singles, weight: Singles, bias: Singles, dilation: int) -> Singles:
    """(frames, in) to (frames, out) with a kernel (taps, in, out) centred on each frame; silence lies around."""
    middle = len(weight) // 2
    found = x @ weight[middle] + bias
    for tap in range(len(weight)):
        by = (tap - middle) * dilation
        if by < 0:
            found[-by:] += x[:by] @ weight[tap]
        elif 0 < by < len(x):
            found[:-by] += x[by:] @ weight[tap]
    return np.asarray(found, np.float32)


def inside(x: Singles, weight: Singles, bias: Singles, dilation: int) -> Singles:
    """The same for those frames alone that have all others around them that a kernel reaches."""
    count = len(x) - (len(weight) - 1) * dilation
    found = x[:count] @ weight[0] + bias
    for tap in range(1, len(weight)):
        found += x[tap * dilation : tap * dilation + count] @ weight[tap]
    return np.asarray(found, np.float32)


def through(
    pieces: Iterable[Singles], silence: Singles, reach: int, layer: Callable[[Singles], Singles]
) -> Iterator[Singles]:
    """Lead a sound through a layer piece by piece, as if it were one.

    layer: (reach + frames + reach, in) to (frames, out); silence: (in,) as it lies around the sound.
    """
    around = np.tile(silence, (reach, 1))
    held = around
    for piece in chain(pieces, (around,)):
        held = np.concatenate([held, piece])
        if len(held) > 2 * reach:
            yield layer(held)
            held = held[len(held) - 2 * reach :]
