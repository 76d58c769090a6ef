"""The façade: what the window, the command line and the OSC server call. No Qt, no sockets, no torch.

Every function here leaves the project whole: it either finishes or changes nothing, and takes are only ever added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.api import Cancel, Cancelled, EngineError, never_cancelled
from models.registry import ENGINES, load_engine
from studio.bounce import Bounce, Mixdown, Say, silent, with_levels
from studio.jobs import worker
from studio.jobs.cells import CellJob, Played, get_ready, make_cells, release
from studio.jobs.hands import Hands
from studio.jobs.requests import cell_seed
from studio.jobs.worker import Ahead
from studio.mix.curve import Curve, curve_hop
from studio.mix.master import Energies
from studio.project.draft import check_target, draft
from studio.project.folder import ProjectFolder
from studio.project.project import Project
from studio.song import Cell, Note, Provenance, Song, SongError, Stem, Take, Timeline, check_duration
from studio.song.edits import AddTake, SetCurve
from studio.song.notes import check_notes
from studio.sounds import StoredSounds

WORTH_PROCESSES = 6_000_000
"""Frames of all stems together, such as 25 s of five stems at 48 kHz. Threads make a shorter song as fast; for a longer
one they take a third more time, in which they are in each other's way."""


@dataclass(frozen=True)
class Made:
    """What `make` or `regenerate` wrote: the song, the folder it lies in, the files besides clips."""

    song: Song
    root: Path
    mixdown: Mixdown


def make(
    song: Song, path: Path, *, force: bool = False, say: Say = silent, cancel: Cancel = never_cancelled,
    ahead: Ahead | None = None,
) -> Made:  # fmt: skip
    """Make every cell of a song and write it as a new project at `path`, with the help of the workers `ahead`.

    Raises SongError, EngineError or ProjectError; then `path` is as it was before.
    """
    check_engines(song)
    check_duration(song)
    check_target(path, force)
    with draft(path, force=force) as folder, _hands_for(song, ahead) as hands:
        song, energies = _make_all(song, folder, hands, _part(say, 0.0, 0.62), cancel)
        hands.each(release, _engines(song))
        _stop_if(cancel)
        say(0.62, "setting levels")
        # Takes are read back where they are needed: all of a song's together would be its largest piece of memory.
        with closing(StoredSounds(song, folder)) as sounds:
            song, curve = with_levels(song, sounds, energies, hands.spread)
            song = replace(song, master=_store_curve(curve, song.rate, folder))
            _stop_if(cancel)
            stopping = _stopping(_part(say, 0.72, 1.0), cancel)
            mixdown = Bounce(folder, song, sounds, curve, stopping, energies=energies).everything(hands)
        folder.sweep()
        folder.save(mixdown.song)
    return Made(mixdown.song, path, mixdown)


def regenerate(
    path: Path, section: int, role: str, *, seed: int | None = None, say: Say = silent,
    cancel: Cancel = never_cancelled,
) -> Made:  # fmt: skip
    """Make one cell once more: section number `section` (from 1) of the stem called `role` (or its id).

    The new take is used, the old ones are kept; of the clips only this one is written anew.
    Raises SongError, EngineError or ProjectError; then the song is as it was before.
    """
    with Project.open(path) as project:
        song = project.song
        if not 1 <= section <= len(song.sections):
            raise SongError(f"section {section}: the song has sections 1 to {len(song.sections)}")
        stem = _stem_called(song, role)
        place = (song.sections[section - 1].id, stem.id)
        cell = song.cell(*place)
        if cell.locked:
            raise SongError(f"section {section} of {role} is locked; unlock it first")
        number = len(cell.takes)
        job = CellJob(*place, cell_seed(song, *place, number) if seed is None else seed)
        with project.change() as folder:
            say(0.0, f"playing {stem.role}")
            with Hands(1) as hands:
                ((_, played),) = make_cells(song, [job], folder, hands, cancel)
            say(0.6, "writing")
            take = _take(_take_name(cell), played, _heard(song, *place), Timeline(song).span(place[0]).beats)
            song = AddTake(*place, take).apply(song)
            curve = _stored_curve(song, folder)
            with closing(StoredSounds(song, folder)) as sounds:
                own = Bounce(folder, song, sounds, curve, existing=project).giving_way(*place)
            if own is not None:
                song = SetCurve(*place, _store_curve(own, song.rate, folder)).apply(song)
            with closing(StoredSounds(song, folder)) as sounds:
                bounce = Bounce(folder, song, sounds, curve, _part(say, 0.7, 1.0), existing=project)
                mixdown = bounce.cell(*place)
            if bounce.curve is not curve:
                master = _store_curve(bounce.curve, song.rate, folder)
                mixdown = replace(mixdown, song=replace(mixdown.song, master=master))
            folder.save(mixdown.song)
        return Made(mixdown.song, path, mixdown)


