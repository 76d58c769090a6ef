"""Moods: what they do to energy, mode and tempo."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.plan.lexicon.moods import MOODS
from studio.plan.words.text import Text

_MOODS = tuple(
    (re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)"), name, energy, mode, tempo)
    for pattern, name, energy, mode, tempo in MOODS
)


@dataclass(frozen=True)
class MoodWish:
    """Names of moods in the order they are said; the sum of their energies, bounded; the mode most of them ask for
    (the first one's when they are even); the mean of their tempi, -1..1."""

    names: tuple[str, ...] = ()
    energy: float = 0.0
    mode: str = ""
    tempo: float = 0.0
    words: str = ""


def read_mood(text: Text) -> MoodWish:
    """Read moods; the words stay in the text."""
    found: list[tuple[int, str, float, str, float, str]] = []
    for pattern, name, energy, mode, tempo in _MOODS:
        for match in text.find(pattern):
            if not text.negation(match.start()):
                words = text.source[match.start() : match.end()]
                found.append((match.start(), name, energy, mode, tempo, words))
                break
    found.sort()
    if not found:
        return MoodWish()
    modes = [mode for _, _, _, mode, _, _ in found if mode]
    most = max(modes, key=modes.count) if modes else ""
    energy = max(-0.25, min(0.25, sum(entry[2] for entry in found)))
    tempo = sum(entry[4] for entry in found) / len(found)
    return MoodWish(tuple(entry[1] for entry in found), energy, most, tempo, ", ".join(entry[5] for entry in found))
