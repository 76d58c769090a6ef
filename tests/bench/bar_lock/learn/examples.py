"""Turns lessons into what the networks see, and keeps it on disk in parts.

    python -m tests.bench.bar_lock.learn.examples --out FOLDER [--count 4000] [--workers 2]

Some 150 kB and a second of one core for each lesson.
"""

from __future__ import annotations

import argparse
import json
import os
from multiprocessing import Pool
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402

from studio.align.hear.attacks import contrast  # noqa: E402
from studio.align.hear.bars import BarShape  # noqa: E402
from studio.align.hear.features import features  # noqa: E402
from studio.align.hear.phases import FRAMES_A_UNIT, moments, traits, view  # noqa: E402
from studio.align.hear.spectra import FINE_PER_SECOND, spectra  # noqa: E402
from studio.align.rows import InMemory  # noqa: E402
from studio.mix.sources import ArraySource  # noqa: E402
from tests.bench.bar_lock.learn.material import LEARN, lesson  # noqa: E402
from tests.bench.bar_lock.learn.strewn import strewn  # noqa: E402

PART = 50
STREWN = 12
"""One lesson in so many has no bars."""
FINE_S = 8.0
"""Seconds of each lesson from which onsets are learned."""


def example(seed: int) -> dict[str, np.ndarray]:
    """One lesson as arrays: `view` and `phase` (0..1; -1 without bars) at the model's pace, `inside` where it counts;
    `fine` and the onsets in it, in fine frames; `pitches` of all of it, and the fine frame with which `fine` begins."""
    given = strewn(seed) if seed % STREWN == 0 else lesson(seed)
    found = spectra(ArraySource(given.audio), given.rate, InMemory())
    heard = features(found)
    shape = BarShape.of(given.grid.meter)
    per_second = FRAMES_A_UNIT * given.grid.bpm / (60.0 * float(shape.unit))
    seen = view(heard, per_second, 0, moments(heard, per_second))
    at = np.arange(len(seen)) / per_second
    phase = (given.beats.beats_at(at) / float(shape.beats)) % 1.0 if given.pulse else np.full(len(at), -1.0)
    first_s = float(given.onsets[0]) if given.pulse else 0.0
    random = np.random.Generator(np.random.PCG64([seed, 778]))
    length = round(FINE_S * FINE_PER_SECOND)
    first = int(random.integers(0, max(1, len(found.fine) - length)))
    pitches = found.pitches.read(0, len(found.pitches))
    onsets = given.onsets * FINE_PER_SECOND - first
    about = {"material": given.material, "says": given.says, "meter": str(given.grid.meter), "seed": seed}
    return {
        "view": seen.astype(np.float16), "phase": phase.astype(np.float32),
        "inside": (at >= first_s - 0.05) & (at <= given.last), "traits": traits(shape),
        "fine": contrast(found, first, min(first + length, len(found.fine))).astype(np.float16),
        "onsets": onsets[(onsets > -50) & (onsets < length + 50)].astype(np.float32), "first": np.array(first),
        "pitches": (pitches / max(float(pitches.max()), 1e-9)).astype(np.float16),
        "about": np.array(json.dumps(about)),
    }  # fmt: skip


def _part(job: tuple[Path, int]) -> int:
    folder, first = job
    path = folder / f"{first}.npz"
    if not path.exists():
        arrays = {f"{k}/{name}": v for k in range(PART) for name, v in example(LEARN[first + k]).items()}
        building = path.with_suffix(".part.npz")
        np.savez(building, **arrays)
        building.replace(path)
    return first


def main() -> None:
    """Write the parts that are not there yet."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--count", type=int, default=4000)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = [(given.out, first) for first in range(0, given.count, PART)]
    with Pool(given.workers) as pool:
        for done in pool.imap_unordered(_part, jobs):
            print("part", done, flush=True)


if __name__ == "__main__":
    main()
