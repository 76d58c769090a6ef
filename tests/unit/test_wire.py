"""Messages between the program and its engines' process, and what is none."""

from __future__ import annotations

import io
import random

import pytest

from models.api import EngineError
from models.api.prompts import PromptRequest
from models.api.wire import MOST_JSON, WireError, receive, send


def written(*messages: tuple[dict[str, object], bytes]) -> bytes:
    out = io.BytesIO()
    for message, data in messages:
        send(out, message, data)
    return out.getvalue()


def test_messages_come_as_they_were_sent() -> None:
    sent = [({"id": 1, "is": "step"}, b""), ({}, b"\0\xff" * 9), ({"says": "тише 🎹"}, b"x")]
    source = io.BytesIO(written(*sent))
    assert [receive(source) for _ in sent] == sent
    assert receive(source) is None


def test_a_message_that_is_cut_off_anywhere_is_an_error() -> None:
    whole = written(({"id": 12}, b"abc"))
    assert receive(io.BytesIO(b"")) is None
    for length in range(1, len(whole)):
        with pytest.raises(WireError, match="cut off"):
            receive(io.BytesIO(whole[:length]))


@pytest.mark.parametrize("text", [b"{", b"[]", b"7", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_an_error(text: bytes) -> None:
    with pytest.raises(WireError):
        receive(io.BytesIO(len(text).to_bytes(4, "little") + bytes(4) + text))


def test_what_is_too_long_is_refused_on_both_sides() -> None:
    with pytest.raises(WireError, match="too long"):
        send(io.BytesIO(), {"says": "x" * MOST_JSON})
    with pytest.raises(WireError, match="too long"):
        receive(io.BytesIO(b"\xff" * 8))


def test_noise_is_an_error_and_nothing_else() -> None:
    chance = random.Random(5)
    whole = bytearray(written(({"id": 1, "do": "generate", "request": {"prompt": "a"}}, b"")))
    for _ in range(2000):
        noisy = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            noisy[chance.randrange(len(noisy))] = chance.randrange(256)
        try:
            came = receive(io.BytesIO(bytes(noisy)))
        except WireError:
            continue
        assert came is not None
        assert isinstance(came[0], dict)


def test_a_request_comes_as_it_was_sent() -> None:
    request = PromptRequest("warm house", 4.5, 7, greedy=True, guidance=2.0, top_k=9)
    assert PromptRequest.from_json(request.as_json()) == request
    assert PromptRequest.from_json({"prompt": "a", "seconds": 3}).seconds == 3


@pytest.mark.parametrize(
    "values",
    [
        {}, {"prompt": 7}, {"prompt": "a", "seconds": "8"}, {"prompt": "a", "seed": True}, {"prompt": "a", "seed": -1},
        {"prompt": "a", "seed": 1.5}, {"prompt": "a", "seconds": float("nan")}, {"prompt": "a", "seconds": 0},
        {"prompt": "a", "seconds": 1e9}, {"prompt": "a" * 5000}, {"prompt": "a", "greedy": 1}, {"prompt": "a", "x": 1},
        {"prompt": "a", "top_k": 2.5},
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(EngineError):
        PromptRequest.from_json(values)
