"""Hands for the work: threads, or processes, as many as there are processors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from models.api import Cancel, Cancelled, EngineError, never_cancelled
from studio.jobs.worker import Worker, WorkerLost, can_start

MOST_HANDS = 4
"""Each process takes a quarter of a gigabyte to play: more of them would cost much and win little."""
TRIES = 2
"""How often a piece of work is begun where the process that does it is killed."""
ASKED_EVERY_S = 0.05

T = TypeVar("T")


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Hands:
    """Does pieces of work, several at a time, in the order in which they are submitted.

    The hands are threads of this process; or, where `prepare` is given, one is and the others are processes of their
    own, which start at once and call that first. What is to be done is then a function of a module, with arguments
    that can be pickled. A piece of work whose process is killed is done by another. Where no process can be started,
    or it ends before it is ready, threads do the work.
    """

    def __init__(self, count: int | None = None, *, prepare: Callable[[], object] | None = None) -> None:
        """`count` hands, by default one for each processor that this process may use, up to MOST_HANDS."""
        self.count = count or min(cores(), MOST_HANDS)
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="hand")
        self._prepare = prepare if can_start() else None
        self._guard = threading.Lock()
        self._closed = False
        self._workers: list[Worker] = []
        self._idle: SimpleQueue[Worker | None] = SimpleQueue()
        """The processes that have nothing to do; None for one whose work is done by a thread."""
        for place in range(self.count):
            self._idle.put(self._started() if place else None)

    def submit(
        self, work: Callable[..., T], *args: Any, cancel: Cancel = never_cancelled, here: bool = False
    ) -> Future[T]:
        """Have `work(*args, cancel)` done; `here` keeps it in this process. Closing the hands cancels it too."""
        return self._pool.submit(self._here if here or self._prepare is None else self._away, work, args, cancel)

    def each(self, work: Callable[..., object], *args: Any) -> None:
        """Do `work(*args)` once in this process and in every other. Only while nothing else is under way."""
        work(*args)
        for worker in [self._idle.get() for _ in range(self.count)]:
            if worker is not None:
                with suppress(WorkerLost):  # then there is nothing to be done in it
                    worker.do(work, *args)
            self._idle.put(worker)

    def close(self) -> None:
        """End all work: processes at once, threads as soon as they ask whether they are cancelled."""
        with self._guard:
            self._closed = True
        for worker in self._workers:
            worker.kill()
        self._pool.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def _started(self) -> Worker | None:
        if self._prepare is None:
            return None
        with self._guard:
            if self._closed:
                raise Cancelled("cancelled")
            try:
                self._workers.append(Worker(self._prepare))
            except OSError:  # the system has no room for another process
                return None
            return self._workers[-1]

    def _here(self, work: Callable[..., T], args: tuple[Any, ...], cancel: Cancel) -> T:
        if self._closed:
            raise Cancelled("cancelled")
        return work(*args, lambda: self._closed or cancel())

    def _away(self, work: Callable[..., T], args: tuple[Any, ...], cancel: Cancel) -> T:
        worker, status = self._idle.get(), 0
        try:
            for _ in range(TRIES):
                if worker is None:
                    return self._here(work, args, cancel)
                try:
                    result: T = worker.do(work, *args, never_cancelled)
                    return result
                except WorkerLost as lost:
                    status = lost.status
                    worker = self._started() if lost.worked else None
        finally:
            self._idle.put(worker)
        raise EngineError(
            f"a worker process was ended twice in the middle of its work (status {status}), as a system does that has "
            "no memory left; close other programs and try again"
        )

    def __enter__(self) -> Hands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def result_of(future: Future[T], cancel: Cancel) -> T:
    """The result, once it is there. Raises what the work raised, and Cancelled when `cancel` says so before."""
    while not wait([future], ASKED_EVERY_S).done:
        if cancel():
            raise Cancelled("cancelled")
    return future.result()
