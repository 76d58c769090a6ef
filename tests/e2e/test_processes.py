"""Songs made by several processes: the same bytes, and nothing left of them or by them, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.api import Cancelled, EngineError
from models.registry import ENGINES
from studio import session
from studio.jobs import hands as hands_module
from studio.jobs import worker
from studio.plan import PlanOptions, parse_sections, plan_song
from studio.song import Song
from tests.support import engines
from tests.support.command import ROOT, environment, tree

pytestmark = pytest.mark.skipif(os.name == "nt", reason="asks for processes as POSIX knows them")


def short_song(engine: str = "band", roles: tuple[str, ...] = ("drums", "bass", "lead")) -> Song:
    options = PlanOptions(
        seed=3, roles=roles, sections=parse_sections("intro:1 verse:2 chorus:1"), engines=dict.fromkeys(roles, engine)
    )
    return plan_song("lofi", options).song


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Even a short song is made by three processes, this one and two others; the folder of the engines' notes."""
    monkeypatch.setattr(session, "WORTH_PROCESSES", 0)
    monkeypatch.setattr(worker, "cores", lambda: 3)
    for name, target in engines.ENGINES.items():
        monkeypatch.setitem(ENGINES, name, target)
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv(engines.FOLDER, str(notes))
    monkeypatch.setenv(engines.SPARED, str(os.getpid()))
    return notes


def is_there(process: int) -> bool:
    """Whether a process runs, or waits as a zombie for whoever started it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("processes")
def test_processes_make_the_same_bytes_as_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = short_song(roles=("drums", "bass", "harmony", "lead", "fx"))
    session.make(song, tmp_path / "by processes")
    monkeypatch.setattr(session, "WORTH_PROCESSES", 1 << 62)
    session.make(song, tmp_path / "by threads")
    assert tree(tmp_path / "by processes") == tree(tmp_path / "by threads")


def test_a_process_that_is_killed_costs_nothing(
    processes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = short_song("mortal")
    session.make(song, tmp_path / "song")
    unfinished = Path((processes / "died").read_text())
    assert unfinished.name.endswith(".part")  # it died in the middle of a file
    monkeypatch.setattr(session, "WORTH_PROCESSES", 1 << 62)
    session.make(song, tmp_path / "by threads")
    assert tree(tmp_path / "song") == tree(tmp_path / "by threads")


@pytest.mark.usefixtures("processes")
def test_what_an_engine_says_is_told_as_it_says_it(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^the lead has a cold; leave lead out$"):
        session.make(short_song("failing"), tmp_path / "deep" / "song")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_cancel_ends_the_processes_in_the_middle_of_a_cell(processes: Path, tmp_path: Path) -> None:
    def at_work() -> bool:
        return len(list(processes.iterdir())) == 3

    with pytest.raises(Cancelled):
        session.make(short_song("tireless"), tmp_path / "song", cancel=at_work)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    others = {int(path.name) for path in processes.iterdir()} - {os.getpid()}
    assert len(others) == 2
    assert not any(map(is_there, others))


def test_few_cells_are_played_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(hands_module, "Worker", started)
    monkeypatch.setattr(worker, "cores", lambda: 8)
    session.make(short_song(), tmp_path / "song")
    monkeypatch.setattr(session, "WORTH_PROCESSES", 0)
    session.regenerate(tmp_path / "song", 2, "bass")
    monkeypatch.setattr(worker, "cores", lambda: 1)
    session.make(short_song(), tmp_path / "another")


# -- as others start us ----------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from studio import session
from studio.jobs import hands, worker
from studio.plan import PlanOptions, parse_sections, plan_song
print("body", flush=True)
session.WORTH_PROCESSES, worker.cores = 0, lambda: 2
seen = []
class Watched(hands.Worker):
    def do(self, *words):
        seen.append(words)
        return super().do(*words)
hands.Worker = Watched
song = plan_song("lofi", PlanOptions(seed=3, roles=("bass", "lead"), sections=parse_sections("verse:1 chorus:1"))).song
made = session.make(song, Path({out!r}))
print("made", len(made.song.clips), len(seen) > 2, flush=True)
"""


@pytest.mark.parametrize("how", ["script", "stdin", "-c", "prompt"])
def test_a_program_of_the_users_needs_no_guard(how: str, tmp_path: Path) -> None:
    """Without `if __name__ == "__main__"`, without a file even, nothing of it is run twice."""
    text = SCRIPT.format(out=str(tmp_path / "song"))
    script = tmp_path / "script.py"
    script.write_text(text)
    command = {"script": [str(script)], "stdin": ["-"], "-c": ["-c", text], "prompt": ["-i", "-q"]}[how]
    # At a prompt an empty line ends a class.
    given = text.replace("hands.Worker = Watched", "\nhands.Worker = Watched") if how == "prompt" else text
    done = subprocess.run(
        [sys.executable, *command], input=given if how in ("stdin", "prompt") else "", env=environment(), cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["body", "made 4 True"], done.stderr
    assert "Error" not in done.stderr


PLAYER = """
import sys
from studio import cli, session
from studio.jobs import hands, worker
class Told(worker.Worker):
    def __init__(self, prepare):
        super().__init__(prepare)
        print("worker", self._process.pid, file=sys.stderr, flush=True)
worker.Worker = hands.Worker = Told
worker.cores = lambda: 3
sys.exit(cli.main(sys.argv[1:]))
"""


def start_long_song(out: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A `make` that plays in several processes, as a terminal starts it, and which processes those are."""
    words = ("make", "house", "--out", str(out), "--sections", "verse:16 chorus:16 verse:16")
    command = [sys.executable, "-c", PLAYER, *words]
    child = subprocess.Popen(
        command, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stderr is not None
    workers = []
    for line in child.stderr:
        if line.startswith("worker"):
            workers.append(int(line.split()[1]))
        if "playing drums" in line:
            return child, workers
    raise AssertionError("it ended too soon")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_a_terminals_processes_leaves_nothing(tmp_path: Path, number: int) -> None:
    child, workers = start_long_song(tmp_path / "deep" / "song")
    assert len(workers) == 2
    os.killpg(child.pid, number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert err.splitlines()[-1] == "stemwright: interrupted; nothing was changed"
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []
    assert not any(map(is_there, workers))


@pytest.mark.slow
def test_a_killed_make_leaves_no_process(tmp_path: Path) -> None:
    child, workers = start_long_song(tmp_path / "song")
    assert len(workers) == 2
    child.kill()
    _, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    until = time.monotonic() + 10
    while any(map(is_there, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_there, workers))
