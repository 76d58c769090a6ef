"""How a program and its engines' process speak: messages of JSON, each with bytes behind it if need be.

A message is 8 bytes of little-endian lengths (of the JSON, of the bytes), then both. Nothing in it is ever executed,
and what is longer than it may be is refused before it is read.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import numpy as np

from models.api import Audio, EngineError

_LENGTHS = struct.Struct("<II")
MOST_CHANNELS = 8
MOST_JSON = 1 << 20
MOST_BYTES = 1 << 30

Message = dict[str, Any]


class WireError(EngineError):
    """What came is no message, or was cut off."""


def send(out: IO[bytes], message: Message, data: bytes = b"") -> None:
    """Write one message whole. Raises WireError for one that is too long, OSError where nobody reads any more."""
    text = json.dumps(message).encode()
    if len(text) > MOST_JSON or len(data) > MOST_BYTES:
        raise WireError(f"a message of {len(text)} + {len(data)} bytes is too long to be sent")
    out.write(_LENGTHS.pack(len(text), len(data)) + text)
    out.write(data)
    out.flush()


def receive(source: IO[bytes]) -> tuple[Message, bytes] | None:
    """Read one message; None where the other side has ended. Raises WireError."""
    head = source.read(_LENGTHS.size)
    if not head:
        return None
    if len(head) < _LENGTHS.size:
        raise WireError("a message was cut off")
    length, count = _LENGTHS.unpack(head)
    if length > MOST_JSON or count > MOST_BYTES:
        raise WireError(f"a message of {length} + {count} bytes is too long to be read")
    text, data = source.read(length), source.read(count)
    if len(text) < length or len(data) < count:
        raise WireError("a message was cut off")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("a message is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("a message is no JSON object")
    return message, data


def sound_from(message: Message, data: bytes) -> tuple[Audio, int]:
    """The sound behind a message that says its `rate` and `channels`: float32 (channels, frames), and Hz. Raises
    WireError where there is none, or it holds what is no number."""
    rate, channels = _whole(message, "rate"), _whole(message, "channels")
    if channels > MOST_CHANNELS or not data or len(data) % (4 * channels):
        raise WireError("a message came without its sound")
    audio = np.frombuffer(data, "<f4").reshape(-1, channels).T.astype(np.float32)
    if not np.isfinite(audio).all():
        raise WireError("a message's sound holds what is no number")
    return audio, rate


def _whole(message: Message, name: str) -> int:
    value = message.get(name)
    if type(value) is not int or value < 1:
        raise WireError("a message came without its sound")
    return value
