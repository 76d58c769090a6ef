"""SoundFont envelopes and low-frequency oscillators as arrays, and the release of a note.

Volume follows SF2 2.04 sections 8.1.2 (generators 33-40) with FluidSynth's reading of it: the attack is a
straight line in amplitude; decay and release are straight lines in decibels that cross `FULL_DB` in the
stated time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.band.sound.cache import ByteCache

FULL_DB = 96.0  #: what a whole decay or release time crosses; sustain is a share of it
SILENT_DB = 84.0  #: a note further down than this below its start is over
MAX_RELEASE_SECONDS = 12.0
MIN_RELEASE_SECONDS = 2.0 ** (-7200 / 1200)  #: 16 ms, so that no release can click
_END_FADE_SECONDS = 0.004
_CACHE_BYTES = 16 << 20
_gains = ByteCache(_CACHE_BYTES)


def timecents(value: float) -> float:
    """Return seconds for absolute timecents (8.1.1): 0 is one second; at -12000 and below nothing at all."""
    return 0.0 if value <= -12000 else float(2.0 ** (min(value, 8000.0) / 1200.0))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Stages in seconds; `sustain` is how far down the decay goes, as a share of full scale, 0..1."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: float
    release: float

    def shape(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the envelope's 0..1 position at each time after note-on while the key is held."""
        t = seconds - self.delay
        rise = np.clip(t / self.attack, 0.0, 1.0) if self.attack > 0 else (t >= 0).astype(np.float64)
        past = t - self.attack - self.hold
        fall = np.clip(past / self.decay, 0.0, None) if self.decay > 0 else (past >= 0).astype(np.float64)
        return rise - np.minimum(fall, self.sustain)

    def settled(self) -> float:
        """Return the seconds after which the held envelope stands still."""
        return self.delay + self.attack + self.hold + self.decay * self.sustain

    def gain(self, count: int, rate: int) -> NDArray[np.float32]:
        """Return the volume (amplitude 0..1) of the first `count` frames while the key is held."""
        known = _gains.get((self, count, rate))
        if known is None:
            known = (self._gain(count, rate),)
            _gains.put((self, count, rate), known)
        return known[0]

    def _gain(self, count: int, rate: int) -> NDArray[np.float32]:
        settle = min(count, int(self.settled() * rate) + 2)
        t = np.arange(settle, dtype=np.float64) / rate
        position = self.shape(t)
        in_attack = t < self.delay + self.attack
        amplitude = np.where(in_attack, np.clip(position, 0.0, 1.0), 10.0 ** (-FULL_DB / 20.0 * (1.0 - position)))
        out = np.empty(count, np.float32)
        out[:settle] = amplitude
        out[settle:] = 10.0 ** (-FULL_DB / 20.0 * self.sustain)
        return out

    def level(self, frame: int, rate: int) -> float:
        """Return the volume at one frame."""
        t = frame / rate
        position = float(self.shape(np.array([t]))[0])
        return max(position, 0.0) if t < self.delay + self.attack else float(10.0 ** (-FULL_DB / 20 * (1 - position)))

    def release_frames(self, rate: int) -> int:
        """Return how long a release at full level is heard."""
        return int(min(self.release * SILENT_DB / FULL_DB, MAX_RELEASE_SECONDS) * rate) + 1

    def release_gain(self, rate: int) -> NDArray[np.float32]:
        """Return the release from 1.0, falling to exactly zero on its last frame."""
        return _release_gain(self.release, self.release_frames(rate), rate)


@lru_cache(maxsize=8)  # nearly all notes of a preset let go alike; one may take two megabytes
def _release_gain(release: float, count: int, rate: int) -> NDArray[np.float32]:
    seconds = np.arange(count, dtype=np.float64) / rate
    gain = 10.0 ** (-FULL_DB / 20.0 * seconds / release)
    fade = min(count, max(2, int(_END_FADE_SECONDS * rate)))
    gain[count - fade :] *= np.linspace(1.0, 0.0, fade)
    rounded = gain.astype(np.float32)
    rounded.flags.writeable = False
    return rounded


@dataclass(frozen=True, slots=True)
class Oscillator:
    """A triangle that starts at zero, rising, after `delay` seconds (8.1.2, generators 21-24)."""

    delay: float
    hertz: float

    def shape(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -1..1 at each time."""
        phase = np.clip(seconds - self.delay, 0.0, None) * self.hertz
        return 1.0 - 4.0 * np.abs((phase + 0.25) % 1.0 - 0.5)
