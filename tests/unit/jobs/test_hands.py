"""Work done by threads and by processes: results, errors, and what happens when a process ends before its work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.api import Cancel, Cancelled, EngineError
from studio.jobs import hands as module
from studio.jobs import worker
from studio.jobs.hands import Hands, result_of
from studio.jobs.worker import Ahead, Worker, cores
from studio.project.errors import ProjectError
from tests.support import works
from tests.support.command import ROOT, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="asks for processes as POSIX knows them")


@contextmanager
def away(count: int = 2) -> Iterator[Hands]:
    """Hands of which the one in this process has something else to do: processes do the work."""
    with Hands(count, prepare=works.nothing) as hands, tempfile.TemporaryDirectory() as folder:
        begun, end = Path(folder) / "begun", Path(folder) / "end"
        while not begun.exists():
            held = hands.submit(works.hold, os.getpid(), begun, end)
            while not held.done() and not begun.exists():
                time.sleep(0.01)
        try:
            yield hands
        finally:
            end.touch()


def is_there(process: int) -> bool:
    """Whether a process runs, or waits as a zombie for whoever started it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def gone(process: int) -> bool:
    """Whether a process that nobody waits for is gone, within a few seconds."""
    until = time.monotonic() + 10
    while is_there(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_there(process)


def when(folder: Path, pattern: str) -> Path:
    """The file, once it is there."""
    until = time.monotonic() + 60
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < until, f"no {pattern} in {folder}"
        time.sleep(0.01)
    return found[0]


def test_threads_do_the_work_in_this_process() -> None:
    with Hands(3) as hands:
        assert [hands.submit(works.add, k, 10).result() for k in range(5)] == [10, 11, 12, 13, 14]
        assert hands.submit(works.process).result() == os.getpid()


def test_processes_do_the_work_and_are_gone_when_the_hands_are_closed() -> None:
    with Hands(3, prepare=works.nothing) as hands:
        sums = [hands.submit(works.add, k, 10) for k in range(50)]
        assert [future.result() for future in sums] == list(range(10, 60))
    with away() as hands:
        other = hands.submit(works.process).result()
        assert hands.submit(works.process).result() == other
        assert other != os.getpid()
    assert not is_there(other)


def test_what_is_to_stay_here_stays_here() -> None:
    with Hands(3, prepare=works.nothing) as hands:
        assert {hands.submit(works.process, here=True).result() for _ in range(6)} == {os.getpid()}


def test_by_default_there_is_a_hand_for_each_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(worker, "cores", lambda: 3)
    with Hands() as hands:
        assert hands.count == 3
    monkeypatch.setattr(worker, "cores", lambda: 64)
    with Hands() as hands:
        assert hands.count == worker.MOST_HANDS


def test_workers_that_were_started_ahead_are_taken_and_the_others_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Counted(Worker):
        def __init__(self, prepare: Callable[[], object]) -> None:
            super().__init__(prepare)
            started.append(self._process.pid)

    monkeypatch.setattr(worker, "Worker", Counted)
    monkeypatch.setattr(module, "Worker", Counted)
    with Ahead(("tests.support.works",), 2) as ahead:
        with (
            Hands(2, prepare=works.nothing, ahead=ahead) as hands,
            Hands(3, prepare=works.nothing, ahead=ahead) as more,
        ):
            hands.each(works.nothing)  # they are ready for work after what they prepared twice
            more.each(works.nothing)
            assert len(started) == 3  # one for the first hands, one of two for the others
        assert not any(map(is_there, started))
    with Ahead(("tests.support.works",), 1):
        assert is_there(started[-1])
    assert len(started) == 4
    assert not is_there(started[-1])


def test_a_module_that_cannot_be_loaded_ahead_is_an_error_where_the_worker_shall_work() -> None:
    with (
        Ahead(("no.such.module",), 1) as ahead,
        Hands(2, prepare=works.nothing, ahead=ahead) as hands,
        pytest.raises(ModuleNotFoundError, match="no"),
    ):
        hands.each(works.nothing)


# -- errors ------------------------------------------------------------------------------------------------


def test_an_error_comes_back_as_itself() -> None:
    with away() as hands:
        for error in (EngineError("no such luck"), Cancelled("cancelled"), ProjectError("the disk is full")):
            with pytest.raises(type(error), match=str(error)):
                hands.submit(works.raise_it, error).result()
        with pytest.raises(OSError, match="No space left") as caught:
            hands.submit(works.raise_it, OSError(28, "No space left on device", "a file")).result()
        assert (caught.value.errno, caught.value.filename) == (28, "a file")
        assert hands.submit(works.add, 1, 2).result() == 3  # and the hand is none the worse for it


def test_an_error_that_nobody_meant_says_where_in_the_other_process_it_was_raised() -> None:
    with away() as hands:
        with pytest.raises(ValueError, match="no such luck") as caught:
            hands.submit(works.raise_it, ValueError("no such luck")).result()
        assert "in raise_it" in "".join(traceback.format_exception(caught.value))
        with pytest.raises(EngineError) as told:
            hands.submit(works.fail, "no such luck").result()
        assert not getattr(told.value, "__notes__", [])  # one line for the user, and all of it


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    with away() as hands:
        with pytest.raises(RuntimeError, match="Stubborn: it will not do"):
            hands.submit(works.fail_stubbornly).result()
        with pytest.raises(AttributeError, match="no_such_work"):
            hands.submit(unknown_elsewhere).result()
        with pytest.raises((TypeError, AttributeError)):
            hands.submit(works.raise_it, lambda: None).result()  # cannot even be sent
        assert hands.submit(works.add, 1, 2).result() == 3


def unknown_elsewhere(cancel: Cancel) -> None:
    """A function under a name that its module does not have."""


unknown_elsewhere.__qualname__ = "no_such_work"
unknown_elsewhere.__module__ = works.__name__
works.no_such_work = unknown_elsewhere  # type: ignore[attr-defined]  # here it has it, so that it can be sent


def test_what_the_work_prints_is_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    with away() as hands:
        assert hands.submit(works.print_it, "a library's opinion").result() == "a library's opinion"
    assert capfd.readouterr().out == ""


# -- processes that end ------------------------------------------------------------------------------------


def test_what_a_killed_process_did_is_done_by_another(tmp_path: Path) -> None:
    with away() as hands:
        first = hands.submit(works.process).result()
        survivor = hands.submit(works.die, os.getpid(), 1, tmp_path).result()
        assert [path.name for path in tmp_path.iterdir()] == [f"died-{first}"]
        assert survivor not in (first, os.getpid())
        assert not is_there(first)
        assert hands.submit(works.process).result() == survivor


def test_work_that_kills_every_process_is_an_error(tmp_path: Path) -> None:
    with away() as hands:
        hands.submit(works.process).result()
        with pytest.raises(EngineError, match=r"ended twice .*-9.*try again"):
            hands.submit(works.die, os.getpid(), 1000, tmp_path).result()
        assert len(list(tmp_path.iterdir())) == 2
        assert hands.submit(works.add, 1, 2).result() == 3


def test_closing_does_not_wait_for_a_process(tmp_path: Path) -> None:
    with away(3) as hands:
        under_way = [hands.submit(works.work_on, tmp_path) for _ in range(2)]
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
    for future in under_way:
        with pytest.raises(Cancelled):
            future.result()
    processes = [int(path.name.rpartition("-")[2]) for path in tmp_path.iterdir()]
    assert os.getpid() not in processes
    assert not any(map(is_there, processes))


def test_closing_cancels_a_thread(tmp_path: Path) -> None:
    with Hands(1) as hands:
        future = hands.submit(works.work_on, tmp_path)
        waiting = hands.submit(works.work_on, tmp_path)
        when(tmp_path, "at-work-*")
    with pytest.raises(Cancelled):
        future.result()
    assert waiting.cancelled()


def test_who_waits_can_be_called_off(tmp_path: Path) -> None:
    with away() as hands:
        future = hands.submit(works.work_on, tmp_path)
        with pytest.raises(Cancelled):
            result_of(future, lambda: bool(list(tmp_path.iterdir())))
        assert not future.done()


@pytest.mark.parametrize("why", ["nothing there", "ends at once", "another program", "frozen"])
def test_where_no_process_can_be_started_threads_do_the_work(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python3"
    if why == "ends at once":
        program.write_text("#!/bin/sh\nexit 3\n")
        program.chmod(0o755)
    elif why == "another program":
        program = tmp_path / "daw"
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        program.chmod(0o755)
    elif why == "frozen":
        program = Path(sys.executable)
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(program))
    with Hands(3, prepare=works.nothing) as hands:
        assert {hands.submit(works.process).result() for _ in range(6)} == {os.getpid()}
        hands.each(works.nothing)
    assert not (tmp_path / "started").exists()


def test_every_process_does_what_each_is_to_do(tmp_path: Path) -> None:
    with Hands(3, prepare=works.nothing) as hands:
        hands.each(note_process, tmp_path)
        assert len(list(tmp_path.iterdir())) == 3
        assert (tmp_path / str(os.getpid())).exists()


def note_process(folder: Path) -> None:
    (folder / str(os.getpid())).touch()


WORKING = """
import sys, time
from pathlib import Path
from studio.jobs.hands import Hands
from tests.support import works
with Hands(3, prepare=works.nothing) as hands:
    for _ in range(3):
        hands.submit(works.work_on, Path(sys.argv[1]))
    time.sleep(600)
"""


@pytest.mark.parametrize("stop", [works.KILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, stop: int) -> None:
    """However it ends: these signals leave it no time to say so."""
    command = [sys.executable, "-c", WORKING, str(tmp_path)]
    with subprocess.Popen(command, env=environment(), cwd=ROOT) as child:
        while len(list(tmp_path.iterdir())) < 3:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(stop)
    processes = [int(path.name.rpartition("-")[2]) for path in tmp_path.iterdir()]
    assert len(set(processes)) == 3
    assert all(map(gone, processes))


def test_work_of_a_kind_stays_with_a_hand_while_there_is_other_work() -> None:
    with Hands(2) as hands:
        together = threading.Barrier(2)  # passed only by two at once, so that neither hand can run ahead

        def meet(cancel: Cancel) -> int:
            together.wait()
            return threading.get_ident()

        def begin(cancel: Cancel) -> int:
            all_there.wait()
            return meet(cancel)

        all_there = threading.Barrier(3)
        known = [hands.submit(begin, kind=kind) for kind in "ab"]
        done = [(kind, hands.submit(meet, kind=kind)) for kind in "bbccaadd"]
        all_there.wait()
        by_kind = {kind: {future.result() for k, future in done if k == kind} for kind in "abcd"}
        assert [by_kind[kind] for kind in "ab"] == [{future.result()} for future in known]
    assert [len(threads) for threads in by_kind.values()] == [1, 1, 1, 1]
    assert by_kind["c"] != by_kind["d"]


def test_a_hand_without_work_helps_with_any_kind() -> None:
    with Hands(2) as hands:
        together = threading.Barrier(2)
        for future in [hands.submit(lambda cancel: together.wait(), kind="a") for _ in range(4)]:
            future.result()
