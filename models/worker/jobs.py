"""What waits to be worked on, and what is taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from models.api import EngineError
from models.api.wire import Message


@dataclass(frozen=True)
class Job:
    """Something to do, as it came."""

    number: int
    message: Message
    data: bytes = b""

    def text(self, name: str) -> str:
        """One of its words. Raises EngineError."""
        value = self.message.get(name)
        if not isinstance(value, str) or len(value) > 4096 or "\0" in value:
            raise EngineError(f"a job says {name} {value!r:.40}, which is no text")
        return value

    def number_of(self, name: str) -> float:
        """One of its numbers. Raises EngineError."""
        value = self.message.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EngineError(f"a job says {name} {value!r:.40}, which is no number")
        return float(value)


class Jobs:
    """Jobs in the order in which they came. One thread puts, another takes."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._running: set[int] = set()
        self._taken_back: set[int] = set()
        self._changed = threading.Condition()
        self._over = False

    def put(self, job: Job) -> None:
        """Add one at the end."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()

    def take_back(self, number: int) -> bool:
        """Whether the job still waited, and now never will be; one that is running is marked."""
        with self._changed:
            kept = [job for job in self._waiting if job.number != number]
            waited, self._waiting = len(kept) < len(self._waiting), kept
            if number in self._running:
                self._taken_back.add(number)
        return waited

    def close(self) -> None:
        """Nobody waits any more for what there is."""
        with self._changed:
            self._over = True
            self._waiting.clear()
            self._changed.notify_all()

    def take(self) -> Job | None:
        """The first one, as soon as there is one; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            if self._over:
                return None
            job = self._waiting.pop(0)
            self._running.add(job.number)
        return job

    def take_alike(self, is_alike: Callable[[Job], bool], most: int) -> list[Job]:
        """Up to `most` of those that wait and are alike."""
        with self._changed:
            found = [job for job in self._waiting if is_alike(job)][:most]
            numbers = {job.number for job in found}
            self._waiting = [job for job in self._waiting if job.number not in numbers]
            self._running |= numbers
        return found

    def is_taken_back(self, number: int) -> bool:
        """Whether nobody wants a running job any more."""
        return self._over or number in self._taken_back

    def done(self, number: int) -> None:
        """Forget a job that was running."""
        with self._changed:
            self._running.discard(number)
            self._taken_back.discard(number)
