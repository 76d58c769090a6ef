"""What the steps of bar lock hand to one another. Times in a sound are float seconds from its first frame,
positions in music float quarter-note beats, 0 being the downbeat of bar 1."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studio.align.grid import Grid

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]


class AlignError(Exception):
    """A sound that cannot be put on the grid as asked. One line: what, the limit, the remedy."""


class Cancelled(AlignError):
    """The user took the request back."""


class Source(Protocol):
    """Sound that can be read in pieces, several times over."""

    @property
    def frames(self) -> int: ...

    @property
    def channels(self) -> int: ...

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside the source, float32 (channels, frames); not to be written."""
        ...


LEAST_BEAT_S = 0.02
"""Beats are further apart than this."""
_LEFT = 0.6


def as_one(audio: Audio) -> Audio:
    """(channels, frames) as (frames,), for listening: what lies in two channels with opposite signs stays audible."""
    if len(audio) == 1:
        return np.asarray(audio[0])
    return np.asarray(np.float32(_LEFT) * audio[0] + np.float32(1.0 - _LEFT) * audio[1], np.float32)


class Material(StrEnum):
    """What a sound is made of, for choosing how to hear and how to move it."""

    PERCUSSIVE = "percussive"
    PITCHED = "pitched"
    SUSTAINED = "sustained"


class Pulse(StrEnum):
    STEADY = "steady"
    DRIFTING = "drifting"
    NONE = "none"


@dataclass(frozen=True)
class Onsets:
    """Where sounds begin: all arrays of one length, in rising order of time."""

    seconds: Floats
    strength: Floats
    """0..1, the strongest of the sound being 1."""
    low: Floats
    """0..1, how much of the rise lies below 200 Hz."""
    sharpness: Floats
    """0..1: 1 is a click, near 0 a swell whose beginning is a matter of opinion."""

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class BeatMap:
    """Where beats lie in a sound: knots, strictly rising in both, joined by straight lines.

    Beyond the ends the first and last slopes go on.
    """

    seconds: Floats
    beats: Floats

    def __post_init__(self) -> None:
        if len(self.seconds) != len(self.beats) or len(self.beats) < 2:
            raise ValueError("a beat map needs two knots or more, each with a time and a position")
        if not (np.all(np.diff(self.seconds) > 0) and np.all(np.diff(self.beats) > 0)):
            raise ValueError("the knots of a beat map must rise in time and in position")

    def seconds_at(self, beats: ArrayLike) -> Floats:
        """Positions to times."""
        return _lines(np.asarray(beats, np.float64), self.beats, self.seconds)

    def beats_at(self, seconds: ArrayLike) -> Floats:
        """Times to positions."""
        return _lines(np.asarray(seconds, np.float64), self.seconds, self.beats)

    @property
    def bpm(self) -> float:
        """The mean tempo between the outer knots."""
        return float(60.0 * (self.beats[-1] - self.beats[0]) / (self.seconds[-1] - self.seconds[0]))


def _lines(at: Floats, x: Floats, y: Floats) -> Floats:
    result = np.interp(at, x, y)
    before, after = at < x[0], at > x[-1]
    result = np.where(before, y[0] + (at - x[0]) * ((y[1] - y[0]) / (x[1] - x[0])), result)
    return np.where(after, y[-1] + (at - x[-1]) * ((y[-1] - y[-2]) / (x[-1] - x[-2])), result)


@dataclass(frozen=True)
class Heard:
    """What was heard in a sound, against the grid it is meant for."""

    seconds: float
    """The sound's length."""
    material: Material
    onsets: Onsets
    pulse: Pulse
    beat_map: BeatMap | None
    """None when there is no pulse."""
    bpm: float | None
    """The mean tempo in the grid's beats."""
    felt_bpm: float | None
    """The tempo at which the accents count."""
    tempo_confidence: float
    """0..1."""
    downbeat_confidence: float
    """0..1: how sure bar 1 is where `beat_map` has it."""
    first_sound: float
    last_sound: float
    """Seconds: between them the sound is above -60 dB of its peak."""


@dataclass(frozen=True)
class Warp:
    """How frames of a source go to frames of the target: knots, strictly rising in both, joined by straight lines.

    Beyond the ends the slope is that of the outer pieces. Two knots whose distances agree are a plain shift.
    """

    source: Floats
    target: Floats

    def source_at(self, target: ArrayLike) -> Floats:
        """Target frames to source frames, unrounded."""
        return _lines(np.asarray(target, np.float64), self.target, self.source)

    def target_at(self, source: ArrayLike) -> Floats:
        """Source frames to target frames, unrounded."""
        return _lines(np.asarray(source, np.float64), self.source, self.target)


@dataclass(frozen=True)
class Counted:
    """Beats of a sound that somebody else has heard, or tapped: two or more, in rising order."""

    seconds: Floats
    downbeats: NDArray[np.bool_]
    """Whether a bar begins with it; where none does, that is told from the sound."""

    def __post_init__(self) -> None:
        if len(self.seconds) != len(self.downbeats) or len(self.seconds) < 2:
            raise AlignError("a sound is counted by two beats or more; these are too few")
        if not (np.isfinite(self.seconds).all() and np.all(np.diff(self.seconds) > LEAST_BEAT_S)):
            raise AlignError("the beats that a sound is counted by must rise in time; sort them, each once")


@dataclass(frozen=True)
class Wish:
    """What is asked of bar lock, beside the grid."""

    grid: Grid
    loop: bool = False
    lufs: float | None = None
    """Loudness of the result; None leaves the level alone but for peaks and DC."""
    felt_bpm: float | None = None
    """The tempo at which the user counts the sound: one such beat goes on one of the grid's beats."""
    from_bpm: float | None = None
    """The tempo that the sound is meant to have, in its own beats; what is heard is looked for near it."""
    counted: Counted | None = None
    """Its beats, a bar's felt ones or pulses, where these are not to be looked for."""
    fill: bool = False
    """Whether the grid's number of bars was asked for, so that shorter material is repeated to fill it."""
