"""The takes of a song as they lie in its project: read in pieces, when they are needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.mix.arrays import Audio
from studio.mix.curve import Curve, curve_hop
from studio.project.errors import ProjectError
from studio.project.folder import ProjectFolder
from studio.project.media import MediaReader
from studio.song import Song

MOST_OPEN = 48
"""Files; a long song has more takes than a process may hold open."""


class StoredTake:
    """A take in `media/` as a `studio.mix.sources.Source`, under the gain curve of its cell where it has one."""

    def __init__(self, files: _OpenFiles, media: str, curve: Curve | None) -> None:
        self._files, self._media, self._curve = files, media, curve
        self.channels, self.frames = files.shape(media)

    def __reduce__(self) -> tuple[Callable[..., StoredTake], tuple[ProjectFolder, str, Curve | None]]:
        """In another process it reads the same file."""
        return _reopened, (self._files.folder, self._media, self._curve)

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside the take. Raises ProjectError."""
        sound = self._files.read(self._media, start, frames)
        if self._curve is not None:
            sound *= self._curve.gains(start, frames)
        return sound


class StoredSounds(Mapping[tuple[str, str], StoredTake]):
    """The takes in use by (section id, stem id). Safe between threads; `close` it before the project is moved."""

    def __init__(self, song: Song, folder: ProjectFolder) -> None:
        self._files = _OpenFiles(folder)
        self._hop = curve_hop(song.rate)
        self._curves = {(cell.section, cell.stem): cell.curve for cell in song.cells if cell.curve is not None}
        for cell in song.cells:
            if cell.take is not None and cell.take.media is not None and cell.take.rate != song.rate:
                raise ProjectError(
                    f"take {cell.take.id} of {cell.section}/{cell.stem} is at {cell.take.rate} Hz and the song at "
                    f"{song.rate}; make the cell again at the song's rate"
                )
        self._media = {
            (cell.section, cell.stem): cell.take.media
            for cell in song.cells
            if cell.take is not None and cell.take.media is not None
        }

    def __getitem__(self, place: tuple[str, str]) -> StoredTake:
        media, curve = self._media[place], None
        if place in self._curves:
            name = self._curves[place]
            curve = Curve(self._files.read(name, 0, self._files.shape(name)[1])[0], self._hop)
        return StoredTake(self._files, media, curve)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._media)

    def __len__(self) -> int:
        return len(self._media)

    def close(self) -> None:
        """Close the files that are still open. What is read later opens them again."""
        self._files.close()


@dataclass
class _OpenFile:
    reader: MediaReader
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


class _OpenFiles:
    """The takes that were read last, kept open: opening one costs as much as reading a second of it."""

    def __init__(self, folder: ProjectFolder) -> None:
        self.folder = folder
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()
        self._guard = threading.Lock()

    def shape(self, media: str) -> tuple[int, int]:
        """Channels and frames. Raises ProjectError."""
        reader = self._get(media).reader
        return reader.channels, reader.frames

    def read(self, media: str, start: int, frames: int) -> Audio:
        """Frames of a take. Raises ProjectError."""
        while True:
            file = self._get(media)
            with file.lock:
                if not file.closed:  # another thread may have needed the room meanwhile
                    return file.reader.read(start, frames)

    def close(self) -> None:
        with self._guard:
            while self._open:
                self._close_oldest()

    def _get(self, media: str) -> _OpenFile:
        with self._guard:
            if media not in self._open:
                while len(self._open) >= MOST_OPEN:
                    self._close_oldest()
                self._open[media] = _OpenFile(self.folder.open_media(media))
            self._open.move_to_end(media)
            return self._open[media]

    def _close_oldest(self) -> None:
        file = self._open.popitem(last=False)[1]
        with file.lock:
            file.closed = True
            file.reader.close()


_files_of_others: dict[Path, _OpenFiles] = {}
"""In a worker process: the files of the project whose takes it was handed last."""


def _reopened(folder: ProjectFolder, media: str, curve: Curve | None) -> StoredTake:
    if folder.root not in _files_of_others:
        for files in _files_of_others.values():
            files.close()
        _files_of_others.clear()
        _files_of_others[folder.root] = _OpenFiles(folder)
    return StoredTake(_files_of_others[folder.root], media, curve)
