"""Lyrics: which section sings which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from studio.plan.values import Choice

if TYPE_CHECKING:
    from studio.plan.form import Part
    from studio.plan.words.quoted import Quoted

_SUNG = ("verse", "chorus", "bridge")
_SHOWN = 40
"""Characters of the words that are shown to say which ones are meant."""


def give_lyrics(parts: Sequence[Part], quoted: Quoted, source: str) -> tuple[tuple[Part, ...], tuple[Choice, ...]]:
    """The parts with their words, and a Choice that names the words for which there is no part.

    Words under headings go by kind and order: those under the second "[Verse]" to the second verse. Words without
    headings are sung from the first verse on, a stanza a part, the last of which takes what is over. `source` is what
    decided the form.
    """
    headed = {
        place: verse.lyrics
        for place, verse in zip(_counted(verse.kind for verse in quoted.headed), quoted.headed, strict=True)
        if verse.lyrics
    }
    places = _counted(part.kind for part in parts)
    given = [replace(part, lyrics=headed.pop(place, "")) for place, part in zip(places, parts, strict=True)]
    stanzas = [stanza.strip() for stanza in quoted.lyrics.split("\n\n") if stanza.strip()]
    free = [i for i, part in enumerate(given) if part.kind in _SUNG and not part.lyrics] or [0]
    if len(stanzas) > len(free):
        stanzas[len(free) - 1 :] = ["\n".join(stanzas[len(free) - 1 :])]
    for index, stanza in zip(free, stanzas, strict=False):
        given[index] = replace(given[index], lyrics="\n".join(filter(None, (given[index].lyrics, stanza))))
    return tuple(given), _left_out(headed, source)


def _counted(kinds: Iterable[str]) -> list[tuple[str, int]]:
    """Each kind with how many of it there have been, itself included."""
    seen: Counter[str] = Counter()
    result = []
    for kind in kinds:
        seen[kind] += 1
        result.append((kind, seen[kind]))
    return result


def _left_out(headed: dict[tuple[str, int], str], source: str) -> tuple[Choice, ...]:
    if not headed:
        return ()
    names = ", ".join(f"{kind} {number}" for kind, number in headed)
    first = next(iter(headed.values())).splitlines()[0]
    shown = first if len(first) <= _SHOWN else f"{first[: _SHOWN - 1]}…"
    return (Choice("lyrics left out", f"the song has no {names}", source, shown),)
