"""Rows of text in columns, and figures over many cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from studio.align.values import Floats

Row = dict[str, Any]


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells under one another: the first column to the left, the others to the right, the last as it is."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells, row[-1]]).rstrip())
    return "\n".join(lines)


def share(values: Sequence[bool]) -> str:
    """Percent that are true."""
    return f"{100 * np.mean(values):.1f}" if values else "-"


def spread(rows: Sequence[Row], values: str) -> tuple[str, str]:
    """Median and 95th percentile of the rows' `values`, taken without their sign."""
    known = [np.abs(row[values]) for row in rows if row[values]]
    if not known:
        return "-", "-"
    middle, high = percentiles(known, (50, 95))
    return f"{middle:.2f}", f"{high:.1f}"


def percentiles(cases: Sequence[Floats], of: Sequence[float]) -> list[float]:
    """Percentiles of all cases' values together, where every case counts alike, however many values it has."""
    values = np.concatenate(cases)
    weights = np.concatenate([np.full(len(own), 1.0 / len(own)) for own in cases])
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    places = [min(int(np.searchsorted(below, at / 100.0 - 1e-12)), len(values) - 1) for at in of]
    return [float(values[order][place]) for place in places]
