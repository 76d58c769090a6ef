"""Synthesised instruments: patches are data in `sound/patches/`, fx sounds are drawn to fit."""

from models.band.sound.synth.fx import FX_KEYS, fx_voice
from models.band.sound.synth.patch import PatchError, load_patch, patch_names, read_patch
from models.band.sound.synth.patch_voice import PatchVoice, patch_voice

__all__ = [
    "FX_KEYS",
    "PatchError",
    "PatchVoice",
    "fx_voice",
    "load_patch",
    "patch_names",
    "patch_voice",
    "read_patch",
]
