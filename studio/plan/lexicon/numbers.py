"""Numbers written as words, and the patterns that find a number written either way."""

from __future__ import annotations

from fractions import Fraction

NUMBER_WORDS: dict[str, int] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "twenty": 20,
    "twenty-four": 24, "thirty": 30, "thirty-two": 32, "forty": 40, "forty-five": 45, "sixty": 60,
    "sixty-four": 64, "ninety": 90, "a couple of": 2, "couple of": 2, "a single": 1, "single": 1,
    "один": 1, "одна": 1, "одну": 1, "одного": 1, "одной": 1, "одним": 1, "два": 2, "две": 2, "двух": 2, "двумя": 2,
    "три": 3, "трех": 3, "тремя": 3, "четыре": 4, "четырех": 4, "четырьмя": 4, "пять": 5, "пяти": 5, "пятью": 5,
    "шесть": 6, "шести": 6, "шестью": 6, "семь": 7, "семи": 7, "восемь": 8, "восьми": 8, "девять": 9, "девяти": 9,
    "десять": 10, "десяти": 10, "одиннадцать": 11, "двенадцать": 12, "двенадцати": 12, "тринадцать": 13,
    "пятнадцать": 15, "шестнадцать": 16, "шестнадцати": 16, "двадцать": 20, "двадцати": 20, "тридцать": 30,
    "тридцати": 30, "сорок": 40, "шестьдесят": 60, "девяносто": 90, "пара": 2, "пару": 2, "парой": 2,
}  # fmt: skip

_WORDS = "|".join(sorted(NUMBER_WORDS, key=lambda word: (-len(word), word)))
NUMBER = rf"(?<![\w.,/:#'])(?:\d{{1,6}}(?:[.,]\d{{1,9}})?|(?:{_WORDS})(?!\w))"
"""Pattern text of a number in digits (with a decimal point or comma) or in words."""
WHOLE = rf"(?<![\w.,/:#'])(?:\d{{1,6}}|(?:{_WORDS})(?!\w))"
"""Pattern text of a whole number."""


def number(text: str) -> Fraction:
    """The value of what NUMBER or WHOLE matched."""
    if text in NUMBER_WORDS:
        return Fraction(NUMBER_WORDS[text])
    return Fraction(text.replace(",", "."))
