"""Opens the sound files that users have: any usual format, any rate, any number of channels, however long.

A file is a `studio.mix.sources.Source`: float32, 1 or 2 channels, at the rate one asks for, read anywhere and as often
as one likes. Plain files of that rate are read as they are; all others are decoded once, block by block, and wait on
the disk. What a file says of itself is not trusted.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from studio.mix.arrays import MAX_RATE, MIN_RATE, Audio
from studio.mix.errors import SourceError
from studio.scratch import ScratchSound

if TYPE_CHECKING:
    import soundfile

FORMATS = "WAV, AIFF, FLAC, OGG or MP3"
PLAIN = ("WAV", "WAVEX", "RF64", "AIFF")
READABLE = (*PLAIN, "W64", "CAF", "AU", "FLAC", "OGG", "MP3")
EXACT = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Codings in which any frame can be found by its number."""
LONGEST_MINUTES = 120
MOST_CHANNELS = 64
LOUDEST = 1000.0
"""Full scale: 60 dB above it there is no sound but a mistake."""
BLOCK = 1 << 16
_SIDES = {3: "LRC", 4: "LRLR", 5: "LRCLR", 6: "LRC-LR", 7: "LRC-CLR", 8: "LRC-LRLR"}
"""What the channels of a file are for, as WAVE orders them: left, right, centre, - for bass effects that double it."""
_SHARED = 0.7071
"""-3 dB: of a channel that both sides share, and of those behind (ITU-R BS.775-3, annex 4)."""

Progress = Callable[[float], None]


def _quiet(done: float) -> None:
    """A `Progress` that is told nothing."""


