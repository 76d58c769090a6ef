"""The neural engines, which live in a process of their own: torch takes seconds to load, and a crash of a driver must
cost a job and not the song."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from models.api import Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.api.wire import Message, WireError, receive, send

GRACE_S = 5.0
Told = Callable[[str, int, int], None]
"""What it is at ("loading", "step"), and how many steps are done, of how many (0 of 0 where that is not known)."""


class EngineLost(EngineError):
    """The engines' process ended in the middle of a job."""


class NeuralHost:
    """A process that holds neural engines, started with the first job. One thread at a time may give it one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs = 0

    def __enter__(self) -> NeuralHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def generate(
        self,
        request: PromptRequest,
        engine: str,
        weights: Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        told: Told = lambda kind, done, of: None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> StemResult:
        """A sound. Raises EngineError: EngineLost where the process ended, after which the next job starts another;
        Cancelled where `cancel` said so."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        self._jobs += 1
        number, stopping = self._jobs, False
        job: Message = {
            "id": number, "do": "generate", "engine": engine, "weights": str(weights), "device": device, "dtype": dtype,
            "request": request.as_json(),
        }  # fmt: skip
        try:
            send(process.stdin, job)
            while (came := receive(process.stdout)) is not None:
                message, data = came
                if message.get("id") != number:
                    continue
                kind = message.get("is")
                if kind == "error":
                    raise EngineError(str(message.get("says")))
                if kind == "cancelled":
                    raise Cancelled("cancelled")
                if kind == "done":
                    return _result(message, data)
                told(str(kind), int(message.get("done", 0)), int(message.get("of", 0)))
                if not stopping and cancel():
                    stopping = True
                    send(process.stdin, {"id": number, "do": "cancel"})
        except (OSError, WireError) as error:
            raise self._lost() from error
        raise self._lost()

    def close(self) -> None:
        """End the process; what it was at is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # where it is gone already
                    pipe.close()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
            environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "models.worker"], env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, process_group=0 if sys.platform != "win32" else None,
            )  # fmt: skip
        return self._process

    def _lost(self) -> EngineLost:
        process = self._process
        self.close()
        status = None if process is None else process.returncode
        return EngineLost(f"the engine's process ended in the middle of its work (status {status}); try again")


def _result(message: dict[str, Any], data: bytes) -> StemResult:
    channels = message.get("channels")
    if type(channels) is not int or not 1 <= channels <= 8 or not data or len(data) % (4 * channels):
        raise WireError("a finished job came without its sound")
    audio = np.frombuffer(data, "<f4").reshape(-1, channels).T.astype(np.float32)
    return StemResult(
        rate=int(message["rate"]), seed=int(message["seed"]), engine=str(message["engine"]),
        version=str(message["version"]), audio=audio, weights=str(message["weights"]),
        parameters=dict(message["parameters"]),
    )  # fmt: skip
