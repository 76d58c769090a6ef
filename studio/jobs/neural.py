"""The neural engines, which live in a process of their own: torch takes seconds to load, and a crash of a driver must
cost a job and not the song."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType

import numpy as np

from models.api import Audio, Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.api.tools import Beats, HeardNote
from models.api.wire import Message, WireError, receive, send, sound_from

GRACE_S = 5.0
"""How long the process may take to end by itself."""
STOP_S = 2.0
"""After which a job that was taken back and goes on is ended with its process."""
PATIENCE_S = 600.0
"""After which a job of which nothing is heard is taken to be stuck."""
LOADING = 5.0
"""How many times as long that may take while it is loaded."""
LOOK_S = 0.05
TRIES = 3
"""How often a job is given to a new process that was lost before it began with it."""
Told = Callable[[str, int, int], None]
"""What it is at ("loading", "step", "halved", "moved"), and how many steps are done, of how many (0 of 0 where that is
not known)."""


class EngineLost(EngineError):
    """The engines' process ended in the middle of a job."""


@dataclass
class _Open:
    """A job that is with the process."""

    number: int
    process: subprocess.Popen[bytes]
    came: SimpleQueue[tuple[Message, bytes] | None] = field(default_factory=SimpleQueue)
    """What was told of it; None when the process has ended."""
    begun: bool = False
    excused: bool = False
    """Whether the process was ended for another job's sake."""


