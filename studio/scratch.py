"""What waits on the disk until it is read: more of it than one wants to hold in memory."""

from __future__ import annotations

import tempfile
import threading
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from studio.mix.arrays import Audio
from studio.mix.errors import SourceError


class ScratchRows:
    """Rows of numbers that are added to at their end and read anywhere; gone when closed, or when the process ends.

    They are `studio.align.rows.Rows`. Safe between threads.
    """

    def __init__(self, width: int, dtype: DTypeLike = np.float32) -> None:
        """Raises SourceError where no file can be made."""
        self._width, self._dtype, self._count = width, np.dtype(dtype), 0
        self._guard = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(prefix="stemwright-", buffering=0)  # noqa: SIM115 - closed by close
        except OSError as error:
            raise _no_room(error) from error

    def __len__(self) -> int:
        return self._count

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self._width

    def append(self, rows: NDArray[Any]) -> None:
        """Add (rows, width). Raises SourceError where there is no room."""
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ValueError(f"{rows.shape} added to rows of {self._width}")
        rest = np.ascontiguousarray(rows, dtype=self._dtype).data.cast("B") if len(rows) else memoryview(b"")
        with self._guard:
            try:
                self._file.seek(self._size(self._count))
                while len(rest):
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise _no_room(error) from error
            self._count += len(rows)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop`, all inside. Raises SourceError where they are gone."""
        data = np.empty((stop - start, self._width), self._dtype)
        rest = data.data.cast("B") if stop > start else memoryview(b"")
        with self._guard:
            self._file.seek(self._size(start))
            while len(rest):
                count = self._file.readinto(rest)
                if not count:
                    raise SourceError(f"what waited on the disk ended {len(rest)} bytes before {stop}; try again")
                rest = rest[count:]
        return data

    def close(self) -> None:
        """Give the room on the disk back."""
        self._file.close()

    def _size(self, rows: int) -> int:
        return rows * self._width * self._dtype.itemsize


class Scratch:
    """Room on the disk for as long as it is open. It is a `studio.align.rows.Room`."""

    def __init__(self) -> None:
        self._given: list[ScratchRows] = []

    def rows(self, width: int, dtype: DTypeLike = np.float32) -> ScratchRows:
        """New rows. Raises SourceError where no file can be made."""
        self._given.append(ScratchRows(width, dtype))
        return self._given[-1]

    def close(self) -> None:
        """Give all of it back."""
        for rows in self._given:
            rows.close()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ScratchSound:
    """A sound on the disk. It is a `studio.mix.sources.Source`. Safe between threads."""

    def __init__(self, channels: int) -> None:
        """Raises SourceError."""
        self._rows = ScratchRows(channels)

    @property
    def frames(self) -> int:
        return len(self._rows)

    @property
    def channels(self) -> int:
        return self._rows.width

    def append(self, audio: Audio) -> None:
        """Add float32 (channels, frames), always with as many channels. Raises SourceError where there is no room."""
        self._rows.append(audio.T)

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside, float32 (channels, frames). Raises SourceError."""
        return np.ascontiguousarray(self._rows.read(start, start + frames).T)

    def close(self) -> None:
        """Give the room on the disk back."""
        self._rows.close()


def _no_room(error: OSError) -> SourceError:
    why = (error.strerror or type(error).__name__).lower()
    return SourceError(
        f"cannot keep sound in {tempfile.gettempdir()}: {why}; free some space there, or let TMPDIR name another folder"
    )
