"""The worker itself, in this process: what shares a batch, what is taken back, what memory it may take."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import pytest
import torch

from models.api import EngineError
from models.api.prompts import PromptRequest
from models.api.wire import Message, receive, send, sound_from
from models.musicgen.engine import MusicGen
from models.worker import serve
from models.worker.shelf import Shelf, is_out_of_memory
from tests.support import checkpoints

WORDS = ("slow jazz guitar", "lofi piano", "sad bass", "rock drums", "warm piano", "major guitar", "minor bass", "slow")


class Program:
    """The other side of a worker."""

    def __init__(self, folder: Path, budget: int | None = None) -> None:
        there, self._out = os.pipe()
        self._back, here = os.pipe()
        self._folder = folder
        self._said = os.fdopen(self._out, "wb")
        self._heard: SimpleQueue[tuple[Message, bytes]] = SimpleQueue()
        self.told: list[tuple[Any, ...]] = []
        host = serve.Host(os.fdopen(there, "rb"), os.fdopen(here, "wb"), budget)
        self.host = host
        self.failed: list[BaseException] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve, self._listen)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        try:
            self.host.serve()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise it to: close() looks at it
            self.failed.append(error)
        finally:
            self.host._out.close()
            self.host._source.close()

    def _listen(self) -> None:
        with os.fdopen(self._back, "rb") as source:
            while (back := receive(source)) is not None:
                self._heard.put(back)

    def job(self, number: int, request: PromptRequest) -> Message:
        return {
            "id": number, "do": "generate", "engine": "musicgen", "weights": str(self._folder), "device": "cpu",
            "dtype": "float32", "request": request.as_json(),
        }  # fmt: skip

    def ask(self, number: int, request: PromptRequest, **other: Any) -> None:
        send(self._said, self.job(number, request) | other)

    def cancel(self, number: int) -> None:
        send(self._said, {"id": number, "do": "cancel"})

    def until(self, ends: int) -> dict[int, tuple[Message, bytes]]:
        """How the next so many jobs end."""
        found: dict[int, tuple[Message, bytes]] = {}
        while len(found) < ends:
            message, data = self._heard.get(timeout=60)
            self.told.append((message["id"], message["is"], message.get("done") or message.get("of")))
            if message["is"] in ("done", "error", "cancelled"):
                assert message["id"] not in found, "a job ends once"
                found[message["id"]] = (message, data)
        return found

    def waits_for(self, number: int, kind: str) -> None:
        while True:
            message, _ = self._heard.get(timeout=60)
            self.told.append((message["id"], message["is"], message.get("done") or message.get("of")))
            if (message["id"], message["is"]) == (number, kind):
                return

    def is_silent(self, seconds: float = 0.2) -> bool:
        try:
            message, _ = self._heard.get(timeout=seconds)
        except Empty:
            return True
        self.told.append((message["id"], message["is"], None))
        return False

    def close(self) -> None:
        self._said.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def program(folder: Path) -> Iterator[Program]:
    made = Program(folder)
    yield made
    made.close()
    assert not made.failed


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests were made at a time."""
    sizes: list[int] = []
    whole = MusicGen.sound

    def sound(self: MusicGen, requests: Any, *others: Any) -> Any:
        sizes.append(len(requests))
        return whole(self, requests, *others)

    monkeypatch.setattr(MusicGen, "sound", sound)
    return sizes


def asked(number: int, seconds: float = 0.3) -> PromptRequest:
    return PromptRequest(WORDS[number % len(WORDS)], seconds + 0.02 * (number % 5), seed=number)


def test_jobs_share_batches_and_get_what_they_would_get_alone(
    program: Program, folder: Path, batches: list[int]
) -> None:
    for number in range(20):
        program.ask(number, asked(number))
    ends = program.until(20)
    assert max(batches) == MusicGen(folder).most_at_once == 8
    assert sum(batches) == 20
    assert len(batches) <= 4
    engine = MusicGen(folder)
    for number in range(0, 20, 7):
        alone = engine.sound([asked(number)])[0].audio
        audio, rate = sound_from(*ends[number])
        assert rate == checkpoints.RATE
        assert alone is not None
        np.testing.assert_allclose(audio, alone, rtol=0, atol=1e-5)


