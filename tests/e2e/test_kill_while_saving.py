"""A process killed at every single system call of a save leaves the last good song or the new one, and every take.

The child below counts the calls that change a disk (open, write, fsync, rename, unlink, mkdir, rmdir) and sends itself
SIGKILL before call number k; before a write it first writes half of the bytes. The test runs it for every k until one
run survives, and opens the project after each.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.project.draft import draft
from studio.project.project import Project
from studio.song import Key, Meter, Provenance, Section, Song, Stem, Take, TempoPoint
from studio.song.tempo import parse_bpm

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RATE = 48000
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows SIGTERM is TerminateProcess, which is as sudden

CHILD = """
import os, sys
from pathlib import Path
from tests.e2e.test_kill_while_saving import ACTIONS, KILL

left = [int(sys.argv[3])]
def watched(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
            return real(*args, **kwargs)
        left[0] -= 1
        if left[0] < 0:
            if name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), KILL)
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate"):
    watched(name)
ACTIONS[sys.argv[1]](Path(sys.argv[2]))
"""


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


ACTIONS = {"save": save_take, "change": change_clip, "replace": make_anew, "create": make_anew}


def run_child(action: str, path: Path, step: int) -> bool:
    """Run an action that is killed before system call `step`; whether it got to its end alive."""
    command = [sys.executable, "-c", CHILD, action, str(path), str(step)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode in (0, -KILL, int(KILL)), done.stderr
    return done.returncode == 0


def check(path: Path) -> str:
    """Open what the killed process left; every take of its song must be whole. Returns the song's title."""
    with Project.open(path) as project:
        takes = project.song.cells[0].takes
        for take in takes:
            assert take.media is not None
            with project.open_media(take.media) as reader:
                data = reader.read()
            assert any(np.array_equal(data, sound(seed)) for seed in (1, 2))
        title = project.song.title
    left = [p.name for p in path.rglob("*") if p.name.startswith(".")]
    assert left == []
    return title


@pytest.mark.parametrize("action", ["save", "change", "replace"])
def test_a_kill_at_every_step_leaves_a_whole_song(tmp_path: Path, action: str) -> None:
    make_old(tmp_path / "good")
    first_take = next((tmp_path / "good" / "media").iterdir())
    titles = []
    for step in range(500):
        path = tmp_path / "song"
        shutil.copytree(tmp_path / "good", path)
        survived = run_child(action, path, step)
        title = check(path)
        titles.append(title)
        assert (path / "media" / first_take.name).read_bytes() == first_take.read_bytes()
        clip = (path / "clips/01-verse/bass.wav").read_bytes()
        assert clip == (b"new" if action != "save" and title == "new" else b"old")
        if action == "replace":
            assert (path / "mix.wav").exists() == (title == "new")
            assert (path / "history/song-0001.json").exists() == (title == "new")
        shutil.rmtree(path)
        if survived:
            break
    assert survived
    assert len(titles) > 8
    # The change happens at one step, once and for all.
    assert titles == sorted(titles, reverse=True)
    assert set(titles) == {"old", "new"}


def test_a_kill_at_every_step_of_a_new_project_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "song"
    outcomes = []
    for step in range(500):
        survived = run_child("create", path, step)
        outcomes.append(path.exists())
        if path.exists():
            assert check(path) == "new"
            shutil.rmtree(path)
        if survived:
            break
        # The next one to make a song here removes what the dead one left.
        make_old(path)
        assert [p.name for p in path.parent.iterdir()] == ["song"]
        shutil.rmtree(tmp_path / "new")
    assert survived
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}
