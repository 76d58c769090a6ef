"""From takes to a stem: every take limited and levelled alone, then added at its start frame.

A take's treatment depends on the take and on the stem's two static values only, so rendering one cell again
changes nothing else in the song.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from studio.mix.arrays import Audio, check_audio, from_db
from studio.mix.limiter import GainRegion, apply_regions, gain_regions, limit
from studio.mix.mixer import Mixer, Placed, Track


@dataclass(frozen=True, slots=True)
class StemLevel:
    """The static values of one stem.

    Attributes:
        gain_db: applied after the limiter.
        ceiling_db: dBFS of the take as it comes, before the gain; plus infinity switches the limiter off.
    """

    gain_db: float
    ceiling_db: float


@dataclass(frozen=True, slots=True)
class PlacedTake:
    """A take, float32 (1 or 2 channels, n), whose first frame sounds at frame `start` of the song."""

    audio: Audio
    start: int


def apply_level(take: Audio, rate: int, level: StemLevel) -> Audio:
    """Return the take limited and levelled, a new float32 array of the same shape."""
    return limit(take, rate, level.ceiling_db) * np.float32(from_db(level.gain_db))


class LimitedTake:
    """A take behind its limiter, as a source for the mixer; the limited audio is never stored whole."""

    def __init__(self, audio: Audio, rate: int, ceiling_db: float) -> None:
        """Wrap a take; the limiter runs at the first `read`."""
        self._audio = check_audio(audio)
        self._rate = rate
        self._ceiling_db = ceiling_db

    @cached_property
    def _regions(self) -> list[GainRegion]:
        return gain_regions(self._audio, self._rate, self._ceiling_db)

    @property
    def frames(self) -> int:
        return self._audio.shape[1]

    @property
    def channels(self) -> int:
        return self._audio.shape[0]

    def read(self, start: int, frames: int) -> Audio:
        """Return frames `start` to `start + frames` of the limited take; see `studio.mix.sources.Source`."""
        part = self._audio[:, start : start + frames]
        here: list[GainRegion] = []
        first_region = bisect_right(self._regions, start, key=lambda region: region.start + len(region.gain))
        for region in self._regions[first_region:]:
            if region.start >= start + frames:
                break
            first, last = max(region.start, start), min(region.start + len(region.gain), start + frames)
            here.append(GainRegion(first - start, region.gain[first - region.start : last - region.start]))
        if here:
            part = part.copy()
            apply_regions(part, here, self._ceiling_db)
        return part


def limited_parts(takes: Sequence[PlacedTake], rate: int, ceiling_db: float) -> tuple[Placed, ...]:
    """Return the takes behind their limiters, placed for a mixer track."""
    return tuple(Placed(LimitedTake(take.audio, rate, ceiling_db), take.start) for take in takes)


def render_stem(takes: Sequence[PlacedTake], rate: int, level: StemLevel, frames: int) -> Audio:
    """Return the whole stem, float32 (2, frames): all takes at their places, cut at the song's last frame."""
    parts = limited_parts(takes, rate, level.ceiling_db)
    mixer = Mixer([Track("stem", parts, gain_db=level.gain_db)], rate)
    out = np.empty((2, frames), dtype=np.float32)
    at = 0
    for block in mixer.blocks(frames):
        out[:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return out
