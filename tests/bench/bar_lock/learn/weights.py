"""Learns by what weights evidence counts: for bar lines (downbeat.WEIGHTS) and between courses (hearing).

    python -m tests.bench.bar_lock.learn.weights [--cases 60] [--cache DIR]

On the benchmark's tuning set, of which the networks know nothing. Both are logistic choices: the likelihood of the
right one among those that were looked at is made as large as it can be, with a slight pull to zero.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

import numpy as np  # noqa: E402
from scipy import optimize  # noqa: E402

from studio.align.hear import hearing  # noqa: E402
from studio.align.hear.bars import BarShape  # noqa: E402
from studio.align.hear.downbeat import EVIDENCE  # noqa: E402
from studio.align.hear.features import features  # noqa: E402
from studio.align.hear.onsets import find_onsets  # noqa: E402
from studio.align.hear.spectra import spectra  # noqa: E402
from studio.align.rows import InMemory  # noqa: E402
from studio.mix.sources import ArraySource  # noqa: E402
from tests.bench.bar_lock import material  # noqa: E402

SCALE, PULL = 0.04, 0.02
AGAINST = ("pickup", "apart")
"""Evidence that can only speak against; all else can only speak for."""


def looked_at(name: str, seed: int, cache: Path | None) -> dict[str, Any]:
    """All courses that hearing would try for a case, with their evidence, and which bar lines are right."""
    case = material.case(name, seed, cache)
    found = spectra(ArraySource(case.at_grid_rate()), case.grid.rate, InMemory())
    heard = features(found)
    onsets = find_onsets(found, heard)
    shape = BarShape.of(case.grid.meter)
    readings = []
    span = case.truth.seconds_at(np.array([0.0, min(case.beats, float(case.grid.beats))]))
    for reading in hearing.readings(heard, onsets, shape, case.wish):
        ends = reading.units.beats_at(span)
        scale = float(np.ptp(ends)) * float(shape.unit) / min(case.beats, float(case.grid.beats))
        off = (float(ends[0]) - reading.downbeat.offsets + shape.units / 2) % shape.units - shape.units / 2
        right = (np.abs(off) * float(shape.unit) <= 0.25) & (abs(scale - 1.0) <= SCALE)
        if right.any():  # the nearest alone
            right &= np.abs(off) == np.abs(off).min()
        readings.append({"evidence": reading.downbeat.evidence, "right": right, "traits": reading.traits})
    return {"material": name, "seed": seed, "says": case.says, "readings": readings}


def learned(choices: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> np.ndarray:
    """Weights for choices, each (options, evidence) with which options are right."""
    bounds = [(None, 0.0) if name in AGAINST else (0.0, None) for name in names]

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = PULL * float(weights @ weights), 2 * PULL * weights
        for evidence, right in choices:
            votes = evidence @ weights
            likely = np.exp(votes - votes.max())
            likely /= likely.sum()
            sure = max(float(likely[right].sum()), 1e-12)
            total -= float(np.log(sure))
            slope = slope + likely @ evidence - (likely[right] / sure) @ evidence[right]
        return total, slope

    return np.asarray(optimize.minimize(cost, np.zeros(len(names)), jac=True, method="L-BFGS-B", bounds=bounds).x)


def _rightly(choices: Sequence[tuple[np.ndarray, np.ndarray]], weights: np.ndarray) -> float:
    return float(np.mean([right[(evidence @ weights).argmax()] for evidence, right in choices]))


def main() -> None:
    """Print the weights, and how often they choose rightly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    wanted = [(name, seed) for name in material.MATERIALS for seed in material.seeds("tune", name, given.cases)]
    with ProcessPoolExecutor(2) as pool:
        cases = list(pool.map(partial(looked_at, cache=given.cache), *zip(*wanted, strict=True), chunksize=4))
    bars = [(r["evidence"], r["right"]) for case in cases for r in case["readings"] if r["right"].any()]
    weights = learned(bars, EVIDENCE)
    print(f"bar lines: {_rightly(bars, weights):.3f} of {len(bars)} right")
    print(dict(zip(EVIDENCE, np.round(weights, 2).tolist(), strict=True)))
    courses = []
    for case in cases:
        votes = [float((r["evidence"] @ weights).max()) for r in case["readings"]]
        right = [bool(r["right"][(r["evidence"] @ weights).argmax()]) for r in case["readings"]]
        if any(right):
            traits = [
                {**r["traits"], "votes": vote, "count": r["evidence"][(r["evidence"] @ weights).argmax(), -2]}
                for r, vote in zip(case["readings"], votes, strict=True)
            ]
            courses.append((np.array([list(t.values()) for t in traits]), np.array(right)))
            names = list(traits[0])
    found = learned(courses, names)
    print(f"courses: {_rightly(courses, found):.3f} of {len(courses)} right (of {len(cases)} cases)")
    print(dict(zip(names, np.round(found, 3).tolist(), strict=True)))


if __name__ == "__main__":
    main()
