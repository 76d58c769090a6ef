"""What every sound source of the band promises: notes in, a stereo stem out.

Arrays are float32, shape (2, frames), full scale +-1.0; the rate is an attribute of the voice. A voice keeps
nothing between two calls but caches, so rendering the same hits twice gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MIN_RATE = 8_000
MAX_RATE = 192_000


class SoundError(Exception):
    """Root of every error of `models.band.sound`; the message is one line with the limit and the remedy."""


class VoiceError(SoundError):
    """A note, a name or a rate that a voice cannot play."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One note to sound.

    frame: onset, the first frame of the attack, >= 0.
    frames: held length (key down), >= 1.
    key: MIDI note number 0..127. velocity: 1..127.
    """

    frame: int
    frames: int
    key: int
    velocity: int


class Voice(Protocol):
    """A sound source at a fixed rate (frames a second)."""

    rate: int

    def render(self, hits: Sequence[Hit], frames: int) -> NDArray[np.float32]:
        """Return (2, frames). What rings past `frames` is dropped; callers pass room for the tail."""
        ...

    def tail_frames(self) -> int:
        """Return the longest release or ring, in frames, that is worth waiting for after the last hit."""
        ...


def checked_hits(hits: Sequence[Hit], frames: int) -> list[Hit]:
    """Return the hits in playing order (frame, key, velocity); raise `VoiceError` for one out of range."""
    if frames < 0:
        raise VoiceError(f"cannot render {frames} frames: give 0 or more")
    for hit in hits:
        if hit.frame < 0 or hit.frames < 1:
            raise VoiceError(f"hit at frame {hit.frame} lasting {hit.frames}: onset >= 0 and length >= 1 are needed")
        if not 0 <= hit.key <= 127 or not 1 <= hit.velocity <= 127:
            raise VoiceError(f"hit with key {hit.key}, velocity {hit.velocity}: keys are 0..127, velocities 1..127")
    return sorted(hits, key=lambda hit: (hit.frame, hit.key, hit.velocity))


def checked_rate(rate: int) -> int:
    """Return `rate`; raise `VoiceError` outside 8,000..192,000 frames a second."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise VoiceError(f"rate {rate}: voices play at {MIN_RATE} to {MAX_RATE} frames a second")
    return rate
