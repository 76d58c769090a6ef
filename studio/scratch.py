"""Sound that waits on the disk until it is read: more of it than one wants to hold in memory."""

from __future__ import annotations

import tempfile
import threading
from types import TracebackType

import numpy as np

from studio.mix.arrays import Audio
from studio.mix.errors import SourceError


class ScratchSound:
    """A sound that is added to at its end and read anywhere; it is gone when it is closed, or the process ends.

    It is a `studio.mix.sources.Source`. Safe between threads.
    """

    def __init__(self, channels: int | None = None) -> None:
        """`channels` is taken from what is added first where it is None. Raises SourceError."""
        self._channels = channels
        self._frames = 0
        self._guard = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(prefix="stemwright-", buffering=0)  # noqa: SIM115 - closed by close
        except OSError as error:
            raise _no_room(error) from error

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def channels(self) -> int:
        return self._channels or 1

    def append(self, audio: Audio) -> None:
        """Add float32 (channels, frames), always with as many channels. Raises SourceError where there is no room."""
        if self._channels is None:
            self._channels = len(audio)
        if len(audio) != self._channels:
            raise ValueError(f"{len(audio)} channels added to a sound of {self._channels}")
        rest = np.ascontiguousarray(audio.T, dtype=np.float32).data.cast("B")
        with self._guard:
            try:
                self._file.seek(4 * self._channels * self._frames)
                while len(rest):
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise _no_room(error) from error
            self._frames += audio.shape[1]

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside, float32 (channels, frames)."""
        channels = self.channels
        data = np.empty((frames, channels), np.float32)
        rest = data.data.cast("B")
        with self._guard:
            self._file.seek(4 * channels * start)
            while len(rest):
                count = self._file.readinto(rest)
                if not count:
                    raise SourceError(f"temporary sound ended at frame {start + frames - len(rest) // 4 // channels}")
                rest = rest[count:]
        return np.ascontiguousarray(data.T)

    def close(self) -> None:
        """Give the room on the disk back."""
        self._file.close()

    def __enter__(self) -> ScratchSound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _no_room(error: OSError) -> SourceError:
    why = (error.strerror or type(error).__name__).lower()
    return SourceError(
        f"cannot keep sound in {tempfile.gettempdir()}: {why}; free some space there, or let TMPDIR name another folder"
    )
