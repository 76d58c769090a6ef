"""Bar lock from file to file: a sound file in, a clip out, and the report. What every front end calls.

It either finishes or changes nothing: the clip and the report appear whole, at the end.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from studio.align.grid import Grid
from studio.align.key import KeyHeard, hear_key
from studio.align.lock import Aligned, lock
from studio.align.purity import Purity, hear_purity
from studio.align.report import Report
from studio.align.values import Audio, Counted, Wish
from studio.audiofile import LONGEST_MINUTES, AudioFile
from studio.counting import Listening, listened, read_beats
from studio.project.atomic import atomic_write
from studio.project.chunks import Loudness, Marker
from studio.project.errors import ProjectError, os_problem
from studio.project.project import Project
from studio.project.wav import ClipInfo, write_wav
from studio.scratch import Scratch
from studio.song import Bar, Key, Meter, Song, SongError, Timeline

BLOCK = 1 << 16
SURE_OF_KEY = 0.5
"""Confidence from which a sound's own key is written into its file; a wrong root would make hosts transpose."""
OPENED, LOCKED = 0.1, 0.9
"""How much of the work is done when a file has been opened, and when its sound is on the bars."""

Say = Callable[[float, str], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Order:
    """What is to be put where. With a `project`, tempo, meter, key and rate are its song's from `start_bar` on."""

    source: Path
    out: Path
    bpm: Decimal | None = None
    """Needed without a project."""
    meter: Meter = field(default_factory=Meter)
    bars: int | None = None
    """None for as many as the sound has."""
    felt_bpm: float | None = None
    from_bpm: float | None = None
    beats: Path | None = None
    """A text file with the sound's beats, for those that are heard wrongly."""
    listener: Listening | None = None
    """Who hears the beats; None for bar lock itself."""
    project: Path | None = None
    start_bar: int = 1
    loop: bool = False
    lufs: float | None = None
    rate: int | None = None
    """None for the song's, or the file's own."""
    role: str = ""
    separator: Path | None = None
    """The folder of a published separator, which tells how much of the sound is of its role; None to estimate that."""
    report: Path | None = None
    """Where the report goes as JSON, besides being returned."""
    force: bool = False
    """Whether files that are there may be replaced; the source never is."""


@dataclass(frozen=True)
class Clipped:
    """What was written."""

    path: Path
    report: Report
    rate: int
    frames: int
    pickup_frames: int
    """How far bar 1 lies behind the first frame."""
    start_frame: int
    """The first frame on the timeline, as the file has it."""

    def as_json(self) -> dict[str, Any]:
        """The report, and where the clip lies."""
        place = {
            "path": str(self.path.resolve()), "rate": self.rate, "frames": self.frames,
            "pickup_frames": self.pickup_frames, "start_frame": self.start_frame,
        }  # fmt: skip
        return {**self.report.as_json(), "clip": place}


def align_file(order: Order, say: Say, cancel: Cancel) -> Clipped:
    """Put a sound file on the bars and write it as a clip.

    Raises SongError, SourceError, AlignError or ProjectError; then nothing was written.
    """
    _check_targets(order)
    song = None if order.project is None else _song(order.project)
    rate = order.rate or (None if song is None else song.rate)
    with AudioFile(order.source, rate, lambda done: say(OPENED * done, "reading")) as source, Scratch() as room:
        grid = _grid(order, song, source.rate)
        wish = Wish(
            grid, loop=order.loop, lufs=order.lufs, felt_bpm=order.felt_bpm, from_bpm=order.from_bpm,
            counted=_counted(order, source, grid, cancel), fill=order.bars is not None,
        )  # fmt: skip
        part = LOCKED - OPENED
        aligned = lock(
            source, source.rate, wish, say=lambda done, words: say(OPENED + part * done, words), cancel=cancel,
            room=room,
        )  # fmt: skip
        report = _completed(aligned, order, song, source.warnings)
        start, warning = _start(aligned, song)
        if warning:
            report = replace(report, warnings=(*report.warnings, warning))
        clip = Clipped(order.out, report, source.rate, aligned.frames, aligned.pickup_frames, start)
        _write(clip, aligned, order, song, say)
    if order.report is not None:
        atomic_write(order.report, (json.dumps(clip.as_json(), indent=2) + "\n").encode())
    return clip


def _check_targets(order: Order) -> None:
    """Raise ProjectError unless what is to be written may be, so that it is not found out at the end."""
    if order.out.suffix.lower() != ".wav":
        raise ProjectError(f"{order.out} is to be a clip; give it a name that ends in .wav")
    _check_target(order.out, order)
    if order.report is not None:
        _check_target(order.report, order)
        if os.path.abspath(order.report) == os.path.abspath(order.out):
            raise ProjectError(f"{order.report} would be the clip and its report; give them different names")


def _check_target(path: Path, order: Order) -> None:
    if "\0" in str(path):
        raise os_problem("write", path, ValueError("a NUL in it"))
    if not path.parent.is_dir():
        raise ProjectError(f"cannot write {path}: {path.parent} is no folder; make it first, or choose another")
    there = os.path.lexists(path)
    itself = there and path.exists() and order.source.exists() and os.path.samefile(path, order.source)
    if itself:
        raise ProjectError(f"{path} is the sound to be aligned; choose another name for the result")
    if path.is_dir():
        raise ProjectError(f"cannot write {path}: this is a folder, not a file; choose another name")
    if there and not order.force:
        raise ProjectError(f"{path} exists already; choose another name, or replace it with --force")


def _song(path: Path) -> Song:
    with Project.open(path, writable=False) as project:
        return project.song


def _grid(order: Order, song: Song | None, rate: int) -> Grid:
    """The bars that are asked for; without a number of them, those that there are. Raises SongError."""
    if song is not None:
        timeline = Timeline(song)
        rest = max(1, len(timeline.bars) - order.start_bar + 1)
        grid = Grid.of_song(timeline, order.start_bar, order.bars or rest, rate)
    elif order.bpm is not None:
        grid = Grid.steady(str(order.bpm), order.meter, order.bars or 1, rate)
    else:
        raise SongError("name the tempo to align to with --bpm, or a song with --project")
    minutes = grid.frames / rate / 60
    if minutes > LONGEST_MINUTES:
        raise SongError(f"{grid.bars} bars last {minutes:.0f} minutes; at most {LONGEST_MINUTES}, take fewer")
    return grid


def _counted(order: Order, source: AudioFile, grid: Grid, cancel: Cancel) -> Counted | None:
    if order.beats is not None:
        return read_beats(order.beats)
    return None if order.listener is None else listened(source, source.rate, grid, order.listener, cancel)


def _completed(aligned: Aligned, order: Order, song: Song | None, warnings: tuple[str, ...]) -> Report:
    """The report with what is heard in the result besides its timing."""
    rate = aligned.rate
    key = hear_key(aligned, rate, None if song is None else _section_key(song, order.start_bar))
    purity = _purity(aligned, order) if order.role else None
    return replace(aligned.report, key=key, purity=purity, warnings=(*warnings, *aligned.report.warnings))


def _purity(aligned: Aligned, order: Order) -> Purity:
    if order.separator is None:
        return hear_purity(aligned, aligned.rate, order.role)
    from studio.jobs.neural import NeuralHost
    from studio.separating import purity_by

    with NeuralHost() as host:
        return hear_purity(aligned, aligned.rate, order.role, purity_by(order.separator, host))


def _bar(song: Song, number: int) -> tuple[int, Bar]:
    """The section, counted from 0, and the bar with a number; the last one for what lies behind the song."""
    timeline = Timeline(song)
    spans = [span for span in timeline.spans if span.start_bar <= number]
    return spans[-1].index, timeline.bars[min(number, len(timeline.bars)) - 1]


def _section_key(song: Song, start_bar: int) -> Key:
    return song.sections[_bar(song, start_bar)[0]].key or song.key


def _start(aligned: Aligned, song: Song | None) -> tuple[int, str]:
    """The clip's first frame on the timeline, and what is to be said about it.

    A pickup that begins before the timeline does has its bar 1 a bar later, where there is no song that says no.
    """
    grid = aligned.plan.grid
    start = grid.first_frame - aligned.pickup_frames
    if start >= 0:
        return start, ""
    if song is None:
        return grid.exact_frame(grid.meter.bar_beats) - aligned.pickup_frames, ""
    return 0, "its pickup begins before the song does; lay its marker on the bar line instead"


def _write(clip: Clipped, aligned: Aligned, order: Order, song: Song | None, say: Say) -> None:
    def blocks() -> Iterator[Audio]:
        for at in range(0, aligned.frames, BLOCK):
            say(LOCKED + (1 - LOCKED) * at / aligned.frames, "writing")
            yield aligned.read(at, min(BLOCK, aligned.frames - at))

    write_wav(
        order.out, blocks(), aligned.rate, channels=aligned.channels, frames=aligned.frames,
        info=_info(clip, aligned, order, song), durable=True,
    )  # fmt: skip
    say(1.0, "writing")


def _info(clip: Clipped, aligned: Aligned, order: Order, song: Song | None) -> ClipInfo:
    grid, report = aligned.plan.grid, clip.report
    inside = grid.tempo.window(grid.start, grid.start + grid.beats)
    level = report.level
    section = None if song is None else song.sections[_bar(song, order.start_bar)[0]]
    return ClipInfo(
        title=order.out.stem, song="" if song is None else song.title, style="" if song is None else song.style,
        comment=f"{report.verdict}: {report.reason}", role=order.role, start_frame=clip.start_frame,
        markers=(Marker(clip.pickup_frames, f"bar {order.start_bar}"),),
        loudness=Loudness(
            integrated=None if level is None else _finite(level.lufs),
            true_peak=None if level is None else _finite(level.true_peak_dbtp),
        ),
        section="" if section is None else section.kind,
        section_index=0 if song is None else _bar(song, order.start_bar)[0],
        start_bar=order.start_bar, bars=grid.bars, beats=grid.beats, frames=grid.frames,
        bpm=grid.tempo.bpm_at(grid.start), steady=len({bpm for s in inside for bpm in (s.bpm, s.bpm_end)}) == 1,
        meter=grid.meter, key=_root(report.key), loops=order.loop,
    )  # fmt: skip


def _finite(level: float | None) -> float | None:
    return level if level is not None and math.isfinite(level) else None


def _root(key: KeyHeard | None) -> Key | None:
    """The key that the file names: the song's where the sound has one at all and fits, else its own where that is
    beyond doubt."""
    if key is None or key.estimate is None:
        return None
    if key.fit is not None and key.confidence > 0 and key.fit.rank <= 3:
        return key.fit.key
    return key.estimate if key.confidence >= SURE_OF_KEY else None
