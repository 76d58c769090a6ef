"""What a benchmark was run on: printed with every figure, because a figure without it says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def conditions(*more: str) -> str:
    """The machine, how busy it is now, and the versions (of these packages too), in three lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "soundfile", "soxr", *more))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"processor  {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}\n"
        f"load       {load} (1, 5, 15 minutes; the benchmark's own runs count)\n"
        f"versions   Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform module knows less, but something
    return platform.processor() or platform.machine()
