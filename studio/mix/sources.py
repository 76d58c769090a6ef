"""Where the mixer reads sound from: arrays, sound files, anything with `frames`, `channels` and `read`."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from studio.mix.arrays import Audio, check_audio
from studio.mix.errors import MixError, SourceError

if TYPE_CHECKING:
    import soundfile


class Source(Protocol):
    """Sound that can be read in pieces."""

    @property
    def frames(self) -> int:
        """The length in frames."""
        ...

    @property
    def channels(self) -> int:
        """1 or 2."""
        ...

    def read(self, start: int, frames: int) -> Audio:
        """Return frames `start` to `start + frames`, all inside the source, as float32 (channels, frames).

        The caller does not write to the result.
        """
        ...


class ArraySource:
    """An array of float32 (1 or 2 channels, frames), in memory or memory-mapped; nothing is copied."""

    def __init__(self, audio: Audio) -> None:
        self._audio = check_audio(audio)

    @property
    def frames(self) -> int:
        return self._audio.shape[1]

    @property
    def channels(self) -> int:
        return self._audio.shape[0]

    def read(self, start: int, frames: int) -> Audio:
        return self._audio[:, start : start + frames]


class FileSource:
    """A sound file, read as it is needed; it is opened at once and stays open until `close`."""

    def __init__(self, path: Path, rate: int) -> None:
        """Open `path`.

        Raises:
            SourceError: the file cannot be read, its rate is not `rate`, or it has more than two channels.
        """
        import soundfile

        self.path = path
        try:
            self._file: soundfile.SoundFile = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError) as error:
            raise SourceError(f"{path} cannot be read as a sound file ({error}); render it again") from error
        if self._file.samplerate != rate or self._file.channels > 2:
            found = f"{self._file.samplerate} Hz with {self._file.channels} channels"
            self._file.close()
            raise SourceError(f"{path} must be {rate} Hz with 1 or 2 channels, not {found}; render it again")

    @property
    def frames(self) -> int:
        return int(self._file.frames)

    @property
    def channels(self) -> int:
        return int(self._file.channels)

    def read(self, start: int, frames: int) -> Audio:
        if self._file.tell() != start:
            self._file.seek(start)
        audio = self._file.read(frames, dtype="float32", always_2d=True)
        if len(audio) != frames:
            raise SourceError(f"{self.path} ended {frames - len(audio)} frames early; render it again")
        return np.asarray(audio.T, dtype=np.float32)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> FileSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def as_source(sound: Source | Audio) -> Source:
    """Wrap an array; leave anything that already reads like a source alone.

    Raises:
        MixError: an array of another shape or type, a source of no or more than two channels.
    """
    source = ArraySource(sound) if isinstance(sound, np.ndarray) else sound
    if source.channels not in (1, 2):
        raise MixError(f"a source has 1 or 2 channels, not {source.channels}")
    return source
