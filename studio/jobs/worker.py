"""A process that works for this one: it is handed a function with its arguments, and hands back what comes of it.

Each message is a pickle behind its length, over the process's standard input and output. The process is a new Python
that runs this module and nothing of the program that starts it. So it can be started from a script without a guard,
from a prompt, beside threads and beside a window: `multiprocessing` would run the script again, or fork.

It ends when its standard input does, which is the moment that whoever started it ends, however that comes about.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, cast

_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from studio.jobs.worker import serve; serve()"
_LENGTH = struct.Struct("<Q")
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The threads inside a matrix product would only stand in the way of the other processes."""

# Ctrl-C is meant for the program, which then ends its workers; it must not reach them by itself.
_GROUP: int | None = 0
_FLAGS = 0
if sys.platform == "win32":
    _GROUP, _FLAGS = None, subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW


MOST_HANDS = 4
"""Four make a song of three minutes in 650 MB together, eight would take 950."""


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_hands() -> int:
    """As many as there are by default: processors, up to MOST_HANDS."""
    return min(cores(), MOST_HANDS)


class WorkerLost(Exception):
    """A worker ended before it answered. `worked`: it had been ready. `status` as subprocess has it: -9 is SIGKILL."""

    def __init__(self, worked: bool, status: int) -> None:
        super().__init__(worked, status)
        self.worked, self.status = worked, status


def can_start() -> bool:
    """Whether this program is a Python, which can be started again; one built into another program cannot."""
    program = Path(sys.executable or "").name.lower()
    return program.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


class Worker:
    """A worker process. One thread at a time has it work; any may end it."""

    def __init__(self, prepare: Callable[[], object]) -> None:
        """Start it; it first calls `prepare`, while this goes on. Raises OSError where the system starts no process."""
        command = [sys.executable, "-c", _BEGIN, *map(str, sys.path)]
        environment = {**os.environ, **dict.fromkeys(_POOLS, "1")}
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=_GROUP,
            creationflags=_FLAGS,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._orders, self._answers = self._process.stdin, cast(BufferedReader, self._process.stdout)
        self._ready = False
        self._owed = 0  # answers to what it is to prepare
        self.prepare(prepare)

    def prepare(self, prepare: Callable[[], object]) -> None:
        """Have it call `prepare` before the next work; this does not wait."""
        self._owed += 1
        with suppress(OSError):  # it has ended already: that is found when it shall work
            _send(self._orders, pickle.dumps((prepare, ())))

    def wait(self) -> None:
        """Wait until it is ready, or has ended, which is told when it shall work."""
        self._answers.peek()

    def do(self, work: Callable[..., Any], *args: Any) -> Any:
        """What `work(*args)` returns or raises there. Raises WorkerLost where the process ends without an answer."""
        order = pickle.dumps((work, args), pickle.HIGHEST_PROTOCOL)
        while self._owed:
            answer = self._answer()
            self._owed -= 1
            self._ready = True
            _value(answer)
        try:
            _send(self._orders, order)
        except OSError:
            raise self._lost() from None
        return _value(self._answer())

    def kill(self) -> None:
        """End the process at once, whatever it is doing, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it and let go of its pipes. For the thread that has it work."""
        self.kill()
        with suppress(OSError):  # an order that it did not take
            self._orders.close()
        self._answers.close()

    def _answer(self) -> bytes:
        answer = _receive(self._answers)
        if answer is None:
            raise self._lost()
        return answer

    def _lost(self) -> WorkerLost:
        self.close()  # it may have closed its pipes and live
        return WorkerLost(self._ready, self._process.returncode)


class Ahead:
    """Workers that are started while it is still found out what is to be done: they load what they will need."""

    def __init__(self, modules: Sequence[str], count: int | None = None) -> None:
        """By default one less than `most_hands`: the process that starts them works too."""
        count = most_hands() - 1 if count is None else count
        self._workers: list[Worker] = []
        with suppress(OSError):  # the system has no room for another process: then there are fewer
            for _ in range(count if can_start() else 0):
                self._workers.append(Worker(partial(_load, tuple(modules))))

    def take(self) -> Worker | None:
        """One of them, to keep; None where none is left."""
        return self._workers.pop() if self._workers else None

    def close(self) -> None:
        """End those that were not taken."""
        while self._workers:
            self._workers.pop().close()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _load(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """The next message; None where the pipe has ended, even in the middle of one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None


def _value(answer: bytes) -> Any:
    """What an answer brings, raised where it is an error."""
    error, value = pickle.loads(answer)  # noqa: S301 (from a process of our own)
    if error is not None:
        raise error
    return value


# -- in the worker -----------------------------------------------------------------------------------------


def serve() -> None:
    """Do what is ordered on standard input until that ends."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints must not come among the answers, nor what it reads from among the orders.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    orders: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        while (order := _receive(inbox)) is not None:
            orders.put(order)
        os._exit(0)  # in the middle of the work: nobody waits for it any more

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = _done(orders.get())
        try:
            _send(outbox, answer)
        except OSError:
            os._exit(0)


def _done(order: bytes) -> bytes:
    """The answer to an order: what the work returned, or the error that it raised."""
    from models.api import EngineError  # with numpy behind it: whoever starts a worker need not wait for that

    try:
        work, args = pickle.loads(order)  # noqa: S301 (from the process that started this one)
        return pickle.dumps((None, work(*args)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 (it is raised where the order came from)
        if not isinstance(error, EngineError):  # these are one line for the user, and all of it
            error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        try:
            answer = pickle.dumps((error, None))
            pickle.loads(answer)  # noqa: S301 (our own) some errors can be written but not read
        except (pickle.PicklingError, TypeError, AttributeError):
            answer = pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), None))
        return answer
