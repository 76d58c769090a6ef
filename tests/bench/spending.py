"""What a command takes, with all the processes that it starts: time and memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

SAMPLED_EVERY_S = 0.1  # each look takes a millisecond or two from a process


class Spent(NamedTuple):
    """Seconds of wall clock and of processor, and the most memory at a time in MB, of all processes together."""

    wall: float
    cpu: float
    peak_mb: float


def run(command: list[str], cwd: Path, stdout: IO[bytes] | int = subprocess.DEVNULL) -> Spent:
    """Run a command to its end; ends the benchmark where it fails.

    Memory is looked at ten times a second. On Linux pages that processes share count once (PSS); elsewhere in
    each, so that the figure is rather too high.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=stdout, stderr=subprocess.DEVNULL, env=_environment())
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLED_EVERY_S):
            peak[0] = max(peak[0], sum(map(_memory_mb, _family(process.pid))))

    watching = threading.Thread(target=watch)
    watching.start()
    _, status, usage = os.wait4(process.pid, 0)  # with the children that it has waited for
    wall = time.perf_counter() - begun
    ended.set()
    watching.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; run it to see why")
    return Spent(wall, usage.ru_utime + usage.ru_stime, peak[0])


def row(name: str, runs: Sequence[Spent]) -> str:
    """Median and best wall clock, median processor time and the highest memory of several runs."""
    walls = [run.wall for run in runs]
    cpu, peak = statistics.median(run.cpu for run in runs), max(run.peak_mb for run in runs)
    return (
        f"{name:32} {statistics.median(walls):6.2f} s wall (best {min(walls):.2f}), "
        f"{cpu:6.2f} s processor, {peak:4.0f} MB peak"
    )


def _environment() -> dict[str, str]:
    """This process's, but for what a developer may have set and nobody else: to compile every module at every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _family(process: int) -> list[int]:
    """A process and all that it started, as far as they are there now."""
    found = [process]
    if sys.platform == "linux":
        with suppress(OSError):  # it has ended meanwhile
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                for child in children.read_text().split():
                    found += _family(int(child))
    else:
        pairs = [(int(pid), int(parent)) for pid, parent in _ps("-A", "-o", "pid=,ppid=")]
        for parent in found:
            found += [child for child, its_parent in pairs if its_parent == parent]
    return found


def _memory_mb(process: int) -> float:
    if sys.platform != "linux":
        return sum(int(kb) for (kb,) in _ps("-o", "rss=", "-p", str(process))) * 1024 / 1e6
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _ps(*options: str) -> list[list[str]]:
    done = subprocess.run(["ps", *options], capture_output=True, text=True, check=False)
    return [line.split() for line in done.stdout.splitlines()]
