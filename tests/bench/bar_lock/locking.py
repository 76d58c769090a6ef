"""Scores methods that put a sound on the grid: bar lock and its peers, on the same cases in the same run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from studio.align.seam import seam_score
from tests.bench.bar_lock import beatnet, material, peers
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.ours import bar_lock
from tests.bench.bar_lock.score import WORST_LOCKED_MS, Answer, bit_exact, lags, mapped
from tests.bench.bar_lock.tables import Row, columns, share, spread

METHODS: Mapping[str, Callable[[Case], Answer]] = {
    "bar lock": bar_lock,
    "librosa beats + stretch": peers.librosa_beats,
    "nominal ratio + trim": peers.nominal_ratio,
    "BeatNet's beats": beatnet.beatnet_beats,
}
INSTALLED = [name for name in METHODS if name != "BeatNet's beats" or find_spec("BeatNet") is not None]


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
    size = min(round(case.beats * frames / float(case.grid.beats)), frames)
    own = onsets[(onsets > -0.001 * case.grid.rate) & (onsets < size)]  # a downbeat may be a fraction of a frame early
    once = np.concatenate([own + k * size for k in range(-(-frames // size))])
    once = once[once < frames]
    attacks = np.concatenate([once, once + frames])
    return seam_score(np.concatenate([loop, loop], axis=1), [(frames, frames)], attacks, case.grid.rate).value


HEAD = (
    ("", "", "scale", "right", "map, right", "", "ear, right", "", "unclear", "map, all", "false", "seams", "",
     "x real", ""),
    ("method", "cases", "%", "%", "median", "p95 ms", "median", "p95 ms", "%", "p95 ms", "locked %", "< 1 %", "exact",
     "time", "verdicts"),
)  # fmt: skip
"""`scale`: the tempo's relation is right; `right`: and bar 1 is where it should be. `map`: a method's own time map at
every true onset; `ear`: its sound at every prominent sharp note, told without a map; `unclear`: notes there that could
not be told apart from what is around them. `exact`: already aligned, and untouched."""


def report(rows: Sequence[Row], worst: int) -> str:
    """A table for each material, then the worst cases of the first method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [list(line) for line in HEAD]
    for name in [*dict.fromkeys(row["material"] for row in rows), "all"]:
        lines.append([name, *[""] * (len(HEAD[0]) - 1)])
        for method in methods:
            own = [row for row in rows if row["method"] == method and name in (row["material"], "all")]
            lines.append([f"  {method}", *_figures(own)])
    text = [columns(lines), f"worst of {methods[0]} (off: beats from bar 1; scale: its tempo over the true one)"]
    first = [row for row in rows if row["method"] == methods[0]]
    text += [_told(row) for row in sorted(first, key=_badness, reverse=True)[:worst]]
    return "\n".join(text)


def _told(row: Row) -> str:
    """One line on a case: what went wrong with it, how far off it is, what it is."""
    judged = "FALSE LOCKED" if row["false_locked"] else "ok" if row["right"] else "wrong"
    more = ", not left alone" if row["exact"] is False else ""
    more += f", seam {row['seam']:.2f}" if _stands_out(row) else ""
    found = f"p95 {_p95(row):8.1f} ms, off {row['off']:+.2f}, scale {row['scale']:.3f}"
    return f"  {judged:12} {row['verdict']:6} {found}{more}: {row['says']}"


def _badness(row: Row) -> tuple[bool, bool, bool, bool, float]:
    return row["false_locked"], not row["right"], row["exact"] is False, _stands_out(row), _p95(row)


def _stands_out(row: Row) -> bool:
    return row["seam"] is not None and row["seam"] >= 1


def _figures(rows: Sequence[Row]) -> list[str]:
    right = [row for row in rows if row["right"]]
    exact = [row["exact"] for row in rows if row["exact"] is not None]
    verdicts = Counter(row["verdict"] for row in rows if row["verdict"])
    pace = sum(row["seconds"] for row in rows) / max(sum(row["cpu"] for row in rows), 1e-9)
    return [
        str(len(rows)), share([row["relation"] for row in rows]), share([row["right"] for row in rows]),
        *spread(right, "errors"), *spread(right, "lags"), _unclear(right), spread(rows, "errors")[1],
        share([row["false_locked"] for row in rows if row["verdict"]]),
        share([row["seam"] < 1 for row in rows if row["seam"] is not None]),
        f"{sum(exact)}/{len(exact)}", f"{pace:.0f}",
        ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items())),
    ]  # fmt: skip


def _unclear(rows: Sequence[Row]) -> str:
    lost, found = sum(row["lost"] for row in rows), sum(len(row["lags"]) for row in rows)
    return f"{100 * lost / (lost + found):.1f}" if lost + found else "-"


def _p95(row: Row) -> float:
    return float(np.percentile(np.abs(row["errors"]), 95))
