"""Reads what was typed: numbers, folders, lists. All raise SongError in one line that says what to write instead."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

from studio.song import ROLES, SongError

HIGHEST_SEED = 2**63 - 1


def whole(what: str, text: str, remedy: str) -> int:
    """A whole number of at most 19 digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise SongError(f"{what} {text[:40]!r}: {remedy}")
    return int(text)


def within(what: str, text: str, least: int, most: int) -> int:
    """A whole number between two others."""
    remedy = f"write a whole number from {least} to {most}"
    number = whole(what, text, remedy)
    if not least <= number <= most:
        raise SongError(f"{what} {text}: {remedy}")
    return number


def seed(text: str) -> int:
    """A seed."""
    return within("seed", text, 0, HIGHEST_SEED)


def number(what: str, text: str, least: float, most: float) -> float:
    """A number between two others."""
    plain = re.fullmatch(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?", text.strip())
    value = float(text) if plain else math.nan
    if not least <= value <= most:
        raise SongError(f"{what} {text[:40]!r}: write a number from {least:g} to {most:g}")
    return value


def fraction(what: str, text: str) -> Fraction:
    """A position or length in beats."""
    try:
        # Fraction() would also read "1e999999999", and take until tomorrow.
        if re.fullmatch(r"-?[0-9]{1,9}(?:[./][0-9]{1,9})?", text.strip()):
            return Fraction(text)
    except ZeroDivisionError:
        pass  # 1/0 is told like any other text that is no number
    raise SongError(f"{what} {text[:40]!r}: write beats such as 1, 0.5 or 3/2")


def folder(text: str) -> Path:
    """A folder, which need not be there."""
    if not text.strip():  # as a path this would be the folder one stands in
        raise SongError("the folder has no name; write one such as songs/night, or . for this one")
    return Path(text)


def file(what: str, text: str) -> Path:
    """A file, which need not be there."""
    if not text.strip():
        raise SongError(f"the {what} has no name; write one such as loops/drums.wav")
    return Path(text)


def role(text: str) -> str:
    """One of ROLES."""
    if text not in ROLES:
        raise SongError(f"role {text[:40]!r}: use {', '.join(ROLES)}")
    return text


def roles(text: str) -> tuple[str, ...]:
    """Some of ROLES, each once."""
    found = tuple(role(word.strip()) for word in text.split(",") if word.strip())
    if not found or len(set(found)) != len(found):
        raise SongError(f"stems {text[:60]!r}: name each role once, such as drums,bass,lead")
    return found
