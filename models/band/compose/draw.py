"""Chance that can be repeated: a stream of random numbers for every named purpose."""

from __future__ import annotations

import hashlib
import random


def stream(*purpose: object) -> random.Random:
    """Random numbers that depend on the words and numbers of `purpose` alone, on every machine and in every run."""
    text = "\x1f".join(str(part) for part in purpose)
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
