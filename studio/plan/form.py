"""Form: which sections, in which order, of how many bars, before the length is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from studio.song import Meter

if TYPE_CHECKING:
    from models.styles import Style
    from studio.plan.words.quoted import Verse
    from studio.plan.words.structure import StructureWish

USUAL_BARS = {"intro": 4, "verse": 8, "prechorus": 4, "chorus": 8, "postchorus": 4, "bridge": 8, "break": 4, "outro": 4}
_LYRIC_LINES_A_BAR = 1


@dataclass(frozen=True)
class Part:
    """A section in the making. `fixed`: its bars were asked for and stay."""

    kind: str
    bars: int
    meter: Meter | None = None
    fixed: bool = False
    lyrics: str = ""


def style_form(style: Style) -> tuple[Part, ...]:
    """The style's own form."""
    parts = []
    for word in style.form.split():
        kind, _, bars = word.partition(":")
        parts.append(Part(kind, int(bars)))
    return tuple(parts)


def usual_bars(style: Style) -> Mapping[str, int]:
    """How many bars a section of each kind has in the style."""
    bars = dict(USUAL_BARS)
    for part in reversed(style_form(style)):
        bars[part.kind] = part.bars
    return bars


def draft(wish: StructureWish, headed: Sequence[Verse], style: Style) -> tuple[tuple[Part, ...], bool]:
    """The form that the words ask for over the style's own, and whether its order is fixed by them."""
    bars = {**usual_bars(style), **wish.bars}
    fixed = True
    if headed:
        parts = [_headed(verse, bars, wish.bars) for verse in headed]
    elif wish.sequence:
        parts = [Part(kind, own or bars[kind], fixed=own is not None) for kind, own in wish.sequence]
    else:
        fixed = False
        parts = list(style_form(style))
        for kind, count in wish.counts.items():
            parts = with_count(parts, kind, count, bars)
    if wish.double and not headed:
        parts = _double_last_chorus(parts, bars)
    parts = [
        replace(
            part,
            bars=wish.bars.get(part.kind, part.bars) if not part.fixed else part.bars,
            fixed=part.fixed or part.kind in wish.bars,
            meter=wish.meters.get(part.kind),
        )
        for part in parts
    ]
    return tuple(parts), fixed


def _headed(verse: Verse, bars: Mapping[str, int], asked: Mapping[str, int]) -> Part:
    """A section with lyrics: long enough to sing every line of them."""
    if verse.bars is not None:
        return Part(verse.kind, verse.bars, fixed=True)
    lines = len(verse.lyrics.splitlines()) * _LYRIC_LINES_A_BAR
    least = -(-lines // 4) * 4
    return Part(verse.kind, max(bars[verse.kind], min(least, 64)), fixed=verse.kind in asked)


def with_count(parts: Sequence[Part], kind: str, count: int, bars: Mapping[str, int]) -> list[Part]:
    """The form with `count` sections of a kind: 0 none, -1 at least one."""
    here = [index for index, part in enumerate(parts) if part.kind == kind]
    result = list(parts)
    if count == 0:
        kept = [part for part in result if part.kind != kind]
        return kept or [Part("verse" if kind != "verse" else "chorus", bars["verse" if kind != "verse" else "chorus"])]
    if count == -1:
        return result if here else _insert(result, kind, bars)
    while len([part for part in result if part.kind == kind]) < count:
        result = _insert(result, kind, bars)
    while len([part for part in result if part.kind == kind]) > count:
        result = _remove(result, kind)
    return result


def cycle(parts: Sequence[Part]) -> tuple[int, int] | None:
    """Where the last verse stands with what belongs to it (prechorus, chorus, postchorus): (start, end) or None."""
    starts = [index for index, part in enumerate(parts) if part.kind == "verse"]
    if not starts:
        return None
    start = end = starts[-1]
    end += 1
    while end < len(parts) and parts[end].kind in ("prechorus", "chorus", "postchorus"):
        # Two choruses in a row end the song, not the cycle.
        if parts[end].kind == "chorus" and any(part.kind == "chorus" for part in parts[start:end]):
            break
        end += 1
    return start, end


def _insert(parts: list[Part], kind: str, bars: Mapping[str, int]) -> list[Part]:
    """One more section of a kind, where a song would have it."""
    new = Part(kind, bars[kind])
    kinds = [part.kind for part in parts]
    last_chorus = max((i for i, k in enumerate(kinds) if k == "chorus"), default=None)
    end = len(parts) - 1 if kinds and kinds[-1] == "outro" else len(parts)
    if kind == "intro":
        return [new, *parts]
    if kind == "outro":
        return [*parts, new]
    if kind == "verse":
        found = cycle(parts)
        if found is None:
            place = 1 if kinds[:1] == ["intro"] else 0
            return [*parts[:place], new, *parts[place:]]
        return [*parts[: found[1]], *parts[found[0] : found[1]], *parts[found[1] :]]
    if kind == "chorus":
        place = end if last_chorus is None else last_chorus + 1
        return [*parts[:place], new, *parts[place:]]
    if kind in ("prechorus", "postchorus"):
        return _beside_choruses(parts, new)
    # Bridge and break are the contrast before the last chorus.
    many = kinds.count("chorus") > 1
    place = last_chorus if last_chorus is not None and many else end
    return [*parts[:place], new, *parts[place:]]


def _beside_choruses(parts: list[Part], new: Part) -> list[Part]:
    """A prechorus before each chorus that follows a verse; a postchorus after each chorus."""
    result: list[Part] = []
    placed = False
    for index, part in enumerate(parts):
        before = parts[index - 1].kind if index else ""
        if new.kind == "prechorus" and part.kind == "chorus" and before == "verse":
            result += [new, part]
            placed = True
        elif new.kind == "postchorus" and part.kind == "chorus":
            following = parts[index + 1].kind if index + 1 < len(parts) else ""
            result += [part] if following in ("postchorus", "chorus") else [part, new]
            placed = placed or following not in ("postchorus", "chorus")
        else:
            result.append(part)
    if placed:
        return result
    choruses = [index for index, part in enumerate(parts) if part.kind == "chorus"]
    place = len(parts) if not choruses else choruses[-1] + (new.kind == "postchorus")
    return [*parts[:place], new, *parts[place:]]


def _remove(parts: list[Part], kind: str) -> list[Part]:
    """One section of a kind less: a verse goes with its chorus, of choruses the last stays."""
    found = cycle(parts)
    if kind == "verse" and found is not None:
        start, end = found
        gone = parts[start:end]
        rest = parts[:start] + parts[end:]
        if any(part.kind == "chorus" for part in gone) and not any(part.kind == "chorus" for part in rest):
            rest = parts[:start] + [part for part in gone if part.kind != "verse"] + parts[end:]
        return rest
    index = [i for i, part in enumerate(parts) if part.kind == kind][-2 if kind == "chorus" else -1]
    return parts[:index] + parts[index + 1 :]


def _double_last_chorus(parts: list[Part], bars: Mapping[str, int]) -> list[Part]:
    choruses = [index for index, part in enumerate(parts) if part.kind == "chorus"]
    if not choruses:
        return _insert(_insert(parts, "chorus", bars), "chorus", bars)
    last = choruses[-1]
    if last and parts[last - 1].kind == "chorus":
        return parts
    return [*parts[: last + 1], parts[last], *parts[last + 1 :]]
