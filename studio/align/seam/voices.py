"""Sounds laid over one another on one timeline, read in blocks of any size: the same samples whatever the blocks.

Where one voice sounds alone and unfaded its samples pass through untouched.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from studio.align.values import Audio


class Laid(Protocol):
    """A sound on the target's time, where frame 0 is the downbeat of bar 1."""

    @property
    def channels(self) -> int: ...

    @property
    def first(self) -> int:
        """Before this frame it has nothing."""
        ...

    @property
    def last(self) -> int:
        """From this frame on it has nothing."""
        ...

    def read(self, start: int, stop: int) -> Audio:
        """Frames `start` to `stop`, silence where there is no sound; float32 (channels, stop - start), not to be
        written."""
        ...


@dataclass(frozen=True)
class Shifted:
    """A sound that comes `by` frames later."""

    sound: Laid
    by: int

    @property
    def channels(self) -> int:
        return self.sound.channels

    @property
    def first(self) -> int:
        return self.sound.first + self.by

    @property
    def last(self) -> int:
        return self.sound.last + self.by

    def read(self, start: int, stop: int) -> Audio:
        return self.sound.read(start - self.by, stop - self.by)


@dataclass(frozen=True)
class Patch:
    """A short sound in memory: `audio` from frame `first` on."""

    audio: Audio
    first: int

    @property
    def channels(self) -> int:
        return int(self.audio.shape[0])

    @property
    def last(self) -> int:
        return self.first + int(self.audio.shape[1])

    def read(self, start: int, stop: int) -> Audio:
        inside = self.audio[:, max(0, start - self.first) : max(0, stop - self.first)]
        before = min(max(0, self.first - start), stop - start)
        return np.pad(inside, ((0, 0), (before, stop - start - before - inside.shape[1])))


@dataclass(frozen=True)
class Voice:
    """A sound from frame `start` to `stop`, led in and out by raised cosines that lie inside them."""

    sound: Laid
    start: int
    stop: int
    fade_in: int = 0
    fade_out: int = 0

    def read(self, start: int, stop: int) -> Audio:
        """Frames inside the voice, faded."""
        audio = self.sound.read(start, stop)
        head, tail = self.start + self.fade_in, self.stop - self.fade_out
        if start >= head and stop <= tail:
            return audio
        audio = audio.copy()
        if start < head:
            count = min(head, stop) - start
            audio[:, :count] *= rise(self.fade_in)[start - self.start :][:count]
        if stop > tail:
            begin = max(tail, start)
            audio[:, begin - start :] *= rise(self.fade_out)[::-1][begin - tail :][: stop - begin]
        return audio


class Voices:
    """The sum of voices from frame `first` on, `frames` long, as a source. In a loop, `first` is 0 and what lies before
    or after it sounds at the other end."""

    def __init__(self, voices: Sequence[Voice], first: int, frames: int, loop: bool) -> None:
        self.frames = frames
        self.channels = voices[0].sound.channels
        self.first = first
        self._loop = loop
        self._voices = tuple(voices)

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames` counted from the first, inside the sum; float32 (channels, frames)."""
        begin, end = start + self.first, start + self.first + frames
        parts = list(self._parts(begin, end))
        if len(parts) == 1:
            low, audio = parts[0]
            if audio.shape[1] == frames:
                return audio
        result = np.zeros((self.channels, frames), np.float32)
        for low, audio in parts:
            result[:, low - begin : low - begin + audio.shape[1]] += audio
        return result

    def around(self, centre: int, reach: int) -> tuple[Audio, int]:
        """Sound around a frame (from the first), as far as `reach` to either side and no frame twice; and the place
        of the frame in it. In a loop it goes on at the other end."""
        if not self._loop:
            low, high = max(0, centre - reach), min(self.frames, centre + reach)
            return self.read(low, high - low), centre - low
        half = min(reach, self.frames // 2)
        low, length = centre - half, min(2 * reach, self.frames)
        edges = [low, *range((low // self.frames + 1) * self.frames, low + length, self.frames), low + length]
        pieces = [self.read(a % self.frames, b - a) for a, b in itertools.pairwise(edges)]
        return np.concatenate(pieces, axis=1), half

    def _parts(self, begin: int, end: int) -> Iterator[tuple[int, Audio]]:
        """What sounds from `begin` to `end`, piece by piece, in the order of the voices."""
        for voice in self._voices:
            turns = [0]
            if self._loop:
                # voice + k * frames meets [begin, end)
                least = -((voice.stop - 1 - begin) // self.frames)
                turns = list(range(least, (end - 1 - voice.start) // self.frames + 1))
            for turn in turns:
                by = turn * self.frames
                low, high = max(begin, voice.start + by), min(end, voice.stop + by)
                if low < high:
                    yield low, voice.read(low - by, high - by)


def rise(frames: int) -> Audio:
    """Gains of a raised cosine from 0 to 1, float32 (frames,); reversed, it adds up with itself to 1."""
    return np.asarray(np.sin(np.pi / 2 * (np.arange(frames) + 0.5) / max(frames, 1)) ** 2, np.float32)
