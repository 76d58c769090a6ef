"""Takes jobs, those that can share a batch together, tells how they go on, and hears at once when one is taken back.

Messages (see `models.api.wire`), each with the job's `id`; sound is float32 frames behind a message:

    in   {"id", "do": "generate", "engine", "weights", "device", "dtype", "request"}; with "fallback": true it is made
         on the CPU where its device has too little memory even for it alone
         {"id", "do": "separate", "engine", "weights", "device", "dtype", "rate", "channels"} with the sound
         {"id", "do": "listen", "engine", "weights", "device", "dtype", "rate", "channels", "units", "slowest",
         "fastest"} with the sound; no weights are the listener's own
         {"id", "do": "transcribe", "engine", "weights", "device", "dtype", "rate", "channels"} with the sound
         {"id", "do": "rank", "engine", "weights", "device", "dtype", "rate", "channels", "prompt"} with the sound
         {"id", "do": "cancel"}
    out  {"id", "is": "loading"}, {"id", "is": "step", "done", "of"}
         {"id", "is": "halved", "of"}: a batch of so many was too much for the memory, and is made in halves
         {"id", "is": "moved"}: to the CPU, as was asked for
         {"id", "is": "part", "stems", "channels"} with as much of all stems, one after the other, as is done
         {"id", "is": "done", "rate", "channels", ...} with the sound of what was generated, or with "seconds" and
         "downbeats", or with notes behind it, each as four float32: start and end in seconds, pitch, strength,
         or with "likeness", -1..1
         {"id", "is": "cancelled"}, {"id", "is": "error", "says"}
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.api import Audio, Cancelled, EngineError, StemResult
from models.api.prompts import PromptRequest
from models.api.wire import Message, WireError, receive, send, sound_from
from models.registry import load_listener, load_neural, load_ranker, load_separator, load_transcriber
from models.worker.jobs import Job, Jobs
from models.worker.shelf import Key, Shelf, give_back, is_out_of_memory, size_of, usual_budget

LOADED_BY: dict[str, Callable[[str, Path | None, str, str], Any]] = {
    "generate": load_neural, "separate": load_separator, "listen": load_listener,
    "transcribe": load_transcriber, "rank": load_ranker,
}  # fmt: skip
MOST_UNITS, LEAST_BPM, MOST_BPM = 32, 10.0, 1000.0
TOGETHER_S = 0.02
"""How long a job waits for others that come with it."""
REMEDY = "make shorter sounds, close other programs, or use a smaller model"


class Host:
    """One program's engines on one device."""

    def __init__(self, source: BinaryIO, out: BinaryIO, budget: int | None = None) -> None:
        """`budget`: bytes that engines may take; None for a share of the machine's memory."""
        self._source, self._out = source, out
        self._jobs = Jobs()
        self._shelf = Shelf(usual_budget() if budget is None else budget)
        self._speaking = threading.Lock()

    def serve(self) -> None:
        """Work until the program ends, or stops speaking sense."""
        listener = threading.Thread(target=self._listen, name="listener", daemon=True)
        listener.start()
        while (job := self._jobs.take()) is not None:
            try:
                self._work(job)
            except BrokenPipeError:
                return

    def _listen(self) -> None:
        try:
            while (came := receive(self._source)) is not None:
                message, data = came
                number = message.get("id")
                number = number if type(number) is int else -1
                if message.get("do") != "cancel":
                    self._jobs.put(Job(number, message, data))
                elif self._jobs.take_back(number):
                    self._tell(number, "cancelled")
        except (WireError, BrokenPipeError):
            pass  # what comes after a broken message cannot be told from it: the program is as good as gone
        self._jobs.close()

    def _work(self, job: Job) -> None:
        does = {
            "generate": self._generate, "separate": self._separate, "listen": self._beats,
            "transcribe": self._transcribe,
            "rank": self._rank,
        }  # fmt: skip
        try:
            do = does.get(job.text("do"))
            if do is None:
                raise EngineError(f"a job says do {job.message.get('do')!r:.40}, which is not known")
            do(job)
        except Exception as error:
            if not _is_expected(error):
                raise
            self._failed(job, error)
        self._jobs.done(job.number)

    def _failed(self, job: Job, error: Exception) -> None:
        """Tell why a job came to nothing."""
        if isinstance(error, Cancelled):
            self._tell(job.number, "cancelled")
        elif isinstance(error, EngineError):
            self._tell(job.number, "error", says=str(error))
        else:
            device = job.message.get("device")
            self._tell(job.number, "error", says=f"out of memory on {device!r:.20}: {REMEDY}")
        give_back()

    # -- generating ----------------------------------------------------------------------------------------------------

    def _generate(self, first: Job) -> None:
        engine = self._engine(first)
        time.sleep(TOGETHER_S)
        others = self._jobs.take_alike(lambda job: _shares(job, first), int(getattr(engine, "most_at_once", 1)) - 1)
        parts = [[first, *others]]
        try:
            while parts:
                parts = self._made(engine, parts[0]) + parts[1:]
        finally:
            for job in others:
                self._jobs.done(job.number)

    def _made(self, engine: Any, jobs: list[Job]) -> list[list[Job]]:
        """Make what jobs ask for, all at once. Returns what is to be tried again in smaller parts."""
        try:
            self._together(engine, jobs)
        except Exception as error:
            if not _is_expected(error):
                raise
            if len(jobs) == 1:
                self._alone(jobs[0], error)
                return []
            give_back()
            if not is_out_of_memory(error):  # it is one of them that is wrong: the others shall not suffer for it
                return [[job] for job in jobs]
            for job in jobs:
                self._tell(job.number, "halved", of=len(jobs))
            return [jobs[: len(jobs) // 2], jobs[len(jobs) // 2 :]]
        return []

    def _alone(self, job: Job, error: Exception) -> None:
        """A job that came to nothing although it was alone: made on the CPU if that was asked for."""
        if is_out_of_memory(error) and job.message.get("fallback") is True and job.text("device") != "cpu":
            self._tell(job.number, "moved")
            self._shelf.keep_only(None)
            moved = Job(job.number, {**job.message, "device": "cpu", "dtype": "float32", "fallback": False})
            try:
                self._together(self._engine(moved), [moved])
            except Exception as again:
                if not _is_expected(again):
                    raise
                error = again
            else:
                return
        self._failed(job, error)

    def _together(self, engine: Any, jobs: Sequence[Job]) -> None:
        """Make what jobs ask for in one batch. One that is taken back is told at once; its neighbours go on."""
        dropped: set[int] = set()

        def none_is_wanted() -> bool:
            for job in jobs:
                if job.number not in dropped and self._jobs.is_taken_back(job.number):
                    dropped.add(job.number)
                    self._tell(job.number, "cancelled")
            return len(dropped) == len(jobs)

        def step(done: int, of: int) -> None:
            for job in jobs:
                if job.number not in dropped:
                    self._tell(job.number, "step", done=done, of=of)

        requests = [PromptRequest.from_json(_mapping(job.message.get("request"))) for job in jobs]
        try:
            results: list[StemResult] = engine.sound(requests, step, none_is_wanted)
        except Cancelled:
            return  # which every one of them knows
        none_is_wanted()
        for job, result in zip(jobs, results, strict=True):
            if job.number not in dropped:
                assert result.audio is not None
                self._tell(
                    job.number, "done", _bytes(result.audio), rate=result.rate, channels=len(result.audio),
                    seed=result.seed, engine=result.engine, version=result.version, weights=result.weights,
                    parameters=dict(result.parameters),
                )  # fmt: skip

    # -- listening -----------------------------------------------------------------------------------------------------

    def _separate(self, job: Job) -> None:
        audio, rate = sound_from(job.message, job.data)
        engine = self._engine(job)
        for part in engine.separated(audio, rate, self._stepping(job.number), self._cancelling(job.number)):
            self._tell(job.number, "part", b"".join(map(_bytes, part)), stems=list(engine.stems), channels=len(audio))
        self._tell(job.number, "done", rate=rate, channels=len(audio), weights=engine.name)

    def _beats(self, job: Job) -> None:
        audio, rate = sound_from(job.message, job.data)
        units, slowest, fastest = (job.number_of(name) for name in ("units", "slowest", "fastest"))
        if not (1 <= units <= MOST_UNITS and LEAST_BPM <= slowest < fastest <= MOST_BPM):
            raise EngineError(f"bars of {units:g} beats at {slowest:g} to {fastest:g} a minute cannot be listened for")
        engine = self._engine(job)
        found = engine.beats(audio, rate, int(units), slowest, fastest, self._cancelling(job.number))
        self._tell(job.number, "done", seconds=found.seconds.round(6).tolist(), downbeats=found.downbeats.tolist())

    def _transcribe(self, job: Job) -> None:
        audio, rate = sound_from(job.message, job.data)
        engine = self._engine(job)
        notes = engine.notes(audio, rate, self._stepping(job.number), self._cancelling(job.number))
        self._tell(job.number, "done", np.array(notes, "<f4").reshape(-1, 4).tobytes())

    def _rank(self, job: Job) -> None:
        audio, rate = sound_from(job.message, job.data)
        prompt = job.text("prompt")
        likeness = self._engine(job).likeness(prompt, audio, rate, self._cancelling(job.number))
        self._tell(job.number, "done", likeness=likeness)

    def _engine(self, job: Job) -> Any:
        """The engine that a job asks for, loaded if need be; all others go where there is too little memory."""
        key = _key(job)
        do, name, weights, device, dtype = key
        folder = Path(weights) if weights else None

        def load() -> Any:
            self._tell(job.number, "loading")
            if self._jobs.is_taken_back(job.number):
                raise Cancelled("cancelled")
            return LOADED_BY[do](name, folder, device, dtype)

        try:
            return self._shelf.get(key, size_of(folder), load)
        except Exception as error:
            if not is_out_of_memory(error) or not self._shelf.keep_only(None):
                raise
        return self._shelf.get(key, size_of(folder), load)

    def _stepping(self, number: int) -> Callable[[int, int], None]:
        return lambda done, of: self._tell(number, "step", done=done, of=of)

    def _cancelling(self, number: int) -> Callable[[], bool]:
        return lambda: self._jobs.is_taken_back(number)

    def _tell(self, number: int, kind: str, data: bytes = b"", **more: Any) -> None:
        with self._speaking:
            send(self._out, {"id": number, "is": kind, **more}, data)


def _is_expected(error: Exception) -> bool:
    """Whether it costs its job alone; anything else is a bug and ends the process."""
    return isinstance(error, EngineError) or is_out_of_memory(error)


def _key(job: Job) -> Key:
    return tuple(job.text(name) for name in ("do", "engine", "weights", "device", "dtype"))


def _shares(job: Job, other: Job) -> bool:
    """Whether two jobs can be made in one batch."""
    ways = []
    for one in (job, other):
        request = one.message.get("request")
        if one.message.get("do") != "generate" or not isinstance(request, dict):
            return False
        ways.append([request.get(name) for name in PromptRequest.WAY])
    same = ("engine", "weights", "device", "dtype", "fallback")
    return ways[0] == ways[1] and all(job.message.get(name) == other.message.get(name) for name in same)


def _bytes(audio: Audio) -> bytes:
    return np.ascontiguousarray(audio.T, "<f4").tobytes()


def _mapping(value: object) -> Message:
    if not isinstance(value, dict):
        raise EngineError("a job has no request")
    return value
