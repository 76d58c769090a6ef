"""The same prompt, options and seed give the same bytes, whatever else differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.registry import load_engine
from studio.jobs.cells import CellJob, make_cells, written_requests
from studio.jobs.hands import Hands
from studio.jobs.requests import cell_seed
from studio.plan import PlanOptions, parse_sections, plan_song
from studio.project.folder import ProjectFolder
from tests.support.command import ROOT, SHORT, environment, tree

WORDS = ("make", "lofi piano, 84 bpm", "--sections", SHORT)


def made(out: Path, *options: str, cwd: Path = ROOT, one_cpu: bool = False, **env: str) -> dict[str, str]:
    """The files of a song made by a process of its own, in a folder of its own name."""
    program = "import os, sys\n"
    if one_cpu and hasattr(os, "sched_setaffinity"):
        program += "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nos.cpu_count = lambda: 1\n"
    program += "from studio.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *WORDS, "--out", str(out), *options]
    done = subprocess.run(command, env=environment(**env), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tree(out)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("first") / "song", "--seed", "21", PYTHONHASHSEED="0")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(first: dict[str, str], tmp_path: Path) -> None:
    again = made(
        tmp_path / "elsewhere" / "name", "--seed", "21", cwd=tmp_path, PYTHONHASHSEED="4242", TZ="Asia/Tokyo",
        LC_ALL="C", OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="4",
    )  # fmt: skip
    assert again == first


@pytest.mark.slow
def test_one_processor_gives_the_same_bytes_as_many(first: dict[str, str], tmp_path: Path) -> None:
    assert made(tmp_path / "song", "--seed", "21", one_cpu=True) == first


@pytest.mark.slow
def test_another_seed_gives_another_song(first: dict[str, str], tmp_path: Path) -> None:
    other = made(tmp_path / "song", "--seed", "22")
    sounds = [name for name in first if name.endswith((".wav", ".mid")) and not name.startswith("media/")]
    same = [name for name in sounds if other.get(name) == first[name] and "/fx." not in name]
    assert same == []


@pytest.mark.slow
@pytest.mark.parametrize("style", ["rock", "reggae", "trap", "trance"])
def test_a_cell_sounds_the_same_alone_and_among_many(style: str, tmp_path: Path) -> None:
    """What other cells left in the caches, and in which order, is not heard."""
    options = PlanOptions(style=style, seed=5, sections=parse_sections("intro:2 verse:3 chorus:2 outro:2"))
    song = plan_song("a song", options).song
    jobs = [CellJob(s.id, t.id, cell_seed(song, s.id, t.id, 0)) for t in song.stems for s in song.sections]
    folder = ProjectFolder(tmp_path)
    with Hands(6) as hands:
        together = {(job.section, job.stem): played.media for job, played in make_cells(song, jobs, folder, hands)}
    band = load_engine("band")
    requests = list(zip(jobs, written_requests(song, jobs), strict=True))
    for job, request in reversed(requests):
        band.release()
        alone = band.generate(request).audio
        assert alone is not None
        # A sound's name in media/ is the digest of its samples.
        assert folder.add_media(alone, song.rate) == together[job.section, job.stem], f"{job.stem} of {job.section}"
