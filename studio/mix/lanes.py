"""The stems of a song at their places in the balance: their sum, and the peaks of all that may be heard of them.

The work is cut into pieces, each of which says by itself what it is to read, so that they can be spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsp.peaks import block_peaks
from studio.mix.arrays import BLOCK, Audio
from studio.mix.loudness import hop_energies
from studio.mix.sources import Source
from studio.mix.truepeak import OVERSHOOT, REACH, gap_peaks

STRETCH = 16 * BLOCK
"""Frames that are summed in one piece of work."""
RUNS_TOGETHER = 16
"""Runs of hops that are looked through in one piece of work."""
BRIDGED_HOPS = 100
"""Stretches of loud hops no farther apart than this are looked up together: that is cheaper than apart."""

SETTLED_S = 0.25
"""After this K-weighting, whose lowest corner is at 38 Hz, has forgotten where it began."""

Peaks = NDArray[np.float32]
Part = tuple[Source, int]
"""A take as a source, and its first frame in the song."""
T = TypeVar("T")


class Spread(Protocol):
    """Does pieces of work, perhaps several at a time, and gives what they return in their order.

    They may be done in other processes: they can be pickled where the sources can.
    """

    def __call__(self, works: Sequence[Callable[[], T]]) -> Iterable[T]: ...


def one_by_one(works: Sequence[Callable[[], T]]) -> Iterable[T]:
    """The `Spread` of who is alone."""
    return (work() for work in works)


@dataclass(frozen=True)
class Lanes:
    """The stems' takes, each stem with its gain (a ratio), over the song's `frames` at `rate`. Peaks and energies are
    told of every `hop` frames."""

    stems: Sequence[tuple[Sequence[Part], np.float32]]
    frames: int
    rate: int
    hop: int

    def sounds(self, start: int, stop: int) -> tuple[Audio, list[Audio]]:
        """The sum of all stems over some frames, and with it everything else whose peaks count: each stem, and the
        sum without it. Whoever mutes a stem, or makes one of its takes again, must not find the rest too loud.

        Beyond the song all is silent.
        """
        first, last = max(0, start), min(stop, self.frames)
        pieces = []
        for takes, gain in self.stems:
            piece = _added(takes, first, last)
            if piece is not None:
                piece *= gain
                pieces.append(piece)
        whole = np.zeros((2, last - first), np.float32)
        for piece in pieces:
            whole += piece
        others = [whole - piece for piece in pieces] if len(pieces) > 2 else []
        sounds = [whole, *pieces, *others] if len(pieces) > 1 else [whole]
        if (first, last) != (start, stop):
            sounds = [np.pad(sound, ((0, 0), (first - start, stop - last))) for sound in sounds]
        return sounds[0], sounds

    def measured(self, spread: Spread) -> tuple[NDArray[np.float64], Peaks]:
        """For each hop the K-weighted energy of the sum, and the highest sample of all sounds that count."""
        size = STRETCH // self.hop * self.hop
        works = [_Measure(self, start, min(start + size, self.frames)) for start in range(0, self.frames, size)]
        found = list(spread(works))
        return np.concatenate([energies for energies, _ in found]), np.concatenate([peaks for _, peaks in found])

    def between_samples(self, hops: NDArray[np.intp], level: float, spread: Spread) -> Iterator[tuple[int, Peaks]]:
        """The peaks between the samples of these hops, of the sounds that come above `level` there: runs of them, as
        the first hop of each and the peaks from there on. No two runs share a hop."""
        runs = _runs(hops)
        works = [_Look(self, level, runs[at : at + RUNS_TOGETHER]) for at in range(0, len(runs), RUNS_TOGETHER)]
        for work, found in zip(works, spread(works), strict=True):
            yield from ((first, peaks) for (first, _), peaks in zip(work.runs, found, strict=True))


@dataclass(frozen=True)
class _Measure:
    """The work of measuring frames `start`, the first of a hop, to `stop`."""

    lanes: Lanes
    start: int
    stop: int

    def __call__(self) -> tuple[NDArray[np.float64], Peaks]:
        hop, frames = self.lanes.hop, self.stop - self.start
        # The weighting filter begins from rest, and has settled before the first frame that counts.
        before = min(self.start, -(-round(SETTLED_S * self.lanes.rate) // hop) * hop)
        total = np.empty((2, before + frames), np.float32)
        peaks = np.zeros(-(-frames // hop), np.float32)
        size = BLOCK // hop * hop
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found in the peaks
            if before:
                total[:, :before], _ = self.lanes.sounds(self.start - before, self.start)
            for first in range(0, frames, size):
                last = min(first + size, frames)
                where = slice(first // hop, -(-last // hop))
                whole, sounds = self.lanes.sounds(self.start + first, self.start + last)
                for sound in sounds:
                    np.maximum(peaks[where], block_peaks(sound, hop), out=peaks[where])
                total[:, before + first : before + last] = whole
        return hop_energies(total, self.lanes.rate, hop)[before // hop :], peaks


@dataclass(frozen=True)
class _Look:
    """The work of looking between the samples of runs of hops, (first, last) each, in all that comes above `level`."""

    lanes: Lanes
    level: float
    runs: Sequence[tuple[int, int]]

    def __call__(self) -> list[Peaks]:
        return [self._found(first, last) for first, last in self.runs]

    def _found(self, first: int, last: int) -> Peaks:
        hop = self.lanes.hop
        start, stop = first * hop, min((last + 1) * hop, self.lanes.frames)
        _, sounds = self.lanes.sounds(start - REACH, stop + REACH)
        near = [sound for sound in sounds if max(float(sound.max()), -float(sound.min())) > self.level]
        gaps = gap_peaks(np.concatenate(near), self.level * OVERSHOOT)
        found: Peaks = np.maximum.reduceat(np.maximum(gaps[:-1], gaps[1:]), np.arange(0, stop - start, hop))
        return found


def _added(takes: Sequence[Part], start: int, stop: int) -> Audio | None:
    """Frames `start` to `stop` of a stem at unity, (2, n); None where none of its takes sounds."""
    out: Audio | None = None
    for source, at in takes:
        first, last = max(start, at), min(stop, at + source.frames)
        if first < last:
            if out is None:
                out = np.zeros((2, stop - start), np.float32)
            out[:, first - start : last - start] += source.read(first - at, last - first)
    return out


def _runs(places: NDArray[np.intp], most: int = 512) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last) pairs; small gaps are bridged, long runs are cut."""
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > BRIDGED_HOPS)
    firsts = [int(places[0]), *places[cuts + 1].tolist()]
    lasts = [*places[cuts].tolist(), int(places[-1])]
    return [
        (start, min(start + most - 1, last))
        for first, last in zip(firsts, lasts, strict=True)
        for start in range(first, last + 1, most)
    ]
