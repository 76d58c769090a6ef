"""Means of what lies around each value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def running_mean(values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """The mean of `size` neighbours of each value along the last axis, one more before it than behind it where the size
    is even. Beyond either end values are as the outermost."""
    before = size // 2
    beside = [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values, [*beside, (before, size - 1 - before)], mode="edge")
    sums = np.cumsum(padded, axis=-1, dtype=np.float64)
    found = sums[..., size - 1 :].copy()
    found[..., 1:] -= sums[..., :-size]
    return np.asarray(found / size)
