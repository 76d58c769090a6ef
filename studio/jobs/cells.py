"""Makes takes for cells: parts are written one after the other, and played meanwhile on as many cores as there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import cast

from models.api import Cancel, Cancelled, Composer, Note, StemRequest, StemResult, never_cancelled
from models.registry import load_engine
from studio.jobs.requests import ROLE_ORDER, cell_request
from studio.song import Song, SongError, Timeline

MOST_THREADS = 8


@dataclass(frozen=True)
class CellJob:
    """One take to be made: the cell by its section's and stem's ids, and the seed."""

    section: str
    stem: str
    seed: int


def make_cells(
    song: Song, jobs: Sequence[CellJob], cancel: Cancel = never_cancelled
) -> Iterator[tuple[CellJob, StemResult]]:
    """Make the takes, handing each over as soon as it and those before it are done, stem by stem.

    The parts are written in the order of ROLE_ORDER, so that a bass hears the drums of its section; what the song's
    cells already hold is context too. Raises EngineError (Cancelled when `cancel` says so) or SongError.
    """
    order = {stem.id: (ROLE_ORDER.index(stem.role), k) for k, stem in enumerate(song.stems)}
    place = {section.id: k for k, section in enumerate(song.sections)}
    for job in jobs:
        if job.stem not in order or job.section not in place:
            raise SongError(f"the song has no cell {job.section}/{job.stem}")
    ordered = sorted(jobs, key=lambda job: (order[job.stem], place[job.section]))
    requests = written_requests(song, ordered, cancel)
    ahead: deque[tuple[CellJob, Future[StemResult]]] = deque()
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="cell") as pool:
        try:
            for job, request in zip(ordered, requests, strict=True):
                engine = load_engine(song.stem(job.stem).engine)
                ahead.append((job, pool.submit(engine.generate, request, cancel)))
                if len(ahead) > 2 * threads:  # enough to keep every hand busy, few enough to hold in memory
                    yield _next(ahead)
            while ahead:
                yield _next(ahead)
        finally:
            for _, future in ahead:
                future.cancel()


def _next(ahead: deque[tuple[CellJob, Future[StemResult]]]) -> tuple[CellJob, StemResult]:
    job, future = ahead.popleft()
    return job, future.result()


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
            notes[job.section, job.stem] = written
            request = replace(request, notes=written)
        yield request


def _present_notes(song: Song, making: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[Note, ...]]:
    """The notes of the takes in use, but for the cells that are being made."""
    found: dict[tuple[str, str], tuple[Note, ...]] = {}
    for cell in song.cells:
        take = cell.take
        if take is not None and take.notes is not None and (cell.section, cell.stem) not in making:
            found[cell.section, cell.stem] = tuple(Note(*note) for note in take.notes)
    return found


def _context(song: Song, job: CellJob, notes: dict[tuple[str, str], tuple[Note, ...]]) -> dict[str, tuple[Note, ...]]:
    """What the other stems play in this section, by role."""
    context: dict[str, tuple[Note, ...]] = {}
    for stem in song.stems:
        played = notes.get((job.section, stem.id))
        if stem.id != job.stem and played is not None:
            context[stem.role] = tuple(sorted((*context.get(stem.role, ()), *played)))
    return context
