"""A process killed at every single system call of a save leaves the last good song or the new one, and every take.

The process is `saving_child`, which counts the calls that change a disk and kills itself before one of them. The test
runs it for every number until one run survives, and opens the project after each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studio.project.project import Project
from tests.e2e import saving_child
from tests.e2e.saving_child import KILL, make_old, sound

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def run_child(action: str, path: Path, step: int) -> bool:
    """Run an action that is killed before system call `step`; whether it got to its end alive."""
    command = [sys.executable, saving_child.__file__, action, str(path), str(step)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
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
