"""The process that `test_kill_while_saving` kills: one of ACTIONS, with every call that changes a disk counted.

    python saving_child.py ACTION PATH STEP

Before call number STEP it kills itself with a signal that nothing can catch; before a write it first writes half.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from studio.project.draft import draft
from studio.project.project import Project
from studio.song import Key, Meter, Provenance, Section, Song, Stem, Take, TempoPoint
from studio.song.tempo import parse_bpm

RATE = 48000
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows SIGTERM is TerminateProcess, which is as sudden
WATCHED = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate")


def sound(seed: int) -> np.ndarray:
    """A take of shape (2, 480)."""
    return np.random.default_rng(seed).uniform(-1, 1, (2, 480)).astype(np.float32)


def song_of(title: str, media: list[str]) -> Song:
    """A song whose only cell holds one take for each sound."""
    made = Provenance("band", "1", 1)
    takes = tuple(Take(f"t{i}", made, RATE, name, 480) for i, name in enumerate(media))
    song = Song(
        title, Key(), Meter(), (TempoPoint(1, parse_bpm("120")),), (Section("a", "verse", 1),), (Stem("b", "bass"),)
    )
    return song.with_cell(replace(song.cell("a", "b"), takes=takes, chosen=takes[-1].id))


def make_old(path: Path) -> None:
    """The last good song, with one take."""
    with draft(path) as folder:
        folder.file("clips/01-verse/bass.wav").write_bytes(b"old")
        folder.save(song_of("old", [folder.add_media(sound(1), RATE)]))


def save_take(path: Path) -> None:
    """Add a take to an open project and save."""
    with Project.open(path) as project:
        old = project.song.cells[0].takes[0].media
        assert old is not None
        project.save(song_of("new", [old, project.add_media(sound(2), RATE)]))


def change_clip(path: Path) -> None:
    """Add a take, write its clip and save, all at once, as `stemwright regenerate` does."""
    with Project.open(path) as project, project.change() as folder:
        old = project.song.cells[0].takes[0].media
        assert old is not None
        folder.file("clips/01-verse/bass.wav").write_bytes(b"new")
        folder.save(song_of("new", [old, folder.add_media(sound(2), RATE)]))


def make_anew(path: Path) -> None:
    """Make another song in the same place, as `stemwright make --force` does (or in a place that is free)."""
    with draft(path, force=True) as folder:
        folder.file("clips/01-verse/bass.wav").write_bytes(b"new")
        folder.file("mix.wav").write_bytes(b"new mix")
        folder.save(song_of("new", [folder.add_media(sound(2), RATE)]))


ACTIONS: dict[str, Callable[[Path], None]] = {
    "save": save_take,
    "change": change_clip,
    "replace": make_anew,
    "create": make_anew,
}


def watch(name: str, left: list[int]) -> None:
    """Put a counting call in the place of os.`name`."""
    real = getattr(os, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
            return real(*args, **kwargs)
        left[0] -= 1
        if left[0] < 0:
            if name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), KILL)
        return real(*args, **kwargs)

    setattr(os, name, call)


if __name__ == "__main__":
    steps = [int(sys.argv[3])]
    for function in WATCHED:
        watch(function, steps)
    ACTIONS[sys.argv[1]](Path(sys.argv[2]))
