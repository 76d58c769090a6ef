"""The prompt as the readers see it: each reader takes its words out, so that no other reads them again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TAKEN = "\x1f"
"""Stands in `free` for every character that a reader has taken."""
_SAME = str.maketrans({
    "ё": "е", "\u00a0": " ", "\t": " ", "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "♯": "#", "♭": "b", "×": "x", "→": ">",
    TAKEN: " ",
})  # fmt: skip
_NEGATION = re.compile(
    r"(?<![\w'])(no|not|non|without|minus|excluding|except(?: for)?|never|skip|avoid|lacking|free of|sans|"
    r"don't (?:want|add|use|need)|do not (?:want|add|use|need)|doesn't (?:have|need)|isn't|instead of|rather than|"
    r"нет|не|без|кроме|ни|вместо|убери|убрать|никак(?:ого|ой|их|ая|ие))"
    r"(?:[\s-]+(?:too|very|so|any|a|an|the|much|many|more|need|at all|want|use|hard|heavy|loud|live|"
    r"слишком|очень|особо|всяк\w+|лишн\w+|нужн\w+|надо|хочу|как\w+-либо))*[\s-]*$"
)


class Text:
    """A prompt: `source` as written, and `free`, of the same length, folded to one case and one kind of quote, dash
    and space, in which taken words are blanked out."""

    def __init__(self, prompt: str) -> None:
        self.source = unicodedata.normalize("NFC", prompt)
        # A few capital letters have longer small ones; they stay, so that places in both texts agree.
        folded = "".join(low if len(low := letter.lower()) == 1 else letter for letter in self.source)
        self.folded = folded.translate(_SAME)
        self.free = self.folded

    def find(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches in what is still free, first to last."""
        return pattern.finditer(self.free)

    def first(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.search(self.free)

    def take(self, start: int, end: int) -> str:
        """Take a stretch out of the text. Returns it as the user wrote it, on one line."""
        self.free = self.free[:start] + TAKEN * (end - start) + self.free[end:]
        return " ".join(self.source[start:end].split())

    def take_match(self, match: re.Match[str]) -> str:
        return self.take(match.start(), match.end())

    def before(self, place: int, reach: int = 48) -> str:
        """The words right before a place, within its own clause, taken ones included."""
        return re.split(r"[,.;:!?\n()]", self.folded[max(0, place - reach) : place])[-1]

    def after(self, place: int, reach: int = 40) -> str:
        """The words right after a place, within its own clause, taken ones included."""
        return re.split(r"[,.;:!?\n()]", self.folded[place : place + reach], maxsplit=1)[0]

    def negation(self, place: int) -> str:
        """The negation that governs what stands at a place ("no", "not too", "без"), or ""."""
        match = _NEGATION.search(self.before(place))
        return " ".join(match[0].split()) if match else ""
