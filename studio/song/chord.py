"""Chords by symbol, and where they stand in a section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from studio.song.errors import SongError
from studio.song.key import pitch_class

# Semitones above the root, in the order they are stacked.
QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "5": (0, 7),
    "sus2": (0, 2, 7), "sus4": (0, 5, 7), "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "m7b5": (0, 3, 6, 10), "dim7": (0, 3, 6, 9),
    "mmaj7": (0, 3, 7, 11), "7sus4": (0, 5, 7, 10), "7#5": (0, 4, 8, 10), "7b5": (0, 4, 6, 10),
    "add9": (0, 4, 7, 14), "madd9": (0, 3, 7, 14), "9": (0, 4, 7, 10, 14), "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14), "69": (0, 4, 7, 9, 14), "7b9": (0, 4, 7, 10, 13), "7#9": (0, 4, 7, 10, 15),
    "9sus4": (0, 5, 7, 10, 14), "11": (0, 7, 10, 14, 17), "m11": (0, 3, 7, 10, 14, 17),
    "13": (0, 4, 7, 10, 14, 21), "m13": (0, 3, 7, 10, 14, 21), "maj7#11": (0, 4, 7, 11, 18),
}  # fmt: skip
_ALIASES = {
    "maj": "", "M": "", "min": "m", "-": "m", "°": "dim", "o": "dim", "+": "aug", "sus": "sus4", "M7": "maj7",
    "Δ": "maj7", "Δ7": "maj7", "min7": "m7", "-7": "m7", "ø": "m7b5", "ø7": "m7b5", "o7": "dim7", "°7": "dim7",
    "mM7": "mmaj7", "mMaj7": "mmaj7", "6/9": "69", "M9": "maj9", "min9": "m9", "2": "sus2", "4": "sus4", "+7": "7#5",
}  # fmt: skip


@dataclass(frozen=True)
class Chord:
    """A chord: spelled root, a quality of QUALITIES, and the spelled bass where it is not the root."""

    root: str
    quality: str = ""
    bass: str | None = None

    def __post_init__(self) -> None:
        pitch_class(self.root)
        if self.bass is not None:
            pitch_class(self.bass)
        if self.quality not in QUALITIES:
            known = ", ".join(q for q in QUALITIES if q)
            raise SongError(f"chord quality {self.quality[:20]!r} is not known; use one of {known}")

    @property
    def root_pitch_class(self) -> int:
        return pitch_class(self.root)

    @property
    def bass_pitch_class(self) -> int:
        return pitch_class(self.bass or self.root)

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes from the root up, in stacking order."""
        return tuple((self.root_pitch_class + step) % 12 for step in QUALITIES[self.quality])

    def __str__(self) -> str:
        return f"{self.root}{self.quality}" + (f"/{self.bass}" if self.bass else "")

    @classmethod
    def parse(cls, text: str) -> Chord:
        """Read a symbol such as "F#m7b5" or "Bb/D". Raises SongError."""
        match = re.fullmatch(r"\s*([A-G](?:#{1,2}|b{1,2})?)(.*?)(?:/([A-G](?:#{1,2}|b{1,2})?))?\s*", text[:40])
        if not match:
            raise SongError(f"chord {text[:40]!r}: write a root and a quality, such as Am7, F#m7b5 or Bb/D")
        quality = match[2]
        return cls(match[1], _ALIASES.get(quality, quality), match[3])


@dataclass(frozen=True)
class ChordSpan:
    """A chord sounding for `beats` from `start`, both in beats from its section's first bar line."""

    start: Fraction
    beats: Fraction
    chord: Chord

    def __post_init__(self) -> None:
        if self.start < 0 or self.beats <= 0:
            raise SongError(f"chord {self.chord}: it must start at beat 0 or later and last more than 0 beats")

    @property
    def end(self) -> Fraction:
        return self.start + self.beats
