"""Hands for the work: threads, or processes, as many as there are processors."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from models.api import Cancel, Cancelled, EngineError, never_cancelled
from studio.jobs.worker import Ahead, Worker, WorkerLost, can_start, most_hands

TRIES = 2
"""How often a piece of work is begun where the process that does it is killed."""
ASKED_EVERY_S = 0.05

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Order:
    """A piece of work that waits for a hand."""

    future: Future[Any]
    work: Callable[..., Any]
    args: tuple[Any, ...]
    cancel: Cancel
    here: bool
    kind: str


class Hands:
    """Does pieces of work, several at a time; those submitted first are begun first, as a rule.

    The hands are threads of this process; or, where `prepare` is given, one is and the others are processes of their
    own, which start at once and call that first. What is to be done is then a function of a module, with arguments
    that can be pickled. A piece of work whose process is killed is done by another. Where no process can be started,
    or it ends before it is ready, threads do the work.
    """

    def __init__(
        self, count: int | None = None, *, prepare: Callable[[], object] | None = None, ahead: Ahead | None = None
    ) -> None:
        """`count` hands, by default one for each processor that this process may use, up to `worker.MOST_HANDS`.

        Workers that are `ahead` are taken before others are started.
        """
        self.count = count or most_hands()
        self._prepare = prepare if can_start() else None
        self._ahead = ahead
        self._closed = False
        self._orders: list[_Order] = []
        self._change = threading.Condition()
        self._kinds: list[set[str]] = [set() for _ in range(self.count)]
        """What each hand has done so far."""
        self._started: list[Worker] = []
        self._workers = [self._worker() if number else None for number in range(self.count)]
        """The process of each hand; None where its thread does the work."""
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"hand {number}", daemon=True)
            for number in range(self.count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, work: Callable[..., T], *args: Any, cancel: Cancel = never_cancelled, here: bool = False, kind: str = ""
    ) -> Future[T]:
        """Have `work(*args, cancel)` done; `here` keeps it in this process. Closing the hands cancels it too.

        Work of one `kind` goes to one hand while there is other work for the others: what it remembers of the first
        piece is of use for the next.
        """
        future: Future[T] = Future()
        with self._change:
            if self._closed:
                raise Cancelled("cancelled")
            self._orders.append(_Order(future, work, args, cancel, here, kind))
            self._change.notify()
        return future

    def spread(self, works: Sequence[Callable[[], T]]) -> Iterator[T]:
        """Have all of `works` done; what they return, in their order."""
        futures = deque([self.submit(_called, work) for work in works])
        while futures:
            yield futures.popleft().result()  # and forget it: a result may be large

    def each(self, work: Callable[..., object], *args: Any) -> None:
        """Do `work(*args)` once in this process and in every other. Only while nothing else is under way."""
        work(*args)
        for worker in self._workers:
            if worker is not None:
                with suppress(WorkerLost):  # then there is nothing to be done in it
                    worker.do(work, *args)

    def close(self) -> None:
        """End all work: processes at once, threads as soon as they ask whether they are cancelled."""
        with self._change:
            self._closed = True
            for order in self._orders:
                order.future.cancel()
            self._change.notify_all()
        for worker in self._started:
            worker.kill()
        for thread in self._threads:
            thread.join()
        for worker in self._started:
            worker.close()

    def _worker(self) -> Worker | None:
        if self._prepare is None:
            return None
        with self._change:
            if self._closed:
                raise Cancelled("cancelled")
            worker = self._ahead.take() if self._ahead is not None else None
            if worker is not None:
                worker.prepare(self._prepare)
            else:
                try:
                    worker = Worker(self._prepare)
                except OSError:  # the system has no room for another process
                    return None
            self._started.append(worker)
            return worker

    def _serve(self, number: int) -> None:
        """What the thread of a hand does."""
        worker = self._workers[number]
        if worker is not None:
            worker.wait()  # what it could not begin yet is better done by another
        while (order := self._order_for(number)) is not None:
            if not order.future.set_running_or_notify_cancel():
                continue
            try:
                result = self._here(order) if order.here else self._done(number, order)
            except BaseException as error:  # noqa: BLE001 (it is raised where the result is asked for)
                order.future.set_exception(error)
            else:
                order.future.set_result(result)

    def _order_for(self, number: int) -> _Order | None:
        """The next work for a hand, waited for: of a kind that it knows, or nobody does, or of which most is left."""
        with self._change:
            while not self._closed and not self._orders:
                self._change.wait()
            if self._closed:
                return None
            left = Counter(order.kind for order in self._orders)
            known = set[str]().union(*self._kinds)

            def rank(order: _Order) -> tuple[int, int]:
                mine, new = order.kind in self._kinds[number], order.kind not in known
                return (0, 0) if mine else (1, 0) if new else (2, -left[order.kind])

            order = min(self._orders, key=rank)  # of equals the first
            self._orders.remove(order)
            self._kinds[number].add(order.kind)
            return order

    def _here(self, order: _Order) -> Any:
        if self._closed:
            raise Cancelled("cancelled")
        return order.work(*order.args, lambda: self._closed or order.cancel())

    def _done(self, number: int, order: _Order) -> Any:
        """What comes of an order, done by the process of this hand where there is one."""
        status = 0
        for _ in range(TRIES):
            worker = self._workers[number]
            if worker is None:
                return self._here(order)
            try:
                return worker.do(order.work, *order.args, never_cancelled)
            except WorkerLost as lost:
                status = lost.status
                self._workers[number] = self._worker() if lost.worked else None
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


def _called(work: Callable[[], T], cancel: Cancel) -> T:
    if cancel():
        raise Cancelled("cancelled")
    return work()


def result_of(future: Future[T], cancel: Cancel) -> T:
    """The result, once it is there. Raises what the work raised, and Cancelled when `cancel` says so before."""
    while not wait([future], ASKED_EVERY_S).done:
        if cancel():
            raise Cancelled("cancelled")
    return future.result()
