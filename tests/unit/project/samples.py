"""A song with something of everything, and a project made of it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from studio.project.draft import draft
from studio.song import (
    Cell,
    Chord,
    ChordSpan,
    Clip,
    Key,
    Meter,
    Note,
    Provenance,
    Section,
    Song,
    Stem,
    StemMix,
    Take,
    TempoPoint,
)

F = Fraction


def tone(frames: int = 4800, seed: int = 1) -> np.ndarray:
    """Stereo noise of shape (2, frames) within ±0.5."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, frames)).astype(np.float32)


def full_song(media: str | None = None) -> Song:
    """A song that uses every field of the format."""
    made = Provenance("band", "0.1.0", 7, {"density": 0.5, "kit": ["808", None]}, "CC0-1.0", "font", "MIT")
    notes = (Note(F(0), F(1, 2), 36, 100), Note(F(1, 3) * 3, F(1, 960), 38, 1, 1))
    take = Take("take-1", made, 48000, media, 4800 if media else 0, notes, (("kit", -1), ("perc", 115)))
    return Song(
        title="Ночной поезд",
        key=Key("F#", "minor"),
        meter=Meter(4, 4),
        tempo=(TempoPoint(1, Decimal("97.3")), TempoPoint(3, Decimal("127.125"), Decimal("60"))),
        sections=(
            Section("s1", "intro", 2),
            Section(
                "s2",
                "chorus",
                4,
                Meter(7, 8),
                Key("Bb", "dorian"),
                0.9,
                (ChordSpan(F(0), F(7, 2), Chord("A", "m7b5", "G")),),
                "bigger",
                "la la\nla",
            ),
        ),
        stems=(
            Stem("drums", "drums"),
            Stem("bass", "bass", "band", "deep", StemMix(gain_db=-3.5)),
        ),
        seed=2**63 - 1,
        rate=48000,
        style="house",
        prompt="night train",
        pickup=F(3, 2),
        master="f" * 32 + ".wav",
        cells=(Cell("s1", "drums", (take,), "take-1", locked=True, curve="e" * 32 + ".wav"),),
        clips=(
            Clip("s1", "drums", "take-1", "clips/01-intro/drums.wav", 0, 4800, 48000, "ring", 12,
                 "clips/01-intro/drums.mid", {"worst_ms": 0.25}),
        ),
    )  # fmt: skip


def make_project(path: Path, *, force: bool = False) -> Song:
    """A project with one take and a clip that is only a name and some bytes."""
    with draft(path, force=force) as folder:
        song = full_song(folder.add_media(tone(), 48000))
        folder.file("clips/01-intro/drums.wav").write_bytes(b"clip")
        folder.file("clips/01-intro/drums.mid").write_bytes(b"midi")
        folder.file("stems/drums.wav").write_bytes(b"stem")
        folder.file("mix.wav").write_bytes(b"mix")
        folder.save(song)
    return song
