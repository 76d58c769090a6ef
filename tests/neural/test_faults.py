"""What can happen to the engines' process: killed, stuck, flooded. No other job is lost for it, and nothing leaked."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.api import Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.musicgen.engine import MusicGen
from studio.jobs.neural import EngineLost, NeuralHost
from tests.support.hosts import process_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]


def asked(number: int, seconds: float = 0.2) -> PromptRequest:
    return PromptRequest("slow jazz guitar", seconds, seed=number)


def once(done: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Do something at the fifth step, one time."""
    left = [done]

    def told(kind: str, at: int, of: int) -> None:
        if kind == "step" and at >= 5 and left:
            left.pop()()

    return told


def test_what_waits_behind_a_job_that_is_killed_is_made_by_the_next_process(folder: Path) -> None:
    with NeuralHost() as host, ThreadPoolExecutor(8) as pool:
        first = pool.submit(
            host.generate, asked(0, 20.0), "musicgen", folder,
            told=once(lambda: os.kill(process_of(host), signal.SIGKILL)),
        )  # fmt: skip
        time.sleep(0.5)
        # These draw in another way and cannot have been in its batch.
        others = [
            pool.submit(host.generate, PromptRequest("piano", 0.2, k, top_k=5), "musicgen", folder) for k in range(5)
        ]
        with pytest.raises(EngineLost, match="status -9"):
            first.result(60)
        assert all(other.result(60).audio is not None for other in others)
        assert not host._open


def test_a_process_that_is_stuck_costs_its_job_alone(folder: Path) -> None:
    with NeuralHost(patience_s=5.0) as host:
        with pytest.raises(EngineLost, match="nothing was heard"):
            host.generate(
                asked(0, 20.0), "musicgen", folder, told=once(lambda: os.kill(process_of(host), signal.SIGSTOP))
            )
        assert host.generate(asked(1), "musicgen", folder).audio is not None


def test_a_stuck_job_is_taken_back_within_some_seconds_and_its_neighbours_are_made_anew(folder: Path) -> None:
    with NeuralHost() as host, ThreadPoolExecutor(4) as pool:
        host.generate(asked(9), "musicgen", folder)
        stuck, begun = threading.Event(), threading.Event()

        def stop() -> None:
            os.kill(process_of(host), signal.SIGSTOP)
            stuck.set()

        first = pool.submit(host.generate, asked(0, 20.0), "musicgen", folder, told=once(stop), cancel=stuck.is_set)
        second = pool.submit(
            host.generate, asked(1, 1.0), "musicgen", folder, told=lambda kind, at, of: begun.set()
        )  # fmt: skip
        with pytest.raises(Cancelled):
            first.result(30)
        audio = second.result(60).audio
        assert audio is not None
        alone = MusicGen(folder).sound([asked(1, 1.0)])[0].audio
        assert alone is not None
        np.testing.assert_allclose(audio, alone, rtol=0, atol=1e-5)


def test_it_gives_up_on_a_process_that_cannot_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with NeuralHost() as host, pytest.raises(EngineLost, match="status 1"):
        host.generate(asked(0), "musicgen", folder)


def memory_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) / 1000
    raise AssertionError("no VmRSS")


def files_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_thousand_jobs_of_which_many_are_taken_back(folder: Path) -> None:
    """Each ends in one way, with what it would be alone; afterwards there is as much of everything as before."""
    draw = random.Random(5)
    lives = {number: draw.choice((None, None, 0.0, draw.random(), 5 * draw.random())) for number in range(1000)}

    def one(number: int) -> StemResult | None:
        life = lives[number]
        begun = time.monotonic()
        try:
            return host.generate(
                asked(number, 0.1), "musicgen", folder,
                cancel=lambda: life is not None and time.monotonic() - begun >= life,
            )  # fmt: skip
        except Cancelled:
            return None

    with NeuralHost() as host:
        host.generate(asked(0), "musicgen", folder)
        process, files, threads = process_of(host), files_of(os.getpid()), threading.active_count()
        with ThreadPoolExecutor(64) as pool:
            made = list(pool.map(one, range(1000)))
        assert process_of(host) == process
        assert not host._open
        assert (files_of(os.getpid()), threading.active_count()) == (files, threads)
        wanted = [number for number, life in lives.items() if life is None]
        assert all(made[number] is not None for number in wanted)
        assert len(wanted) > 300
        assert sum(result is None for result in made) > 150
        engine = MusicGen(folder)
        for number in wanted[::60]:
            result, alone = made[number], engine.sound([asked(number, 0.1)])[0]
            assert result is not None
            assert result.audio is not None
            assert alone.audio is not None
            np.testing.assert_allclose(result.audio, alone.audio, rtol=0, atol=1e-5)
        before, open_before = memory_mb(process), files_of(process)
        for start in range(0, 200, 8):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda k: host.generate(asked(k, 0.1), "musicgen", folder), range(start, start + 8)))
        assert memory_mb(process) < before + 20
        assert files_of(process) == open_before
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_errors_and_results_among_many_jobs(folder: Path) -> None:
    def one(number: int) -> str:
        try:
            host.generate(asked(number, 60.0 if number % 3 == 0 else 0.1), "musicgen", folder)
        except EngineError as error:
            return "wrong" if "up to 30" in str(error) else str(error)
        return "made"

    with NeuralHost() as host, ThreadPoolExecutor(24) as pool:
        assert Counter(pool.map(one, range(60))) == {"made": 40, "wrong": 20}