class AudioFile:
    """An open sound file. `warnings` say in a sentence each what about it was not as it should be."""

    def __init__(self, path: Path, rate: int | None = None, progress: Progress = _quiet) -> None:
        """Open `path`, to be heard at `rate` Hz (its own where that is None); `progress` is told 0..1.

        Raises SourceError, in one line: the file cannot be read, holds no sound, or more than LONGEST_MINUTES.
        """
        self.path = path
        self.warnings: tuple[str, ...] = ()
        length = _check_is_file(path)
        self._guard = threading.Lock()
        self._file = _opened(path)
        self._scratch: ScratchSound | None = None
        try:
            self._check_head()
            self.own_rate = int(self._file.samplerate)
            self.rate = _checked_rate(rate or self.own_rate, f"a rate of {rate} Hz", "ask for one")
            self._fold = fold(int(self._file.channels))
            self.channels = 1 if self._fold is None and self._file.channels == 1 else 2
            if self._fold is not None:
                self._warn(f"its {self._file.channels} channels are folded to two")
            self.frames = int(self._file.frames)
            if not self._is_plain():
                self._decode(progress)
            self._check_whole(length)
        except BaseException:
            self.close()
            raise

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside, float32 (channels, frames). Raises SourceError."""
        if self._scratch is not None:
            return self._scratch.read(start, frames)
        with self._guard:
            if self._file.tell() != start:
                self._file.seek(start)
            audio = self._block(frames)
        if audio.shape[1] != frames:
            raise SourceError(f"{self.path} became shorter while it was read; try again")
        return audio

    def close(self) -> None:
        """Close the file. What was decoded is gone with it."""
        self._file.close()
        if self._scratch is not None:
            self._scratch.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _warn(self, words: str) -> None:
        self.warnings = (*self.warnings, f"{self.path.name}: {words}")

    def _check_head(self) -> None:
        """Raise SourceError unless what the file says of itself is something to work with."""
        file, path = self._file, self.path
        if file.format not in READABLE:
            raise SourceError(f"{path} is a {file.format} file; save it as {FORMATS}")
        _checked_rate(int(file.samplerate), f"{path} has a rate of {file.samplerate} Hz", "convert it to one")
        if not 1 <= file.channels <= MOST_CHANNELS:
            raise SourceError(f"{path} has {file.channels} channels; at most {MOST_CHANNELS}, fold it to stereo")
        if file.frames < 1 and file.format in PLAIN:  # a damaged OGG file says 0, and may hold some sound
            raise SourceError(f"{path} holds no sound; save it again")
        minutes = file.frames / file.samplerate / 60
        if minutes > LONGEST_MINUTES:
            raise SourceError(f"{path} lasts {minutes:.0f} minutes; at most {LONGEST_MINUTES}, cut it into parts")

    def _is_plain(self) -> bool:
        file = self._file
        return file.format in PLAIN and file.subtype in EXACT and file.samplerate == self.rate

    def _block(self, frames: int) -> Audio:
        """The next frames of the file; fewer at its end. Raises SourceError where they are no sound."""
        with _muted(self._file.format == "MP3"):
            samples = self._file.read(frames, dtype="float32", always_2d=True)
        peak = float(np.abs(samples).max(initial=0.0))
        if not peak <= LOUDEST:  # also where it is no number
            what = "samples that are not numbers" if not np.isfinite(peak) else f"samples as large as {peak:.3g}"
            raise SourceError(f"{self.path} holds {what}; save it again with full scale at 1.0")
        return np.ascontiguousarray(samples.T if self._fold is None else self._fold @ samples.T, dtype=np.float32)

    def _decode(self, progress: Progress) -> None:
        """Read all of the file and keep it at the rate that is asked for."""
        said, heard = self.frames, 0
        self._scratch = ScratchSound(self.channels)
        resampled = _resampler(self.own_rate, self.rate, self.channels)
        for block, last in _with_last(self._blocks()):
            self._scratch.append(resampled(block, last))
            heard += block.shape[1]
            progress(min(1.0, heard / max(said, 1)))
        if not heard:
            raise SourceError(f"{self.path} cannot be decoded; save it again as {FORMATS}")
        # The last frame or two of a resampled sound are a matter of rounding.
        missing = round(heard * self.rate / self.own_rate) - self._scratch.frames
        if missing > 0:
            self._scratch.append(np.zeros((self.channels, missing), np.float32))
        self.frames = self._scratch.frames + min(0, missing)
        if heard < said:
            self._ends_early(heard / self.own_rate)

    def _blocks(self) -> Iterator[Audio]:
        """The file from its start to its end, or to where it is damaged."""
        import soundfile

        while True:
            try:
                block = self._block(BLOCK)
            except soundfile.LibsndfileError:
                return  # what came before is good
            if block.shape[1]:
                yield block
            if block.shape[1] < BLOCK:
                return

    def _check_whole(self, length: int) -> None:
        """Warn where a file is shorter than its head says: the library takes what is there and does not tell."""
        with open(self.path, "rb") as file:
            head = file.read(8)
        order = {b"RIFF": "<I", b"FORM": ">I"}.get(head[:4])
        if order is None or len(head) < 8:
            return
        (said,) = struct.unpack(order, head[4:])
        if length - 8 < said < 0xFFFFFFFF - 8:  # recorders that do not know the length yet write the largest number
            self._ends_early(self.frames / self.rate)

    def _ends_early(self, seconds: float) -> None:
        self._warn(f"it ends early, {seconds:.2f} s of it are there")


def _resampler(own_rate: int, rate: int, channels: int) -> Callable[[Audio, bool], Audio]:
    """What turns one block after the other (and whether it is the last) into sound at `rate`."""
    if rate == own_rate:
        return lambda block, last: block
    import soxr

    stream = soxr.ResampleStream(own_rate, rate, channels, dtype="float32", quality="VHQ")

    def resampled(block: Audio, last: bool) -> Audio:
        samples = np.ascontiguousarray(block.T if channels > 1 else block[0])
        out: Audio = stream.resample_chunk(samples, last=last)
        return out.reshape(-1, channels).T

    return resampled


def fold(channels: int) -> Audio | None:
    """The matrix (2, channels) that folds a file's channels to two; None for one or two, which stay as they are.

    Surround goes as ITU-R BS.775-3 has it; channels of no known order are panned in turn.
    """
    if channels <= 2:
        return None
    sides = _SIDES.get(channels, "")
    matrix = np.zeros((2, channels), np.float32)
    for number in range(channels):
        side = sides[number] if sides else "LR"[number % 2]
        share = 1.0 if number < 2 else _SHARED
        if side in "LC":
            matrix[0, number] = share
        if side in "RC":
            matrix[1, number] = share
    return matrix


def _check_is_file(path: Path) -> int:
    """The length of an ordinary file in bytes. Raises SourceError."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file; check its name") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{str(path)[:200]!r} cannot be read: {error}; check its name") from error
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{path} is a folder; name a sound file ({FORMATS})")
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{path} is not an ordinary file; save the sound as {FORMATS} first")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} cannot be read: you may not; change its permissions, or copy it")
    return found.st_size


def _opened(path: Path) -> soundfile.SoundFile:
    import soundfile

    class Forward(soundfile.SoundFile):
        """A file that is read on from where it stands. The library would go there again after every read, which in an
        MP3 file throws away what the next frames are made from: it came out wrong from the second block on."""

        def seekable(self) -> bool:
            return False

    try:
        with _muted():
            return Forward(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # the latter for .raw, which says nothing of itself
        raise SourceError(f"{path} is damaged, or no sound that can be read; save it as {FORMATS}") from error


_muting = threading.Lock()


@contextmanager
def _muted(really: bool = True) -> Iterator[None]:
    """Keep the decoder of MP3 files from writing notes of its own to standard error."""
    if not really:
        yield
        return
    with _muting:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _checked_rate(rate: int, what: str, remedy: str) -> int:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise SourceError(f"{what}; {remedy} of {MIN_RATE} to {MAX_RATE}")
    return rate


def _with_last(blocks: Iterator[Audio]) -> Iterator[tuple[Audio, bool]]:
    """Blocks, each with whether it is the last."""
    waiting: Audio | None = None
    for block in blocks:
        if waiting is not None:
            yield waiting, False
        waiting = block
    if waiting is not None:
        yield waiting, True
