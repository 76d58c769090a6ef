"""What a benchmark was run on: printed with every figure, because a figure without it says nothing."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


class Spent(NamedTuple):
    """What a child process took: seconds of wall clock and of processor, and its largest memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def spent(wall: float, usage: os.struct_rusage) -> Spent:
    """From what `os.wait4` tells; Linux counts memory in KB, macOS in bytes."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def conditions(*more: str) -> str:
    """The machine, how busy it is now, and the versions (of these packages too), in three lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "soundfile", "soxr", *more))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"processor  {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}\n"
        f"load       {load} (1, 5, 15 minutes; the benchmark's own runs count)\n"
        f"versions   Python {platform.python_version()}, {packages}"
    )


def row(name: str, runs: Sequence[Spent]) -> str:
    """Median and best wall clock, median processor time and the highest memory of several runs."""
    walls = [run.wall for run in runs]
    cpu, peak = statistics.median(run.cpu for run in runs), max(run.peak_mb for run in runs)
    return (
        f"{name:32} {statistics.median(walls):6.2f} s wall (best {min(walls):.2f}), "
        f"{cpu:6.2f} s processor, {peak:4.0f} MB peak"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform module knows less, but something
    return platform.processor() or platform.machine()
