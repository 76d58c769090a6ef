"""Meters (time signatures)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from studio.song.errors import SongError

DENOMINATORS = (2, 4, 8, 16)
MOST_PULSES = 32


@dataclass(frozen=True, order=True)
class Meter:
    """A meter such as 4/4 or 7/8: `pulses` notes of value 1/`unit` in a bar."""

    pulses: int = 4
    unit: int = 4

    def __post_init__(self) -> None:
        if self.unit not in DENOMINATORS:
            raise SongError(f"meter {self.pulses}/{self.unit}: the lower number is 2, 4, 8 or 16; try 7/8 or 4/4")
        if not 1 <= self.pulses <= MOST_PULSES:
            raise SongError(
                f"meter {self.pulses}/{self.unit}: the upper number is 1 to {MOST_PULSES}; split the bar in two"
            )

    @property
    def bar_beats(self) -> Fraction:
        """The length of one bar in beats (quarter notes)."""
        return Fraction(4 * self.pulses, self.unit)

    @property
    def compound(self) -> bool:
        """Whether the pulses are felt in threes (6/8, 9/8, 12/8 ...)."""
        return self.unit >= 8 and self.pulses % 3 == 0 and self.pulses > 3

    def grouping(self) -> tuple[int, ...]:
        """How the pulses of a bar group into felt beats: (2, 2, 3) for 7/8, (3, 3) for 6/8, (1, 1, 1, 1) for 4/4."""
        if self.unit <= 4:
            return (1,) * self.pulses
        if self.pulses % 3 == 0:
            return (3,) * (self.pulses // 3)
        if self.unit == 8:
            twos, odd = divmod(self.pulses, 2)
            return (2,) * twos if not odd else (2,) * (twos - 1) + (3,) if twos else (1,)
        fours, rest = divmod(self.pulses, 4)
        ending = {0: (), 1: (3, 2), 2: (3, 3), 3: (3,)}[rest]
        if rest in (1, 2):  # a lone sixteenth or pair is no beat: it is shared out over the last ones
            fours -= 1
        return (4,) * fours + ending if fours >= 0 else (self.pulses,)

    def felt_beats(self) -> tuple[Fraction, ...]:
        """The lengths of a bar's felt beats in quarter notes; a half note is felt as two quarters."""
        if self.unit == 2:
            return (Fraction(1),) * (2 * self.pulses)
        return tuple(Fraction(4 * group, self.unit) for group in self.grouping())

    def __str__(self) -> str:
        return f"{self.pulses}/{self.unit}"

    @classmethod
    def parse(cls, text: str) -> Meter:
        """Read "7/8". Raises SongError on anything else."""
        match = re.fullmatch(r"\s*([0-9]{1,3})\s*/\s*([0-9]{1,3})\s*", text)
        if not match:
            raise SongError(f"meter {text[:40]!r}: write pulses/unit, such as 4/4, 3/4 or 7/8")
        return cls(int(match[1]), int(match[2]))
