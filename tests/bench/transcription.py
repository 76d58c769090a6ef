"""How many notes of single lines are heard where they begin, on sounds whose notes are known.

    python -m tests.bench.transcription [--split tune|test] [--lines 3]

Lines of random notes, rests and leaps, 70 to 150 BPM, played by instruments of the bundled soundfont. A note is found
when one of its pitch begins within 50 ms of it (the field's usual measure); instruments whose sound itself begins late
(flute, violin) are the worse for it.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from models.analysis.pitch import BasicPitch
from models.api import Audio
from models.api.tools import HeardNote
from models.band.sound.sampler import font_voice
from models.band.sound.voice import Hit
from tests.bench.conditions import conditions

RATE, SECONDS, NEAR_S = 44_100, 20.0, 0.05
SPLITS = {"tune": 0, "test": 100}
LENGTHS, LEAPS = (0.25, 0.5, 0.5, 1.0, 1.5), (-7, -5, -4, -2, -1, 1, 2, 3, 4, 5, 7, 12, 0)


class Instrument(NamedTuple):
    """A program of the soundfont, and the pitches it plays."""

    program: int
    low: int = 48
    high: int = 80


INSTRUMENTS = {
    "piano": Instrument(0), "vibraphone": Instrument(11), "nylon guitar": Instrument(24), "jazz guitar": Instrument(26),
    "bass": Instrument(33, 28, 52), "violin": Instrument(40, 55, 88), "trumpet": Instrument(56), "sax": Instrument(65),
    "flute": Instrument(73, 60, 90),
}  # fmt: skip


def line(instrument: Instrument, seed: int, seconds: float = SECONDS) -> tuple[Audio, list[tuple[float, int]]]:
    """(2, frames) of a line, and its notes: when they begin, and their pitches."""
    random = np.random.Generator(np.random.PCG64(seed))
    beat, at, pitch = 60.0 / random.uniform(70, 150), 0.2, int(random.integers(instrument.low, instrument.high))
    hits, notes = [], []
    while at < seconds:
        length = max(float(random.choice(LENGTHS)) * beat, 0.14)
        if random.random() >= 0.15:
            pitch = int(np.clip(pitch + random.choice(LEAPS), instrument.low, instrument.high))
            sounding = round(length * random.uniform(0.7, 0.98) * RATE)
            hits.append(Hit(round(at * RATE), sounding, pitch, int(random.integers(60, 120))))
            notes.append((at, pitch))
        at += length
    return font_voice((0, instrument.program), RATE).render(hits, round((seconds + 2.0) * RATE)), notes


def matched(heard: list[HeardNote], notes: list[tuple[float, int]]) -> list[float]:
    """How late, in seconds, each note is heard that is found; no heard note counts twice."""
    used: set[int] = set()
    late = []
    for at, pitch in notes:
        near = [
            (abs(note.start - at), number)
            for number, note in enumerate(heard)
            if note.pitch == pitch and abs(note.start - at) <= NEAR_S and number not in used
        ]
        if near:
            _, number = min(near)
            used.add(number)
            late.append(heard[number].start - at)
    return late


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--lines", type=int, default=3, help="of each instrument")
    given = parser.parse_args()
    print(conditions("onnxruntime"))
    print(f"material   {given.split}, {given.lines} lines of {SECONDS:g} s each\n")
    print(f"{'instrument':14} {'F1':>6} {'found':>6} {'right':>6}   late, ms: median, p90 of the size")
    listener, sums, took = BasicPitch(), np.zeros(3), 0.0
    for name, instrument in INSTRUMENTS.items():
        counts, late = np.zeros(3), list[float]()
        for seed in range(SPLITS[given.split], SPLITS[given.split] + given.lines):
            audio, notes = line(instrument, seed)
            begun = time.perf_counter()
            heard = listener.notes(audio, RATE)
            took += time.perf_counter() - begun
            found = matched(heard, notes)
            late += found
            counts += (len(found), len(heard), len(notes))
        sums += counts
        hit, told, there = counts
        milliseconds = 1000.0 * np.array(late)
        print(
            f"{name:14} {2 * hit / (told + there):6.3f} {hit / there:6.3f} {hit / told:6.3f}   "
            f"{np.median(milliseconds):5.1f}, {np.quantile(np.abs(milliseconds), 0.9):5.1f}"
        )
    hit, told, there = sums
    print(f"{'all':14} {2 * hit / (told + there):6.3f} {hit / there:6.3f} {hit / told:6.3f}")
    seconds = (SECONDS + 2.0) * given.lines * len(INSTRUMENTS)
    print(f"{seconds / took:.0f} x real time")


if __name__ == "__main__":
    main()
