"""What listens to sound instead of making it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

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
