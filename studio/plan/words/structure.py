"""Form in words: which sections, how many, how long, in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from studio.plan.lexicon.numbers import WHOLE, number
from studio.plan.lexicon.sections import ASKING, ENERGY_WORDS, KIND_WORDS, LOOSE, NOT_SECTIONS, REFERENCE
from studio.plan.words.text import TAKEN, Text
from studio.song import Meter, SongError
from studio.song.values import MOST_BARS, MOST_SECTIONS

_BARS = r"(?:bars?|measures?|такт\w{0,3}|тактов\w{2,3})"
_ADJECTIVES = tuple((re.compile(pattern), energy) for pattern, energy in ENERGY_WORDS)
_ADJECTIVE = "|".join(pattern for pattern, _ in ENERGY_WORDS)
_KIND = re.compile(r"(?<![\w-])(?:" + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KIND_WORDS) + r")(?!\w)")
_LOOSE = re.compile(LOOSE)
_ASKING = re.compile(ASKING)
_REFERENCE = re.compile(REFERENCE)
_NOT_BEFORE, _NOT_AFTER = (re.compile(pattern) for _, pattern in NOT_SECTIONS)
_BEFORE = re.compile(
    rf"(?:(?P<double>double|doubled|twice the|двойн\w+|удвоенн\w+)\s+|(?P<count>{WHOLE})\s*(?:x\s*)?)?"
    rf"(?:(?P<bars>{WHOLE})[- ]?{_BARS}[- ](?:long )?)?(?P<adjectives>(?:(?:{_ADJECTIVE})[ ,]+(?:and |и )?)*)"
    rf"(?:(?P<more>{WHOLE})[- ]?{_BARS}[- ](?:long )?)?$"
)
_BARS_OF_BEFORE = re.compile(rf"(?P<bars>{WHOLE})[- ]?{_BARS} (?:of )?(?:a |the )?$")
_AFTER = re.compile(
    rf"\s*(?:[:(,=]\s*|of |for |is |are |lasts? |long |на |по |в |длиной (?:в )?)*(?P<bars>{WHOLE})[- ]?{_BARS}(?!\w)"
    rf"(?: each| long| каждый)?\)?"
)
_COLON = re.compile(r":(?P<bars>\d{1,6})(?!\w)")
_TIMES = re.compile(
    r"\s*\(?(?:x\s?(?P<count>\d{1,3})|(?P<digits>\d{1,3})\s?x(?!\w)|(?P<twice>twice|дважды|два раза))\)?"
)
_NUMBERING = re.compile(r"\s+#?(?P<number>\d{1,3})(?![\w/.:,]*\d|\s*-?(?:bpm|bars?|min|sec|такт|удар|x))")
_AT_END = re.compile(r"\s*(?:at the (?:very )?end|to finish|to end|в конце|в финале|под конец)")
_JOIN = re.compile(
    r"[\s,;/|+>&.\n-]*(?:(?:and|then|into|followed by|plus|another|again|next|a|an|the|"
    r"и|затем|потом|далее|еще|снова|опять|"
    r"finally|with|с)[\s,;/|+>&-]+)*$"
)
_TAKEN_GAP = re.compile(rf"(?:@|(?<!\w)(?:in|at|в|на)\s+)?{TAKEN}+")
_EXACTLY = re.compile(r"(?<!\w)(?:just|only|nothing but|только|лишь)\s+(?:a |an |the )?$")
_DEFINITE = re.compile(r"(?:form|structure|arrangement|форм\w|структур\w|построени\w)\s*(?:is|of)?\s*[:=-]?\s*$")


@dataclass(frozen=True)
class Mention:
    """One section kind in the text with what belongs to it. `count` is None where no number is said."""

    kind: str
    start: int
    end: int
    words: str
    count: int | None = None
    bars: int | None = None
    no: bool = False
    spoken_of: bool = False
    double: bool = False
    energy: float = 0.0
    loose: bool = False


@dataclass(frozen=True)
class StructureWish:
    """What the words say about form.

    `sequence` is a whole form of (kind, bars or None); otherwise `counts` changes a style's form: kind -> how many
    (0: none, -1: at least one). `bars`, `energies` (added) and `meters` are by kind. `double`: the last chorus
    comes twice.
    """

    sequence: tuple[tuple[str, int | None], ...] = ()
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    bars: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    energies: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    meters: Mapping[str, Meter] = field(default_factory=lambda: MappingProxyType({}))
    double: bool = False
    words: tuple[str, ...] = ()


def read_structure(text: Text) -> StructureWish:
    """Take the form out of the text. Raises SongError for a section or a form longer than a song can have."""
    found: list[Mention] = []
    for match in text.find(_KIND):
        # What belongs to the kind before is not read again: the 1 in "verse 1 chorus" numbers the verse.
        mention = _mention(text, match, found[-1].end if found else 0)
        if mention:
            found.append(mention)
    mentions = _spread_negation(text, _settle(text, found))
    double, doubles = _read_double(text, mentions)
    sequence = _sequence(text, mentions)
    for mention in mentions:
        if not mention.spoken_of:
            text.take(mention.start, mention.end)
    counts: dict[str, int] = {}
    bars: dict[str, int] = {}
    energies: dict[str, float] = {}
    for mention in mentions:
        if mention.bars is not None:
            bars[mention.kind] = mention.bars
        if mention.energy:
            energies[mention.kind] = mention.energy
        _count(counts, mention, mention in doubles)
    return StructureWish(sequence, counts, bars, energies, {}, double, tuple(mention.words for mention in mentions))


def kind_of(words: str) -> str | None:
    """The kind that a heading such as "Verse 2" or "Припев" names, or None."""
    match = _KIND.search(words.lower().replace("ё", "е"))
    return match.lastgroup if match else None


def _mention(text: Text, match: re.Match[str], floor: int) -> Mention | None:
    start, end = match.span()
    kind = match.lastgroup
    if kind is None or _NOT_BEFORE.search(text.before(start)) or _NOT_AFTER.match(text.after(end)):
        return None
    ahead = _BEFORE.search(text.free[max(floor, start - 60) : start])
    count = bars = None
    double, energy = False, 0.0
    if ahead:
        double = bool(ahead["double"])
        count = int(number(ahead["count"])) if ahead["count"] else None
        length = ahead["bars"] or ahead["more"]
        bars = int(number(length)) if length else None
        energy = sum(value for pattern, value in _ADJECTIVES if pattern.search(ahead["adjectives"]))
        start -= len(ahead[0])
    if bars is None and (of := _BARS_OF_BEFORE.search(text.free[max(floor, start - 40) : start])):
        bars, start = int(number(of["bars"])), start - len(of[0])
    plural = bool(count) or match[0].endswith("s")
    count, bars, end = _behind(text, end, count, bars, plural)
    if bars is not None and not 1 <= bars <= MOST_BARS:
        raise SongError(f"section {kind}: {bars} bars; a section has 1 to {MOST_BARS} bars")
    if count is not None and count > MOST_SECTIONS:
        raise SongError(f"{count} sections of kind {kind}: a song has at most {MOST_SECTIONS} sections")
    no = bool(text.negation(start)) and "too" not in text.negation(start)
    spoken_of = bool(_REFERENCE.search(text.before(start))) and count is None
    words = f"{text.negation(start) if no else ''} {' '.join(text.source[start:end].split())}".strip()
    return Mention(
        kind, start, end, words, count, bars, no, spoken_of, double, energy, bool(_LOOSE.fullmatch(match[0]))
    )


def _behind(
    text: Text, end: int, count: int | None, bars: int | None, plural: bool
) -> tuple[int | None, int | None, int]:
    """What follows the kind: its bars, how often, or its running number ("verse 2", which says nothing)."""
    for pattern in (_TIMES, _COLON, _AFTER, _NUMBERING, _TIMES, _AFTER):
        match = pattern.match(text.free, end)
        if not match or (pattern is _NUMBERING and plural):
            continue
        if pattern is _TIMES and count is None:
            count = 2 if match["twice"] else int(match["count"] or match["digits"])
        elif pattern is _NUMBERING:
            if int(match["number"]) > 3 and bars is None:
                bars = int(match["number"])
        elif pattern is not _TIMES and bars is None:
            bars = int(number(match["bars"]))
        else:
            continue
        end = match.end()
    return count, bars, end


def _joined(text: Text, before: Mention, after: Mention) -> bool:
    """Whether only separators stand between them; what other readers took ("@7/8") does not part them."""
    if after.start < before.end:
        return False
    gap = _TAKEN_GAP.sub("", text.free[before.end : after.start])
    return bool(_JOIN.fullmatch(gap))


def _settle(text: Text, found: list[Mention]) -> list[Mention]:
    """Leave out words that only look like sections: an everyday word needs company, a number or a request."""
    kept = []
    for index, mention in enumerate(found):
        before = found[index - 1] if index else None
        after = found[index + 1] if index + 1 < len(found) else None
        company = (before and _joined(text, before, mention)) or (after and _joined(text, mention, after))
        said = mention.count or mention.bars or mention.no or mention.double
        asked = _ASKING.search(
            text.before(mention.start) + text.folded[mention.start : mention.start + 1].strip("abcdefgh")
        )
        if not mention.loose or company or said or asked or (mention.spoken_of and mention.energy):
            kept.append(mention)
    return kept


def _spread_negation(text: Text, mentions: list[Mention]) -> list[Mention]:
    """ "no intro or outro": what is denied reaches over "or", "nor", "and" to the next kind."""
    result: list[Mention] = []
    for mention in mentions:
        before = result[-1] if result else None
        if before and before.no and not mention.no and mention.count is None:
            between = text.folded[before.end : mention.start].strip()
            if between in ("or", "nor", "and", "/", "&", "и", "или", "ни", "и без", "no", "or an", "or a"):
                mention = Mention(mention.kind, mention.start, mention.end, mention.words, no=True)
        result.append(mention)
    return result


def _read_double(text: Text, mentions: list[Mention]) -> tuple[bool, list[Mention]]:
    """ "double chorus", "chorus twice at the end": the last chorus comes twice; it says nothing about their number."""
    doubles = []
    for mention in mentions:
        at_end = _AT_END.match(text.folded, mention.end)
        final = re.search(r"(?<!\w)(?:final|last|последн\w+)(?!\w)", text.folded[max(0, mention.start) : mention.end])
        if (
            mention.kind == "chorus"
            and not mention.no
            and (mention.double or (mention.count == 2 and (at_end or final)))
        ):
            doubles.append(mention)
            if at_end:
                text.take(mention.end, at_end.end())
    return bool(doubles), doubles


def _count(counts: dict[str, int], mention: Mention, doubled: bool) -> None:
    if mention.no:
        counts[mention.kind] = 0
    elif mention.count is not None and not doubled:
        counts[mention.kind] = mention.count
    else:
        counts.setdefault(mention.kind, -1)


def _sequence(text: Text, mentions: list[Mention]) -> tuple[tuple[str, int | None], ...]:
    """The longest run of joined kinds, when it reads as a whole form: three or more of them that are not a mere count,
    two that are called "only" or "structure", or any list in which a kind comes back."""
    best: list[Mention] = []
    run: list[Mention] = []
    for mention in mentions:
        if mention.no or (mention.spoken_of and not run):
            run = []
            continue
        run = [*run, mention] if run and _joined(text, run[-1], mention) else [mention]
        if len(run) > len(best):
            best = run
    if not best:
        return ()
    kinds = [mention.kind for mention in best]
    returns = len(set(kinds)) < len(kinds)
    counted = any((mention.count or 1) > 1 for mention in best)
    ahead = text.folded[max(0, best[0].start - 24) : best[0].start]
    exactly = bool(_EXACTLY.search(ahead) or _DEFINITE.search(ahead))
    plain = len(best) >= 3 and (not counted or returns) and len(set(kinds)) > 1
    if not (plain or exactly):
        return ()
    parts: list[tuple[str, int | None]] = []
    for mention in best:
        parts += [(mention.kind, mention.bars)] * (2 if mention.double else mention.count or 1)
    if len(parts) > MOST_SECTIONS:
        raise SongError(f"{len(parts)} sections: a song has at most {MOST_SECTIONS}")
    return tuple(parts)


_MEETS = re.compile(r"\s*(?:in|is in|at|@|в|на|размер\w*)?\s*(?:a |размере )?$")


def meters_of_kinds(
    text: Text, meters: tuple[tuple[int, int, Meter, str], ...]
) -> tuple[Mapping[str, Meter], tuple[tuple[Meter, str], ...]]:
    """Part the meters of kinds of section ("chorus in 3/4", "7/8 verse", "verse:8@7/8") from the song's."""
    own: dict[str, Meter] = {}
    rest: list[tuple[Meter, str]] = []
    kinds = [(match.start(), match.end(), str(match.lastgroup)) for match in text.find(_KIND)]
    for start, end, meter, words in meters:
        before = [kind for _, stop, kind in kinds if stop <= start and _MEETS.fullmatch(_gap(text, stop, start))]
        after = [kind for begin, _, kind in kinds if begin >= end and text.folded[end:begin] in (" ", "-")]
        if before or after:
            own[before[-1] if before else after[0]] = meter
        else:
            rest.append((meter, words))
    return MappingProxyType(own), tuple(rest)


def _gap(text: Text, stop: int, start: int) -> str:
    """What lies between a kind and its meter, without the bars ("verse:8@7/8", "verse of 8 bars in 7/8")."""
    gap = text.folded[stop:start]
    for pattern in (_COLON, _AFTER):
        if match := pattern.match(gap):
            return gap[match.end() :]
    return gap
