"""The one root of errors about a song on disk, and the words for what an operating system refuses."""

from __future__ import annotations

import errno
from pathlib import Path


class ProjectError(Exception):
    """What kept a project from being read or written. One line: the file, the limit and the remedy."""


_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file is larger than this disk or process may write; choose another disk",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "you may not do that here; choose a folder you can write to, or close the file in other programs",
    errno.EPERM: "you may not do that here; choose a folder you can write to, or close the file in other programs",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another folder",
    errno.EISDIR: "this is a folder, not a file; choose another name",
    errno.ENOENT: "it does not exist, or nothing can be made there; choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this disk; choose a shorter one",
    errno.ELOOP: "its links run in a circle; choose another folder",
}


def os_problem(doing: str, path: Path, error: OSError | ValueError) -> ProjectError:
    """A ProjectError such as "cannot write /a/song.json: the disk is full; ..." for a failed system call.

    A ValueError is what Python makes of a path that no system call can take (one with a NUL in it).
    """
    if isinstance(error, ValueError):
        return ProjectError(f"cannot {doing} {str(path)[:200]!r}: this is no path; choose another name")
    remedy = _REMEDIES.get(error.errno or 0, error.strerror or type(error).__name__)
    return ProjectError(f"cannot {doing} {path}: {remedy}")
