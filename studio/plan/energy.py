"""Energy of each section: the style's by kind, shaped by where the section stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

USUAL = {
    "intro": 0.35,
    "verse": 0.5,
    "prechorus": 0.6,
    "chorus": 0.85,
    "postchorus": 0.8,
    "bridge": 0.5,
    "break": 0.35,
    "outro": 0.35,
}
_STEP = 0.04
_LIFT = 0.05
"""How far a chorus stands above the verses at least, and how far the last one above the others."""


def energies(
    kinds: Sequence[str], style: Mapping[str, float], mood: float, asked: Mapping[str, float]
) -> tuple[float, ...]:
    """Energies 0.05..1 of the sections in order.

    `mood` is added to all and `asked` to those of a kind. Verses grow, a chorus lifts above every verse, later choruses
    rise and the last is the song's highest point; a prechorus builds towards its chorus.
    """
    values = [style.get(kind, USUAL[kind]) + mood + asked.get(kind, 0.0) for kind in kinds]
    verses = [index for index, kind in enumerate(kinds) if kind == "verse"]
    for number, index in enumerate(verses):
        values[index] += _STEP * min(number, 2) - (_STEP if number == 0 and len(verses) > 1 else 0)
    choruses = [index for index, kind in enumerate(kinds) if kind == "chorus"]
    if choruses:
        _raise_choruses(values, kinds, choruses)
    for index in range(len(kinds) - 1):
        if kinds[index] == "prechorus" and kinds[index + 1] == "chorus":
            before = values[index - 1] if index else values[index]
            # It may fall back for a moment, as dance styles do, but never rises above what it leads to.
            values[index] = min(max(values[index], before - 0.1), values[index + 1] - _STEP)
    return tuple(round(min(1.0, max(0.05, value)), 3) for value in values)


def _raise_choruses(values: list[float], kinds: Sequence[str], choruses: list[int]) -> None:
    others = [value for index, value in enumerate(values) if kinds[index] != "chorus"]
    top = max(values[choruses[-1]], *(values[index] for index in choruses), max(others, default=0.0) + _LIFT)
    top = min(1.0, top)
    # Nothing else reaches the choruses, even where the style's own numbers are at the ceiling.
    lowest = top - _STEP * min(len(choruses) - 1, 3)
    for index, kind in enumerate(kinds):
        if kind != "chorus":
            values[index] = min(values[index], lowest - _LIFT)
    for number, index in enumerate(reversed(choruses)):
        values[index] = top - _STEP * min(number, 3)
