"""Makes takes for cells: parts are written one after the other, and played meanwhile by as many hands as there are."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import cast

from models.api import Cancel, Cancelled, Composer, EngineError, Note, StemRequest, StemResult, never_cancelled
from models.registry import ENGINES, load_engine
from studio.jobs.hands import Hands, result_of
from studio.jobs.requests import ROLE_ORDER, cell_request
from studio.mix.master import Energies, take_energies
from studio.project.folder import ProjectFolder
from studio.project.media import Disk
from studio.project.pcm import NotFinite
from studio.song import Song, SongError, Timeline


@dataclass(frozen=True)
class CellJob:
    """One take to be made: the cell by its section's and stem's ids, and the seed."""

    section: str
    stem: str
    seed: int


@dataclass(frozen=True)
class Played:
    """A result whose sound, where there is any, lies in `media/`: its name there, its frames, its `take_energies`."""

    result: StemResult
    media: str | None = None
    frames: int = 0
    energies: Energies | None = None


def make_cells(
    song: Song, jobs: Sequence[CellJob], folder: ProjectFolder, hands: Hands, cancel: Cancel = never_cancelled
) -> Iterator[tuple[CellJob, Played]]:
    """Make the takes, handing each over as soon as it and those before it are done, stem by stem. At the end the disk
    holds them.

    The parts are written in the order of ROLE_ORDER, so that a bass hears the drums of its section; what the song's
    cells already hold is context too. Raises EngineError (Cancelled when `cancel` says so), SongError or ProjectError.
    """
    order = {stem.id: (ROLE_ORDER.index(stem.role), k) for k, stem in enumerate(song.stems)}
    place = {section.id: k for k, section in enumerate(song.sections)}
    for job in jobs:
        if job.stem not in order or job.section not in place:
            raise SongError(f"the song has no cell {job.section}/{job.stem}")
    ordered = sorted(jobs, key=lambda job: (order[job.stem], place[job.section]))
    requests = written_requests(song, ordered, cancel)
    ahead: deque[tuple[CellJob, Future[Played]]] = deque()

    def first() -> tuple[CellJob, Played]:
        job, future = ahead.popleft()
        played = result_of(future, cancel)
        if played.media is not None:
            disk.add(folder.media_path(played.media))
        return job, played

    disk = Disk()
    try:
        for job, request in zip(ordered, requests, strict=True):
            name = song.stem(job.stem).engine
            here = not load_engine(name).info.light
            ahead.append((job, hands.submit(play, name, request, folder, cancel=cancel, here=here, kind=job.stem)))
            while ahead and ahead[0][1].done():
                yield first()
        while ahead:
            yield first()
        disk.wait()
    finally:
        disk.close()
        for _, future in ahead:
            future.cancel()


def play(engine: str, request: StemRequest, folder: ProjectFolder, cancel: Cancel = never_cancelled) -> Played:
    """Have an engine play a cell, and keep its sound where it was made: no sound travels between processes.

    The disk holds it once it has been waited for (`studio.project.media.Disk`). Raises EngineError (Cancelled when
    `cancel` says so) or ProjectError.
    """
    result = load_engine(engine).generate(request, cancel)
    audio = result.audio
    if audio is None:
        return Played(result)
    try:
        media = folder.add_media(audio, result.rate, durable=False)
    except NotFinite as error:
        raise EngineError(f"engine {engine} returned sound that is not finite; try another seed") from error
    return Played(replace(result, audio=None), media, audio.shape[1], take_energies(audio, result.rate))


def get_ready(engines: Mapping[str, str], names: Sequence[str]) -> None:
    """Make this process ready to play: tell it which engines there are, and load those called `names`."""
    ENGINES.update(engines)
    for name in names:
        load_engine(name)


def release(names: Sequence[str]) -> None:
    """Give back the memory that engines hold to be faster the next time."""
    for name in names:
        load_engine(name).release()
    if sys.platform == "linux":
        # glibc keeps what is free between what is not: some eighty megabytes after a song.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def written_requests(song: Song, jobs: Sequence[CellJob], cancel: Cancel = never_cancelled) -> Iterator[StemRequest]:
    """The requests of `jobs`, in their order, with the notes of every part that can be written before it is played;
    each part hears those before it. Written one by one, so that others can already be played meanwhile."""
    timeline = Timeline(song)
    notes = _present_notes(song, {(job.section, job.stem) for job in jobs})
    for job in jobs:
        if cancel():
            raise Cancelled("cancelled")
        stem = song.stem(job.stem)
        request = cell_request(song, timeline, timeline.span(job.section), stem, job.seed, _context(song, job, notes))
        engine = load_engine(stem.engine)
        if engine.info.composes:
            written = cast(Composer, engine).compose(request)
            notes[job.section, job.stem] = tuple(sorted(written))
            request = replace(request, notes=written)
        yield request


def _present_notes(song: Song, making: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[Note, ...]]:
    """The notes of the takes in use, in their order, but for the cells that are being made."""
    found: dict[tuple[str, str], tuple[Note, ...]] = {}
    for cell in song.cells:
        take = cell.take
        if take is not None and take.notes is not None and (cell.section, cell.stem) not in making:
            found[cell.section, cell.stem] = tuple(sorted(Note(*note) for note in take.notes))
    return found


def _context(song: Song, job: CellJob, notes: dict[tuple[str, str], tuple[Note, ...]]) -> dict[str, tuple[Note, ...]]:
    """What the other stems play in this section, by role."""
    context: dict[str, tuple[Note, ...]] = {}
    for stem in song.stems:
        played = notes.get((job.section, stem.id))
        if stem.id != job.stem and played is not None:
            known = context.get(stem.role)
            context[stem.role] = played if known is None else tuple(sorted((*known, *played)))
    return context
