"""An effects chain from plain data: checked, then applied in one fixed order.

    eq, compress, saturate, lofi, chorus, width, + delay send, + reverb send, sidechain, pan, gain

The delay's echoes reach the reverb too, as on a desk. Nothing moves the dry sound in time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.band.sound.effects import clip, dynamics, echo, space, stereo, tape, tone
from models.band.sound.tables import choice, number, read_table
from models.band.sound.voice import SoundError

Floats = NDArray[np.float32]


class EffectError(SoundError):
    """A chain that cannot be: the message says where, which key, and the limit."""


@dataclass(frozen=True)
class Compress:
    threshold_db: float = number(-18.0, -60.0, 0.0)
    ratio: float = number(3.0, 1.0, 50.0)
    attack_ms: float = number(8.0, 0.1, 200.0)
    release_ms: float = number(120.0, 5.0, 2000.0)
    makeup_db: float = number(0.0, -12.0, 24.0)
    knee_db: float = number(6.0, 0.0, 24.0)


@dataclass(frozen=True)
class Saturate:
    drive_db: float = number(6.0, 0.1, 48.0)


@dataclass(frozen=True)
class Lofi:
    low_hz: float = number(80.0, 10.0, 1000.0)
    high_hz: float = number(6000.0, 500.0, 20000.0)
    wow: float = number(0.4, 0.0, 1.0)
    flutter: float = number(0.2, 0.0, 1.0)
    bits: float = number(12.0, 4.0, 16.0)


@dataclass(frozen=True)
class Chorus:
    depth_ms: float = number(3.0, 0.1, 10.0)
    hz: float = number(0.6, 0.02, 10.0)
    mix: float = number(0.5, 0.0, 1.0)


@dataclass(frozen=True)
class Delay:
    beats: float = number(0.75, 0.0625, 8.0)
    feedback: float = number(0.35, 0.0, 0.95)
    damp: float = number(0.3, 0.0, 1.0)
    ping_pong: bool = False
    send: float = number(0.2, 0.0, 1.0)


@dataclass(frozen=True)
class Reverb:
    kind: str = choice("hall", *space.KINDS)
    seconds: float = number(1.8, 0.1, 10.0)
    predelay_ms: float = number(0.0, 0.0, 250.0)
    damp: float = number(0.3, 0.0, 1.0)
    send: float = number(0.18, 0.0, 1.0)


@dataclass(frozen=True)
class Sidechain:
    depth_db: float = number(8.0, 0.0, 60.0)
    attack_ms: float = number(2.0, 0.5, 50.0)
    release_ms: float = number(180.0, 10.0, 2000.0)


@dataclass(frozen=True)
class Chain:
    """Effects in the order they are applied; a field left at its default does nothing."""

    eq: tuple[tone.Band, ...] = ()
    compress: Compress | None = None
    saturate: Saturate | None = None
    lofi: Lofi | None = None
    chorus: Chorus | None = None
    width: float | None = number(None, 0.0, 2.0, optional=True)
    delay: Delay | None = None
    reverb: Reverb | None = None
    sidechain: Sidechain | None = None
    pan: float = number(0.0, -1.0, 1.0)
    gain_db: float = number(0.0, -60.0, 24.0)

    def apply(
        self, x: Floats, rate: int, bpm: float, triggers: Sequence[int] = (), out: Floats | None = None
    ) -> Floats:
        """`x` (2, frames) through the chain, as long as it came in; leave room for `tail_seconds`.

        `bpm` times the delay, `triggers` are the frames at which the side-chain ducks. `out`, which may be `x`, is a
        place to work in: no matter what it holds afterwards, what comes back is the sound.
        """
        x = self._insert(x, rate, np.empty_like(x) if out is None else out)
        if self.delay is not None:
            d = self.delay
            echoes = echo.delay(x, rate, d.beats * 60.0 / bpm, d.feedback, d.damp, d.ping_pong)
            echoes *= np.float32(d.send)
            echoes += x
            x = echoes
        if self.reverb is not None:
            r = self.reverb
            x = space.reverb(x, rate, r.kind, r.seconds, r.predelay_ms, r.damp, r.send, out=x)
        if self.sidechain is not None:
            s = self.sidechain
            x = dynamics.duck(x, triggers, rate, s.depth_db, s.attack_ms, s.release_ms, out=x)
        if self.pan:
            x = stereo.pan(x, self.pan, out=x)
        if self.gain_db:
            x *= np.float32(10 ** (self.gain_db / 20))
        return x

    def _insert(self, x: Floats, rate: int, out: Floats) -> Floats:
        """The effects before the sends, in `out` or in a new array."""
        if self.eq:
            tone.equalize(x, rate, self.eq, out)
        elif out is not x:
            out[:] = x
        x = out
        if self.compress is not None:
            c = self.compress
            gain = (c.threshold_db, c.ratio, c.attack_ms, c.release_ms, c.makeup_db, c.knee_db)
            x = dynamics.compress(x, rate, *gain, out=x)
        if self.saturate is not None:
            x = clip.saturate(x, self.saturate.drive_db, out=x)
            x = tone.remove_dc(x, rate, out=x)
        if self.lofi is not None:
            old = self.lofi
            x = tape.lofi(x, rate, old.low_hz, old.high_hz, old.wow, old.flutter, old.bits)
        if self.chorus is not None:
            x = echo.chorus(x, rate, self.chorus.depth_ms, self.chorus.hz, self.chorus.mix)
        if self.width is not None:
            x = stereo.width(x, rate, self.width, out=x)
        return x

    def tail_seconds(self, bpm: float) -> float:
        """How long the chain rings after its input has ended, to -60 dB."""
        tail = 0.05 if self.chorus is not None or self.lofi is not None else 0.0
        if self.delay is not None:
            repeats = 1.0
            if self.delay.feedback > 0.0:
                repeats += math.log(0.001) / math.log(self.delay.feedback)
            tail += repeats * self.delay.beats * 60.0 / bpm
        if self.reverb is not None:
            tail += self.reverb.seconds + self.reverb.predelay_ms / 1000 + 0.1
        return tail


def parse_chain(table: object, where: str) -> Chain:
    """A chain from a plain table. Raises `EffectError` naming `where`, the key and its limit."""
    return read_table(Chain, table, where, EffectError)
