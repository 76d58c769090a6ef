"""The fx voice: risers, falls, impacts, beds. Each sound is drawn for the length it must fill.

Keys are named in `FX_KEYS`. What rises (`riser_*`, `reverse_cymbal`, `swell`, `sweep_up`) grows over the
held length and peaks in its last millisecond, so that it resolves on the bar line that ends it. What falls
or strikes is at full force half a millisecond after its onset and may ring past the held length. Beds fade
in and out within it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.band.sound.cache import ByteCache
from models.band.sound.synth.fx_sounds import SOUNDS, Maker
from models.band.sound.synth.wavetable import Floats
from models.band.sound.voice import Hit, checked_hits, checked_rate

FX_KEYS: dict[str, int] = {name: 36 + place for place, name in enumerate(SOUNDS)}

_MAKERS: dict[int, Maker] = {FX_KEYS[name]: maker for name, maker in SOUNDS.items()}
CACHE_BYTES = 24 << 20
_VELOCITY_DB = 24.0
_TAIL_SECONDS = 4.0
_DECLICK_SECONDS = 0.002
_ATTACK_SECONDS = 0.0005
"""Too short to soften a strike; a first sample far from zero would be a step at the edge of a clip."""


_sounds = ByteCache(CACHE_BYTES)


class FxVoice:
    """Plays the fx sounds; keys without a sound are silent. See `Voice`."""

    def __init__(self, rate: int):
        self.rate = checked_rate(rate)

    def tail_frames(self) -> int:
        """What strikes rings for at most four seconds."""
        return round(_TAIL_SECONDS * self.rate)

    def render(self, hits: Sequence[Hit], frames: int) -> Floats:
        """Play `hits` into (2, frames) float32; see `Voice.render`."""
        out = np.zeros((2, frames), np.float32)
        for hit in checked_hits(hits, frames):
            maker = _MAKERS.get(hit.key)
            if maker is None or hit.frame >= frames:
                continue
            held = max(1, hit.frames)
            sound = self._sound(hit.key, maker, held)
            length = min(sound.shape[1], frames - hit.frame)
            gain = np.float32(10 ** (_VELOCITY_DB * (hit.velocity - 100) / 126 / 20))
            out[:, hit.frame : hit.frame + length] += gain * sound[:, :length]
        return out

    def _sound(self, key: int, maker: Maker, held: int) -> Floats:
        place = (key, held, self.rate)
        known = _sounds.get(place)
        if known is None:  # two cells that want it at once both make it, and make the same
            known = (self._make(maker, held),)
            _sounds.put(place, known)
        return known[0]

    def _make(self, maker: Maker, held: int) -> Floats:
        sound = maker(held, self.rate)[:, : held + self.tail_frames()].astype(np.float32)
        attack = min(sound.shape[1], round(_ATTACK_SECONDS * self.rate))
        sound[:, :attack] *= np.sin(np.linspace(0.0, np.pi / 2, attack, dtype=np.float32)) ** 2
        fade = min(sound.shape[1], round(_DECLICK_SECONDS * self.rate))
        sound[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return sound


def fx_voice(rate: int) -> FxVoice:
    """The fx voice at `rate`."""
    return FxVoice(rate)
