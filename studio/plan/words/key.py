"""Key and mode: "F# minor", "in the key of G", "a-moll", "фа-диез минор", "in a minor key"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.plan.lexicon.keys import LIFTS, MODE_WORDS, NOT_KEYS, RUSSIAN_NOTES
from studio.plan.words.text import TAKEN, Text

_MODE = "|".join(f"(?:{pattern})" for pattern, _ in MODE_WORDS)
_SIGN = r"(?:\s*(?:#|b(?![a-z])|[ -]?sharp|[ -]?flat|[ -]?диез|[ -]?бемоль))?"
_IN = r"(?:in|key(?: of)?(?: is)?|key ?[:=]|tonality ?:?|в|тональност\w+ ?:?)\s+(?:the key of\s+)?"
_LETTER = re.compile(rf"(?<![\w#'])([a-h])({_SIGN})[ -]?({_MODE})(?!\w)")
_GERMAN = re.compile(r"(?<!\w)([a-h])(is|es|s)?[ -](dur|moll)(?!\w)")
_SHORT = re.compile(r"(?<![\w#'])([a-g])(#|b)?m(?:in)?(?![\w'])")
_RUSSIAN = re.compile(rf"(?<!\w)({'|'.join(RUSSIAN_NOTES)})((?:[ -](?:диез|бемоль))?)[ -]({_MODE})(?!\w)")
_ALONE = re.compile(rf"(?<!\w)(?:in the key of|key of|key ?[:=]|in)\s+([a-g])({_SIGN})(?![\w#'])")
_RUSSIAN_ALONE = re.compile(rf"(?<!\w)тональност\w+\s*[:—-]?\s*({'|'.join(RUSSIAN_NOTES)}|[a-g])((?:{_SIGN}))(?![\w#])")
_MODE_ALONE = re.compile(
    r"(?<!\w)(?:in (?:a |the )?(minor|major)(?: keys?| mode| scale| tonality)?"
    r"(?=\s*(?:$|[,.;!?\n)]|at\b|with\b|and\b|for\b))"
    r"|(minor|major)[ -](?:keys?|mode|scale|tonality|chords?)"
    r"|(?:в )?(минорн\w+|мажорн\w+|миноре?|мажоре?)"
    r"|(dorian|phrygian|lydian|mixolydian|aeolian|locrian|ionian|дорийск\w+|фригийск\w+|лидийск\w+|миксолидийск\w+|"
    r"эолийск\w+|локрийск\w+|ионийск\w+))(?:[ -](?:mode|лад\w*|scale))?(?!\w)"
)
_LIFTS = tuple((re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), steps) for pattern, steps in LIFTS)
_STOP = re.compile(r"\s*(?:$|[,.;:!?)\n" + TAKEN + r"]|\d|at\b|with\b|and\b|for\b|но\b|и\b|с\b)")


@dataclass(frozen=True)
class KeyWish:
    """Tonic and mode where they are said. `lift` is the number of semitones the last chorus goes up, or None."""

    tonic: str | None = None
    mode: str | None = None
    lift: int | None = None
    words: str = ""
    lift_words: str = ""


def read_key(text: Text) -> KeyWish:
    """Take the key out of the text."""
    lift, lift_words = _read_lift(text)
    for read in (_read_letter, _read_short, _read_russian, _read_alone, _read_mode):
        found = read(text)
        if found:
            tonic, mode, words = found
            return KeyWish(tonic, mode, lift, words, lift_words)
    return KeyWish(lift=lift, lift_words=lift_words)


Found = tuple[str | None, str | None, str] | None


def _mark(sign: str) -> str:
    sign = sign.strip(" -")
    return "#" if sign in ("#", "sharp", "диез") else "b" if sign else ""


def _mode(word: str) -> str:
    return next(mode for pattern, mode in MODE_WORDS if re.fullmatch(pattern, word))


def _reads_as_article(text: Text, match: re.Match[str]) -> bool:
    """Whether the "a" of "a minor ..." is the article: small, or first in its sentence, before an ordinary noun."""
    if match[1] != "a" or match[2]:
        return False
    rest = text.folded[match.end() :]
    if _STOP.match(rest):
        # "in a minor" and "A minor" name the key; "it was a minor." does not.
        small = text.source[match.start()] == "a"
        return small and not re.search(rf"(?:{_IN})$", text.before(match.start()))
    if text.source[match.start()] == "a":
        return True
    first_word = not text.before(match.start()).strip()
    noun = re.match(r"\s*(\w+)", rest)
    return first_word and noun is not None and noun[1] in NOT_KEYS


def _read_letter(text: Text) -> Found:
    for match in text.find(_GERMAN):
        letter = {"h": "B", "b": "Bb"}.get(match[1], match[1].upper())
        mark = {"is": "#", "es": "b", "s": "b"}.get(match[2] or "", "")
        if letter == "Bb" and mark:
            continue
        return letter + mark, "minor" if match[3] == "moll" else "major", text.take_match(match)
    for match in text.find(_LETTER):
        if match[1] == "h" or _reads_as_article(text, match):
            continue
        return match[1].upper() + _mark(match[2]), _mode(match[3]), text.take_match(match)
    return None


def _read_short(text: Text) -> Found:
    """A minor chord's symbol ("F#m", "Em"), with a capital letter; "Am", a verb too, only where a key is spoken of."""
    for match in text.find(_SHORT):
        after_note = match.end(2) if match[2] else match.end(1)
        if not text.source[match.start()].isupper() or text.source[after_note] != "m":
            continue
        if match[1] == "a" and not match[2]:
            spoken_of = re.search(rf"(?:{_IN})$", text.before(match.start()))
            listed = re.fullmatch(r"\s*", text.before(match.start())) and _STOP.match(text.folded[match.end() :])
            if not spoken_of and not listed:
                continue
        return match[1].upper() + (match[2] or ""), "minor", text.take_match(match)
    return None


def _read_russian(text: Text) -> Found:
    for match in text.find(_RUSSIAN):
        return RUSSIAN_NOTES[match[1]] + _mark(match[2]), _mode(match[3]), text.take_match(match)
    return None


def _read_alone(text: Text) -> Found:
    """A tonic without a mode: "in the key of G", "in D" (a capital, and nothing that it could describe)."""
    for match in text.find(_ALONE):
        said = "key" in match[0]
        if said or (text.source[match.start(1)].isupper() and _STOP.match(text.folded[match.end() :])):
            return match[1].upper() + _mark(match[2]), None, text.take_match(match)
    for match in text.find(_RUSSIAN_ALONE):
        return RUSSIAN_NOTES.get(match[1], match[1].upper()) + _mark(match[2]), None, text.take_match(match)
    return None


def _read_mode(text: Text) -> Found:
    for match in text.find(_MODE_ALONE):
        if text.negation(match.start()):
            continue
        word = next(group for group in match.groups() if group)
        return None, _mode(word), text.take_match(match)
    return None


def _read_lift(text: Text) -> tuple[int | None, str]:
    for pattern, steps in _LIFTS:
        for match in text.find(pattern):
            words = text.take_match(match)
            return (None, "") if text.negation(match.start()) else (steps, words)
    return None, ""
