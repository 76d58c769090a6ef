"""Files that appear whole or not at all.

Bytes go to a hidden file beside the wanted one, are flushed to the disk, and take its place by one rename;
then the folder is flushed, so that the rename itself survives a power cut. A process killed in between leaves
the old file and a `.part` file, which `sweep_parts` removes later.

Everything goes through `os.*` calls rather than buffered files, so that no byte is written later than it
seems and a test can stop the process at each call.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.project.errors import os_problem

_PART = re.compile(r"\..*\.stemwright-\d+-\d+\.part")
_serial = itertools.count()


def temporary_name(name: str, kind: str) -> str:
    """A hidden name beside `name` that no other process or thread uses: `.NAME.stemwright-PID-N.KIND`."""
    return f".{name[:100]}.stemwright-{os.getpid()}-{next(_serial)}.{kind}"


class PartFile:
    """A file under way. Write to it, then `publish` it under its name; until then nobody sees it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / temporary_name(name, "part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.path, flags, 0o666)  # -1 once it is closed

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data` (any contiguous buffer); returns its length in bytes."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += os.write(self._descriptor, view[done:])
        return done

    def publish(self, target: Path, *, durable: bool = True) -> None:
        """Give the finished file its name. `durable` waits until the disk holds it."""
        if durable:
            os.fsync(self._descriptor)
        self._close()
        os.replace(self.path, target)
        if durable:
            sync_folder(target.parent)

    def discard(self) -> None:
        """Remove the unfinished file; nothing happens to a published one."""
        self._close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@contextmanager
def part_file(folder: Path, name: str) -> Iterator[PartFile]:
    """A PartFile in `folder`, discarded unless it is published inside the block. Raises ProjectError."""
    try:
        part = PartFile(folder, name)
    except OSError as error:
        raise os_problem("write", folder / name, error) from error
    try:
        yield part
    except OSError as error:
        raise os_problem("write", folder / name, error) from error
    finally:
        part.discard()


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[PartFile]:
    """Write `path` whole or not at all: it is published when the block ends without an error.

    `durable` False leaves it to the system when the bytes reach the disk: right for what can be made again.
    Raises ProjectError.
    """
    with part_file(path.parent, path.name) as part:
        yield part
        part.publish(path, durable=durable)


def atomic_write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` as the whole content of `path`, or leave what was there. Raises ProjectError."""
    with atomic_file(path, durable=durable) as part:
        part.write(data)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut. Windows does so by itself; some network disks cannot."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sweep_parts(folder: Path) -> None:
    """Remove the `.part` files a killed process left anywhere below `folder`. Only for the holder of the lock."""
    for where, _, names in os.walk(folder):
        for name in names:
            if _PART.fullmatch(name):
                with suppress(FileNotFoundError):
                    os.unlink(Path(where) / name)
