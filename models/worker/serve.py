"""Takes jobs one after the other, tells how they go on, and hears at once when one is taken back.

Messages (see `models.api.wire`), each with the job's `id`; sound is float32 frames behind a message:

    in   {"id", "do": "generate", "engine", "weights", "device", "dtype", "request"}
         {"id", "do": "separate", "engine", "weights", "device", "dtype", "rate", "channels"} with the sound
         {"id", "do": "listen", "engine", "weights", "device", "dtype", "rate", "channels", "units", "slowest",
         "fastest"} with the sound; no weights are the listener's own
         {"id", "do": "cancel"}
    out  {"id", "is": "loading"}, {"id", "is": "step", "done", "of"}
         {"id", "is": "part", "stems", "channels"} with as much of all stems, one after the other, as is done
         {"id", "is": "done", "rate", "channels", ...} with the sound of what was generated, or with "seconds" and
         "downbeats"
         {"id", "is": "cancelled"}, {"id", "is": "error", "says"}
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import numpy as np

from models.api import Audio, Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.api.wire import Message, WireError, receive, send, sound_from
from models.registry import load_listener, load_neural, load_separator

LOADED_BY: dict[str, Callable[[str, Any, str, str], Any]] = {
    "generate": load_neural, "separate": load_separator, "listen": load_listener,
}  # fmt: skip
MOST_UNITS, LEAST_BPM, MOST_BPM = 32, 10.0, 1000.0


class Host:
    """One program's engines. It keeps the engine that it used last."""

    def __init__(self, source: BinaryIO, out: BinaryIO) -> None:
        self._source, self._out = source, out
        self._jobs: SimpleQueue[tuple[Message, bytes] | None] = SimpleQueue()
        self._taken_back: set[int] = set()
        self._gone = threading.Event()
        self._loaded: tuple[tuple[str, ...], Any] | None = None

    def serve(self) -> None:
        """Work until the program ends, or stops speaking sense."""
        listener = threading.Thread(target=self._listen, name="listener", daemon=True)
        listener.start()
        while (job := self._jobs.get()) is not None:
            try:
                self._work(*job)
            except BrokenPipeError:
                return

    def _listen(self) -> None:
        try:
            while (came := receive(self._source)) is not None:
                message, data = came
                if message.get("do") == "cancel":
                    self._taken_back.add(_number(message))
                else:
                    self._jobs.put((message, data))
        except WireError:
            pass  # what comes after a broken message cannot be told from it: the program is as good as gone
        self._gone.set()
        self._jobs.put(None)

    def _work(self, job: Message, data: bytes) -> None:
        number = _number(job)
        does = {"generate": self._generate, "separate": self._separate, "listen": self._beats}
        try:
            do = does.get(_text(job, "do"))
            if do is None:
                raise EngineError(f"a job says do {job.get('do')!r:.40}, which is not known")
            do(number, job, data)
        except Cancelled:
            self._tell(number, "cancelled")
        except EngineError as error:
            self._tell(number, "error", says=str(error))
        except MemoryError:
            self._tell(number, "error", says="out of memory: make a shorter sound, or close other programs")
        self._taken_back.discard(number)

    def _generate(self, number: int, job: Message, data: bytes) -> None:
        request = PromptRequest.from_json(_mapping(job.get("request")))
        engine = self._engine(number, job)
        result: StemResult = engine.sound([request], self._stepping(number), lambda: self._cancelled(number))[0]
        assert result.audio is not None
        self._tell(
            number, "done", _bytes(result.audio), rate=result.rate, channels=len(result.audio), seed=result.seed,
            engine=result.engine, version=result.version, weights=result.weights, parameters=dict(result.parameters),
        )  # fmt: skip

    def _separate(self, number: int, job: Message, data: bytes) -> None:
        audio, rate = sound_from(job, data)
        engine = self._engine(number, job)
        parts = engine.separated(audio, rate, self._stepping(number), lambda: self._cancelled(number))
        for part in parts:
            self._tell(number, "part", b"".join(map(_bytes, part)), stems=list(engine.stems), channels=len(audio))
        self._tell(number, "done", rate=rate, channels=len(audio), weights=engine.name)

    def _beats(self, number: int, job: Message, data: bytes) -> None:
        audio, rate = sound_from(job, data)
        units, slowest, fastest = (_number_in(job, name) for name in ("units", "slowest", "fastest"))
        if not (1 <= units <= MOST_UNITS and LEAST_BPM <= slowest < fastest <= MOST_BPM):
            raise EngineError(f"bars of {units:g} beats at {slowest:g} to {fastest:g} a minute cannot be listened for")
        found = self._engine(number, job).beats(
            audio, rate, int(units), slowest, fastest, lambda: self._cancelled(number)
        )
        self._tell(number, "done", seconds=found.seconds.round(6).tolist(), downbeats=found.downbeats.tolist())

    def _engine(self, number: int, job: Message) -> Any:
        wanted = tuple(_text(job, name) for name in ("do", "engine", "weights", "device", "dtype"))
        if self._loaded is None or self._loaded[0] != wanted:
            self._loaded = None  # before the next one is read: two may be more than fits
            self._tell(number, "loading")
            do, name, folder, device, dtype = wanted
            self._loaded = wanted, LOADED_BY[do](name, Path(folder) if folder else None, device, dtype)
        return self._loaded[1]

    def _stepping(self, number: int) -> Any:
        return lambda done, of: self._tell(number, "step", done=done, of=of)

    def _cancelled(self, number: int) -> bool:
        return number in self._taken_back or self._gone.is_set()

    def _tell(self, number: int, kind: str, data: bytes = b"", **more: Any) -> None:
        send(self._out, {"id": number, "is": kind, **more}, data)


def _bytes(audio: Audio) -> bytes:
    return np.ascontiguousarray(audio.T, "<f4").tobytes()


def _number(message: Message) -> int:
    number = message.get("id")
    return number if type(number) is int else -1


def _number_in(message: Message, name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EngineError(f"a job says {name} {value!r:.40}, which is no number")
    return float(value)


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or len(value) > 4096 or "\0" in value:
        raise EngineError(f"a job says {name} {value!r:.40}, which is no text")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EngineError("a job has no request")
    return value
