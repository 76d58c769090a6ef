"""Tempo: numbers with a unit, ranges, ramps, Italian terms, and words such as "slow"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from studio.plan.lexicon.tempo import FEELS, ITALIAN, TENDENCIES
from studio.plan.words.text import Text
from studio.song import parse_bpm

_DIGITS = r"(?<![\w.,/:#'])(\d{1,6}(?:[.,]\d{1,9})?)"
_UNIT = r"(?:b\.?p\.?m\b\.?|beats? (?:per|a|/) ?min(?:ute)?s?\b|уд(?:ар\w*|\.)? ?(?:в|/) ?мин\w*|бпм\b)"
_ABOUT = (
    r"(?:\s*(?:of|is|at|about|around|roughly|approximately|near|set to|примерно|около|где-то|в районе|равен|=|:|~)\s*)*"
)
_JOIN = r"\s*(?:to|up to|down to|until|through|-|\.\.|>|до|и|and)\s*"
_CLIMB = re.compile(
    r"(?<!\w)(?:speed(?:s|ing)?[ -]up|accelerat\w+|get(?:s|ting)? faster|slow(?:s|ing)?[ -]down|decelerat\w+|"
    r"gets? slower|getting slower|ramp(?:s|ing)?(?: up| down)?|ritardando|"
    r"accelerando|rising tempo|ускор\w+|замедл\w+|разгон\w+)"
)
_RANGE = re.compile(rf"(?:(?:from|between|с|со|от|между)\s+)?{_DIGITS}(?:\s*{_UNIT})?{_JOIN}{_DIGITS}(?:\s*{_UNIT})?")
_UNIT_IN = re.compile(_UNIT)
_NAME_BEFORE = re.compile(r"(?<!\w)(?:tempo|темп\w{0,2}|bpm|бпм)(?: of| is| from| between| от| с)?[\s:=]*$")
_WITH_UNIT = re.compile(rf"(-?){_DIGITS}\s*-?\s*{_UNIT}")
_NAMED = re.compile(rf"(?<!\w)(?:tempo|темп\w{{0,2}}|bpm|бпм|speed)(?!\w){_ABOUT}\s*(-?){_DIGITS}(?![\w:/%])")
_AT = re.compile(
    r"(?<!\w)(?:at|@|♩\s*=|на темпе|в темпе)\s*(?:about |around |roughly |примерно |около )?"
    r"()(?<![\w.,/:#'])(\d{2,3}(?:[.,]\d{1,6})?)"
    r"(?![\w:/%°]|[.,]\d|-(?!\s)|\s*(?:bars?\b|hz|khz|%|degrees|years?|am\b|pm\b|a\.m|p\.m|o'clock|mph|km|miles|min|sec|people|percent))"
)


@dataclass(frozen=True)
class TempoWish:
    """What the words say about tempo. `bpm` exactly, with `ramp_to` where it changes over the song; else `tendency`,
    -1 (the style's slowest) to 1 (its fastest). `feel` is "half-time" or "double-time". `words` as written."""

    bpm: Decimal | None = None
    ramp_to: Decimal | None = None
    tendency: float | None = None
    feel: str = ""
    words: str = ""


def read_tempo(text: Text) -> TempoWish:
    """Take the tempo out of the text. Raises SongError for a number that no song can have as its tempo."""
    feel, feel_words = _read_feel(text)
    wish = _read_range(text) or _read_number(text) or _read_italian(text) or _read_tendency(text)
    if wish is None:
        return TempoWish(feel=feel, words=feel_words)
    return TempoWish(wish.bpm, wish.ramp_to, wish.tendency, feel, wish.words)


def _decimal(digits: str, minus: str = "") -> Decimal:
    return parse_bpm(minus + digits.replace(",", "."))


def _read_range(text: Text) -> TempoWish | None:
    for match in text.find(_RANGE):
        near = text.free[max(0, match.start() - 40) : match.end() + 24]
        climbs = _CLIMB.search(near)
        named = _UNIT_IN.search(match[0]) or _NAME_BEFORE.search(text.before(match.start()))
        if not climbs and not named:
            continue
        first, last = _decimal(match[1]), _decimal(match[2])
        words = text.take_match(match)
        if climbs:
            start = max(0, match.start() - 40) + climbs.start()
            words = text.source[min(start, match.start()) : max(match.end(), start + len(climbs[0]))]
            text.take(start, start + len(climbs[0]))
            return TempoWish(first, last, words=" ".join(words.split()))
        middle = ((first + last) / 2).quantize(Decimal(1))
        return TempoWish(middle, words=words)
    return None


def _read_number(text: Text) -> TempoWish | None:
    for pattern in (_WITH_UNIT, _NAMED, _AT):
        match = text.first(pattern)
        if match:
            sign = match[1] if match.start(1) == 0 or text.free[match.start(1) - 1 : match.start(1)] == " " else ""
            bpm = _decimal(match[2], sign)
            return TempoWish(bpm, words=text.take_match(match))
    return None


def _read_italian(text: Text) -> TempoWish | None:
    for match in text.find(_ITALIAN):
        return TempoWish(Decimal(ITALIAN[match[1]]), words=text.take_match(match))
    return None


_ITALIAN = re.compile(rf"(?<!\w)({'|'.join(ITALIAN)})(?!\w)")
_FEELS = tuple((re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), feel) for pattern, feel in FEELS)
_TENDENCIES = tuple((re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)"), value) for pattern, value in TENDENCIES)


def _read_feel(text: Text) -> tuple[str, str]:
    for pattern, feel in _FEELS:
        match = text.first(pattern)
        if match and not text.negation(match.start()):
            return feel, text.take_match(match)
    return "", ""


def _read_tendency(text: Text) -> TempoWish | None:
    for pattern, value in _TENDENCIES:
        for match in text.find(pattern):
            no = text.negation(match.start())
            words = f"{no} {text.take_match(match)}".strip()
            # "not too fast" is a little slower than usual, "not slow" a little faster.
            return TempoWish(tendency=-0.3 * (value > 0) + 0.3 * (value < 0) if no else value, words=words)
    return None


_BARE_AFTER = re.compile(r"[ ,]+(\d{2,3})(?=\s*(?:$|[,.;\n]))")
_BARE_BEFORE = re.compile(r"(?:^|[,.;\n])\s*(\d{2,3})[, ]+$")


def read_bare_tempo(text: Text, start: int, end: int) -> TempoWish | None:
    """A number beside a style word, as in "techno 140": a tempo when it can be one, 50 to 220."""
    after = _BARE_AFTER.match(text.free, end)
    before = _BARE_BEFORE.search(text.free[:start])
    for match in (after, before):
        if match and 50 <= int(match[1]) <= 220:
            return TempoWish(Decimal(match[1]), words=text.take(*match.span(1)))
    return None
