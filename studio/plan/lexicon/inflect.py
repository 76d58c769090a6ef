"""Patterns that find a word or phrase in any of its usual forms."""

from __future__ import annotations

import re
from functools import cache

_ENDINGS = (
    "а|у|ом|е|ы|ов|ам|ами|ах|ый|ая|ое|ые|ого|ой|ому|ым|ых|ыми|ую|ий|яя|ее|ие|его|ей|ему|им|их|ими|юю|и|я|ю|ем|ем|о|"
    "ь|ью|ям|ями|ях|й"
)
_ENDING = re.compile(rf"(?:{_ENDINGS})$")


@cache
def word_pattern(phrase: str) -> str:
    """Pattern text for a phrase as a whole word: spaces and hyphens are alike, "and" is also "&" and "n", a Russian
    word takes any case ending, an English one a plural s."""
    parts = []
    for word in re.split(r"[\s-]+", phrase.lower().replace("ё", "е").strip()):
        if word in ("and", "&", "n", "'n'"):
            parts.append(r"(?:and|&|n|'n'|'n)")
        elif re.search("[а-я]", word):
            stem = _ENDING.sub("", word) if len(word) > 3 else word
            parts.append(re.escape(stem if len(stem) > 2 else word) + rf"(?:{_ENDINGS})?")
        else:
            parts.append(re.escape(word))
    plural = "s?" if re.fullmatch("[a-z].*[a-rt-z]", phrase.lower()) else ""
    return r"(?<!\w)" + r"[\s-]?".join(parts) + plural + r"(?!\w)"
