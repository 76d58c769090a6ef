"""Reads a source anywhere: silence outside of it, and few large reads however small the pieces asked for."""

from __future__ import annotations

import numpy as np

from studio.align.values import Audio, Source

_CHUNK = 1 << 16
_KEPT = 4


class Reader:
    """A source that goes on as silence to both sides. It keeps the chunks it read last, a few hundred kilobytes."""

    def __init__(self, source: Source) -> None:
        self.channels = source.channels
        self.frames = source.frames
        self._source = source
        self._chunks: dict[int, Audio] = {}

    def read(self, start: int, frames: int) -> Audio:
        """Return frames `start` to `start + frames` of the source, float32 (channels, frames), free to be written."""
        out = np.zeros((self.channels, frames), np.float32)
        at, stop = max(start, 0), min(start + frames, self.frames)
        while at < stop:
            number, skip = divmod(at, _CHUNK)
            count = min(stop - at, _CHUNK - skip)
            out[:, at - start : at - start + count] = self._chunk(number)[:, skip : skip + count]
            at += count
        return out

    def _chunk(self, number: int) -> Audio:
        chunk = self._chunks.pop(number, None)
        if chunk is None:
            first = number * _CHUNK
            chunk = self._source.read(first, min(_CHUNK, self.frames - first))
            if len(self._chunks) >= _KEPT:
                del self._chunks[next(iter(self._chunks))]
        self._chunks[number] = chunk  # the latest last
        return chunk
