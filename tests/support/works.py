"""Work for the hands of `studio.jobs`, as functions that another process can find."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from models.api import Cancel, Cancelled, EngineError

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def nothing() -> None:
    """To get ready with."""


def process(cancel: Cancel) -> int:
    return os.getpid()


def add(a: int, b: int, cancel: Cancel) -> int:
    return a + b


def raise_it(error: Exception, cancel: Cancel) -> None:
    raise error


def fail(words: str, cancel: Cancel) -> None:
    raise EngineError(words)


class Stubborn(Exception):
    """An error that can be written but not read back."""

    def __init__(self, words: str, more: str) -> None:
        super().__init__(words)


def fail_stubbornly(cancel: Cancel) -> None:
    raise Stubborn("it will not do", "at all")


def print_it(words: str, cancel: Cancel) -> str:
    """Print, as a library might, also without Python's knowledge."""
    print(words, flush=True)
    os.write(1, words.encode())
    return words


def die(spared: int, times: int, folder: Path, cancel: Cancel) -> int:
    """Kill the process, unless it is `spared` or `times` have died of it already; the process that lived."""
    died = len(list(folder.glob("died-*")))
    if os.getpid() != spared and died < times:
        (folder / f"died-{os.getpid()}").touch()
        os.kill(os.getpid(), KILL)
    return os.getpid()


def hold(held: int, begun: Path, end: Path, cancel: Cancel) -> None:
    """Hold up the process `held` until there is an `end`; any other goes on at once."""
    if os.getpid() == held:
        begun.touch()
        while not end.exists() and not cancel():
            time.sleep(0.01)


def work_on(folder: Path, cancel: Cancel) -> None:
    """Say which process this is, and work until cancelled."""
    (folder / f"at-work-{os.getpid()}").touch()
    while not cancel():
        time.sleep(0.01)
    raise Cancelled("cancelled")