def _stem_called(song: Song, name: str) -> Stem:
    """The stem with this id, or else the only one of this role. Raises SongError."""
    found = [s for s in song.stems if s.id == name] or [s for s in song.stems if s.role == name]
    if not found:
        raise SongError(f"role {name[:40]!r}: the song has {', '.join(s.role for s in song.stems)}")
    if len(found) > 1:
        raise SongError(f"role {name}: the song has {len(found)}; name one of {', '.join(s.id for s in found)}")
    return found[0]


def _take_name(cell: Cell) -> str:
    """A name that no take of the cell has had: takes may have been removed."""
    numbers = [int(take.id[1:]) for take in cell.takes if re.fullmatch(r"t[0-9]{1,9}", take.id)]
    return f"t{max([len(cell.takes), *numbers]) + 1}"


def check_engines(song: Song) -> None:
    """Raise EngineError unless every stem's engine plays its role."""
    for stem in song.stems:
        info = load_engine(stem.engine).info
        if stem.role not in info.roles:
            raise EngineError(
                f"engine {stem.engine} does not play {stem.role}; it plays {', '.join(info.roles)}: "
                f"leave {stem.role} out or give it another engine"
            )


def _engines(song: Song) -> tuple[str, ...]:
    return tuple(sorted({stem.engine for stem in song.stems}))


def _hands_for(song: Song, ahead: Ahead | None) -> Hands:
    """Processes where there is so much to play that they are worth their start, otherwise threads of this one."""
    light = [name for name in _engines(song) if load_engine(name).info.light]
    stems = sum(stem.engine in light for stem in song.stems)
    if worker.cores() < 2 or stems * Timeline(song).total_frames(song.rate) < WORTH_PROCESSES:
        if ahead is not None:
            ahead.close()
        return Hands()
    return Hands(prepare=partial(get_ready, ENGINES, light), ahead=ahead)


def _make_all(
    song: Song, folder: ProjectFolder, hands: Hands, say: Say, cancel: Cancel
) -> tuple[Song, dict[tuple[str, str], Energies]]:
    """The song with a new take in every cell, and the energies of the takes by cell."""
    jobs = [
        CellJob(section.id, stem.id, cell_seed(song, section.id, stem.id, len(song.cell(section.id, stem.id).takes)))
        for stem in song.stems
        for section in song.sections
    ]
    beats = {span.section.id: span.beats for span in Timeline(song).spans}
    energies: dict[tuple[str, str], Energies] = {}
    say(0.0, "composing")
    for done, (job, played) in enumerate(make_cells(song, jobs, folder, hands, cancel), 1):
        name = _take_name(song.cell(job.section, job.stem))
        take = _take(name, played, _heard(song, job.section, job.stem), beats[job.section])
        song = AddTake(job.section, job.stem, take).apply(song)
        if played.energies is not None:
            energies[job.section, job.stem] = played.energies
        stem = song.stem(job.stem)
        say(done / len(jobs), f"playing {stem.role}, {song.section(job.section).kind}")
    return song, energies


