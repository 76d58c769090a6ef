"""What a picture shows, as plain values: it knows nothing of the song model or of files."""

from __future__ import annotations

from dataclasses import dataclass

from studio.mix.sources import Source


class PictureError(ValueError):
    """An arrangement or a size that cannot be drawn; the message gives the limit and the remedy."""


@dataclass(frozen=True, slots=True)
class ChordMark:
    """A chord's name and the frame at which it begins."""

    frame: int
    name: str


@dataclass(frozen=True, slots=True)
class SectionSpan:
    """A section: frames `start` to `end` (exclusive) of the song. `kind` chooses the colour."""

    name: str
    kind: str
    start: int
    end: int
    chords: tuple[ChordMark, ...] = ()


@dataclass(frozen=True, slots=True)
class StemLane:
    """A stem: its name, its role (which chooses the colour) and its sound from the song's frame 0 on."""

    name: str
    role: str
    source: Source


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A song to be drawn.

    Attributes:
        title, subtitle: the header; the subtitle names tempo, key, meter and the like.
        bars: `(number, first frame)` of every bar, in order.
        sections, stems: from left to right and from top to bottom.
        rate: Hz.
        frames: the song's length.
    """

    title: str
    subtitle: str
    bars: tuple[tuple[int, int], ...]
    sections: tuple[SectionSpan, ...]
    stems: tuple[StemLane, ...]
    rate: int
    frames: int

    def __post_init__(self) -> None:
        if self.frames < 1 or self.rate < 1:
            raise PictureError("a picture needs a song of at least one frame; render the song first")
        if not self.stems:
            raise PictureError("a picture needs at least one stem; render the song first")
