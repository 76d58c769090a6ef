"""A project that is open: the song, its folder, and the right to write in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from studio.project.atomic import sweep_parts
from studio.project.codec import read_song
from studio.project.draft import draft, recover, staged
from studio.project.errors import ProjectError
from studio.project.folder import SONG, STAGING, ProjectFolder, check_is_song
from studio.project.lock import ProjectLock
from studio.project.names import inside
from studio.project.pcm import Samples
from studio.song import Song


class Project(ProjectFolder):
    """An open project. `song` is what song.json says. Close it, or use it in a `with` block."""

    def __init__(self, root: Path, song: Song, lock: ProjectLock | None) -> None:
        super().__init__(root)
        self.song = song
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, writable: bool = True) -> Project:
        """Open a project folder. Raises ProjectError naming what is wrong and what to do.

        Writable, it is locked against other processes, and what a killed one left is finished or swept away
        first. Otherwise nothing in the folder changes.
        """
        root = Path(os.path.abspath(path))
        lock: ProjectLock | None = None
        if writable and ((root / SONG).exists() or (root / STAGING).exists()):
            lock = ProjectLock(root)
        try:
            if lock is not None:
                recover(root)
                sweep_parts(root)
            check_is_song(root)
            return cls(root, read_song(inside(root, SONG)), lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @classmethod
    def create(cls, path: Path, song: Song, *, force: bool = False) -> Project:
        """Make a project of a song that has no media yet, and open it. See `draft` for one that has."""
        with draft(path, force=force) as folder:
            folder.save(song)
        return cls.open(path)

    def save(self, song: Song) -> None:
        """Write song.json, whole or not at all, and hold `song` from now on. Raises ProjectError."""
        self._check_writable()
        super().save(song)
        self.song = song

    @contextmanager
    def change(self) -> Iterator[ProjectFolder]:
        """A folder for new takes, clips and the song (`save` it there): all of it takes its place when the block
        ends, or nothing does. The takes the project has can be read through it too. Raises ProjectError.
        """
        self._check_writable()
        with staged(self.root, replaces=False) as folder:
            yield folder
        self.song = read_song(inside(self.root, SONG))

    def file(self, relative: str) -> Path:
        """As `ProjectFolder.file`."""
        self._check_writable()
        return super().file(relative)

    def add_media(self, audio: Samples, rate: int, *, durable: bool = True) -> str:
        """As `ProjectFolder.add_media`."""
        self._check_writable()
        return super().add_media(audio, rate, durable=durable)

    def close(self) -> None:
        """Let other processes open the project; nothing can be written from now on."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _check_writable(self) -> None:
        if self._lock is None:
            raise ProjectError(f"{self.root} is not open for writing; open it again to change it")

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