def _heard(song: Song, section: str, stem: str) -> dict[str, str]:
    """The takes of other stems that a cell is made to fit, by stem: those whose notes it is given."""
    cells = [song.cell(section, other.id) for other in song.stems if other.id != stem]
    return {cell.stem: cell.take.id for cell in cells if cell.take is not None and cell.take.notes is not None}


def _take(name: str, played: Played, heard: dict[str, str], beats: Fraction) -> Take:
    """What was played as a take of the project; `beats` is its cell's length."""
    result = played.result
    provenance = Provenance(
        engine=result.engine, version=result.version, seed=result.seed,
        parameters={**result.parameters, "heard": heard}, licence=result.licence,
        weights=result.weights, weights_licence=result.weights_licence,
    )  # fmt: skip
    notes = None if result.notes is None else tuple(Note(*note) for note in result.notes)
    if notes is not None:
        try:
            check_notes(notes, beats)
        except SongError as error:
            raise EngineError(f"engine {result.engine} returned a bad {error}; try another seed") from error
    return Take(name, provenance, result.rate, played.media, played.frames, notes, result.layers)


def _store_curve(curve: Curve, rate: int, folder: ProjectFolder) -> str:
    return folder.add_media(curve.nodes[None], rate // curve.hop)


def _stored_curve(song: Song, folder: ProjectFolder) -> Curve:
    """The song's master curve; a flat one for a song without."""
    hop = curve_hop(song.rate)
    if song.master is None:
        return Curve(np.ones(1, np.float32), hop)
    with folder.open_media(song.master) as reader:
        return Curve(reader.read()[0], hop)


def _stop_if(cancel: Cancel) -> None:
    if cancel():
        raise Cancelled("cancelled")


def _stopping(say: Say, cancel: Cancel) -> Say:
    """Progress that is also where the work can be stopped."""

    def told(done: float, words: str) -> None:
        _stop_if(cancel)
        say(done, words)

    return told


def _part(say: Say, start: float, end: float) -> Say:
    return lambda done, words: say(start + (end - start) * done, words)


def describe(made: Made) -> dict[str, Any]:
    """What `stemwright make --json` prints, but for the time it took: sections and clips count from 1."""
    song, root = made.song, made.root.resolve()
    timeline = Timeline(song)
    number = {section.id: index for index, section in enumerate(song.sections, 1)}
    roles = {stem.id: stem for stem in song.stems}
    sections = []
    for span in timeline.spans:
        first, frames = timeline.frames(span, song.rate)
        sections.append(
            {
                "index": span.index + 1, "kind": span.section.kind, "bars": span.section.bars,
                "meter": str(span.meter), "start_bar": span.start_bar, "start_frame": first, "frames": frames,
                "chords": [str(chord.chord) for chord in span.section.chords],
            }
        )  # fmt: skip
    clips = []
    for clip in song.clips:
        take = song.cell(clip.section, clip.stem).take
        clips.append(
            {
                "path": str(root / clip.path), "midi": str(root / clip.midi) if clip.midi else None,
                "section": number[clip.section], "role": roles[clip.stem].role, "start_frame": clip.start_frame,
                "frames": clip.frames, "tail_frames": clip.tail_frames,
                "engine": take.provenance.engine if take else roles[clip.stem].engine,
                "seed": take.provenance.seed if take else None, "report": clip.report,
            }
        )  # fmt: skip
    return {
        "rate": song.rate, "seed": song.seed, "title": song.title, "key": str(song.key), "style": song.style,
        "tempo": [str(point) for point in song.tempo], "meter": str(song.meter), "sections": sections,
        "clips": clips, "stems": _absolute(made.mixdown.stems, root), "mix": str(root / made.mixdown.mix),
        "midi": str(root / made.mixdown.midi),
    }  # fmt: skip


def _absolute(paths: Mapping[str, str], root: Path) -> dict[str, str]:
    return {name: str(root / path) for name, path in paths.items()}
