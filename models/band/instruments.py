"""Instruments by the names that styles use: "font:piano", "patch:reese", "kit:808" and "fx"."""

from __future__ import annotations

from functools import lru_cache

from models.api import EngineError
from models.band.sound.index import PERCUSSION_BANK, find_preset
from models.band.sound.kits import kit_voice
from models.band.sound.sampler import font_voice
from models.band.sound.synth import fx_voice, patch_voice
from models.band.sound.voice import SoundError, Voice

DRUM_KIT = -1
"""Stands for a MIDI program where the layer is a drum kit."""

# The General MIDI program that comes closest to a synthesised patch, for MIDI files.
_PROGRAMS = {
    "sub": 38, "808": 38, "acid": 87, "reese": 39, "saw_bass": 38, "fm_bass": 39, "pluck_bass": 38,
    "square_bass": 39, "wobble": 39, "supersaw": 90, "saw_lead": 81, "square_lead": 80, "chip": 80,
    "soft_lead": 82, "whistle": 78, "trance_lead": 81, "mono_lead": 87, "supersaw_chord": 90, "house_stab": 62,
    "organ_stab": 16, "warm_pad": 89, "glass_pad": 92, "string_machine": 50, "dark_pad": 95, "choir_pad": 91,
    "fm_epiano": 5, "pluck": 84, "bell": 14, "brass_synth": 62,
}  # fmt: skip
_FX_PROGRAM = 97


@lru_cache(maxsize=32)
def voice(name: str, rate: int, bpm: float) -> Voice:
    """The instrument's voice at a rate; `bpm` times what moves with the beat. Raises EngineError."""
    kind, _, instrument = name.partition(":")
    try:
        if kind == "font":
            return font_voice(instrument, rate)
        if kind == "patch":
            return patch_voice(instrument, rate, bpm=bpm)
        if kind == "kit":
            return kit_voice(instrument, rate)
        if name == "fx":
            return fx_voice(rate)
    except SoundError as error:
        raise EngineError(f"instrument {name!r}: {error}") from error
    raise EngineError(f"instrument {name[:40]!r}: write font:NAME, patch:NAME, kit:NAME or fx")


def program(name: str) -> int:
    """The MIDI program of an instrument, DRUM_KIT for a kit."""
    kind, _, instrument = name.partition(":")
    if kind == "font":
        preset = find_preset(instrument)
        return preset.program if preset.bank != PERCUSSION_BANK else DRUM_KIT
    if kind == "kit":
        return DRUM_KIT
    return _PROGRAMS.get(instrument, 81) if kind == "patch" else _FX_PROGRAM
