"""Patterns that find a word or phrase in any of its usual forms."""

from __future__ import annotations

import re
from functools import cache

_ENDINGS = (
    "а|у|ом|е|ы|ов|ам|ами|ах|ый|ая|ое|ые|ого|ой|ому|ым|ых|ыми|ую|ий|яя|ее|ие|его|ей|ему|им|их|ими|юю|и|я|ю|ем|ем|о|"
    "ь|ью|ям|ями|ях|й"
)
_AND = ("and", "&", "n", "'n'")
_ENDING = re.compile(rf"(?:{_ENDINGS})$")


@cache
def word_pattern(phrase: str) -> str:
    """Pattern text for a phrase as a whole word: spaces and hyphens are alike, "and" is also "&" and "n", a Russian
    word takes any case ending, an English one a plural s."""
    parts = []
    for word in _words(phrase):
        if word in _AND:
            parts.append(r"(?:and|&|n|'n'|'n)")
        else:
            parts.append(re.escape(_stem(word)) + (rf"(?:{_ENDINGS})?" if _is_russian(word) else ""))
    plural = "s?" if re.fullmatch("[a-z].*[a-rt-z]", phrase.lower()) else ""
    return r"(?<!\w)" + r"[\s-]?".join(parts) + plural + r"(?!\w)"


def first_stem(phrase: str) -> str:
    """What every form that `word_pattern` finds begins with; it tells quickly where none can be."""
    first = _words(phrase)[0]
    return "" if first in _AND else _stem(first)


def _words(phrase: str) -> list[str]:
    return re.split(r"[\s-]+", phrase.lower().replace("ё", "е").strip())


def _stem(word: str) -> str:
    if not _is_russian(word) or len(word) <= 3:
        return word
    stem = _ENDING.sub("", word)
    return stem if len(stem) > 2 else word


def _is_russian(word: str) -> bool:
    return re.search("[а-я]", word) is not None