class NeuralHost:
    """A process that holds neural engines, started with the first job, and again when it was lost. Threads may give it
    as many jobs at a time as they like: those that can share a batch are made together."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: seconds without news after which a job that has begun is taken to be stuck."""
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._open: dict[int, _Open] = {}
        self._numbers = itertools.count(1)
        self._guard, self._speaking = threading.RLock(), threading.Lock()

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
        fallback: bool = False,
        told: Told = lambda kind, done, of: None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> StemResult:
        """A sound; with `fallback` made on the CPU where its device has too little memory. Raises EngineError:
        EngineLost where the process ended, after which the next job starts another; Cancelled where `cancel` said
        so."""
        job = {
            "do": "generate", **_asked(engine, weights, device, dtype), "request": request.as_json(),
            "fallback": fallback,
        }  # fmt: skip
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

    def transcribe(
        self,
        audio: Audio,
        rate: int,
        engine: str = "basic-pitch",
        *,
        told: Told = lambda kind, done, of: None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> list[HeardNote]:
        """The notes of float32 (channels, frames). Raises as `generate` does."""
        job: Message = {
            "do": "transcribe", **_asked(engine, "", "cpu", "float32"), "rate": rate, "channels": len(audio),
        }  # fmt: skip
        found: list[list[HeardNote]] = []
        sound = np.ascontiguousarray(audio.T, "<f4").tobytes()
        self._run(job, sound, told, cancel, lambda message, data: found.append(_notes(data)))
        return found[0]

    def likeness(
        self,
        prompt: str,
        audio: Audio,
        rate: int,
        engine: str,
        weights: Path,
        *,
        device: str = "cpu",
        cancel: Callable[[], bool] = lambda: False,
    ) -> float:
        """How well float32 (channels, frames) is what the words say, -1..1. Raises as `generate` does."""
        job: Message = {
            "do": "rank", **_asked(engine, weights, device, "float32"), "rate": rate, "channels": len(audio),
            "prompt": prompt,
        }  # fmt: skip
        found: list[float] = []
        sound = np.ascontiguousarray(audio.T, "<f4").tobytes()
        self._run(job, sound, lambda *at: None, cancel, lambda message, data: found.append(_likeness(message)))
        return found[0]

    def _run(
        self, job: Message, data: bytes, told: Told, cancel: Callable[[], bool], came: Callable[[Message, bytes], None]
    ) -> None:
        """Give a job to the process and see it to its end. `came` is told of parts and of the end."""
        for _ in range(TRIES):
            given = self._given(job, data)
            try:
                if self._seen_through(given, told, cancel, came):
                    return
            finally:
                with self._guard:
                    self._open.pop(given.number, None)
        raise _lost(given)

    def _seen_through(
        self, given: _Open, told: Told, cancel: Callable[[], bool], came: Callable[[Message, bytes], None]
    ) -> bool:
        """Follow a job. False where the process was lost through no fault of it."""
        heard, stopping, over, patience_s = time.monotonic(), None, False, self._patience_s
        try:
            while not over:
                now = time.monotonic()
                if stopping is None and cancel():
                    stopping = now
                    self._say(given, {"id": given.number, "do": "cancel"})
                if stopping is not None and now - stopping > STOP_S:
                    self._kill(given)
                    over = True
                    raise Cancelled("cancelled")
                try:
                    back = given.came.get(timeout=LOOK_S)
                except Empty:
                    if given.begun and now - heard > patience_s:
                        self._kill(given)
                        over = True
                        raise EngineLost(f"nothing was heard of the engine for {patience_s:g} s: try again") from None
                    continue
                heard = now
                if back is None:
                    over = True
                    if stopping is not None:
                        raise Cancelled("cancelled")
                    if given.begun and not given.excused:
                        raise _lost(given)
                    return False
                message, data = back
                kind = message.get("is")
                over = kind in ("error", "cancelled", "done")
                patience_s = self._patience_s * (LOADING if kind == "loading" else 1.0)
                if kind == "error":
                    raise EngineError(str(message.get("says")))
                if kind == "cancelled":
                    raise Cancelled("cancelled")
                if kind in ("part", "done"):
                    came(message, data)
                else:
                    told(str(kind), int(message.get("done", 0)), int(message.get("of", 0)))
        except WireError as error:  # a process that speaks no sense is none to go on with
            over = True
            self._kill(given)
            raise _lost(given) from error
        finally:
            if not over:  # whoever was told did not want more
                self._say(given, {"id": given.number, "do": "cancel"})
        return True

    def _given(self, job: Message, data: bytes) -> _Open:
        with self._guard:
            given = _Open(next(self._numbers), self._started())
            self._open[given.number] = given
        self._say(given, {"id": given.number, **job}, data)
        return given

    def _say(self, given: _Open, message: Message, data: bytes = b"") -> None:
        """Tell the process something; where it is gone the reader knows."""
        assert given.process.stdin is not None
        with self._speaking, suppress(OSError, ValueError):
            send(given.process.stdin, message, data)

    def _kill(self, given: _Open) -> None:
        """End the process for a job's sake; the others are begun anew."""
        with self._guard:
            for other in self._open.values():
                other.excused = other.excused or (other.process is given.process and other is not given)
        given.process.kill()

    def close(self) -> None:
        """End the process; what it was at is lost."""
        with self._guard:
            process, self._process = self._process, None
            reader, self._reader = self._reader, None
        if process is None:
            return
        assert process.stdin is not None
        with self._speaking, suppress(OSError):  # where it is gone already
            process.stdin.close()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None:
            reader.join()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
            environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "models.worker"], env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, process_group=0 if sys.platform != "win32" else None,
            )  # fmt: skip
            self._reader = threading.Thread(target=self._read, args=(self._process,), name="neural", daemon=True)
            self._reader.start()
        return self._process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on what the process tells, until it has ended."""
        assert process.stdout is not None
        with process.stdout as source:
            try:
                while (back := receive(source)) is not None:
                    given = self._open.get(back[0].get("id", -1))
                    if given is not None and given.process is process:
                        given.begun = True
                        given.came.put(back)
                process.wait(GRACE_S)
            except (OSError, WireError, subprocess.TimeoutExpired):
                process.kill()  # it speaks no sense, or nothing any more
                process.wait()
        with self._guard:
            for given in self._open.values():
                if given.process is process:
                    given.came.put(None)


def _lost(given: _Open) -> EngineLost:
    status = given.process.poll()
    return EngineLost(f"the engine's process ended in the middle of its work (status {status}); try again")


def _asked(engine: str, weights: Path | str, device: str, dtype: str) -> Message:
    return {"engine": engine, "weights": str(weights), "device": device, "dtype": dtype}


def _result(message: Message, data: bytes) -> StemResult:
    audio, rate = sound_from(message, data)
    seed, parameters = message.get("seed"), message.get("parameters")
    words = [message.get(name) for name in ("engine", "version", "weights")]
    if type(seed) is not int or not isinstance(parameters, dict) or not all(isinstance(word, str) for word in words):
        raise WireError("a sound came without what decided it")
    engine, version, weights = map(str, words)
    return StemResult(
        rate=rate, seed=seed, engine=engine, version=version, audio=audio, weights=weights, parameters=parameters
    )


def _beats(message: Message) -> Beats:
    seconds, downbeats = message.get("seconds"), message.get("downbeats")
    if not isinstance(seconds, list) or not isinstance(downbeats, list) or len(seconds) != len(downbeats):
        raise WireError("beats came without their times")
    if not all(isinstance(at, int | float) for at in seconds):
        raise WireError("a beat came at no time")
    return Beats(np.array(seconds, np.float64), np.array(downbeats, np.bool_))


def _notes(data: bytes) -> list[HeardNote]:
    if len(data) % 16:
        raise WireError("notes came cut off")
    rows = np.frombuffer(data, "<f4").reshape(-1, 4)
    if not np.isfinite(rows).all() or not ((rows[:, 2] >= 0) & (rows[:, 2] <= 127)).all():
        raise WireError("a note came that is none")
    return [HeardNote(start, end, int(pitch), strength) for start, end, pitch, strength in rows.tolist()]


def _likeness(message: Message) -> float:
    value = message.get("likeness")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("a likeness came that is no number")
    return float(value)


def _stems(message: Message, data: bytes) -> dict[str, Audio]:
    names, channels = message.get("stems"), message.get("channels")
    if not isinstance(names, list) or type(channels) is not int or not names or channels < 1:
        raise WireError("a part came without its stems")
    if len(data) % (4 * len(names) * channels):
        raise WireError("a part came without some of its sound")
    audio = np.frombuffer(data, "<f4").reshape(len(names), -1, channels).astype(np.float32)
    return {str(name): np.ascontiguousarray(stem.T) for name, stem in zip(names, audio, strict=True)}