def test_what_draws_in_another_way_waits_for_the_next_batch(program: Program, batches: list[int]) -> None:
    for number in range(6):
        request = asked(number)
        program.ask(number, PromptRequest(request.prompt, 0.3, number, top_k=10) if number % 2 else request)
    assert all(message["is"] == "done" for message, _ in program.until(6).values())
    assert batches == [3, 3] or (sum(batches) == 6 and max(batches) == 3)


def test_one_that_is_taken_back_does_not_cost_its_neighbours_anything(program: Program, batches: list[int]) -> None:
    for number in range(4):
        program.ask(number, asked(number, 3.0))
    program.waits_for(0, "step")
    program.cancel(2)
    ends = program.until(4)
    assert {number: message["is"] for number, (message, _) in ends.items()} == {
        0: "done", 1: "done", 2: "cancelled", 3: "done",
    }  # fmt: skip
    cancelled = program.told.index((2, "cancelled", None))
    assert not any(number == 2 for number, _, _ in program.told[cancelled + 1 :])
    assert any(kind == "step" and number == 0 for number, kind, _ in program.told[cancelled + 1 :]), "within a step"


def test_all_that_are_taken_back_end_the_batch(program: Program) -> None:
    for number in range(3):
        program.ask(number, asked(number, 20.0))
    program.waits_for(0, "step")
    for number in range(3):
        program.cancel(number)
    assert all(message["is"] == "cancelled" for message, _ in program.until(3).values())
    assert max(done for _, kind, done in program.told if kind == "step") < 900
    program.ask(9, asked(9))
    assert program.until(1)[9][0]["is"] == "done"


def test_what_waits_is_taken_back_at_once(program: Program) -> None:
    program.ask(1, asked(1, 20.0))
    program.waits_for(1, "step")
    program.ask(2, asked(2))
    program.cancel(2)
    assert program.until(1)[2][0]["is"] == "cancelled"
    program.cancel(1)
    program.until(1)
    program.cancel(77)  # which nobody knows
    assert program.is_silent()


def test_one_wrong_request_does_not_cost_its_neighbours_anything(program: Program) -> None:
    program.ask(0, asked(0))
    program.waits_for(0, "step")
    for number in range(1, 5):
        program.ask(number, asked(number) if number != 3 else PromptRequest("x", 60.0))
    ends = program.until(5)
    assert {number for number, (message, _) in ends.items() if message["is"] == "done"} == {0, 1, 2, 4}
    assert "up to 30" in ends[3][0]["says"]


