"""Reads a prompt: what its words ask for, in English or Russian. Every reader takes its own words, in this order, so
that "7/8" is not read as bars, "16-bar verse" not as a length, and a title not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from studio.plan.words.key import KeyWish, read_key
from studio.plan.words.length import LengthWish, read_length
from studio.plan.words.meter import read_meters
from studio.plan.words.mood import MoodWish, read_mood
from studio.plan.words.parts import PartsWish, is_instrumental, read_parts
from studio.plan.words.quoted import Quoted, read_quoted
from studio.plan.words.structure import StructureWish, meters_of_kinds, read_structure
from studio.plan.words.styles import StyleWord, read_styles
from studio.plan.words.tempo import TempoWish, read_bare_tempo, read_tempo
from studio.plan.words.text import TAKEN, Text
from studio.song import Meter, SongError
from studio.song.values import LONGEST_PROMPT

if TYPE_CHECKING:
    from models.styles import StyleHead

__all__ = ["Wishes", "read_words"]


@dataclass(frozen=True)
class Wishes:
    """Everything that a prompt says. `plain` is what is left of it without titles and lyrics: the text to compare with
    styles by meaning. `telling` also lacks tempo, key, form and length: what a title can be made of."""

    tempo: TempoWish
    key: KeyWish
    meter: Meter | None
    meter_words: str
    structure: StructureWish
    length: LengthWish
    styles: tuple[StyleWord, ...]
    parts: PartsWish
    mood: MoodWish
    quoted: Quoted
    instrumental: bool
    plain: str
    telling: str


def check_prompt(prompt: str) -> None:
    """Raise SongError for an empty prompt and for one over the limit, before anything reads it."""
    if len(prompt) > LONGEST_PROMPT:
        raise SongError(f"prompt of {len(prompt)} characters: use at most {LONGEST_PROMPT}")
    if not prompt.strip():
        raise SongError(f"the prompt is empty: describe the song in 1 to {LONGEST_PROMPT} characters")


def read_words(prompt: str, styles: Mapping[str, StyleHead]) -> Wishes:
    """Read a prompt. Raises SongError for a prompt that is empty or too long, and for what no song can be."""
    check_prompt(prompt)
    text = Text(prompt)
    quoted = read_quoted(text)
    plain = " ".join(text.free.replace("\x1f", " ").split())
    kind_meters, meters = meters_of_kinds(text, read_meters(text))
    key = read_key(text)
    tempo = read_tempo(text)
    structure = read_structure(text)
    length = read_length(text)
    named = read_styles(text, styles)
    if tempo.bpm is None and named:
        tempo = read_bare_tempo(text, named[0].start, named[0].end) or tempo
    parts = read_parts(text)
    mood = read_mood(text)
    telling = " ".join(
        "".join("\n" if free == TAKEN else shown for free, shown in zip(text.free, text.source, strict=True)).split(
            "\n"
        )
    )
    meter, meter_words = meters[0] if meters else (None, "")
    structure = replace(structure, meters=kind_meters)
    return Wishes(
        tempo,
        key,
        meter,
        meter_words,
        structure,
        length,
        named,
        parts,
        mood,
        quoted,
        is_instrumental(text),
        plain,
        telling,
    )
