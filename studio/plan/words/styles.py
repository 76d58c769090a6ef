"""Style words: which style the text names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from studio.plan.lexicon.inflect import first_stem, word_pattern
from studio.plan.lexicon.styles import ASIDE_AFTER, ASIDE_BEFORE, FAINT, FAIR, SETTINGS, STRONG
from studio.plan.words.text import Text

if TYPE_CHECKING:
    from models.styles import StyleHead

_SETTINGS = frozenset(SETTINGS.split("|"))
_ASIDE_BEFORE, _ASIDE_AFTER = re.compile(ASIDE_BEFORE), re.compile(ASIDE_AFTER)


@dataclass(frozen=True)
class StyleWord:
    """A style word in the text. `strength`: STRONG names the style, FAIR is one of its own words, FAINT a setting or
    an aside. Several styles may share a word: `styles`."""

    styles: tuple[str, ...]
    strength: int
    start: int
    end: int
    words: str


def read_styles(text: Text, styles: Mapping[str, StyleHead]) -> tuple[StyleWord, ...]:
    """The style words that are not denied, strongest first; of equal ones the head of a compound ("folk rock" is
    rock), then the first. Longer words win over the shorter ones inside them."""
    found: list[StyleWord] = []
    taken: list[tuple[int, int]] = []
    for word, stem, owners in _vocabulary(tuple(styles.values())):
        if stem not in text.free:  # most words are not there, and a pattern takes long to compile
            continue
        strengths = {head.name: _strength(head, word) for head in owners}
        best = max(strengths.values())
        for match in text.find(re.compile(word_pattern(word))):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            taken.append(match.span())
            if text.negation(match.start()) and not text.negation(match.start()).endswith("too"):
                continue
            names = tuple(name for name, strength in strengths.items() if strength == best)
            aside = _ASIDE_BEFORE.search(text.before(match.start())) or _ASIDE_AFTER.match(text.folded, match.end())
            words = text.source[match.start() : match.end()]
            found.append(StyleWord(names, FAINT if aside else best, *match.span(), words))
    found.sort(key=lambda word: word.start)
    return tuple(sorted(_heads_first(text, found), key=lambda word: -word.strength))


def _heads_first(text: Text, found: list[StyleWord]) -> list[StyleWord]:
    """Neighbours joined by a space or hyphen are one compound, whose last word is its head."""
    groups: list[list[StyleWord]] = []
    for word in found:
        joined = groups and text.folded[groups[-1][-1].end : word.start] in (" ", "-")
        if joined and groups[-1][-1].strength == word.strength:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [word for group in groups for word in reversed(group)]


@cache
def _vocabulary(heads: tuple[StyleHead, ...]) -> tuple[tuple[str, str, tuple[StyleHead, ...]], ...]:
    """All style words, longest first: each with its stem and the styles that it speaks for."""
    owners: dict[str, dict[str, StyleHead]] = {}
    for head in heads:
        for word in (*head.words, head.name.replace("_", " "), head.title):
            owners.setdefault(word.lower().replace("ё", "е"), {})[head.name] = head
    ordered = sorted(owners, key=lambda word: (-len(word), word))
    return tuple((word, first_stem(word), tuple(owners[word].values())) for word in ordered)


def _strength(head: StyleHead, word: str) -> int:
    """What a word says for a style."""
    names = [head.name.replace("_", " "), head.title.lower(), *re.split(r"[\s_]+", head.name)]
    # The first Russian word in a style file is the style's Russian name.
    names += [own for own in head.words if re.search("[а-яё]", own.lower())][:1]
    named = any(re.search(word_pattern(one), word) for one in names if len(one) > 2)
    if word in _SETTINGS:
        # A ballad is a style where nothing else is said, and a manner of rock in "rock ballad".
        return FAIR if named else FAINT
    return STRONG if named else FAIR
