"""The picture of a project: its song's stems on its bars."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from studio.mix.sources import FileSource
from studio.picture.arrangement import Arrangement, ChordMark, PictureError, SectionSpan, StemLane
from studio.picture.draw import save_picture
from studio.project.folder import ProjectFolder
from studio.project.project import Project
from studio.song import Song, Timeline


def draw_project(root: Path, picture: Path) -> None:
    """Draw the project at `root` to a PNG. Raises ProjectError or PictureError; then no picture is written."""
    with Project.open(root, writable=False) as project, ExitStack() as files:
        arrangement = _arrangement(project.song, project, files)
        if not arrangement.stems:
            raise PictureError(f"{root} holds no stems to draw; make the song again with 'stemwright make --force'")
        save_picture(arrangement, picture)


def _arrangement(song: Song, folder: ProjectFolder, files: ExitStack) -> Arrangement:
    """What is to be drawn. The stems' sound files are open until `files` is closed."""
    timeline = Timeline(song)
    rate = song.rate
    sections = []
    for span in timeline.spans:
        first, frames = timeline.frames(span, rate)
        chords = tuple(
            ChordMark(timeline.frame(span.start + span.pickup + chord.start, rate), str(chord.chord))
            for chord in span.section.chords
        )
        sections.append(SectionSpan(span.section.kind, span.section.kind, first, first + frames, chords))
    lanes = []
    for stem in song.stems:
        path = folder.stem_path(song, stem)
        if path.is_file():
            lanes.append(StemLane(path.stem, stem.role, files.enter_context(FileSource(path, rate))))
    tempo = " ".join(str(point) for point in song.tempo) if len(song.tempo) > 1 else f"{song.tempo[0].bpm} BPM"
    subtitle = " · ".join(
        text for text in (song.style.replace("_", " "), tempo, str(song.key), str(song.meter)) if text
    )
    bars = tuple((bar.number, timeline.frame(bar.start, rate)) for bar in timeline.bars)
    return Arrangement(song.title, subtitle, bars, tuple(sections), tuple(lanes), rate, timeline.total_frames(rate))
