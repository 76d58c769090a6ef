"""Engines that are kept, and the memory that they may take."""

from __future__ import annotations

import gc
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARE = 0.5
"""Of the machine's memory, where no budget is given."""

Key = tuple[str, ...]


class Shelf:
    """What was loaded, the least used first to go where the next one does not fit beside it."""

    def __init__(self, budget: int) -> None:
        """`budget`: bytes that all may take together; one alone is always loaded."""
        self._budget = budget
        self._kept: OrderedDict[Key, tuple[Any, int]] = OrderedDict()

    def get(self, key: Key, size: int, load: Callable[[], Any]) -> Any:
        """What is kept under a key, or what `load` gives, of some `size` in bytes."""
        if key not in self._kept:
            while self._kept and self.bytes + size > self._budget:
                self._kept.popitem(last=False)
                give_back()
            self._kept[key] = load(), size
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """What all take together."""
        return sum(size for _, size in self._kept.values())

    def keep_only(self, key: Key | None) -> bool:
        """Let all others go. Whether there were any."""
        others = [one for one in self._kept if one != key]
        for one in others:
            del self._kept[one]
        if others:
            give_back()
        return bool(others)


def size_of(folder: Path | None) -> int:
    """Bytes of a folder's files, which is about what they take when they are loaded; 0 for none."""
    if folder is None or not folder.is_dir():
        return 0
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def usual_budget() -> int:
    """SHARE of the machine's memory; 4 GB where that is not known."""
    try:
        return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def give_back() -> None:
    """Return memory that nobody holds any more to the system and the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory, on whatever device. Without torch being imported for it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    words = str(error)
    return (
        isinstance(error, MemoryError)
        or "OutOfMemoryError" in names
        or ("RuntimeError" in names and ("can't allocate memory" in words or "out of memory" in words))
    )
