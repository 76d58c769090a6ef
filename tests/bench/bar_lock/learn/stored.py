"""Reads what `examples` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HELD_OUT = 20
"""One lesson in so many is for watching, not for learning."""
HELD_STYLES = ("band funk", "band metal", "band bossa_nova", "band synthwave")
HELD_PATTERNS = ("samba", "one drop", "jazz waltz", "two-step garage", "train beat")


def examples(folder: Path, names: tuple[str, ...], limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Some arrays of each lesson, in order of seed, and what it is about."""
    parts = [path for path in folder.glob("*.npz") if path.stem.isdigit()]  # those that are being written have a dot
    for path in sorted(parts, key=lambda path: int(path.stem))[:limit]:
        with np.load(path) as part:
            for k in sorted({int(name.split("/")[0]) for name in part.files if name.endswith(names[-1])}):
                yield {name: part[f"{k}/{name}"] for name in names} | json.loads(str(part[f"{k}/about"]))


def watched(about: dict[str, Any]) -> bool:
    """Whether a lesson is kept from learning."""
    return bool(about["seed"] % HELD_OUT == 7)


def unknown(about: dict[str, Any]) -> bool:
    """Whether it is of the styles and patterns that `--hold` keeps from learning as well."""
    return about["says"] in HELD_PATTERNS or about["says"].startswith(HELD_STYLES)
