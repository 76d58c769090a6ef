"""Times `stemwright make` as a user starts it: a new process, everything included. Run by hand, on Linux or macOS.

    python tests/bench/make_song.py [--repeats 5] [--prompt "pop song, 3 minutes, 120 bpm"] [--seed 1]

Prints wall clock, processor time and peak memory of every run and their median, with the conditions; all processes
count. The aim is a three-minute song of five stems in at most 10 s on two cores that are free, in less than 700 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from conditions import conditions
from spending import Spent, row, run

ROOT = Path(__file__).resolve().parents[2]


def make(prompt: str, seed: int | None, folder: Path) -> tuple[Spent, dict[str, Any]]:
    """Make the song once into `folder`: what it took, and what the command printed."""
    command = [sys.executable, "-m", "studio", "make", prompt, "--out", str(folder), "--json"]
    if seed is not None:
        command += ["--seed", str(seed)]
    with tempfile.TemporaryFile() as printed:  # a pipe would have to be read while the process is waited for
        took = run(command, ROOT, printed)
        printed.seek(0)
        return took, json.load(printed)


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", default="pop song, 3 minutes, 120 bpm")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats: at least 1")
    runs: list[Spent] = []
    print(conditions())
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, arguments.repeats + 1):
            place = Path(folder) / f"song {number}"
            took, made = make(arguments.prompt, arguments.seed, place)
            shutil.rmtree(place)
            os.sync()  # what one run leaves for the disk to do must not slow the next one down
            runs.append(took)
            if number == 1:
                last, rate = made["sections"][-1], made["rate"]
                seconds = (last["start_frame"] + last["frames"]) / rate
                print(
                    f"song       {arguments.prompt!r}: {seconds:.1f} s at {rate} Hz, style {made['style']}, "
                    f"{len(made['stems'])} stems, {len(made['clips'])} clips, seed {made['seed']}"
                )
            print(row(f"run {number}", [took]), flush=True)
    print(row(f"median of {len(runs)}", runs))
    print(f"load after {' '.join(f'{value:.2f}' for value in os.getloadavg())}")


if __name__ == "__main__":
    main()
