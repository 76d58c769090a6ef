"""Asks one question of a server with the OpenAI chat interface. Bounded in time and size, whatever the server does."""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from studio.song import SongError

LARGEST_ANSWER = 256_000
"""Bytes."""
LONGEST_TIMEOUT = 600.0
_MOST_TOKENS = 4000
_CHUNK = 16_384


class ServerError(Exception):
    """The server gave no usable answer. One line that can be shown."""


@dataclass(frozen=True)
class Server:
    """Where a model answers: `base_url` as the server prints it, such as "http://127.0.0.1:11434/v1", and the model's
    name. The whole answer must arrive within `timeout` seconds. Plain http goes only to this machine and to private
    addresses, unless the host is in `named_hosts`. Raises SongError for anything else."""

    base_url: str
    model: str
    timeout: float = 60.0
    named_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shown = self.base_url[:80]
        try:
            parts = urlsplit(self.base_url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise SongError(
                f"model server {shown!r}: its address cannot be read; write http://127.0.0.1:11434/v1"
            ) from None
        if parts.scheme not in ("http", "https") or not host or len(self.base_url) > 500:
            raise SongError(f"model server {shown!r}: write an address such as http://127.0.0.1:11434/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise SongError(f"model server {shown!r}: write only scheme, host, port and path")
        if parts.scheme == "http" and not is_near(host) and host not in self.named_hosts:
            raise SongError(
                f"model server {host[:60]!r}: plain http goes only to this machine or a private address; use https"
            )
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise SongError(
                f"model server timeout {self.timeout}: it must be more than 0 and at most {LONGEST_TIMEOUT:g} seconds"
            )
        if not 0 < len(self.model) <= 200:
            raise SongError("model name: write 1 to 200 characters, as the server lists it")


def is_near(host: str) -> bool:
    """Whether a host is this machine or on a private network, told without asking a name server."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (address.is_loopback or address.is_private or address.is_link_local) and not address.is_unspecified


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to another host: it is an answer of its own, and not a good one."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def ask(server: Server, system: str, user: str) -> str:
    """The model's answer to one message. Raises ServerError."""
    where = f"the model server at {urlsplit(server.base_url).netloc}"
    body = {
        "model": server.model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "temperature": 0.4,
        "max_tokens": _MOST_TOKENS,
        "stream": False,
    }
    request = urllib.request.Request(
        server.base_url.rstrip("/") + "/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"},
    )
    # A proxy has no business between the app and a server next to it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    deadline = time.monotonic() + server.timeout
    try:
        with opener.open(request, timeout=server.timeout) as response:
            raw = _read(response, deadline, where)
    except urllib.error.HTTPError as error:
        with error:
            raise ServerError(f"{where} answered {error.code} {_one_line(error.reason)}") from error
    except TimeoutError as error:
        raise ServerError(f"{where} did not answer within {server.timeout:g} seconds") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ServerError(f"{where} did not answer within {server.timeout:g} seconds") from error
        raise ServerError(f"{where} cannot be reached: {_one_line(reason)}") from error
    return _content(raw, where)


def _read(response: http.client.HTTPResponse, deadline: float, where: str) -> bytes:
    """The body, chunk by chunk: no socket timeout ends a server that drips or never stops."""
    raw = bytearray()
    while chunk := response.read1(_CHUNK):
        raw += chunk
        if len(raw) > LARGEST_ANSWER:
            raise ServerError(f"{where} answered more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise ServerError(f"{where} did not finish its answer in time")
    return bytes(raw)


def _one_line(reason: object) -> str:
    """A reason fit to be shown: part of it may be the server's own bytes."""
    shown = "".join(letter for letter in str(reason) if letter.isprintable())
    return " ".join(shown.split())[:80] or type(reason).__name__


def _content(raw: bytes, where: str) -> str:
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ServerError(f"{where} did not answer in the chat format") from error
    if not isinstance(content, str) or not content.strip():
        raise ServerError(f"{where} answered without words")
    return content
