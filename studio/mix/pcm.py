"""The 24-bit grid: stems rounded to it add up to the mix without any error at all.

A 24-bit sample is an integer k that stands for k / 2**23. Both the float32 samples and their sums below full
scale hold such values exactly, so a mix made from rounded stems equals the sum of the stem files bit for bit.
Write the integers (`to_int32`) rather than floats: libsndfile scales floats by 2**23 - 1 when writing 24-bit
files and by 2**23 when reading them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import Audio
from studio.mix.errors import MixError

STEPS = 1 << 23


def round_to_24_bits(audio: Audio) -> Audio:
    """Return `audio` (float32, any shape) rounded to the 24-bit grid; values beyond it are clipped."""
    grid = np.rint(audio.astype(np.float64) * STEPS)
    return np.asarray(np.clip(grid, -STEPS, STEPS - 1) / STEPS, dtype=np.float32)


def to_int32(audio: Audio) -> NDArray[np.int32]:
    """Return rounded audio as 32-bit integers with the 24 bits on top, as sound libraries write them.

    Raises:
        MixError: a sample beyond full scale, or not finite.
    """
    if audio.size and not float(np.abs(audio).max()) <= 1.0:
        raise MixError("audio beyond full scale cannot be written as 24-bit samples; lower its level first")
    grid = np.clip(np.rint(audio.astype(np.float64) * STEPS), -STEPS, STEPS - 1)
    return np.asarray(grid, dtype=np.int32) << 8
