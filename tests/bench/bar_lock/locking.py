"""Scores methods that put a sound on the grid: bar lock and its peers, on the same cases in the same run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio.align.seam import seam_score
from tests.bench.bar_lock import material, peers
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.score import WORST_LOCKED_MS, Answer, bit_exact, lags, mapped, percentiles

Row = dict[str, Any]

METHODS: Mapping[str, Callable[[Case], Answer]] = {
    "librosa beats + stretch": peers.librosa_beats,
    "nominal ratio + trim": peers.nominal_ratio,
}


def scored(name: str, seed: int, methods: Sequence[str], cache: Path | None = None) -> list[Row]:
    """What each method makes of one case: plain values."""
    case = material.case(name, seed, cache)
    return [_row(case, method) for method in methods]


def warmed(methods: Sequence[str]) -> None:
    """Run each method once on a short case: what is imported and compiled on first use is not timed."""
    case = material.case("loop", material.TUNE[-1])
    for method in methods:
        METHODS[method](case)


def _row(case: Case, method: str) -> Row:
    begun = time.process_time()
    answer = METHODS[method](case)
    took = time.process_time() - begun
    result = mapped(case, answer.target_at)
    late, lost = lags(case, answer)
    wrong = not result.right or result.p95 > WORST_LOCKED_MS
    return {
        "material": case.material, "seed": case.seed, "says": case.says, "method": method, "seconds": case.seconds,
        "cpu": took, "relation": result.relation, "right": result.right, "scale": result.scale, "off": result.off,
        "errors": np.round(result.errors, 3).tolist(), "lags": np.round(late, 3).tolist(), "lost": lost,
        "verdict": answer.verdict, "false_locked": answer.verdict == "locked" and wrong,
        "exact": bit_exact(case, answer) if case.done["exact"] else None,
        "seam": seam(case, answer) if case.wish.loop else None,
    }  # fmt: skip


def seam(case: Case, answer: Answer) -> float:
    """How much the join of the looped answer stands out: below 1 it does not. Where attacks belong is told by the
    truth."""
    frames = case.grid.frames
    loop = answer.audio[:, answer.first : answer.first + frames]
    onsets = case.grid.frame_at(case.onsets["beat"])
    size = round(case.beats * frames / float(case.grid.beats))
    repeats = [onsets[(onsets >= 0)] + k * size for k in range(-(-2 * frames // size))]
    attacks = np.concatenate(repeats)
    return seam_score(np.concatenate([loop, loop], axis=1), [(frames, frames)], attacks, case.grid.rate).value


def report(rows: Sequence[Row], worst: int) -> str:
    """The tables by material, then the worst cases of the first method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    names = [*dict.fromkeys(row["material"] for row in rows), "all"]
    head = (
        f"{'material':8} {'method':24} {'cases':>5} {'scale':>6} {'right':>6} | {'median':>7} {'p95':>7} | {'median':>7} {'p95':>7} "
        f"| {'p95':>8} | {'false':>5} {'seam':>5} {'exact':>7} | {'x real':>6}  verdicts"
    )
    units = (
        f"{'':8} {'':24} {'':>5} {'%':>6} {'%':>6} | {'right ones, map':>15} | {'right ones, ear':>15} | {'all, map':>8} | "
        f"{'%':>5} {'<1 %':>5} {'':>7} | {'time':>6}"
    )
    lines = [head, units]
    for name in names:
        for method in methods:
            own = [row for row in rows if row["method"] == method and name in (row["material"], "all")]
            lines.append(_line(name, method, own))
    lines.append(f"worst of {methods[0]} (off: beats from bar 1; scale: its tempo over the true one)")
    first = [row for row in rows if row["method"] == methods[0]]
    for row in sorted(first, key=lambda row: (row["false_locked"], not row["right"], _p95(row)), reverse=True)[:worst]:
        judged = "FALSE LOCKED" if row["false_locked"] else "ok" if row["right"] else "wrong"
        lines.append(
            f"  {judged:12} {row['verdict']:6} p95 {_p95(row):8.1f} ms, off {row['off']:+.2f} "
            f"scale {row['scale']:.3f}: {row['says']}"
        )
    return "\n".join(lines)


def _line(name: str, method: str, rows: Sequence[Row]) -> str:
    right = [row for row in rows if row["right"]]
    seams = [row["seam"] < 1 for row in rows if row["seam"] is not None]
    exact = [row["exact"] for row in rows if row["exact"] is not None]
    pace = sum(row["seconds"] for row in rows) / max(sum(row["cpu"] for row in rows), 1e-9)
    verdicts = ", ".join(
        f"{verdict} {count}" for verdict, count in Counter(row["verdict"] for row in rows).items() if verdict
    )
    claims = bool(verdicts)
    false = f"{100 * np.mean([row['false_locked'] for row in rows]):5.1f}" if claims else f"{'-':>5}"
    shown_seams = f"{100 * np.mean(seams):5.0f}" if seams else f"{'-':>5}"
    shown_exact = f"{sum(exact)}/{len(exact)}" if exact else "-"
    return (
        f"{name:8} {method:24} {len(rows):5} {_share(rows, 'relation')} {_share(rows, 'right')} | "
        f"{_two(right, 'errors')} | {_two(right, 'lags')} | {_two(rows, 'errors')[8:]:>8} | "
        f"{false} {shown_seams} {shown_exact:>7} | {pace:6.0f}  {verdicts}"
    )


def _share(rows: Sequence[Row], what: str) -> str:
    return f"{100 * np.mean([row[what] for row in rows]):6.1f}"


def _two(rows: Sequence[Row], values: str) -> str:
    """Median and 95th percentile over the cases' values, every case counting alike."""
    known = [np.abs(row[values]) for row in rows if row[values]]
    return "{:7.2f} {:7.1f}".format(*percentiles(known, (50, 95))) if known else f"{'-':>7} {'-':>7}"


def _p95(row: Row) -> float:
    return float(np.percentile(np.abs(row["errors"]), 95))
