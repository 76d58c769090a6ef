"""Reads what a language model answered. Nothing in it is believed: every field has a type and limits, and one that
breaks them spoils the whole answer, for half a plan is no plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from studio.plan.values import SectionSpec, check_sections
from studio.song import ROLES, Chord, Key, Meter, SongError, parse_bpm

MOST_SECTIONS = 40
MOST_BARS = 64
MOST_CHORDS_A_BAR = 4
LONGEST_PROMPT = 300
LONGEST_LYRICS = 2000
_MOST_TRIES = 50


class AnswerError(Exception):
    """An answer that is not a sound plan. One line that can be shown."""


@dataclass(frozen=True)
class SectionAnswer:
    """One section. `chords` are the chords of each bar, empty where the model gave none."""

    spec: SectionSpec
    energy: float | None = None
    chords: tuple[tuple[Chord, ...], ...] = ()
    prompt: str = ""
    lyrics: str = ""


@dataclass(frozen=True)
class Answer:
    """A sound answer; None and "" where the model left a thing open."""

    sections: tuple[SectionAnswer, ...]
    bpm: Decimal | None = None
    key: Key | None = None
    meter: Meter | None = None
    style: str | None = None
    title: str = ""
    stems: Mapping[str, str] = field(default_factory=dict)


def find_object(text: str) -> dict[str, Any]:
    """The JSON object with sections in an answer, be there talk or a code fence around it. Raises AnswerError."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    place = text.find("{")
    for _ in range(_MOST_TRIES):
        if place < 0:
            break
        try:
            found, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            if isinstance(found, dict) and "sections" in found:
                return found
        place = text.find("{", end)
    raise AnswerError("the model did not answer with a JSON object that has sections")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def read_answer(data: Mapping[str, Any], styles: tuple[str, ...]) -> Answer:
    """Check an answer; `styles` are the names it may use. Raises AnswerError, which names the field."""
    try:
        bpm = data.get("bpm")
        if bpm is not None and (isinstance(bpm, bool) or not isinstance(bpm, int | float | str)):
            raise AnswerError("the model's bpm is not a number")
        key, meter, style = (_text(data, name, 60) for name in ("key", "meter", "style"))
        if style and style not in styles:
            raise AnswerError(f"the model's style {style[:40]!r} is not known")
        sections = data["sections"]
        if not isinstance(sections, list) or not 1 <= len(sections) <= MOST_SECTIONS:
            raise AnswerError(f"the model's sections are not a list of 1 to {MOST_SECTIONS}")
        read = tuple(_section(section, number) for number, section in enumerate(sections, 1))
        check_sections(tuple(section.spec for section in read))
        return Answer(
            read,
            parse_bpm(str(bpm)[:40]) if bpm is not None else None,
            Key.parse(key) if key else None,
            Meter.parse(meter) if meter else None,
            style or None,
            _text(data, "title", 60),
            _stems(data.get("stems")),
        )
    except SongError as error:
        raise AnswerError(f"the model's plan is not sound: {error}") from error


def _section(data: Any, number: int) -> SectionAnswer:
    where = f"section {number}"
    if not isinstance(data, dict):
        raise AnswerError(f"the model's {where} is not an object")
    bars, energy = data.get("bars"), data.get("energy")
    if isinstance(bars, bool) or not isinstance(bars, int) or not 1 <= bars <= MOST_BARS:
        raise AnswerError(f"the model's {where} does not have 1 to {MOST_BARS} bars")
    if energy is not None and (isinstance(energy, bool) or not isinstance(energy, int | float) or not 0 <= energy <= 1):
        raise AnswerError(f"the model's {where} has an energy that is not 0 to 1")
    return SectionAnswer(
        SectionSpec(_text(data, "kind", 20), bars),
        None if energy is None else round(float(energy), 3),
        _chords(data.get("chords"), bars, where),
        _text(data, "prompt", LONGEST_PROMPT),
        _text(data, "lyrics", LONGEST_LYRICS, lines=True),
    )


def _chords(value: Any, bars: int, where: str) -> tuple[tuple[Chord, ...], ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or len(value) > bars or not all(isinstance(bar, str) for bar in value):
        raise AnswerError(f"the model's {where} has chords that are not a list of texts, at most one a bar")
    result = []
    for bar in value:
        symbols = bar[:200].split()
        if not 1 <= len(symbols) <= MOST_CHORDS_A_BAR:
            raise AnswerError(f"the model's {where} has a bar without 1 to {MOST_CHORDS_A_BAR} chords")
        result.append(tuple(Chord.parse(symbol) for symbol in symbols))
    return tuple(result)


def _stems(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AnswerError("the model's stems are not an object")
    for role in value:
        if role not in ROLES:
            raise AnswerError(f"the model's stem {role[:40]!r} is not one of {', '.join(ROLES)}")
    return {role: prompt for role in value if (prompt := _text(value, role, LONGEST_PROMPT))}


def _text(data: Mapping[str, Any], name: str, longest: int, lines: bool = False) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise AnswerError(f"the model's {name} is not a text of at most {longest} characters")
    kept = "".join(letter for letter in value if letter.isprintable() or (lines and letter == "\n"))
    return kept.strip() if lines else " ".join(kept.split())
