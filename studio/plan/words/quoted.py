"""Lyrics and titles: what stands in quotes, after "lyrics:", or under headings such as [Verse 1]."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.plan.lexicon.titles import LONGEST_TITLE
from studio.plan.words.structure import kind_of
from studio.plan.words.text import Text

_HEADING = re.compile(r"^[ ]*\[([^\]\n]{1,60})\][ ]*:?", re.MULTILINE)
_HEADING_BARS = re.compile(r"(\d{1,4})\s*(?:bars?|такт)")
_LYRICS_CUE = re.compile(
    r"(?<!\w)(?:lyrics?|words|sings?|singing|текст\w?|слова|слов)(?: песни| are| is)?\s*[:=-]?\s*\"([^\"]{1,4000})\""
)
_LYRICS_BLOCK = re.compile(r"(?<!\w)(?:lyrics|текст песни|текст|слова)\s*:\s*(?!\")(.+)", re.DOTALL)
_TITLE_CUE = re.compile(
    r"(?<!\w)(?:called|titled|named|entitled|title(?: is|:)?|(?:под )?названием|название:?|"
    r"назови(?: ее| его)?|называется|"
    r"озаглавленн\w+)\s*\"([^\"\n]{1,200})\""
)
_TITLE_BARE = re.compile(
    r"(?:(?<!\w)(?:called|titled|entitled|title:)\s+|(?<!\w)под названием\s+|(?<!\w)название:\s*)"
    r"((?:(?!\b(?:in|at|with|for|about)\b)[^\n,.;:!?\"]){1,80})"
)
_QUOTES = re.compile(r"\"([^\"]{1,4000})\"")


@dataclass(frozen=True)
class Verse:
    """Lyrics under one heading. `bars` where the heading says so."""

    kind: str
    lyrics: str
    bars: int | None = None


@dataclass(frozen=True)
class Quoted:
    """`headed` is the whole form with its words, when headings give it; `lyrics` are words without a section."""

    title: str = ""
    lyrics: str = ""
    headed: tuple[Verse, ...] = ()


def read_quoted(text: Text) -> Quoted:
    """Take titles and lyrics out of the text, so that their words are not read as wishes."""
    headed = _read_headed(text)
    lyrics = "" if headed else _read_lyrics(text)
    title = ""
    for pattern in (_TITLE_CUE, _TITLE_BARE, _QUOTES):
        match = text.first(pattern)
        if match:
            inside = text.source[match.start(1) : match.end(1)]
            text.take_match(match)
            if pattern is _QUOTES and "\n" in inside.strip():
                lyrics = lyrics or inside.strip()
                continue
            title = " ".join(inside.split())[:LONGEST_TITLE].strip()
            break
    return Quoted(title, lyrics, headed)


def _read_headed(text: Text) -> tuple[Verse, ...]:
    headings = list(text.find(_HEADING))
    known = [(match, kind) for match in headings if (kind := _heading_kind(match[1]))]
    verses = []
    for match, kind in known:
        # The words run to the next heading, known or not: "[Guitar]" ends a verse too.
        following = [other.start() for other in headings if other.start() > match.start()]
        end = min(following, default=len(text.source))
        lines = (line.strip() for line in text.source[match.end() : end].splitlines())
        bars = _HEADING_BARS.search(match[1])
        verses.append(Verse(kind, "\n".join(line for line in lines if line), int(bars[1]) if bars else None))
        text.take(match.start(), end)
    return tuple(verses)


def _heading_kind(heading: str) -> str | None:
    if kind := kind_of(heading):
        return kind
    return "break" if re.search(r"instrumental|solo|соло|инструментал", heading) else None


def _read_lyrics(text: Text) -> str:
    match = text.first(_LYRICS_CUE) or text.first(_LYRICS_BLOCK)
    if not match:
        return ""
    lyrics = text.source[match.start(1) : match.end(1)].strip()
    text.take_match(match)
    return lyrics
