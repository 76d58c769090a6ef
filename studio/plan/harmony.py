"""Chords of every section: the style's progressions, chosen once for each kind, bent to where the section stands."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from studio.plan.roman import Numeral, chord_of
from studio.song import Chord, ChordSpan, Key, Meter

if TYPE_CHECKING:
    from models.styles import Style

_STAND_INS = {
    "intro": ("verse",), "verse": (), "prechorus": ("verse",), "chorus": ("verse",), "postchorus": ("chorus",),
    "bridge": ("break", "prechorus", "verse"), "break": ("bridge", "verse"), "outro": ("chorus",),
}  # fmt: skip
_CONTRAST = ("bridge", "break")

Bars = tuple[tuple[Numeral, ...], ...]
"""The numerals of each bar."""


@dataclass(frozen=True)
class Place:
    """A section as harmony sees it. `before_chorus`: a chorus follows. `last`: the song ends with it."""

    kind: str
    bars: int
    meter: Meter
    key: Key
    before_chorus: bool
    last: bool


def harmonise(places: Sequence[Place], style: Style, seed: int) -> tuple[tuple[ChordSpan, ...], ...]:
    """Chord spans that fill every bar of every section. Sections of one kind in one family share a progression."""
    chosen: dict[tuple[str, str], Bars] = {}
    result = []
    for place in places:
        family = family_of(place.key, style)
        slot = (family, place.kind)
        if slot not in chosen:
            chosen[slot] = _choose(style, family, place.kind, seed)
        bars = _lay(chosen[slot], place, style, family)
        following = [bar[0] for bar in bars[1:]] + [bars[0][0]]
        spans: list[ChordSpan] = []
        for number, bar in enumerate(bars):
            chords = [
                chord_of(numeral, place.key, family, after.is_tonic)
                for numeral, after in zip(bar, (*bar[1:], following[number]), strict=True)
            ]
            spans += split_bar(chords, number * place.meter.bar_beats, place.meter)
        result.append(tuple(spans))
    return tuple(result)


def family_of(key: Key, style: Style) -> str:
    """Which of the style's families of progressions serves a key: its own, or the only one there is."""
    wanted = "minor" if key.is_minor else "major"
    return wanted if wanted in style.progressions else next(iter(sorted(style.progressions)))


def read_progression(text: str) -> Bars:
    """The numerals of a progression, bar by bar; % repeats the bar's or the last chord."""
    bars: list[tuple[Numeral, ...]] = []
    last: Numeral | None = None
    for bar in text.split("|"):
        numerals: list[Numeral] = []
        for word in bar.split():
            if word == "%":
                # A first "%" has nothing to repeat: the music begins on the tonic.
                numeral = last or Numeral.parse("I" if "I" in text else "i")
            else:
                numeral = Numeral.parse(word)
            numerals.append(numeral)
            last = numeral
        bars.append(tuple(numerals))
    return tuple(bars)


def _choose(style: Style, family: str, kind: str, seed: int) -> Bars:
    table = style.progressions[family]
    source = kind if kind in table else next((other for other in _STAND_INS[kind] if other in table), "verse")
    texts = list(table[source])
    draw = random.Random(_number(f"{seed}/{family}/{source}"))
    if kind in ("chorus", "prechorus", "bridge", "break"):
        verse = _choose_text(style, family, "verse", seed)
        texts = [text for text in texts if text != verse] or texts
    if kind in _CONTRAST:
        away = [text for text in texts if not read_progression(text)[0][0].is_tonic]
        if away:
            texts = away
        else:
            return _turned(read_progression(draw.choice(texts)))
    return read_progression(draw.choice(texts))


def _choose_text(style: Style, family: str, kind: str, seed: int) -> str:
    return random.Random(_number(f"{seed}/{family}/{kind}")).choice(list(style.progressions[family][kind]))


def _turned(bars: Bars) -> Bars:
    """The same bars begun where the tonic is not, if there is such a place: contrast out of the same material."""
    start = next((index for index, bar in enumerate(bars) if not bar[0].is_tonic), 0)
    return bars[start:] + bars[:start]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _lay(progression: Bars, place: Place, style: Style, family: str) -> list[tuple[Numeral, ...]]:
    """The progression over the section's bars, with the ending that its place asks for."""
    bars = [progression[index % len(progression)] for index in range(place.bars)]
    whole = place.bars % len(progression) == 0
    if place.kind == "prechorus" and place.before_chorus and place.bars > 1:
        own = whole and "prechorus" in style.progressions[family]
        if not own or bars[-1][-1].is_tonic:
            bars[-1] = (_leading(style, family),)
    if place.last or place.kind == "outro":
        tonic = _tonic(style, family)
        bars[-1] = (tonic,)
        if place.kind == "outro" and place.bars >= 8:
            bars[-2] = (tonic,)
    return bars


def _leading(style: Style, family: str) -> Numeral:
    """The chord that leads into a chorus: the style's own dominant, or the subtonic where it uses no dominant."""
    words = [word for texts in style.progressions[family].values() for text in texts for word in text.split()]
    for word in ("V7", "V", "V7sus4", "V9", "V13"):
        if word in words:
            return Numeral.parse(word)
    if family == "minor":
        return next(
            (Numeral.parse(word) for word in ("VII", "bVII", "VII7", "v7", "v") if word in words), Numeral.parse("V")
        )
    return Numeral.parse("V")


def _tonic(style: Style, family: str) -> Numeral:
    """The tonic as the style colours it, without a bass note that would keep it from ending."""
    for kind in ("outro", "chorus", "verse"):
        for text in style.progressions[family].get(kind, ()):
            for bar in read_progression(text):
                for numeral in bar:
                    if numeral.is_tonic and numeral.bass_degree is None and "sus" not in numeral.suffix:
                        return numeral
    return Numeral.parse("i" if family == "minor" else "I")


def split_bar(chords: list[Chord], start: Fraction, meter: Meter) -> list[ChordSpan]:
    """A bar's chords, parted at felt beats nearest to equal shares; at pulses where there are too few felt beats.
    A bar with fewer pulses than chords keeps the first ones."""
    pulse = Fraction(4, meter.unit)
    places = _boundaries(meter.felt_beats())
    if len(places) < len(chords):
        places = [pulse * index for index in range(meter.pulses)]
    chords = chords[: len(places)]
    starts: list[Fraction] = []
    for index in range(len(chords)):
        ideal = meter.bar_beats * Fraction(index, len(chords))
        # Enough places must be left for the chords that follow.
        first = places.index(starts[-1]) + 1 if starts else 0
        open_places = places[first : len(places) - (len(chords) - index - 1)]
        starts.append(min(open_places, key=lambda place: (abs(place - ideal), -place)) if index else places[0])
    ends = [*starts[1:], meter.bar_beats]
    return [
        ChordSpan(start + begin, end - begin, chord) for begin, end, chord in zip(starts, ends, chords, strict=True)
    ]


def _boundaries(felt: Sequence[Fraction]) -> list[Fraction]:
    places, position = [], Fraction(0)
    for beat in felt:
        places.append(position)
        position += beat
    return places
