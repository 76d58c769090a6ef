"""What is in a project folder, and the safe way to every file of it.

song.json    the song (see `codec`)
media/       takes by content (see `media`); never deleted by Stemwright
clips/       NN-KIND/ROLE.wav and .mid: what is dragged or sent
stems/       ROLE.wav: each stem over the whole song
mix.wav, song.mid
history/     song.json as it was before a new song took its place
"""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.project import media
from studio.project.atomic import atomic_write, sweep_parts
from studio.project.codec import SCHEMA, dump_song
from studio.project.errors import ProjectError, os_problem
from studio.project.media import MediaReader
from studio.project.names import check_media_name, inside
from studio.project.pcm import Samples
from studio.song import Song, Stem

SONG = "song.json"
MEDIA, CLIPS, STEMS, HISTORY = "media", "clips", "stems", "history"
MIX, MIDI = "mix.wav", "song.mid"
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini", ".stemwright.lock")
"""Files that appear by themselves: a folder with nothing else is empty."""


class ProjectFolder:
    """A folder in which a song is kept. `root` is its path; takes that are not there are looked for `behind` it."""

    def __init__(self, root: Path, behind: Path | None = None) -> None:
        self.root = root
        self._behind = behind

    def save(self, song: Song) -> None:
        """Write song.json, whole or not at all. Raises ProjectError; the song that was there is then untouched."""
        data = dump_song(song)
        atomic_write(inside(self.root, SONG), data)

    def sweep(self) -> None:
        """Remove the unfinished files that a killed process left. Only while nothing else is being written here."""
        sweep_parts(self.root)

    def file(self, relative: str) -> Path:
        """The place of a file such as "clips/01-intro/bass.wav"; its folders are made. Raises ProjectError."""
        path = inside(self.root, relative)
        make_folders(path.parent)
        return path

    def stem_path(self, song: Song, stem: Stem) -> Path:
        """Where the sound of a whole stem lies. Raises ProjectError."""
        return inside(self.root, stem_file(song, stem))

    def add_media(self, audio: Samples, rate: int, *, durable: bool = True) -> str:
        """Keep a take's sound, float32 of shape (channels, frames), and return its name. Raises ProjectError.

        See `media.store` for one that need not be `durable` yet.
        """
        folder = inside(self.root, MEDIA)
        make_folders(folder)
        return media.store(folder, audio, rate, durable=durable)

    def media_path(self, name: str) -> Path:
        """Where a take's sound lies (it may be missing). Raises ProjectError on a name that is none."""
        relative = f"{MEDIA}/{check_media_name(name)}"
        path = inside(self.root, relative)
        if self._behind is not None and not path.exists():
            return inside(self._behind, relative)
        return path

    def open_media(self, name: str) -> MediaReader:
        """A take's sound, to be read in slices. Raises ProjectError when it is missing or damaged."""
        return MediaReader(self.media_path(name))


def is_project(folder: Path) -> bool:
    """Whether a folder holds a song.json of ours, however damaged further on."""
    try:
        if (folder / SONG).is_symlink():
            return False
        with open(folder / SONG, "rb") as file:
            return f'"{SCHEMA}"'.encode() in file.read(4096)
    except OSError:
        return False


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing of anybody's. Raises ProjectError when it cannot be read."""
    try:
        return all(path.name in _CLUTTER or path.name.startswith(STAGING) for path in folder.iterdir())
    except OSError as error:
        raise os_problem("read", folder, error) from error


STAGING = ".stemwright-new"
"""Inside a project: the folder in which what will replace it is made (see `draft`)."""


def make_folders(path: Path) -> None:
    """Make a folder and those above it. Raises ProjectError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_problem("make the folder", path, error) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours with all that is in it. Raises ProjectError."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise os_problem("remove", folder, error) from error


def file_name(song: Song, stem: Stem) -> str:
    """What a stem's files are called: its role, or its id where the song has several of that role."""
    alone = sum(other.role == stem.role for other in song.stems) == 1
    return stem.role if alone else stem.id


def stem_file(song: Song, stem: Stem) -> str:
    """The file of a whole stem, relative to the folder."""
    return f"{STEMS}/{file_name(song, stem)}.wav"


def clip_paths(song: Song) -> set[str]:
    """The files a song's clips are in, relative to the folder."""
    paths = {path for clip in song.clips for path in (clip.path, clip.midi) if path is not None}
    return {path for path in paths if path.startswith(f"{CLIPS}/")}


def derived_paths(song: Song) -> set[str]:
    """What Stemwright writes for a song besides song.json and media: all of it can be made again."""
    stems = {stem_file(song, stem) for stem in song.stems}
    return clip_paths(song) | stems | {MIX, MIDI}


def check_is_song(folder: Path) -> None:
    """Raise ProjectError unless `folder` is one with a song.json."""
    if not folder.is_dir():
        raise ProjectError(f"{folder} is not a folder; give the project folder that 'stemwright make' wrote")
    if not (folder / SONG).is_file():
        raise ProjectError(f"{folder} holds no {SONG}; give the project folder that 'stemwright make' wrote")
