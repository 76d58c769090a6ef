"""The engines' process: it tells how a job goes on, stops when told, survives what is wrong, and can be lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from models.api import Cancelled, EngineError
from models.api.prompts import PromptRequest
from models.musicgen.engine import MusicGen
from studio.jobs.neural import EngineLost, NeuralHost
from tests.support import checkpoints
from tests.support.hosts import process_of

ASKED = PromptRequest("slow jazz guitar", seconds=0.5, seed=4)
LONG = PromptRequest("slow jazz guitar", seconds=30.0, seed=4)


@pytest.mark.slow
def test_jobs_one_after_the_other_in_one_process(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with NeuralHost() as host:
        made = host.generate(ASKED, "musicgen", folder, told=lambda *at: told.append(at))
        first = process_of(host)
        with pytest.raises(EngineError, match="nowhere"):
            host.generate(ASKED, "musicgen", folder / "nowhere")
        with pytest.raises(EngineError, match="is not known"):
            host.generate(ASKED, "nothing", folder)
        with pytest.raises(EngineError, match="up to 30"):
            host.generate(PromptRequest("a", seconds=100.0), "musicgen", folder)
        again = host.generate(ASKED, "musicgen", folder)
        assert process_of(host) == first, "what is wrong with a job must not cost the process"
    steps = 25 + checkpoints.BOOKS - 1
    assert told == [("loading", 0, 0), *(("step", done, steps) for done in range(1, steps + 1))]
    expected = MusicGen(folder).sound([ASKED])[0]
    assert made.audio is not None
    assert expected.audio is not None
    np.testing.assert_allclose(made.audio, expected.audio, rtol=0, atol=1e-6)
    assert np.array_equal(made.audio, again.audio)  # type: ignore[arg-type]
    assert (made.rate, made.seed, made.weights) == (checkpoints.RATE, 4, folder.name)
    assert made.parameters == expected.parameters


@pytest.mark.slow
def test_a_job_is_taken_back_and_the_next_one_goes_on(folder: Path) -> None:
    steps: list[int] = []
    with NeuralHost() as host:
        with pytest.raises(Cancelled):
            host.generate(
                LONG, "musicgen", folder, told=lambda kind, done, of: steps.append(done), cancel=lambda: len(steps) > 5
            )
        first = process_of(host)
        assert max(steps) < 1000
        assert host.generate(ASKED, "musicgen", folder).audio is not None
        assert process_of(host) == first


@pytest.mark.slow
def test_a_process_that_is_killed_costs_its_job_alone(folder: Path) -> None:
    with NeuralHost() as host:

        def kill(kind: str, done: int, of: int) -> None:
            if done == 5:
                os.kill(process_of(host), signal.SIGKILL)

        with pytest.raises(EngineLost, match="try again"):
            host.generate(LONG, "musicgen", folder, told=kill)
        assert host.generate(ASKED, "musicgen", folder).audio is not None


@pytest.mark.slow
def test_it_ends_with_its_program(folder: Path) -> None:
    host = NeuralHost()
    with pytest.raises(ZeroDivisionError):
        host.generate(LONG, "musicgen", folder, told=lambda kind, done, of: 1 // (0 if done == 5 else 1))
    process = host._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20.0) == 0
    host.close()
