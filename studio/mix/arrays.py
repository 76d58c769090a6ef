"""The shape every function of this room takes: float32 `(channels, frames)`, full scale ±1.0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from studio.mix.errors import MixError

Audio = NDArray[np.float32]

#: Frames worked on at a time: 1.4 s at 48 kHz, small enough to stay in a processor's cache, so that a pass
#: over a three-minute song needs a megabyte or two beside the song itself.
BLOCK = 1 << 16

MIN_RATE, MAX_RATE = 8_000, 384_000


def check_audio(audio: Audio) -> Audio:
    """Return `audio` unchanged if it is float32 of shape (1 or 2, frames).

    Raises:
        MixError: another shape or sample type.
    """
    if audio.ndim != 2 or audio.shape[0] not in (1, 2):
        raise MixError(f"audio must have the shape (1 or 2 channels, frames), not {audio.shape}; transpose it")
    if audio.dtype != np.float32:
        raise MixError(f"audio must be float32 with full scale 1.0, not {audio.dtype}; convert it first")
    return audio


def check_rate(rate: int) -> int:
    """Return `rate` if it is a sample rate this room works at (8 to 384 kHz).

    Raises:
        MixError: a rate outside these limits.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise MixError(f"the sample rate must lie between {MIN_RATE} and {MAX_RATE} Hz, not {rate}")
    return rate


def blocks(frames: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield `(start, stop)` of consecutive pieces of at most `size` frames covering `range(frames)`."""
    for start in range(0, frames, size):
        yield start, min(start + size, frames)


def to_db(ratio: float) -> float:
    """Amplitude ratio (>= 0) to decibels; 0 gives minus infinity."""
    return 20.0 * float(np.log10(ratio)) if ratio > 0.0 else float("-inf")


def from_db(decibels: float) -> float:
    """Decibels to an amplitude ratio; minus infinity gives 0."""
    return float(10.0 ** (decibels / 20.0))
