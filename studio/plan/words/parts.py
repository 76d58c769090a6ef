"""Instruments asked for or left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.plan.lexicon.instruments import (
    A_CAPPELLA,
    DRUMLESS,
    EVERYDAY,
    INSTRUMENTAL,
    INSTRUMENTS,
    MELODIC,
    ONLY,
)
from studio.plan.lexicon.sections import KIND_WORDS
from studio.plan.words.text import Text

_INSTRUMENTS = re.compile(
    r"(?<!\w)(?:"
    + "|".join(f"(?P<i{index}>{pattern})" for index, (pattern, _, _) in enumerate(INSTRUMENTS))
    + r")(?!\w)"
)
_EVERYDAY = {name: (re.compile(before), re.compile(after)) for name, (before, after) in EVERYDAY.items()}
_MELODIC = re.compile(MELODIC)
_ONLY_BEFORE, _ONLY_AFTER = re.compile(ONLY[0]), re.compile(ONLY[1])
_A_CAPPELLA = re.compile(rf"(?<!\w)(?:{A_CAPPELLA})(?!\w)")
_DRUMLESS = tuple((re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), role) for pattern, role in DRUMLESS)
_INSTRUMENTAL = re.compile(rf"(?<!\w)(?:{INSTRUMENTAL})(?!\w)")
_LINK = re.compile(
    r"\s*(?:,?\s*(?:or|nor|and no|and|&|/|,|и без|и|или|ни|no)\s*)+(?:any |a |an |the |без |no |live |heavy )?$"
)
_STRONG_LINK = re.compile(r"(?<!\w)(?:or|nor|или|ни)(?!\w)|/")
_WHERE = re.compile(
    r"\s+(?:in|on|during|at|for|в|во|на)\s+(?:the |a |each |every )?(?:\w+ )?(?:"
    + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KIND_WORDS)
    + r")(?!\w)"
)


@dataclass(frozen=True)
class Part:
    """One instrument in the words. `kind`: it is said of one kind of section only."""

    name: str
    role: str
    no: bool
    only: bool
    kind: str | None
    words: str


@dataclass(frozen=True)
class PartsWish:
    """Instruments in the order they are said; `without` are roles left out, `only` the sole roles where so said."""

    parts: tuple[Part, ...] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    words_without: str = ""
    words_only: str = ""


def read_parts(text: Text) -> PartsWish:
    """Read instruments. Words stay in the text: "piano" and "808" speak for styles too."""
    without: dict[str, str] = {}
    for pattern, role in _DRUMLESS:
        if match := text.first(pattern):
            without[role] = match[0]
    matches = [match for match in text.find(_INSTRUMENTS) if _is_instrument(text, match)]
    denials = _denials(text, matches)
    parts: list[Part] = []
    for match, no in zip(matches, denials, strict=True):
        _, role, name = INSTRUMENTS[int(str(match.lastgroup)[1:])]
        if role == "harmony" and _MELODIC.match(text.folded, match.end()):
            role = "lead"
        words = text.source[match.start() : match.end()]
        if no:
            words = f"{text.negation(match.start())} {words}".strip()
        where = _WHERE.match(text.folded, match.end())
        parts.append(Part(name, role, no, _is_only(text, match), where.lastgroup if where else None, words))
    for part in parts:
        # "no piano" leaves the harmony to other instruments; "no drums" takes the stem away.
        if part.no and part.kind is None and part.name in _WHOLE_ROLES:
            without.setdefault(part.role, part.words)
    only, words_only = _only(text, parts)
    return PartsWish(tuple(parts), tuple(without), only, ", ".join(without.values()), words_only)


_WHOLE_ROLES = frozenset({"drums", "percussion", "bass", "chords", "melody", "effects", "vocals"})


def _is_instrument(text: Text, match: re.Match[str]) -> bool:
    name = INSTRUMENTS[int(str(match.lastgroup)[1:])][2]
    if name not in _EVERYDAY:
        return True
    before, after = _EVERYDAY[name]
    ahead = bool(before.pattern) and before.search(text.before(match.start()))
    behind = bool(after.pattern) and after.match(text.folded, match.end(), match.end() + 24)
    return not (ahead or behind)


def _denials(text: Text, matches: list[re.Match[str]]) -> list[bool]:
    """Which are denied: by a word before them, or by one before the list they stand in ("no bass, keys or drums")."""
    denied: list[bool] = []
    for index, match in enumerate(matches):
        no = bool(text.negation(match.start())) and not text.negation(match.start()).endswith(("too", "слишком"))
        if not no and denied and denied[-1]:
            between = text.folded[matches[index - 1].end() : match.start()]
            if _LINK.fullmatch(between):
                no = "," not in between or _list_ends_in_or(text, matches, index)
        denied.append(no)
    return denied


def _list_ends_in_or(text: Text, matches: list[re.Match[str]], index: int) -> bool:
    for before, after in zip(matches[index - 1 :], matches[index:], strict=False):
        between = text.folded[before.end() : after.start()]
        if not _LINK.fullmatch(between):
            return False
        if _STRONG_LINK.search(between):
            return True
    return False


def _is_only(text: Text, match: re.Match[str]) -> bool:
    return bool(_ONLY_BEFORE.search(text.before(match.start())) or _ONLY_AFTER.match(text.after(match.end())))


def _only(text: Text, parts: list[Part]) -> tuple[tuple[str, ...], str]:
    match = text.first(_A_CAPPELLA)
    if match and not text.negation(match.start()):
        return ("vocals",), match[0]
    if any(part.only and not part.no for part in parts):
        # "just piano and strings": what follows "just" belongs to it.
        first = next(index for index, part in enumerate(parts) if part.only)
        chosen = [part for part in parts[first:] if not part.no]
        return tuple(dict.fromkeys(part.role for part in chosen)), "only " + ", ".join(part.words for part in chosen)
    return (), ""


def is_instrumental(text: Text) -> bool:
    """Whether the words ask for music without a singer."""
    match = text.first(_INSTRUMENTAL)
    return bool(match) and not (match and text.negation(match.start()))