def full(stage: str, rows: Callable[..., int], most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make a stage run out of memory for more than `most` rows at a time."""
    from models.codec.encodec import EnCodec
    from models.engine.decoder import Decoder
    from models.musicgen.words import Words

    owner: type = {"words": Words, "begin": Decoder, "step": Decoder, "codec": EnCodec}[stage]
    name = {"words": "encode", "begin": "begin", "step": "forward", "codec": "decode"}[stage]
    whole, refused = getattr(owner, name), []

    def limited(self: Any, *given: Any, **others: Any) -> Any:
        if rows(*given) > most:
            refused.append(rows(*given))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return whole(self, *given, **others)

    monkeypatch.setattr(owner, name, limited)
    return refused


STAGES = {
    "words": lambda prompts: len(prompts),
    "begin": lambda seen, there, room: len(seen) // 2,
    "step": lambda tokens, cache: len(tokens) // 2 if cache.length > 10 else 0,
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_batch_that_is_too_much_is_halved(
    program: Program, folder: Path, batches: list[int], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.ask(100, asked(0))
    program.until(1)  # loaded
    batches.clear()
    refused = full(stage, STAGES[stage], 2, monkeypatch)
    for number in range(8):
        program.ask(number, asked(number))
    ends = program.until(8)
    assert all(message["is"] == "done" for message, _ in ends.values())
    assert max(refused) > 2
    assert ("halved", max(refused)) in {(kind, of) for _, kind, of in program.told}
    monkeypatch.undo()
    alone = MusicGen(folder).sound([asked(5)])[0].audio
    assert alone is not None
    np.testing.assert_allclose(sound_from(*ends[5])[0], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stage", [*STAGES, "codec"])
def test_one_that_is_too_much_alone_says_so_and_the_next_goes_on(
    program: Program, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full(stage, STAGES.get(stage, lambda codes: 1), 0, patch)
        for number in range(3):
            program.ask(number, asked(number))
        for message, _ in program.until(3).values():
            assert message["is"] == "error"
            assert "out of memory on 'cpu'" in message["says"]
    program.ask(9, asked(9))
    assert program.until(1)[9][0]["is"] == "done"


def test_loading_without_room_lets_the_others_go_first(
    program: Program, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = checkpoints.saved(checkpoints.musicgen(seed=3), tmp_path / "other")
    program.ask(1, asked(1))
    program.until(1)
    shelf, load, loaded = program.host._shelf, serve.LOADED_BY["generate"], []

    def narrow(name: str, at: Path, device: str, dtype: str) -> Any:
        loaded.append(at)
        if len(shelf):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")
        return load(name, at, device, dtype)

    monkeypatch.setitem(serve.LOADED_BY, "generate", narrow)
    program.ask(2, asked(2), weights=str(other))
    assert program.until(1)[2][0]["is"] == "done"
    assert loaded == [other, other]
    assert len(shelf) == 1


def test_too_little_memory_even_for_loading(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setitem(serve.LOADED_BY, "generate", full)
        program.ask(1, asked(1))
        assert "out of memory" in program.until(1)[1][0]["says"]
    program.ask(2, asked(2))
    assert program.until(1)[2][0]["is"] == "done"


@pytest.mark.parametrize("fallback", [False, True])
def test_the_cpu_is_fallen_back_to_only_if_asked_for(
    program: Program, fallback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = serve.LOADED_BY["generate"]

    class Small:
        """A device on which nothing fits."""

        most_at_once = 4

        def sound(self, *given: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def loaded(name: str, at: Path, device: str, dtype: str) -> Any:
        return Small() if device == "cuda" else load(name, at, device, dtype)

    monkeypatch.setitem(serve.LOADED_BY, "generate", loaded)
    for number in range(4):
        program.ask(number, asked(number), device="cuda", dtype="float16", fallback=fallback)
    ends = program.until(4)
    if fallback:
        assert all(message["is"] == "done" for message, _ in ends.values())
        assert all(message["parameters"]["dtype"] == "float32" for message, _ in ends.values())
        assert sum(kind == "moved" for _, kind, _ in program.told) == 4
    else:
        assert all("out of memory on 'cuda'" in message["says"] for message, _ in ends.values())


def test_a_bug_ends_the_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(serve.LOADED_BY, "generate", broken)
    program = Program(folder)
    program.ask(1, asked(1))
    deadline = time.monotonic() + 20
    while not program.failed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(program.failed[0], ZeroDivisionError)
    program.close()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"do": "dance"}, "not known"), ({"do": 5}, "no text"), ({"request": 5}, "no request"),
        ({"request": {}}, "no prompt"), ({"request": {"prompt": "a", "hop": 1}}, "not known"),
        ({"device": "\0"}, "no text"),
        ({"weights": ""}, "needs the folder"), ({"engine": "nothing"}, "is not known"),
        ({"dtype": "int3"}, "int3"), ({"device": "tpu:9"}, "tpu:9"),
    ],
)  # fmt: skip
def test_jobs_that_make_no_sense_cost_only_themselves(program: Program, other: dict[str, Any], says: str) -> None:
    send(program._said, program.job(1, asked(1)) | other)
    message, _ = program.until(1)[1]
    assert message["is"] == "error"
    assert says in message["says"]


def test_the_least_used_goes_first() -> None:
    shelf, loaded = Shelf(100), []

    def load(name: str) -> Callable[[], str]:
        return lambda: loaded.append(name) or name

    for name, size in (("a", 40), ("b", 40), ("a", 40), ("c", 40), ("b", 40), ("huge", 500), ("a", 40)):
        assert shelf.get((name,), size, load(name)) == name
        assert shelf.bytes <= 100 or len(shelf) == 1
    assert loaded == ["a", "b", "c", "b", "huge", "a"]
    assert shelf.keep_only(("a",)) is False
    assert shelf.keep_only(None) is True
    assert len(shelf) == 0


def test_what_means_that_memory_is_out() -> None:
    for error in (
        MemoryError(), torch.OutOfMemoryError("x"), RuntimeError("HIP out of memory. Tried"),
        RuntimeError("[..] DefaultCPUAllocator: can't allocate memory: you tried"),
    ):  # fmt: skip
        assert is_out_of_memory(error)
    for other in (RuntimeError("shape mismatch"), EngineError("out of memory"), ValueError("out of memory")):
        assert not is_out_of_memory(other)
