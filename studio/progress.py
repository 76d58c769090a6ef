"""Progress on a terminal: one bar that says what is done and how long the rest will take."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 24
INTERVAL = 0.1
"""Seconds between two drawings."""


class Bar:
    """A progress bar on standard error; where that is no terminal, a line for every new stage of the work."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._stage = ""
        self._length = 0

    def __call__(self, done: float, words: str) -> None:
        """Show that `done` (0..1) of the work is done and what is being done now."""
        stage = words.split(",")[0]
        now = time.monotonic()
        if not self._live:
            if stage != self._stage:
                self._stream.write(f"{round(100 * done):3} %  {stage}\n")
                self._stream.flush()
        elif now - self._drawn >= INTERVAL or done >= 1:
            self._drawn = now
            full = round(WIDTH * done)
            self._draw(f"  {'━' * full}{'╌' * (WIDTH - full)} {round(100 * done):3} %  {words}{self._left(done, now)}")
        self._stage = stage

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._live and self._length:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()

    def _left(self, done: float, now: float) -> str:
        if done < 0.08 or done >= 1:
            return ""
        return f" · {max(1, round((now - self._begun) * (1 - done) / done))} s left"

    def _draw(self, line: str) -> None:
        self._stream.write("\r" + line + " " * max(0, self._length - len(line)))
        self._stream.flush()
        self._length = len(line)
