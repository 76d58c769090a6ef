"""Convolutional networks in plain numpy: what was learned is read from files beside this one."""

from __future__ import annotations

from functools import cache
from importlib import resources

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
