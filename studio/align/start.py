"""Whether a sound file begins with an attack or only with its noise floor, which begins as abruptly."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from studio.align.values import Onsets, Source

AT_START_S = 0.015
"""An onset this near to the first frame may be but the edge of the file."""
BLOCK_S, BLOCKS = 0.020, 4
EVEN = 10 ** (6 / 20)
"""Noise and hum: the loudest of some hundredths of a second has at most this many times the level of the softest."""
SOFT = 10 ** (-14 / 20)
"""And this of what attacks have."""
MOST = 32
"""Attacks that are listened to."""


def without_hiss(onsets: Onsets, source: Source, rate: int) -> Onsets:
    """The onsets less one at the file's first frames if all that begins there is even and soft."""
    if not len(onsets) or onsets.seconds[0] > AT_START_S or not _only_hiss(onsets, source, rate):
        return onsets
    return replace(onsets, **{field.name: getattr(onsets, field.name)[1:] for field in fields(onsets)})


def _only_hiss(onsets: Onsets, source: Source, rate: int) -> bool:
    block = round(BLOCK_S * rate)
    starts = np.rint(onsets.seconds[1:] * rate).astype(int)
    starts = starts[(starts >= BLOCKS * block) & (starts + block <= source.frames)]
    if not len(starts):
        return False
    chosen = starts[np.unique(np.linspace(0, len(starts) - 1, MOST).astype(int))]
    usual = float(np.median([_level(source, int(start), block) for start in chosen]))
    begin = [_level(source, number * block, block) for number in range(BLOCKS)]
    return max(begin) < SOFT * usual and max(begin) < EVEN * max(min(begin), 1e-9)


def _level(source: Source, start: int, frames: int) -> float:
    return float(np.sqrt(np.mean(np.square(source.read(start, frames), dtype=np.float64))))
