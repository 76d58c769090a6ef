"""The bundled instruments by name: `assets/presets.toml` read into values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.band.sound.voice import VoiceError

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PERCUSSION_BANK = 128


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset of the bundled soundfont.

    trim_db brings a phrase at velocity 100 to -20 LUFS. low..high are the keys where the instrument is at
    home (MIDI); it sounds outside them too. sharp: struck or plucked, see `FontVoice`.
    """

    name: str
    bank: int
    program: int
    trim_db: float
    low: int
    high: int
    sharp: bool
    says: str


@cache
def presets() -> dict[str, Preset]:
    """Return every bundled preset by name, in the order of the file."""
    with (ASSETS / "presets.toml").open("rb") as file:
        table = tomllib.load(file)["preset"]
    return {
        name: Preset(
            name=name,
            bank=int(row.get("bank", 0)),
            program=int(row["program"]),
            trim_db=float(row["trim_db"]),
            low=int(row["keys"][0]),
            high=int(row["keys"][1]),
            sharp=row["attack"] == "sharp",
            says=str(row["says"]),
        )
        for name, row in table.items()
    }


def find_preset(program: str | tuple[int, int]) -> Preset:
    """Return a preset by name or (bank, program); raise `VoiceError` for one that is not bundled."""
    known = presets()
    if isinstance(program, str):
        if program not in known:
            raise VoiceError(f"no instrument named {program!r}; choose one of: {', '.join(known)}")
        return known[program]
    for preset in known.values():
        if (preset.bank, preset.program) == tuple(program):
            return preset
    raise VoiceError(f"no bundled instrument at bank {program[0]}, program {program[1]}; presets.toml lists them")
