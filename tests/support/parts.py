"""Whole songs as notes, without a sound: the planner and the composer at work, for tests that examine the music."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from models.api import Note, StemRequest
from models.styles import Style, load_style
from studio.jobs.cells import CellJob, written_requests
from studio.jobs.requests import cell_seed
from studio.plan import PlanOptions, plan_song
from studio.song import Song, Span, Timeline


@dataclass(frozen=True)
class Part:
    """One cell as it was written: its request, and its notes (in beats from the cell's start)."""

    span: Span
    request: StemRequest
    notes: tuple[Note, ...]

    def bar(self, index: int) -> list[Note]:
        """The notes that begin in bar `index` of the cell, with starts counted from that bar line."""
        length = self.span.meter.bar_beats
        start = self.span.pickup + index * length
        return [n._replace(start=n.start - start) for n in self.notes if start <= n.start < start + length]


@dataclass(frozen=True)
class Written:
    """A song and all its parts by (section index, role)."""

    song: Song
    style: Style
    parts: dict[tuple[int, str], Part]

    def of(self, role: str) -> list[Part]:
        return [part for (_, r), part in sorted(self.parts.items()) if r == role]


@lru_cache(maxsize=16)  # the songs of a style, whose tests come together (tests/conftest.py)
def written(style: str, seed: int, meter: str | None = None, sections: str | None = None) -> Written:
    """A song of this style and seed, written but not played."""
    from studio.plan import parse_sections
    from studio.song import Meter

    options = PlanOptions(
        style=style,
        seed=seed,
        meter=Meter.parse(meter) if meter else None,
        sections=parse_sections(sections) if sections else None,
    )
    song = plan_song("a song", options).song
    jobs = [
        CellJob(section.id, stem.id, cell_seed(song, section.id, stem.id, 0))
        for stem in song.stems
        for section in song.sections
    ]
    timeline = Timeline(song)
    parts: dict[tuple[int, str], Part] = {}
    for job, request in zip(jobs, written_requests(song, jobs), strict=True):
        span = timeline.span(job.section)
        assert request.notes is not None
        parts[span.index, request.role] = Part(span, request, request.notes)
    return Written(song, load_style(style), parts)


def onsets(notes: list[Note], grid: int = 24) -> set[int]:
    """Where notes begin, to the nearest 1/grid of a beat: near enough to see through swing and human timing."""
    return {round(note.start * grid) for note in notes}


def alike(a: set[int], b: set[int], slack: int = 2) -> float:
    """The share of onsets of either bar that has a partner in the other within `slack` grid steps."""
    if not a or not b:
        return 1.0 if a == b else 0.0
    near = sum(any(abs(x - y) <= slack for y in b) for x in a) + sum(any(abs(x - y) <= slack for x in a) for y in b)
    return near / (len(a) + len(b))


def beats(value: float) -> Fraction:
    return Fraction(value).limit_denominator(960)
