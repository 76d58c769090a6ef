"""A project in the making: everything appears at once, or nothing does.

A new project is built in a hidden folder beside its place and renamed into it. Where a folder is there
already, the new files are built in a hidden folder inside it; once they are complete a marker says so, and
only then do they move to their places, song.json last. A process killed before the marker leaves the old song
as it was; killed after it, the next one to open the project finishes the move (`recover`). Takes are only
ever added, the old song.json goes to `history/`, and files that are not Stemwright's are not touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.project.atomic import atomic_write, sync_folder, temporary_name
from studio.project.codec import load_song, read_bounded
from studio.project.errors import ProjectError, os_problem
from studio.project.folder import (
    CLIPS,
    HISTORY,
    MIDI,
    MIX,
    SONG,
    STAGING,
    STEMS,
    ProjectFolder,
    derived_paths,
    is_project,
    is_vacant,
    make_folders,
    remove_tree,
)
from studio.project.lock import NAME as LOCK
from studio.project.lock import ProjectLock
from studio.project.names import inside

_MARKER = "complete.json"


@contextmanager
def draft(path: Path, *, force: bool = False) -> Iterator[ProjectFolder]:
    """A folder to write a project in (media, clips, stems, and `save` last); it becomes `path` when the block ends.

    If the block fails nothing of it remains. Raises ProjectError where `path` holds a project and `force` is
    False, or holds files that are not a Stemwright project.
    """
    path = Path(os.path.abspath(path))
    check_target(path, force)
    building = _beside(path) if not path.exists() else _within(path, force)
    with building as folder:
        yield folder


def check_target(path: Path, force: bool) -> None:
    """Raise ProjectError unless a project may be made at `path`. Writes nothing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return  # what is in the way further up is told when the folder is made
    except (OSError, ValueError) as error:
        raise os_problem("write", path, error) from error
    if not path.is_dir():
        raise ProjectError(f"{path} is a file; choose a folder that does not exist yet")
    if is_project(path):
        if not force:
            raise ProjectError(
                f"{path} already holds a song; choose another folder, or use --force to replace it (its takes are kept)"
            )
    elif not is_vacant(path):
        raise ProjectError(f"{path} holds files that are not a Stemwright project; choose another or an empty folder")


@contextmanager
def _beside(path: Path) -> Iterator[ProjectFolder]:
    """Build next to `path`, which does not exist, and rename."""
    made = _missing_parents(path)
    root = path.parent / temporary_name(path.name, "new")
    try:
        make_folders(path.parent)
        _sweep_beside(path)
        try:
            os.mkdir(root)
        except OSError as error:
            raise os_problem("make the folder", path, error) from error
        lock = ProjectLock(root)
        try:
            yield _started(root)
            _check_finished(root)
        finally:
            lock.release()
        try:
            _sync_tree(root)
            os.rename(root, path)
            sync_folder(path.parent)
        except OSError as error:
            raise os_problem("write", path, error) from error
    except BaseException:
        with suppress(ProjectError):  # what went wrong first is what the user needs to read
            remove_tree(root)
        for parent in made:
            with suppress(OSError):  # somebody else may have put something there meanwhile
                os.rmdir(parent)
        raise


@contextmanager
def _within(path: Path, force: bool) -> Iterator[ProjectFolder]:
    """Build inside the existing folder `path`, then move everything to its place."""
    lock = ProjectLock(path)
    try:
        recover(path)
        check_target(path, force)  # again: what was finished just now, or made before the lock was ours
        with staged(path, replaces=True) as folder:
            yield folder
    finally:
        lock.release()


@contextmanager
def staged(path: Path, *, replaces: bool) -> Iterator[ProjectFolder]:
    """A hidden folder inside the project `path`, whose lock is held; its files move to their places together.

    `replaces` says that the song is another one: the old song.json is kept in `history/`, and the clips, stems and
    mix that the new one does not have are removed. Otherwise everything not written anew stays as it is.
    """
    root = path / STAGING
    try:
        make_folders(root)
        yield _started(root, behind=path)
        _check_finished(root)
        marker = {"replaces": replaces, "obsolete": sorted(_obsolete(path, root)) if replaces else []}
        try:
            _sync_tree(root)
        except OSError as error:
            raise os_problem("write", root, error) from error
        atomic_write(root / _MARKER, json.dumps(marker).encode())
    except BaseException:
        with suppress(ProjectError):  # as above
            remove_tree(root)
        raise
    recover(path)


