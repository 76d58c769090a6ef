"""Meter: "7/8", "waltz time", "in three", "на три четверти"."""

from __future__ import annotations

import re

from studio.plan.lexicon.numbers import NUMBER_WORDS
from studio.plan.words.text import TAKEN, Text
from studio.song import Meter

_FIGURES = re.compile(r"(?<![\w/.,])(\d{1,3})\s?/\s?(\d{1,3})(?![\w/]|[.,]\d)")
_SPOKEN_OF = re.compile(r"(?:time(?: signature)?|meter|metre|signature|размер\w*)\W*$")
_SPOKEN_AFTER = re.compile(r"\s*-?(?:time|meter|metre|signature|размер|groove|feel|beat|rhythm)")
_NOT_METER = re.compile(r"\s*-?(?:notes?|delay|triplets?|inch|size|quantize|нот)")
_UNITS = {"four": 4, "eight": 8, "sixteen": 16, "two": 2, "4": 4, "8": 8}
_WORDS = re.compile(
    r"(?<!\w)(two|three|four|five|six|seven|nine|eleven|twelve|thirteen|fifteen)[ -](two|four|eight|sixteen)"
    r"(?:[ -]time|[ -]meter)?(?!\w)"
)
_RUSSIAN = re.compile(
    rf"(?<!\w)(?:на |в |размер\w* )?({'|'.join(w for w in NUMBER_WORDS if 'а' <= w[0] <= 'я')}|\d{{1,2}})\s+"
    r"(четверти|четвертей|четвертях|восьмых|восьмые|шестнадцатых|половинных)(?!\w)"
)
_RUSSIAN_UNITS = (("четверт", 4), ("восьм", 8), ("шестнадцат", 16), ("половин", 2))
_IN = re.compile(
    r"(?<!\w)(?:felt )?in (three|five|seven|six|eleven|3|5|7|6|11)(?=\s*(?:$|[,.;!?\n)"
    + TAKEN
    + r"]|at\b|with\b|and\b|-))"
)
_COUNTS = {"three": "3/4", "3": "3/4", "five": "5/4", "5": "5/4", "seven": "7/8", "7": "7/8", "six": "6/8", "6": "6/8",
           "eleven": "11/8", "11": "11/8"}  # fmt: skip
_NAMED = (
    (re.compile(r"(?<!\w)(?:waltz(?:es|ing)?[ -](?:time|meter|feel|rhythm|beat)|"
                r"triple[ -](?:time|meter)|трехдольн\w+)(?!\w)"), "3/4"),
    (re.compile(r"(?<!\w)(?:common[ -]time|four to the bar)(?!\w)"), "4/4"),
    (re.compile(r"(?<!\w)(?:cut[ -](?:common|time)|alla breve)(?!\w)"), "2/2"),
    (re.compile(r"(?<!\w)(?:compound (?:time|meter))(?!\w)"), "6/8"),
    (re.compile(r"(?<!\w)(?:odd[ -](?:time|meters?|time signatures?|metre)|нечетн\w+ размер\w*)(?!\w)"), "7/8"),
)  # fmt: skip
# The dance itself: also the name of a style, so it is read and left standing.
_WALTZ = re.compile(r"(?<!\w)(?:waltz(?:es)?|вальс\w{0,3})(?!\w)")


def read_meters(text: Text) -> tuple[tuple[int, int, Meter, str], ...]:
    """Take the meters out of the text: (start, end, meter, words) in the order they stand. Raises SongError for
    figures that are called a meter and are none, such as "13/7 time"."""
    found = [*_read_figures(text), *_read_words(text)]
    for match in text.find(_WALTZ):
        if not text.negation(match.start()):
            found.append((match.start(), match.end(), Meter(3, 4), text.source[match.start() : match.end()]))
            break
    return tuple(sorted(found, key=lambda entry: (entry[3].lower().startswith(("waltz", "вальс")), entry[0])))


def _read_figures(text: Text) -> list[tuple[int, int, Meter, str]]:
    found = []
    for match in list(text.find(_FIGURES)):
        pulses, unit = int(match[1]), int(match[2])
        called = _SPOKEN_OF.search(text.before(match.start())) or _SPOKEN_AFTER.match(text.after(match.end()))
        if _NOT_METER.match(text.after(match.end())) or (not called and (unit not in (2, 4, 8, 16) or pulses < 2)):
            continue
        if not called and pulses > 2 * unit:  # 24/7, 50/2: figures of something else
            continue
        found.append((match.start(), match.end(), Meter(pulses, unit), text.take_match(match)))
    return found


def _read_words(text: Text) -> list[tuple[int, int, Meter, str]]:
    found = []
    for match in list(text.find(_WORDS)):
        meter = Meter(NUMBER_WORDS[match[1]], _UNITS[match[2]])
        found.append((match.start(), match.end(), meter, text.take_match(match)))
    for match in list(text.find(_RUSSIAN)):
        pulses = NUMBER_WORDS[match[1]] if match[1] in NUMBER_WORDS else int(match[1])
        unit = next(unit for stem, unit in _RUSSIAN_UNITS if match[2].startswith(stem))
        found.append((match.start(), match.end(), Meter(pulses, unit), text.take_match(match)))
    for match in list(text.find(_IN)):
        found.append((match.start(), match.end(), Meter.parse(_COUNTS[match[1]]), text.take_match(match)))
    for pattern, name in _NAMED:
        for match in list(text.find(pattern)):
            if not text.negation(match.start()):
                found.append((match.start(), match.end(), Meter.parse(name), text.take_match(match)))
    return found
