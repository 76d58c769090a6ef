"""Scores the hearing alone: relation, downbeat and how near its beat map is to the truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from studio.align.hear import hear
from studio.mix.sources import ArraySource
from tests.bench.bar_lock import material
from tests.bench.bar_lock.score import by_beats, mapped
from tests.bench.bar_lock.tables import Row, columns, share, spread


def scored(name: str, seed: int, cache: Path | None = None, draw: Path | None = None) -> Row:
    """Hear one case and score it: plain values."""
    case = material.case(name, seed, cache)
    source = ArraySource(case.at_grid_rate())
    begun = time.process_time()
    heard = hear(source, case.grid.rate, case.wish)
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


HEAD = (
    ("", "", "scale", "right", "all", "", "right ones", "", "x real", ""),
    ("material", "cases", "%", "%", "median", "p95 ms", "median", "p95 ms", "time", "pulse"),
)


def report(rows: Sequence[Row], worst: int) -> str:
    """A table by material, then the worst cases."""
    lines = [list(line) for line in HEAD]
    for name in [*dict.fromkeys(row["material"] for row in rows), "all"]:
        lines.append([name, *_figures([row for row in rows if name in (row["material"], "all")])])
    text = [
        columns(lines),
        "worst: wrong ones first, then by p95 (off: beats from bar 1; scale: tempo over the true one)",
    ]
    for row in sorted(rows, key=_badness, reverse=True)[:worst]:
        errors = np.abs(row["errors"])
        shown = f"median {np.median(errors):7.1f} p95 {np.percentile(errors, 95):7.1f}" if len(errors) else "no pulse"
        where = f"off {row['off']:+.2f} scale {row['scale']:.3f}" if row["scale"] else ""
        sure = f"sure {row['tempo_confidence']:.2f} {row['downbeat_confidence']:.2f}"
        text.append(f"  {'ok   ' if row['right'] else 'WRONG'} {shown} {where} {sure} {row['pulse']}: {row['says']}")
    return "\n".join(text)


def _figures(rows: Sequence[Row]) -> list[str]:
    pulses = Counter(row["pulse"] for row in rows)
    pace = sum(row["seconds"] for row in rows) / max(sum(row["cpu"] for row in rows), 1e-9)
    return [
        str(len(rows)), share([row["relation"] for row in rows]), share([row["right"] for row in rows]),
        *spread(rows, "errors"), *spread([row for row in rows if row["right"]], "errors"), f"{pace:.0f}",
        ", ".join(f"{pulse} {count}" for pulse, count in sorted(pulses.items())),
    ]  # fmt: skip


def _badness(row: Row) -> tuple[bool, float]:
    return not row["right"], float(np.percentile(np.abs(row["errors"]), 95)) if row["errors"] else 1e9