def recover(path: Path) -> None:
    """Finish the move that a killed process began, or remove what it had not completed. For the lock's holder."""
    root = path / STAGING
    if root.is_symlink():
        raise ProjectError(f"{root} is a link; a project holds only files and folders of its own")
    try:
        if (root / _MARKER).is_file():
            _move(root, path)
            os.unlink(root / _MARKER)
        remove_tree(root)
    except OSError as error:
        raise os_problem("finish writing", path, error) from error


def _move(root: Path, path: Path) -> None:
    """Move the finished files of `root` to their places in `path`. May be done again after any interruption."""
    replaces, obsolete = _read_marker(root / _MARKER)
    for relative in _files(root):
        if relative not in (SONG, _MARKER):
            _replace(root, path, relative)
    if (root / SONG).is_file():
        if replaces:
            _keep_old_song(path)
        _replace(root, path, SONG)
        sync_folder(path)
    for relative in obsolete:
        target = inside(path, relative)
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(target)
        with suppress(OSError):  # only an empty folder goes
            os.rmdir(target.parent)


def _replace(root: Path, path: Path, relative: str) -> None:
    target = inside(path, relative)
    make_folders(target.parent)
    os.replace(inside(root, relative), target)


def _read_marker(path: Path) -> tuple[bool, list[str]]:
    """Whether the song is another one, and the files it no longer has: only such as Stemwright writes, whatever
    the marker says."""
    try:
        marker = json.loads(path.read_bytes())
        replaces, names = bool(marker["replaces"]), list(marker["obsolete"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProjectError(f"{path} is damaged; remove the folder {path.parent} and open the project again") from None
    allowed = re.compile(rf"(?:{CLIPS}|{STEMS})/.+|{re.escape(MIX)}|{re.escape(MIDI)}")
    return replaces, [name for name in names if isinstance(name, str) and allowed.fullmatch(name)]


def _obsolete(path: Path, root: Path) -> set[str]:
    """What the old song wrote and the new one does not. Nothing where the old song cannot be read."""
    if not (path / SONG).exists():
        return set()
    try:
        old = load_song(read_bounded(path / SONG))
    except ProjectError:
        return set()  # damaged or newer: its files cannot be told from others, so they stay
    return derived_paths(old) - set(_files(root))


def _keep_old_song(path: Path) -> None:
    """Copy the song.json that is about to be replaced to `history/`, unless the newest one there is the same."""
    if not (path / SONG).exists():
        return
    data = read_bounded(path / SONG)
    folder = inside(path, HISTORY)
    make_folders(folder)
    numbers = sorted(int(m[1]) for m in map(re.compile(r"song-(\d{4,9})\.json").fullmatch, os.listdir(folder)) if m)
    last = numbers[-1] if numbers else 0
    if last and read_bounded(folder / f"song-{last:04}.json") == data:
        return
    atomic_write(folder / f"song-{last + 1:04}.json", data)


def _files(root: Path) -> list[str]:
    """Every file below `root` but the lock, relative, in a stable order."""
    found = [(Path(where) / name).relative_to(root).as_posix() for where, _, names in os.walk(root) for name in names]
    return sorted(name for name in found if name != LOCK)


def _started(root: Path, behind: Path | None = None) -> ProjectFolder:
    folder = ProjectFolder(root, behind)
    for name in ("media", CLIPS, STEMS):
        make_folders(root / name)
    return folder


def _check_finished(root: Path) -> None:
    if not (root / SONG).is_file():
        raise ProjectError("a project needs its song: save it before the draft ends")


def _sync_tree(root: Path) -> None:
    for where, _, _ in os.walk(root):
        sync_folder(Path(where))


def _missing_parents(path: Path) -> list[Path]:
    """The folders above `path` that do not exist, the deepest first."""
    return [parent for parent in path.parents if not parent.exists()]


def _sweep_beside(path: Path) -> None:
    """Remove what killed processes left beside `path`; a folder whose lock is held is another's work under way."""
    pattern = re.compile(re.escape(f".{path.name[:100]}.stemwright-") + r"\d+-\d+\.new")
    try:
        names = [name for name in os.listdir(path.parent) if pattern.fullmatch(name)]
    except OSError:
        return  # a folder one may write in but not list
    for name in names:
        left = path.parent / name
        if left.is_symlink():
            continue
        try:
            ProjectLock(left).release()
        except ProjectError:
            continue
        remove_tree(left)
