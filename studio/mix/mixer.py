"""The one block mixer: preview and bounce both use it, so what is heard is what is written.

Every output sample is computed from its own frame number alone, element by element and track by track in the
order given, so blocks of any size give the same bits. Sums are made in float64 and rounded to float32 once:
with stems on the 24-bit grid that makes the mix their exact sum, and it costs a tenth of a second for three
minutes of five stems. (In float32 the last bit of a sum would depend on the order of the tracks.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import BLOCK, Audio, check_rate, from_db
from studio.mix.errors import MixError
from studio.mix.sources import Source, as_source

CHANNELS = 2
#: A gain changed while playing moves to its new value in this time (seconds); faster would click.
RAMP_S = 0.010
MIN_GAIN_DB, MAX_GAIN_DB = -120.0, 40.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A source on the timeline: its first frame sounds at frame `start` of the song (may be negative)."""

    source: Source | Audio
    start: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """One lane of the mixer.

    Attributes:
        name: unique among the tracks.
        parts: what sounds on it; parts may overlap and are then added in this order.
        gain_db: -120 to +40 dB; minus infinity is silence.
        pan: -1 (left) to +1 (right), a balance: the far side is turned down, 0 leaves both as they are.
        mute: silent, even when soloed.
        solo: while any track is soloed, only soloed tracks sound.
    """

    name: str
    parts: tuple[Placed, ...]
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False

    def __post_init__(self) -> None:
        silent = math.isinf(self.gain_db) and self.gain_db < 0
        if not silent and not MIN_GAIN_DB <= self.gain_db <= MAX_GAIN_DB:
            limits = f"{MIN_GAIN_DB:g} and {MAX_GAIN_DB:g}"
            raise MixError(f"the gain of {self.name!r} must lie between {limits} dB, not {self.gain_db:g}")
        if not -1.0 <= self.pan <= 1.0:
            raise MixError(f"the pan of {self.name!r} must lie between -1 and 1, not {self.pan:g}")

    def sides(self) -> tuple[float, float]:
        """Return the amplitude of the left and the right channel, mute and solo not counted."""
        gain = from_db(self.gain_db)
        angle = abs(self.pan) * math.pi / 2
        far = 0.0 if abs(self.pan) == 1.0 else math.cos(angle)
        return (gain * far, gain) if self.pan > 0 else (gain, gain * far)


@dataclass(slots=True)
class _Fader:
    """The amplitudes of both channels on their way from `old` to `new`; `passed` frames are behind."""

    old: tuple[float, float]
    new: tuple[float, float]
    passed: int

    def at_rest(self, ramp: int) -> bool:
        return self.passed >= ramp or self.old == self.new

    def now(self, ramp: int) -> tuple[float, float]:
        share = min(1.0, self.passed / ramp)
        left, right = (a + (b - a) * share for a, b in zip(self.old, self.new, strict=True))
        return left, right


class Mixer:
    """Adds tracks up, block by block."""

    def __init__(self, tracks: Sequence[Track], rate: int) -> None:
        """Prepare to mix `tracks`, added in this order, at `rate` Hz.

        Raises:
            MixError: two tracks of one name, a source of another shape or type.
        """
        check_rate(rate)
        if len({track.name for track in tracks}) != len(tracks):
            raise MixError("two tracks of the mixer have one name; names must differ")
        self._ramp = max(1, round(RAMP_S * rate))
        self._tracks = {track.name: track for track in tracks}
        self._parts = {track.name: [(as_source(part.source), part.start) for part in track.parts] for track in tracks}
        self._faders = {name: _Fader(target, target, self._ramp) for name, target in self._targets().items()}

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks as they are set now, in the order in which they are added."""
        return tuple(self._tracks.values())

    @property
    def frames(self) -> int:
        """The frame after the last one on which anything sounds."""
        ends = [start + source.frames for parts in self._parts.values() for source, start in parts]
        return max(ends, default=0)

    def change(
        self,
        name: str,
        *,
        gain_db: float | None = None,
        pan: float | None = None,
        mute: bool | None = None,
        solo: bool | None = None,
    ) -> None:
        """Change a track while playing; the sound moves there in 10 ms of frames mixed from now on.

        Raises:
            MixError: no track of that name, a value outside its limits.
        """
        if name not in self._tracks:
            raise MixError(f"no track is called {name!r}; there are {', '.join(self._tracks) or 'none'}")
        track = self._tracks[name]
        self._tracks[name] = replace(
            track,
            gain_db=track.gain_db if gain_db is None else gain_db,
            pan=track.pan if pan is None else pan,
            mute=track.mute if mute is None else mute,
            solo=track.solo if solo is None else solo,
        )
        for other, target in self._targets().items():
            fader = self._faders[other]
            if target != fader.new:
                self._faders[other] = _Fader(fader.now(self._ramp), target, 0)

    def _targets(self) -> dict[str, tuple[float, float]]:
        soloing = any(track.solo for track in self._tracks.values())
        return {
            name: (0.0, 0.0) if track.mute or (soloing and not track.solo) else track.sides()
            for name, track in self._tracks.items()
        }

    def mix(self, start: int, frames: int) -> Audio:
        """Return frames `start` to `start + frames` of the song, float32 (2, frames).

        Frames before, between and after the parts are silent. Results are not limited or clipped.

        Raises:
            MixError: a negative number of frames; whatever a source raises while it is read.
        """
        if frames < 0:
            raise MixError(f"a block has 0 or more frames, not {frames}")
        total: NDArray[np.float64] | None = None
        for name, parts in self._parts.items():
            gain = self._gain(self._faders[name], frames)
            if gain is not None:
                for source, at in parts:
                    total = _added(total, source, at - start, gain, frames)
        return np.zeros((CHANNELS, frames), np.float32) if total is None else total.astype(np.float32)

    def _gain(self, fader: _Fader, frames: int) -> NDArray[np.float64] | None:
        """The gain of a block, shape (2, 1) or (2, frames), None if nothing sounds; moves the fader on."""
        if fader.at_rest(self._ramp):
            return np.array(fader.new)[:, None] if any(fader.new) else None
        share = np.minimum(1.0, np.arange(fader.passed, fader.passed + frames) / self._ramp)
        old, new = np.array(fader.old)[:, None], np.array(fader.new)[:, None]
        fader.passed += frames
        # Both ends of the ramp are met exactly, whatever the rounding in between.
        return np.where(share < 1.0, old + (new - old) * share, new)

    def blocks(self, frames: int, size: int = BLOCK) -> Iterator[Audio]:
        """Mix the song from frame 0 to `frames` in blocks of `size` frames (the last one may be shorter)."""
        for start in range(0, frames, size):
            yield self.mix(start, min(size, frames - start))


def _added(
    total: NDArray[np.float64] | None, source: Source, at: int, gain: NDArray[np.float64], frames: int
) -> NDArray[np.float64] | None:
    """The block so far, with the source, whose first frame falls on its frame `at`, where that overlaps it."""
    first, last = max(0, at), min(frames, at + source.frames)
    if first >= last:
        return total
    audio = source.read(first - at, last - first) * (gain if gain.shape[1] == 1 else gain[:, first:last])
    if total is None:
        if (first, last) == (0, frames):
            return audio  # most blocks of a stem hold one take
        total = np.zeros((CHANNELS, frames))
    total[:, first:last] += audio
    return total
