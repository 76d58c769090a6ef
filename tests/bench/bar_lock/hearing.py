"""Scores the hearing alone: relation, downbeat and how near its beat map is to the truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio.align.hear import hear
from tests.bench.bar_lock import material
from tests.bench.bar_lock.case import Held
from tests.bench.bar_lock.score import by_beats, mapped, percentiles

Row = dict[str, Any]


def scored(name: str, seed: int, cache: Path | None = None, draw: Path | None = None) -> Row:
    """Hear one case and score it: plain values."""
    case = material.case(name, seed, cache)
    begun = time.process_time()
    heard = hear(Held(case.audio), case.rate, case.wish)
    took = time.process_time() - begun
    row: Row = {
        "material": name, "seed": seed, "says": case.says, "seconds": case.seconds, "cpu": took, "done": case.done,
        "pulse": str(heard.pulse), "heard_as": str(heard.material), "felt_bpm": heard.felt_bpm, "bpm": heard.bpm,
        "tempo_confidence": heard.tempo_confidence, "downbeat_confidence": heard.downbeat_confidence,
        "relation": False, "right": False, "scale": None, "off": None, "errors": [],
    }  # fmt: skip
    if heard.beat_map is not None:
        result = mapped(case, by_beats(case.grid, heard.beat_map))
        row |= {
            "relation": result.relation, "right": result.right, "scale": result.scale, "off": result.off,
            "errors": np.round(result.errors, 3).tolist(),
        }  # fmt: skip
    if draw is not None:
        from tests.bench.bar_lock.draw import save_picture

        save_picture(case, draw / f"{case.name}.png", heard.beat_map, heard.onsets.seconds)
    return row


def report(rows: Sequence[Row], worst: int) -> str:
    """A table by material, then the worst cases."""
    lines = [
        f"{'material':9} {'cases':>5} {'right':>7} {'relation':>8} | {'median':>7} {'p95':>8}  of all | "
        f"{'median':>7} {'p95':>8}  of right | {'x real time':>11}  pulse"
    ]
    for name in dict.fromkeys(row["material"] for row in rows):
        own = [row for row in rows if row["material"] == name]
        lines.append(_line(name, own))
    lines.append(_line("all", rows))
    lines.append("worst: wrong ones first, then by p95 (off: beats from bar 1; scale: tempo heard over the true one)")
    for row in sorted(rows, key=_badness, reverse=True)[:worst]:
        errors = np.abs(row["errors"])
        shown = f"median {np.median(errors):7.1f} p95 {np.percentile(errors, 95):7.1f}" if len(errors) else "no pulse"
        where = f"off {row['off']:+.2f} scale {row['scale']:.3f}" if row["scale"] else ""
        sure = f"sure {row['tempo_confidence']:.2f} {row['downbeat_confidence']:.2f}"
        lines.append(f"  {'ok   ' if row['right'] else 'WRONG'} {shown} {where} {sure} {row['pulse']}: {row['says']}")
    return "\n".join(lines)


def _line(name: str, rows: Sequence[Row]) -> str:
    share = [100.0 * np.mean([row[key] for row in rows]) for key in ("right", "relation")]
    everything = _spread([row for row in rows if row["errors"]])
    right = _spread([row for row in rows if row["right"]])
    pace = sum(row["seconds"] for row in rows) / max(sum(row["cpu"] for row in rows), 1e-9)
    pulses = ", ".join(f"{pulse} {count}" for pulse, count in sorted(Counter(row["pulse"] for row in rows).items()))
    return (
        f"{name:9} {len(rows):5} {share[0]:6.1f}% {share[1]:7.1f}% | {everything} ms     | {right} ms       | "
        f"{pace:11.0f}  {pulses}"
    )


def _spread(rows: Sequence[Row]) -> str:
    errors = [np.abs(row["errors"]) for row in rows]
    return "{:7.2f} {:8.1f}".format(*percentiles(errors, (50, 95))) if rows else f"{'-':>7} {'-':>8}"


def _badness(row: Row) -> tuple[bool, float]:
    return not row["right"], float(np.percentile(np.abs(row["errors"]), 95)) if row["errors"] else 1e9
