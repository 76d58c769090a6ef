"""Takes as sound: written once under the name of their content, read back in slices.

A take is kept as 32-bit float WAV: it comes back as exactly the samples the engine made (a mix after
reopening is the same bytes), writing it costs a copy, and nothing is clipped. The name is the start of the
file's SHA-256, so one sound is stored once and a damaged file can be told.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from studio.project.atomic import PartFile, part_file, sync_folder
from studio.project.errors import ProjectError, os_problem
from studio.project.pcm import Float32, Samples, check_block
from studio.project.wav import write_sound
from studio.project.wavread import WavReader


class _Hashing:
    """A PartFile that also takes the digest of what is written."""

    def __init__(self, part: PartFile) -> None:
        self._part = part
        self.digest = hashlib.sha256()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self.digest.update(data)
        return self._part.write(data)


def store(folder: Path, audio: Samples, rate: int, *, durable: bool = True) -> str:
    """Keep sound of shape (channels, frames) in `folder`; the name it has there. Raises ProjectError.

    The same sound again gives the same name and writes nothing new. Not `durable`, it must be waited for with `Disk`
    before anything speaks of it.
    """
    if audio.ndim != 2:
        raise ProjectError(f"sound of shape {audio.shape}: it must be (channels, frames)")
    channels, frames = audio.shape
    samples = check_block(audio, channels)
    with part_file(folder, "take.wav") as part:
        hashing = _Hashing(part)
        write_sound(hashing, [samples], rate, channels, frames, Float32(channels))
        name = f"{hashing.digest.hexdigest()[:32]}.wav"
        target = folder / name
        if not (target.is_file() and target.stat().st_size == part.path.stat().st_size):
            part.publish(target, durable=durable)
    return name


class Disk:
    """Waits in the background until the disk holds takes that are whole already: playing goes on meanwhile."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._waiting: dict[Path, Future[None]] = {}

    def add(self, path: Path) -> None:
        """Begin to wait for a file."""
        if path not in self._waiting:
            self._waiting[path] = self._pool.submit(_flush, path)

    def wait(self) -> None:
        """Wait until the disk holds all of them. Raises ProjectError."""
        for waiting in self._waiting.values():
            waiting.result()
        for folder in {path.parent for path in self._waiting}:
            sync_folder(folder)

    def close(self) -> None:
        """Wait for no more of them."""
        self._pool.shutdown(cancel_futures=True)


def _flush(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR)  # Windows flushes only what one may write to
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise os_problem("write", path, error) from error


class MediaReader:
    """A take's sound, read when asked for. `reader[a:b]` is float32 of shape (channels, frames)."""

    def __init__(self, path: Path) -> None:
        """Open a media file. Raises ProjectError."""
        self.path = path
        self._file = WavReader(path)
        if not self._file.is_float:
            self._file.close()
            raise ProjectError(f"{path} is damaged: its samples are not float32; make the take again")
        self.rate, self.channels, self.frames = self._file.rate, self._file.channels, self._file.frames

    def read(self, start: int = 0, frames: int | None = None) -> Samples:
        """`frames` frames from `start` (to the end by default), fewer where the sound ends earlier."""
        start = min(max(start, 0), self.frames)
        count = self.frames - start if frames is None else max(min(frames, self.frames - start), 0)
        return self._file.floats(start, count)

    def __getitem__(self, where: slice) -> Samples:
        start, stop, step = where.indices(self.frames)
        if step < 1:
            raise ValueError("a take is read forwards")
        data = self.read(start, max(stop - start, 0))
        return data[:, ::step]

    def __len__(self) -> int:
        return self.frames

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
