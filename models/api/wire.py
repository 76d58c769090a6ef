"""How a program and its engines' process speak: messages of JSON, each with bytes behind it if need be.

A message is 8 bytes of little-endian lengths (of the JSON, of the bytes), then both. Nothing in it is ever executed,
and what is longer than it may be is refused before it is read.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

from models.api import EngineError

_LENGTHS = struct.Struct("<II")
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
