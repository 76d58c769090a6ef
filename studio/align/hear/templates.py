"""How likely a rise of sound is at each place of a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import LEVELS, BarShape

_WEIGHTS = {
    # level:      all   low   mid   high
    "downbeat":  (0.9,  0.8,  0.2,  0.2),
    "strong":    (0.8,  0.5,  0.2,  0.2),
    "beat":      (0.75, 0.2,  0.35, 0.2),
    "half":      (0.45, 0.1,  0.1,  0.15),
    "quarter":   (0.2,  0.0,  0.0,  0.1),
    "triplet":   (0.1,  0.0,  0.0,  0.05),
    "elsewhere": (-0.35, -0.2, -0.15, -0.15),
}  # fmt: skip
"""Nats for a rise as strong as an accent."""


def template(shape: BarShape) -> NDArray[np.float32]:
    """(places in the bar, channels): nats for one unit of each channel's rise."""
    table = np.array([_WEIGHTS[name] for name in LEVELS], np.float32)
    level, near = shape.levels()
    elsewhere = table[LEVELS.index("elsewhere")]
    return np.asarray(near[:, None] * table[level] + (1.0 - near[:, None]) * elsewhere, np.float32)
