"""Rows of numbers that wait until they are read again: in memory, or wherever the caller has room for them.

All that grows with a sound's length and is wide (spectra, moved sound) waits so, and is worked on in blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from studio.align.values import AlignError

MOST_IN_MEMORY = 1 << 29
"""Bytes of one thing that are kept in memory: 23 minutes of stereo at 48 kHz."""
BLOCK = 4096
"""Rows worked on at a time, where nothing else matters."""


class Rows(Protocol):
    """What is added to at its end and read at any place."""

    def __len__(self) -> int: ...

    def append(self, rows: NDArray[Any]) -> None:
        """Add (rows, width) of the type that was asked for."""
        ...

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop`, all inside, (rows, width); not to be written."""
        ...


class Room(Protocol):
    """Where rows wait."""

    def rows(self, width: int, dtype: DTypeLike = np.float32) -> Rows:
        """New ones."""
        ...


class InMemory:
    """Room of limited size."""

    def rows(self, width: int, dtype: DTypeLike = np.float32) -> Rows:
        """As of any room. What is added may raise AlignError, for more than MOST_IN_MEMORY bytes."""
        return _Held(width, np.dtype(dtype))


class _Held:
    def __init__(self, width: int, dtype: np.dtype[Any]) -> None:
        self._none = np.empty((0, width), dtype)
        self._pieces: list[NDArray[Any]] = []
        self._starts: list[int] = []
        self._count = self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: NDArray[Any]) -> None:
        self._bytes += rows.nbytes
        if self._bytes > MOST_IN_MEMORY:
            most = MOST_IN_MEMORY // (8 * 48_000 * 60)
            raise AlignError(f"too long to be worked on in memory (some {most} minutes); give a scratch on disk")
        self._pieces.append(rows.astype(self._none.dtype))
        self._starts.append(self._count)
        self._count += len(rows)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        found: list[NDArray[Any]] = []
        at = max(0, bisect_right(self._starts, start) - 1)
        while at < len(self._starts) and self._starts[at] < stop:
            begin = self._starts[at]
            found.append(self._pieces[at][max(0, start - begin) : stop - begin])
            at += 1
        return found[0] if len(found) == 1 else np.concatenate(found) if found else self._none


def held(array: NDArray[Any]) -> Rows:
    """An array as rows."""
    found = InMemory().rows(array.shape[1], array.dtype)
    found.append(array)
    return found


def blocks(rows: Rows, size: int = BLOCK) -> Iterator[tuple[int, NDArray[Any]]]:
    """All rows in order, some at a time, each with the number of its first."""
    for start in range(0, len(rows), size):
        yield start, rows.read(start, min(start + size, len(rows)))


def around(rows: Rows, start: int, stop: int) -> NDArray[Any]:
    """Rows `start` to `stop`; those before the first are as the first, and those behind the last as the last."""
    low, high = min(max(start, 0), len(rows) - 1), max(min(stop, len(rows)), 1)
    return np.pad(rows.read(low, high), ((low - start, stop - high), (0, 0)), mode="edge")
