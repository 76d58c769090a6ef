"""A store of arrays that forgets the least recently used ones when it grows past a number of bytes."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


class ByteCache:
    """Least-recently-used arrays under hashable keys, at most `budget` bytes in all. Safe between threads."""

    def __init__(self, budget: int) -> None:
        """Start empty."""
        self._budget = budget
        self._used = 0
        self._held: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._lock = threading.Lock()
        _all.add(self)

    def get(self, key: Hashable) -> Arrays | None:
        """Return the arrays under `key`, or None."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: Hashable, arrays: Arrays) -> None:
        """Keep read-only arrays under `key`, dropping the oldest ones to stay within the budget."""
        for array in arrays:
            array.flags.writeable = False
        with self._lock:
            old = self._held.pop(key, None)
            self._used -= _size(old) if old else 0
            self._held[key] = arrays
            self._used += _size(arrays)
            while self._used > self._budget and len(self._held) > 1:
                self._used -= _size(self._held.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._used = 0


_all: weakref.WeakSet[ByteCache] = weakref.WeakSet()


def clear_all() -> None:
    """Forget what every store of the process holds: nothing is lost but the time to make it again."""
    for cache in list(_all):
        cache.clear()


def kept_length(frames: int, rate: int) -> int:
    """How many frames to make of a note of `frames` that others may use too: at least as many.

    Lengths come in steps of a quarter second, and of eighths of an octave beyond two: few enough to keep. Each is to
    be made for itself, for which cell needs which length first depends on the threads.
    """
    quarter = max(1, rate // 4)
    quarters = -(-frames // quarter)
    step = 1 << max(0, (quarters - 1).bit_length() - 3)
    return -(-quarters // step) * step * quarter


def _size(arrays: Arrays) -> int:
    return sum(int(np.asarray(array).nbytes) for array in {id(array): array for array in arrays}.values())
