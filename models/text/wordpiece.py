"""The tokenizer of uncased BERT: basic tokens, then the longest pieces from the left.

After Devlin et al. 2018 (arXiv:1810.04805) and the WordPiece scheme of Wu et al. 2016 (arXiv:1609.08144): text is
cleaned of control characters, lower-cased, stripped of accents, split at spaces and around punctuation and CJK
characters; a word that cannot be made of the vocabulary's pieces is one unknown token.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence

LONGEST_WORD = 100
"""Characters; a longer word is unknown."""
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Turns texts into token numbers. `vocabulary` is the pieces in order of their numbers."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._unknown, self._start, self._end = (self._ids[name] for name in ("[UNK]", "[CLS]", "[SEP]"))

    def digest(self) -> bytes:
        """The SHA-256 of the vocabulary."""
        return hashlib.sha256("\n".join(self._ids).encode()).digest()

    def encode(self, text: str, most: int) -> list[int]:
        """Token numbers with the start and end token, at most `most` in all (2 or more)."""
        ids = [self._start]
        for word in basic_tokens(text):
            ids += self._pieces(word)
            if len(ids) >= most - 1:
                break
        return [*ids[: most - 1], self._end]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._ids.get(("##" if start else "") + word[start:end])
                if number is not None:
                    pieces.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces


def basic_tokens(text: str) -> Iterator[str]:
    """Words and single punctuation marks, lower-cased and without accents."""
    decomposed = unicodedata.normalize("NFD", "".join(_clean(text)).lower())
    word = ""
    for letter in decomposed:
        if unicodedata.category(letter) == "Mn":
            continue
        if letter.isspace() or _stands_alone(letter):
            if word:
                yield word
            word = ""
            if not letter.isspace():
                yield letter
        else:
            word += letter
    if word:
        yield word


def _clean(text: str) -> Iterator[str]:
    for letter in text:
        if letter in "\t\n\r" or unicodedata.category(letter) == "Zs":
            yield " "
        elif letter not in "\0\ufffd" and not unicodedata.category(letter).startswith("C"):
            yield letter


def _stands_alone(letter: str) -> bool:
    """Punctuation (with every ASCII sign that is neither letter, digit nor space) and CJK characters."""
    code = ord(letter)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(letter).startswith("P") or any(low <= code <= high for low, high in _CJK)
