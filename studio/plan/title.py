"""A short title out of the words of a prompt."""

from __future__ import annotations

import re

from studio.plan.lexicon.titles import LONGEST_TITLE

_WORDS = 5
_DENIED = re.compile(r"(?<!\w)(?:no|not|without|без|не|нет)\s+\w+", re.IGNORECASE)
_LEFT_OUT = frozenset(
    [
        "a",
        "an",
        "the",
        "with",
        "and",
        "or",
        "of",
        "in",
        "at",
        "on",
        "for",
        "to",
        "from",
        "by",
        "no",
        "not",
        "without",
        "make",
        "me",
        "please",
        "create",
        "generate",
        "write",
        "song",
        "track",
        "music",
        "piece",
        "beat",
        "some",
        "very",
        "that",
        "this",
        "is",
        "it",
        "its",
        "i",
        "want",
        "need",
        "like",
        "bpm",
        "minute",
        "minutes",
        "long",
        "bars",
        "seconds",
        "key",
        "minor",
        "major",
        "tempo",
        "и",
        "с",
        "со",
        "в",
        "во",
        "на",
        "без",
        "для",
        "из",
        "по",
        "от",
        "до",
        "не",
        "ни",
        "песня",
        "песню",
        "трек",
        "музыка",
        "музыку",
        "сделай",
        "напиши",
        "хочу",
        "мне",
        "минут",
        "минуты",
        "минуту",
        "секунд",
        "тактов",
        "такта",
        "темп",
        "размер",
        "бит",
        "минор",
        "мажор",
    ]
)


def title_of(words: str, style: str) -> str:
    """The first telling words of a prompt, each with a capital, at most LONGEST_TITLE characters; else the style."""
    words = _DENIED.sub(" ", words)
    found = [
        word
        for word in re.findall(r"[^\W\d_][^\W_]*(?:['’-][^\W_]+)*", words)
        if word.lower() not in _LEFT_OUT and len(word) > 1
    ]
    title = ""
    for word in found[:_WORDS]:
        longer = f"{title} {word[:1].upper()}{word[1:]}".strip()
        if len(longer) > LONGEST_TITLE:
            break
        title = longer
    return title or f"Untitled {style}"[:LONGEST_TITLE]
