"""The outline of a waveform, read block by block: a three-minute file is never in memory whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.mix.sources import Source

#: Frames read at a time.
_READ = 1 << 18


@dataclass(frozen=True, slots=True)
class Outline:
    """Lowest, highest and root-mean-square sample of every column, over the channels; float32, ±1.0."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    rms: NDArray[np.float32]


def outline(source: Source, frames: int, columns: int) -> Outline:
    """Return the outline of frames 0 to `frames` in `columns` columns.

    Columns share the frames as evenly as whole frames allow; what lies past the source's end is silence, and
    with fewer frames than columns neighbouring columns show the same frame.
    """
    low, high = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    power = np.zeros(columns)
    edges = np.arange(columns + 1, dtype=np.int64) * frames // columns
    first = 0
    while first < columns:
        last = max(first + 1, int(np.searchsorted(edges, edges[first] + _READ, side="right")) - 1)
        last = min(last, columns)
        start = min(int(edges[first]), max(0, source.frames - 1))
        stop = min(max(int(edges[last]), start + 1), source.frames)
        if stop > start and edges[first] < source.frames:
            audio = source.read(start, stop - start)
            at = np.minimum(edges[first:last] - start, stop - start - 1)
            low[first:last] = np.minimum.reduceat(audio.min(axis=0), at)
            high[first:last] = np.maximum.reduceat(audio.max(axis=0), at)
            squares = np.einsum("cn,cn->n", audio, audio, dtype=np.float64) / audio.shape[0]
            counts = np.maximum(1, np.diff(np.append(at, stop - start)))
            power[first:last] = np.add.reduceat(squares, at) / counts
            beyond = edges[first:last] >= source.frames
            for values in (low, high, power):
                values[first:last][beyond] = 0.0
        first = last
    return Outline(low, high, np.sqrt(power).astype(np.float32))
