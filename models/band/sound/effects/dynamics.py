"""Dynamics: compressor, and ducking by known triggers.

Arrays (channels, frames) float32, nothing is delayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp import filters
from dsp.peaks import block_peaks

Floats = NDArray[np.float32]

_CHUNK = 1 << 14  # frames worked on at a time: what is made on the way stays in the cache
_CONTROL_HZ = 2000  # gains are computed at about this rate and joined by straight lines


def compress(
    x: Floats,
    rate: int,
    threshold_db: float,
    ratio: float,
    attack_ms: float,
    release_ms: float,
    makeup_db: float = 0.0,
    knee_db: float = 6.0,
    out: Floats | None = None,
) -> Floats:
    """Feed-forward peak compressor, channels linked.

    Soft-knee gain computer and decoupled peak detector on the reduction in dB: Giannoulis, Massberg & Reiss,
    "Digital dynamic range compressor design", JAES 60 (2012), equations 4 and 15. That detector's way back takes the
    release and the attack time together; here the attack is taken off the release, so that it is as long as asked.
    """
    block = max(1, rate // _CONTROL_HZ)
    level = 20 * np.log10(np.maximum(block_peaks(x, block), 1e-6).astype(np.float64))
    wanted = static_reduction(level, threshold_db, ratio, knee_db)
    steps_a_ms = rate / block / 1000
    held = falling_maximum(wanted, 1 / (steps_a_ms * max(release_ms - attack_ms, release_ms / 4)))
    pole = np.exp(-1 / (steps_a_ms * attack_ms))
    reduction = filters.run(np.array([[1 - pole, 0.0, 0.0, 1.0, -pole, 0.0]]), held[None])[0]
    linear = (10 ** ((makeup_db - reduction) / 20)).astype(np.float32)
    return _apply_blocks(x, linear, block, np.empty_like(x) if out is None else out)


def static_reduction(
    level_db: NDArray[np.float64], threshold_db: float, ratio: float, knee_db: float
) -> NDArray[np.float64]:
    """Decibels taken off a steady level: none below the knee, (1 - 1/ratio) of the excess above it."""
    over = level_db - threshold_db
    slope = 1.0 - 1.0 / ratio
    hard = slope * np.maximum(over, 0.0)
    if knee_db <= 0.0:
        return hard
    return np.where(2 * np.abs(over) <= knee_db, slope * (over + knee_db / 2) ** 2 / (2 * knee_db), hard)


def falling_maximum(values: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """The highest of all values so far, each falling by exp(-decay) from one step to the next: a peak that lets go.

    `values` are at least 0. A running maximum of their logarithms, from which the fall has been taken.
    """
    fallen = decay * np.arange(len(values))
    with np.errstate(divide="ignore"):  # nothing has the logarithm of minus infinity, as it should
        return np.exp(np.maximum.accumulate(np.log(values) + fallen) - fallen)


def _apply_blocks(x: Floats, gain: Floats, block: int, out: Floats) -> Floats:
    """Multiply by block gains joined by straight lines, into `out`."""
    lines = np.stack([gain, np.append(gain[1:], gain[-1:]) - gain], axis=1)
    ramp = np.stack([np.ones(block, np.float32), np.arange(block, dtype=np.float32) / np.float32(block)])
    some = max(1, _CHUNK // block)
    for first in range(0, len(gain), some):
        part = slice(first * block, min((first + some) * block, x.shape[1]))
        curve = (lines[first : first + some] @ ramp).reshape(-1)
        np.multiply(x[:, part], curve[: part.stop - part.start], out=out[:, part])
    return out


def duck(
    x: Floats,
    onset_frames: Sequence[int],
    rate: int,
    depth_db: float,
    attack_ms: float = 2.0,
    release_ms: float = 180.0,
    out: Floats | None = None,
) -> Floats:
    """Side-chain by known onsets: `depth_db` down within `attack_ms` of each, back up over `release_ms`.

    The way back is a raised cosine in dB. Overlapping dips do not add: the deepest counts.
    """
    attack = max(1, round(attack_ms * rate / 1000))
    release = max(1, round(release_ms * rate / 1000))
    down = np.linspace(0.0, 1.0, attack, endpoint=False)
    back = 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)
    dip = (10 ** (-depth_db / 20 * np.concatenate([down, back]))).astype(np.float32)
    gain = np.ones(x.shape[1], np.float32)
    for onset in onset_frames:
        if 0 <= onset < len(gain):
            part = gain[onset : onset + len(dip)]
            np.minimum(part, dip[: len(part)], out=part)
    return np.multiply(x, gain, out=out)
