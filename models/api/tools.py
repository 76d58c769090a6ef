"""What listens to sound instead of making it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.api import Audio, Cancel

Step = Callable[[int, int], None]
"""Told after each step of the work how many are done, of how many."""


class Separator(Protocol):
    """Tells the stems of a mix apart. Raises EngineError (or Cancelled)."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What it finds: drums, bass, other, vocals."""
        ...

    def separated(self, audio: Audio, rate: int, step: Step, cancel: Cancel) -> Iterator[Audio]:
        """Yield float32 (stems, channels, n) from the first frame of (channels, frames) to its last."""
        ...


@dataclass(frozen=True)
class Beats:
    """Where beats are in a sound: arrays of one length, in rising order of time."""

    seconds: NDArray[np.float64]
    downbeats: NDArray[np.bool_]
    """Whether a bar begins with it."""


class HeardNote(NamedTuple):
    """A note as it was heard."""

    start: float
    end: float
    """Seconds."""
    pitch: int
    strength: float
    """0..1: how clearly it was heard."""


class Transcriber(Protocol):
    """Hears notes. Raises EngineError (or Cancelled)."""

    def notes(self, audio: Audio, rate: int, step: Step, cancel: Cancel) -> list[HeardNote]:
        """The notes of float32 (channels, frames), in rising order of their beginnings."""
        ...


class Ranker(Protocol):
    """Tells how well a sound is what words say. Raises EngineError (or Cancelled)."""

    def likeness(self, prompt: str, audio: Audio, rate: int, cancel: Cancel) -> float:
        """-1..1 of float32 (channels, frames)."""
        ...


class Listener(Protocol):
    """Hears beats. Raises EngineError (or Cancelled)."""

    def beats(self, audio: Audio, rate: int, units: int, slowest: float, fastest: float, cancel: Cancel) -> Beats:
        """Beats of float32 (channels, frames), of which `units` make a bar, and `slowest` to `fastest` a minute."""
        ...
