"""Beats that bar lock is given instead of hearing them itself: from a file, or from another listener."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studio.align.grid import Grid
from studio.align.hear.bars import BarShape
from studio.align.values import Counted, Source, as_one
from studio.jobs.neural import NeuralHost
from studio.mix.arrays import Audio
from studio.mix.errors import SourceError

RATE = 22_050
"""Hz: more is not listened to."""
MOST_BYTES, MOST_BEATS = 4 << 20, 200_000
REACH = 2**0.5
"""Tempos are looked for within this factor of the grid's."""
BLOCK = 1 << 16

Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Listening:
    """Who listens."""

    engine: str
    """Such as beatnet."""
    weights: Path | None = None
    """None for its own."""
    device: str = "cpu"


def read_beats(path: Path) -> Counted:
    """Beats from a text file: in each line a second, and after it the beat's number in its bar if that is known, as
    beat trackers and Sonic Visualiser write them. Raises SourceError, or AlignError for beats that do not rise."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({(error.strerror or 'error').lower()})") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is no text; it needs a second in each line") from error
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    if len(data) > MOST_BYTES or len(lines) > MOST_BEATS:
        raise SourceError(f"{path} holds more than {MOST_BEATS} beats; cut it into parts")
    seconds, numbers = [], []
    for number, words in enumerate(lines, start=1):
        second = _number(words[0])
        if second is None or second < 0:
            raise SourceError(f"{path}: beat {number} begins with {words[0]!r:.40}; write the second at which it is")
        seconds.append(second)
        numbers.append(_number(words[1]) if len(words) > 1 else None)
    return Counted(np.array(seconds), np.array([number == 1.0 for number in numbers], bool))


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def listened(source: Source, rate: int, grid: Grid, by: Listening, cancel: Cancel) -> Counted:
    """The beats that a listener hears in a sound meant for a grid. Raises EngineError, or AlignError for none."""
    shape = BarShape.of(grid.meter)
    bpm = grid.bpm / float(shape.unit)
    with NeuralHost() as host:
        found = host.listen(
            _mono(source, rate), RATE, by.engine, by.weights, units=shape.units, slowest=bpm / REACH,
            fastest=bpm * REACH, device=by.device, cancel=cancel,
        )  # fmt: skip
    return Counted(found.seconds, found.downbeats)


def _mono(source: Source, rate: int) -> Audio:
    import soxr

    resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
    pieces = []
    for start in range(0, source.frames, BLOCK):
        count = min(BLOCK, source.frames - start)
        piece = as_one(source.read(start, count))
        last = start + count == source.frames
        pieces.append(piece if rate == RATE else resampler.resample_chunk(piece, last=last))
    return np.asarray(np.concatenate(pieces)[None], np.float32)
