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

import numpy as np

from models.api import Audio, Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.api.tools import Beats
from models.api.wire import Message, WireError, receive, send, sound_from

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
        job = {"do": "generate", **_asked(engine, weights, device, dtype), "request": request.as_json()}
        result: list[StemResult] = []
        self._run(job, b"", told, cancel, lambda message, data: result.append(_result(message, data)))
        return result[0]

    def separate(
        self,
        audio: Audio,
        rate: int,
        engine: str,
        weights: Path,
        *,
        device: str = "cpu",
        take: Callable[[dict[str, Audio]], None],
        told: Told = lambda kind, done, of: None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> None:
        """The stems of float32 (channels, frames), told to `take` from the first frame to the last, some of each stem
        at a time. Raises as `generate` does."""
        job = {
            "do": "separate", **_asked(engine, weights, device, "float32"), "rate": rate, "channels": len(audio),
        }  # fmt: skip

        def came(message: Message, data: bytes) -> None:
            if message["is"] == "part":
                take(_stems(message, data))

        self._run(job, np.ascontiguousarray(audio.T, "<f4").tobytes(), told, cancel, came)

    def listen(
        self,
        audio: Audio,
        rate: int,
        engine: str,
        weights: Path | None,
        *,
        units: int,
        slowest: float,
        fastest: float,
        device: str = "cpu",
        told: Told = lambda kind, done, of: None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> Beats:
        """The beats of float32 (channels, frames), of which `units` make a bar and `slowest` to `fastest` a minute. No
        weights are the listener's own. Raises as `generate` does."""
        job: Message = {
            "do": "listen", **_asked(engine, weights or "", device, "float32"), "rate": rate, "channels": len(audio),
            "units": units, "slowest": slowest, "fastest": fastest,
        }  # fmt: skip
        found: list[Beats] = []
        sound = np.ascontiguousarray(audio.T, "<f4").tobytes()
        self._run(job, sound, told, cancel, lambda message, data: found.append(_beats(message)))
        return found[0]

    def _run(
        self, job: Message, data: bytes, told: Told, cancel: Callable[[], bool], came: Callable[[Message, bytes], None]
    ) -> None:
        """Give a job to the process and see it to its end. `came` is told of parts and of the end."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        self._jobs += 1
        number, stopping, over = self._jobs, False, False
        try:
            send(process.stdin, {"id": number, **job}, data)
            while (back := receive(process.stdout)) is not None:
                message, data = back
                if message.get("id") != number:
                    continue
                kind = message.get("is")
                over = kind in ("error", "cancelled", "done")
                if kind == "error":
                    raise EngineError(str(message.get("says")))
                if kind == "cancelled":
                    raise Cancelled("cancelled")
                if kind in ("part", "done"):
                    came(message, data)
                    if over:
                        return
                else:
                    told(str(kind), int(message.get("done", 0)), int(message.get("of", 0)))
                if not stopping and cancel():
                    stopping = True
                    send(process.stdin, {"id": number, "do": "cancel"})
        except (BrokenPipeError, WireError) as error:
            raise self._lost() from error
        finally:
            if not over and self._process is process:  # whoever was told did not want more
                with suppress(OSError):
                    send(process.stdin, {"id": number, "do": "cancel"})
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


def _asked(engine: str, weights: Path | str, device: str, dtype: str) -> Message:
    return {"engine": engine, "weights": str(weights), "device": device, "dtype": dtype}


def _result(message: Message, data: bytes) -> StemResult:
    audio, rate = sound_from(message, data)
    return StemResult(
        rate=rate, seed=int(message["seed"]), engine=str(message["engine"]),
        version=str(message["version"]), audio=audio, weights=str(message["weights"]),
        parameters=dict(message["parameters"]),
    )  # fmt: skip


def _beats(message: Message) -> Beats:
    seconds, downbeats = np.asarray(message.get("seconds"), float), np.asarray(message.get("downbeats"), bool)
    if seconds.ndim != 1 or seconds.shape != downbeats.shape:
        raise WireError("beats came without their times")
    return Beats(seconds, downbeats)


def _stems(message: Message, data: bytes) -> dict[str, Audio]:
    names, channels = message.get("stems"), message.get("channels")
    if not isinstance(names, list) or type(channels) is not int or not names or channels < 1:
        raise WireError("a part came without its stems")
    audio = np.frombuffer(data, "<f4").reshape(len(names), -1, channels).astype(np.float32)
    return {str(name): np.ascontiguousarray(stem.T) for name, stem in zip(names, audio, strict=True)}
