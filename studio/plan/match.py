"""Which style a prompt is in: by name, by meaning, or by what its moods, tempo and meter come nearest to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from studio.plan.lexicon.inflect import word_pattern
from studio.plan.lexicon.styles import FAINT, FAIR, STRONG, USUAL
from studio.plan.values import Choice

if TYPE_CHECKING:
    from models.api import TextEncoder
    from models.styles import StyleHead
    from studio.plan.words import Wishes

LONGEST_MEANING = 400
"""Characters of a prompt that the sentence model is shown."""
_LIKENESS_WEIGHT = 0.1
_WORD_WEIGHTS = {STRONG: 4.0, FAIR: 2.0, FAINT: 0.6}


def match_style(
    wishes: Wishes, styles: Mapping[str, StyleHead], encoder: TextEncoder | None
) -> tuple[str, tuple[Choice, ...]]:
    """The style's name, and how it was found. `styles` must not be empty."""
    found = wishes.styles
    if found and found[0].strength >= STRONG:
        name = _nearest(found[0].styles, wishes, styles)
        others = [w for w in found[1:] if w.strength >= FAIR and name not in w.styles]
        also = tuple(Choice("style, also heard", styles[w.styles[0]].title, "words", w.words) for w in others[:4])
        return name, (Choice("style", styles[name].title, "words", found[0].words), *also)
    hints = {name: word.words for word in reversed(found) for name in word.styles}
    if encoder is not None and _is_latin(wishes.plain):
        name = _by_meaning(wishes, styles, encoder)
        return name, (Choice("style", styles[name].title, "meaning", hints.get(name, "")),)
    name = _nearest(tuple(styles), wishes, styles)
    said = hints.get(name, "")
    return name, (Choice("style", styles[name].title, "words" if said else "default", said),)


def _is_latin(text: str) -> bool:
    """Whether the sentence model, which has read English, can make sense of it."""
    latin = len(re.findall(r"[a-zA-Z]", text))
    return latin > len(re.findall(r"[^\W\da-zA-Z_]", text)) and latin >= 3


def _by_meaning(wishes: Wishes, styles: Mapping[str, StyleHead], encoder: TextEncoder) -> str:
    """The style nearest in meaning: by its best example, half as much by its own words, and a little by what else the
    prompt says. The weights were set on 32 prompts that name no style: 31 right, 22 by examples alone."""
    phrases = [phrase for style in styles.values() for phrase in style.phrases]
    vectors = encoder.encode([wishes.plain[:LONGEST_MEANING], *phrases])
    likeness = iter((vectors[1:] @ vectors[0]).tolist())
    scores = {}
    for name, style in styles.items():
        *examples, words = itertools.islice(likeness, len(style.phrases))
        scores[name] = _LIKENESS_WEIGHT * _likeness(wishes, style) + (max(examples) + 0.5 * words) / 1.5
    return min(scores, key=lambda name: (-round(scores[name], 5), name))


def _nearest(names: tuple[str, ...], wishes: Wishes, styles: Mapping[str, StyleHead]) -> str:
    """Of several styles the one that the other words come nearest to."""
    if len(names) == 1:
        return names[0]
    scores = {name: _likeness(wishes, styles[name]) for name in names}
    return min(scores, key=lambda name: (-round(scores[name], 5), name))


def _likeness(wishes: Wishes, style: StyleHead) -> float:
    score = 0.0
    for word in wishes.styles:
        score += _WORD_WEIGHTS[word.strength] * (style.name in word.styles)
    score += 0.6 * len(set(wishes.mood.names) & set(style.moods))
    if wishes.tempo.bpm is not None:
        low, _, high = style.tempo
        bpm = float(wishes.tempo.bpm)
        score += 0.8 if low <= bpm <= high else -min(1.0, min(abs(bpm - low), abs(bpm - high)) / 40)
    tendency = wishes.tempo.tendency if wishes.tempo.tendency is not None else wishes.mood.tempo
    score -= 0.5 * abs(tendency - max(-1.0, min(1.0, (style.tempo[1] - 112) / 45)))
    if wishes.meter is not None:
        score += 1.0 if str(wishes.meter) in style.meters else -0.3
    mode = wishes.key.mode or wishes.mood.mode
    if mode:
        score += 0.2 if mode in style.modes else -0.2
    text = " ".join((*style.examples, *style.words)).lower()
    score += 0.4 * sum(not part.no and part.name in text for part in wishes.parts.parts)
    words = set(re.findall(r"[a-z]{4,}", wishes.plain.lower())) - _EMPTY
    score += 0.25 * min(4, len(words & set(re.findall(r"[a-z]{4,}", text))))
    score += 0.3 * any(re.fullmatch(word_pattern(usual), word) for usual in USUAL for word in style.words)
    return score


_EMPTY = frozenset(
    [
        "with",
        "that",
        "this",
        "from",
        "song",
        "track",
        "music",
        "make",
        "made",
        "about",
        "like",
        "some",
        "very",
        "into",
        "over",
        "have",
        "their",
        "your",
        "want",
        "need",
        "please",
    ]
)
