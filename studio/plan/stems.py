"""Stems: which roles play, by which engine, and the words that each engine is given."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from studio.plan.values import USUAL_ROLES, Choice
from studio.song import Key, Meter, SongError, Stem
from studio.song.values import ROLES

if TYPE_CHECKING:
    from studio.plan.words.mood import MoodWish
    from studio.plan.words.parts import PartsWish

_LABELS = {
    "drums": "drums",
    "bass": "bass line",
    "harmony": "chords",
    "lead": "lead melody",
    "vocals": "singing",
    "fx": "effects",
}


def choose_roles(
    roles: tuple[str, ...] | None, wish: PartsWish, instrumental: bool
) -> tuple[tuple[str, ...], tuple[Choice, ...]]:
    """The roles that play: `roles` where they are given, else the usual ones without those that the words take away.

    Raises SongError for an unknown role, one that comes twice, or when nothing would be left.
    """
    if roles is None:
        return _usual_roles(wish, instrumental)
    for role in roles:
        if role not in ROLES:
            raise SongError(f"role {role[:40]!r}: use one of {', '.join(ROLES)}")
    if len(set(roles)) < len(roles) or not roles:
        raise SongError("stems: name at least one role, and each role once")
    return roles, (Choice("stems", ", ".join(roles), "option"),)


def _usual_roles(wish: PartsWish, instrumental: bool) -> tuple[tuple[str, ...], tuple[Choice, ...]]:
    kept: tuple[str, ...] = USUAL_ROLES
    words = ""
    if wish.only:
        kept, words = tuple(role for role in kept if role in wish.only), wish.words_only
        if not kept:
            raise SongError(f"{words!r}: no stem can sing yet; name the stems to make, such as drums,bass,harmony")
    if wish.without:
        kept = tuple(role for role in kept if role not in wish.without)
        words = ", ".join(filter(None, (words, wish.words_without)))
    if not kept:
        raise SongError(f"{words!r} leaves no stem to play; ask for at least one of {', '.join(USUAL_ROLES)}")
    choices = [Choice("stems", ", ".join(kept), "words" if words else "default", words)]
    sung = [part for part in wish.parts if part.role == "vocals" and not part.no]
    if sung and not instrumental:
        choices.append(
            Choice("vocals", "left out: ask for the stem vocals with an engine that sings", "default", sung[0].words)
        )
    return kept, tuple(choices)


def make_stems(
    roles: tuple[str, ...], engines: Mapping[str, str], style: str, key: Key, meter: Meter, bpm: Decimal,
    wish: PartsWish, mood: MoodWish, feel: str,
) -> tuple[Stem, ...]:  # fmt: skip
    """One stem a role, in order. Raises SongError for an engine that is given to no role."""
    for role in engines:
        if role not in roles:
            raise SongError(f"engine for {role[:40]!r}: the song's stems are {', '.join(roles)}")
    stems = []
    for role in roles:
        words = [style, _LABELS[role], *said_of(role, wish), *mood.names[:4], feel, str(key)]
        words += [f"{bpm.normalize():f} BPM", *([str(meter)] if str(meter) != "4/4" else [])]
        stems.append(Stem(role, role, engines.get(role, "band"), ", ".join(dict.fromkeys(filter(None, words)))))
    return tuple(stems)


def said_of(role: str, wish: PartsWish) -> tuple[str, ...]:
    """The instruments of a role that the words name for the whole song, then those they refuse ("no piano")."""
    parts = [part for part in wish.parts if part.role == role and part.kind is None]
    asked = [part.name for part in parts if not part.no]
    return tuple(dict.fromkeys((*asked, *(f"no {part.name}" for part in parts if part.no))))
