"""What goes into a plan and what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from studio.song import KINDS, Key, Meter, Song, SongError, TempoPoint
from studio.song.values import MOST_BARS, MOST_SECTIONS, MOST_SONG_BARS

USUAL_ROLES = ("drums", "bass", "harmony", "lead", "fx")
"""What plays where nothing is said: words can take away from it."""
LONGEST_SECTIONS_TEXT = 10_000


@dataclass(frozen=True)
class SectionSpec:
    """A section as asked for: its kind, its bars, and its meter where it has its own."""

    kind: str
    bars: int
    meter: Meter | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SongError(f"section kind {self.kind[:40]!r}: use one of {', '.join(KINDS)}")
        if not 1 <= self.bars <= MOST_BARS:
            raise SongError(f"section {self.kind}: {self.bars} bars; a section has 1 to {MOST_BARS} bars")


@dataclass(frozen=True)
class PlanOptions:
    """What is fixed whatever the words say; None leaves it to the words, and then to the style.

    `tempo` is a whole map and wins over `bpm`. `roles` stand as given, whatever the words say.
    """

    bpm: Decimal | None = None
    tempo: tuple[TempoPoint, ...] | None = None
    key: Key | None = None
    meter: Meter | None = None
    sections: tuple[SectionSpec, ...] | None = None
    roles: tuple[str, ...] | None = None
    seed: int | None = None
    rate: int = 48000
    style: str | None = None
    title: str | None = None
    tails: str = "wrap"
    pickup: Fraction | None = None
    engines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Choice:
    """One thing that was decided: `what` it is, its `value`, and its `source`: "words" (with the `words` that said so),
    "option", "style", "meaning" (the sentence model), "seed", "llm" or "default"."""

    what: str
    value: str
    source: str
    words: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.value} ({self.source}" + (f": {self.words!r})" if self.words else ")")


@dataclass(frozen=True)
class Plan:
    """A song to be made, and how each part of it was decided."""

    song: Song
    choices: tuple[Choice, ...]


def parse_sections(text: str) -> tuple[SectionSpec, ...]:
    """Read "intro:4 verse:8@7/8 chorus:8 outro:4": kind:bars, with @meter where a section has its own.

    Raises SongError, which names the word, the limit and the remedy.
    """
    if len(text) > LONGEST_SECTIONS_TEXT:
        raise SongError(f"sections of {len(text)} characters: use at most {LONGEST_SECTIONS_TEXT}")
    specs = []
    for word in text.split():
        match = re.fullmatch(r"([^:@\s]+):(-?[0-9]{1,9})(?:@(\S+))?", word)
        if not match:
            raise SongError(f"section {word[:40]!r}: write kind:bars or kind:bars@meter, such as verse:8@7/8")
        specs.append(SectionSpec(match[1], int(match[2]), Meter.parse(match[3]) if match[3] else None))
    return check_sections(tuple(specs))


def check_sections(specs: tuple[SectionSpec, ...]) -> tuple[SectionSpec, ...]:
    """The sections, if a song can have so many and such long ones. Raises SongError."""
    if not 1 <= len(specs) <= MOST_SECTIONS:
        raise SongError(f"{len(specs)} sections: a song has 1 to {MOST_SECTIONS} sections, such as 'verse:8 chorus:8'")
    bars = sum(spec.bars for spec in specs)
    if bars > MOST_SONG_BARS:
        raise SongError(f"a song has at most {MOST_SONG_BARS} bars, not {bars}; make two songs")
    return specs
