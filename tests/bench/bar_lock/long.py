"""Bar lock on long files, as a user starts it: time and memory, a new process with everything included.

    python -m tests.bench.bar_lock.long [--minutes 1 5 20]

The sound is a band whose tempo wanders and is 7 % off in the middle. Memory should not grow with the length, and it
should go at 25 times real time at least on two free cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from tests.bench.bar_lock.music import from_pattern
from tests.bench.bar_lock.patterns import PATTERNS
from tests.bench.bar_lock.rooms import as_file
from tests.bench.bar_lock.voices import render
from tests.bench.bar_lock.warps import beat_map
from tests.bench.conditions import conditions
from tests.bench.spending import row, run

ROOT = Path(__file__).resolve().parents[3]
RATE, BPM, WRONG = 48_000, 112.0, 0.93


def write_band(path: Path, minutes: float) -> None:
    """Write a stereo file of 16 bits: drums, bass and piano for so long."""
    random = np.random.Generator(np.random.PCG64(3))
    pattern = next(pattern for pattern in PATTERNS if pattern.name == "rock push")
    bars = round(minutes * BPM * WRONG / 4)
    music = from_pattern(pattern, ("drums", "bass", "piano"), random, bars, 0.5, 0.0)
    truth = beat_map(BPM * WRONG, 4.0 * bars, 0.02, 0.001, random)
    starts = np.rint(truth.seconds_at(music.notes["beat"]) * RATE).astype(np.int64)
    stops = np.rint(truth.seconds_at(music.notes["beat"] + music.notes["beats"]) * RATE).astype(np.int64)
    audio = render(music, starts, stops, RATE, int(stops.max()) + RATE, BPM, 3)
    soundfile.write(path, as_file(audio, 2, -2.0).T, RATE, subtype="PCM_16")


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    arguments = parser.parse_args()
    print(conditions("python-stretch"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for minutes in arguments.minutes:
            sound, report = folder / "in.wav", folder / "report.json"
            write_band(sound, minutes)
            seconds = soundfile.info(sound).duration
            command = [
                sys.executable, "-m", "studio", "align", str(sound), "--bpm", f"{BPM:g}", "--report", str(report),
                "-o", str(folder / "out.wav"), "--force",
            ]  # fmt: skip
            took = run(command, ROOT)
            said = json.loads(report.read_text(encoding="utf-8"))
            print(row(f"{minutes:g} minutes, {seconds / took.wall:.0f} x real time", [took]))
            print(f"  {said['verdict']}: {said['reason']}", flush=True)
    print(f"load after {' '.join(f'{value:.2f}' for value in os.getloadavg())}")


if __name__ == "__main__":
    main()
