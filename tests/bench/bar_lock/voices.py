"""Notes to sound: the band's own voices, loops' one-shots and the singer, each note on the very frame it is told."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.band.instruments import voice as band_voice
from models.band.sound.kits import Kit, KitVoice, Piece
from models.band.sound.voice import Hit, Voice
from tests.bench.bar_lock.music import SHOTS, SLOT_KEYS, Music
from tests.bench.bar_lock.singing import sing

_SHOT_GAIN = {"kick": 0.0, "snare": -4.0, "hat": -10.0, "open": -12.0, "perc": -8.0}


def render(
    music: Music, starts: NDArray[np.int64], stops: NDArray[np.int64], rate: int, frames: int, bpm: float, seed: int
) -> NDArray[np.float32]:
    """(2, frames): note k of the music from frame `starts[k]` to `stops[k]`. `bpm` times what moves with the beat."""
    out = np.zeros((2, frames), np.float32)
    for number, part in enumerate(music.parts):
        own = np.flatnonzero(music.notes["part"] == number)
        hits = [
            Hit(
                max(int(starts[k]), 0), max(int(stops[k] - starts[k]), 1), int(music.notes["key"][k]),
                int(music.notes["velocity"][k]),
            )
            for k in own
        ]  # fmt: skip
        kind, _, name = part.voice.partition(":")
        if kind == "sung":
            sound = sing(hits, frames, rate, seed, float(name))
            sound *= np.float32(0.3)
        else:
            sound = _voice(part.voice, rate, bpm).render(hits, frames)
        out += sound * np.float32(10 ** (part.gain_db / 20))
    return out


def _voice(name: str, rate: int, bpm: float) -> Voice:
    kind, _, shots = name.partition(":")
    return _shots_voice(shots, rate) if kind == "shots" else band_voice(name, rate, round(bpm, 3))


@cache
def _shots_voice(names: str, rate: int) -> Voice:
    pieces = {
        SLOT_KEYS[slot]: Piece(sample=sample, gain=_SHOT_GAIN[slot], choke="hat" if slot in ("hat", "open") else "")
        for slot, sample in zip(SHOTS, names.split(","), strict=True)
    }
    return KitVoice(Kit(f"bench {names}", "a loop's one-shots", "", 0.0, pieces), rate)
