"""How long the song is to be: minutes, seconds, bars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from studio.plan.lexicon.numbers import NUMBER, WHOLE, number
from studio.plan.words.text import Text
from studio.song import SongError
from studio.song.values import MOST_SONG_BARS

LONGEST_MINUTES = 30
_MINUTE = r"(?:minutes?|mins?\b\.?|минут\w{0,2}|мин\b\.?)"
_SECOND = r"(?:seconds?|secs?\b\.?|секунд\w{0,2}|сек\b\.?)"
_CLOCK = re.compile(r"(?<![\w:.])(\d{1,3}):([0-5]\d)(?![\w:]|\s?(?:am|pm|a\.m|p\.m)\b)")
_HALVES = (
    (re.compile(r"(?<!\w)(?:(?:a|one) minute and a half|полтор\w+ минут\w*|полутораминутн\w+)(?!\w)"), Fraction(3, 2)),
    (re.compile(r"(?<!\w)(?:half[ -](?:a[ -])?minute|полминут\w+)(?!\w)"), Fraction(1, 2)),
    (re.compile(rf"({NUMBER})(?: and a half| с половиной)[ -]{_MINUTE}(?!\w)"), Fraction(1, 2)),
    (re.compile(rf"({NUMBER})[ -]{_MINUTE} (?:and a half|с половиной)(?!\w)"), Fraction(1, 2)),
    (re.compile(r"(?<!\w)(?:minute long|one-minute|(?:на|длиной в) минуту|минутн(?:ый|ая|ое|ую))(?!\w)"), Fraction(1)),
)  # fmt: skip
_BOTH = re.compile(rf"({NUMBER})[ -]?{_MINUTE}(?: and)?(?: и)? ({NUMBER})[ -]?{_SECOND}(?!\w)")
_MINUTES = re.compile(rf"({NUMBER})[ -]?{_MINUTE}(?!\w)")
_SECONDS = re.compile(rf"({NUMBER})[ -]?{_SECOND}(?!\w)")
_RUSSIAN = re.compile(r"(?<!\w)(двух|трех|четырех|пяти)минутн\w+")
_RUSSIAN_MINUTES = {"двух": 2, "трех": 3, "четырех": 4, "пяти": 5}
_BARS = re.compile(rf"({WHOLE})[ -]?(?:bars?|measures?|такт\w{{0,3}}|тактов\w{{2,3}})(?!\w)")
_NOT_LENGTH = re.compile(r"(?:every|after|before|each|last|first|каждые|через|после|in)\s+(?:the )?(?:last |first )?$")
_LOOP = re.compile(r"(?<!\w)(?:a |short |seamless )?(?:loop|луп\w{0,2}|петл\w{1,2})(?!\w)")
_SHORT = re.compile(
    r"(?<!\w)(?:short|brief|quick little|jingle|коротк\w+|джингл\w*)"
    r"(?:[ -](?:song|track|piece|tune|one|version|песн\w+|трек\w*))?(?!\w)"
)
_LONG = re.compile(
    r"(?<!\w)(?:very long|long|extended|длинн\w+)"
    r"[ -](?:song|track|piece|mix|version|set|one|песн\w+|трек\w*|микс\w*)(?!\w)"
)


@dataclass(frozen=True)
class LengthWish:
    """Seconds, or bars, or `scale` times the style's usual length; `loop`: one section that repeats."""

    seconds: Fraction | None = None
    bars: int | None = None
    scale: Fraction | None = None
    loop: bool = False
    words: str = ""


def read_length(text: Text) -> LengthWish:
    """Take the length out of the text. Raises SongError beyond what a song can have."""
    loop = text.first(_LOOP)
    looped = bool(loop) and not (loop and text.negation(loop.start()))
    seconds = _read_seconds(text)
    if seconds:
        return LengthWish(seconds=_checked(*seconds), loop=looped, words=seconds[1])
    for match in text.find(_BARS):
        if _NOT_LENGTH.search(text.before(match.start())):
            continue
        bars = number(match[1])
        if not 1 <= bars <= MOST_SONG_BARS:
            raise SongError(f"{bars} bars: a song has 1 to {MOST_SONG_BARS} bars")
        return LengthWish(bars=int(bars), loop=looped, words=text.take_match(match))
    if loop and looped:
        return LengthWish(loop=True, words=text.take_match(loop))
    for pattern, scale in ((_SHORT, Fraction(1, 2)), (_LONG, Fraction(3, 2))):
        for match in text.find(pattern):
            if not text.negation(match.start()):
                return LengthWish(scale=scale, words=text.take_match(match))
    return LengthWish()


def _read_seconds(text: Text) -> tuple[Fraction, str] | None:
    for pattern, extra in _HALVES:
        for match in text.find(pattern):
            if pattern.groups:
                minutes = number(match[1]) + extra
            else:
                minutes = extra
            return minutes * 60, text.take_match(match)
    for match in text.find(_CLOCK):
        if not re.search(r"(?<!\w)(?:at|by|from|since|bible|psalm|john|genesis)\s*$", text.before(match.start())):
            return Fraction(int(match[1]) * 60 + int(match[2])), text.take_match(match)
    for match in text.find(_BOTH):
        return number(match[1]) * 60 + number(match[2]), text.take_match(match)
    for match in text.find(_RUSSIAN):
        return Fraction(60 * _RUSSIAN_MINUTES[match[1]]), text.take_match(match)
    for pattern, unit in ((_MINUTES, 60), (_SECONDS, 1)):
        for match in text.find(pattern):
            if not _NOT_LENGTH.search(text.before(match.start())):
                return number(match[1]) * unit, text.take_match(match)
    return None


def _checked(seconds: Fraction, words: str) -> Fraction:
    if not 1 <= seconds <= LONGEST_MINUTES * 60:
        raise SongError(f"length {words[:40]!r}: a song planned from words lasts 1 second to {LONGEST_MINUTES} minutes")
    return seconds
