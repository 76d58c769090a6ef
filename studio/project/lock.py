"""One writer a project: a lock file held through the operating system.

The lock is the system's own (flock, or LockFile on Windows), so a killed process never leaves a stale one
behind; the process id in the file is only there to name the holder.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from studio.project.errors import ProjectError, os_problem

NAME = ".stemwright.lock"
_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # Windows locks forbid reading what they cover: lock a byte far behind the process id

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class ProjectLock:
    """The right to write in `folder`, held until `release`."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises ProjectError when another process holds it or the folder cannot be written."""
        self.path = folder / NAME
        self._descriptor: int | None = None
        while self._descriptor is None:
            self._descriptor = self._take(folder)
        with suppress(OSError):  # a full disk must not keep a project from being opened
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def _take(self, folder: Path) -> int | None:
        """A locked descriptor, or None where the file was removed under our hands."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise os_problem("write in", folder, error) from error
        try:
            _lock(descriptor)
            if os.name != "nt" and not _same_file(descriptor, self.path):
                os.close(descriptor)
                return None
            return descriptor
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno in _BUSY:
                raise ProjectError(f"{folder} is open in another Stemwright{holder}; close it there first") from error
            raise ProjectError(
                f"{folder}: this disk cannot lock files ({error.strerror}); move the project to a local disk"
            ) from error

    def release(self) -> None:
        """Give the lock back and remove its file. Does nothing the second time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.name == "nt":  # an open file cannot be removed there
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(self.path)
        else:
            # Removed while still locked: whoever opened the same file meanwhile sees that it is gone (`_take`).
            with suppress(OSError):
                os.unlink(self.path)
            os.close(descriptor)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        text = os.read(descriptor, 20).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return f" (process {text})" if text.isdigit() else ""
