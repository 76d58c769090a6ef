"""How likely a rise of sound is at each place of a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.align.hear.bars import LEVELS, BarShape

CHANNELS = ("rise", "low", "mid", "high", "change", "notes")
_WEIGHTS = {
    # level:      all    low    mid    high  harmony notes
    "downbeat":  (1.7,   1.9,   1.6,   1.1,   2.0,   1.2),
    "strong":    (0.6,   0.5,   0.7,   1.4,   0.6,   0.6),
    "beat":      (0.9,  -0.3,   1.2,   1.9,   0.0,   0.6),
    "half":      (0.4,   0.2,  -0.2,   1.4,  -0.5,   0.3),
    "quarter":   (0.0,  -0.1,   0.0,  -0.4,  -0.5,  -0.4),
    "elsewhere": (-0.4, -0.1,  -0.3,  -0.6,  -0.5,  -0.4),
}  # fmt: skip
"""Linear discriminants of a place's level, from the benchmark's tuning set: nats for a rise as strong as an accent, a
whole change of harmony, or as many notes as ever begin."""

_NARROW, _WIDE = 1 / 14, 0.2
"""Units around a place in which a sound belongs to it: attacks, and what long windows hear."""


def template(shape: BarShape, swing: float) -> NDArray[np.float32]:
    """(places in the bar, channels): nats for one unit of each channel. `swing`: see `BarShape.levels`."""
    table = np.array([_WEIGHTS[name] for name in LEVELS], np.float32)
    elsewhere = table[LEVELS.index("elsewhere")]
    columns = []
    for channel, name in enumerate(CHANNELS):
        level, near = shape.levels(swing, _WIDE if name in ("change", "notes") else _NARROW)
        columns.append(near * table[level, channel] + (1.0 - near) * elsewhere[channel])
    return np.asarray(np.stack(columns, axis=1), np.float32)
