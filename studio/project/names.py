"""Names of files inside a project: only such that cannot lead out of it."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from studio.project.errors import ProjectError

MEDIA_NAME = re.compile(r"[0-9a-f]{32}\.(?:wav|flac)")
LONGEST_PATH = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\]')  # what Windows forbids, so that a project can be carried there
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")


def check_media_name(name: str) -> str:
    """The name, if it is one of a take: 32 hexadecimal digits and .wav or .flac. Raises ProjectError."""
    if not MEDIA_NAME.fullmatch(name):
        raise ProjectError(f"media name {name[:60]!r}: a take is named by 32 hexadecimal digits and .wav or .flac")
    return name


def check_relative_path(text: str) -> str:
    """The path, if it is relative, written with "/", and stays inside the project. Raises ProjectError."""
    parts = text.split("/")
    if (
        not 0 < len(text) <= LONGEST_PATH
        or _FORBIDDEN.search(text)
        or any(part in ("", ".", "..") or part[-1] in ". " or _DEVICES.fullmatch(part) for part in parts)
    ):
        raise ProjectError(
            f"path {text[:60]!r}: write it relative to the project folder with '/', such as clips/01-intro/bass.wav"
        )
    return text


def inside(root: Path, relative: str) -> Path:
    """`root` / `relative`, refused where a link on the way would lead elsewhere. Raises ProjectError."""
    path = root
    for part in PurePosixPath(check_relative_path(relative)).parts:
        path = path / part
        if os.path.islink(path):
            raise ProjectError(f"{path} is a link; a project holds only files and folders of its own")
    return path
