# ruff: noqa: E501  (a row of a table stays on one line)
"""What helps to weigh style words. The words themselves are in the style files."""

from __future__ import annotations

SETTINGS = (
    "dance floor|love song|lullaby|singalong|sing-along|meditation|trailer|rave|shuffle|808|orchestral|cinematic|strings|"
    "club|dance|night|ballad|beat|beats|acoustic|guitar|piano|electronic|band|party|chill|study|relax|epic|drop|live|"
    "groove|groovy|soft|slow|fast|dark|happy|sad|game|film|movie|trailer|dinner|radio|song|retro|old school|swing|"
    "клубный|клубная|танцевальный|танцевальная|ночной|баллада|бит|акустика|акустический|акустическая|песня|"
    "электронный|электронная|ретро|спокойный|фильм|кино|эпичный|эпический|бас|гитара|пианино|медленный|быстрый"
)  # fmt: skip
"""Words that say where or how rather than which style: they count for less."""

ASIDE_BEFORE = (
    r"(?:touch|hint|bit|dash|elements?|influences?|flavou?rs?|shades?|echoes|influenced|inspired|elements) (?:of|by|from)(?: a)?\s*$|"
    r"(?:с элементами|с примесью|с оттенком|с привкусом|немного|чуть-чуть|под влиянием|влиянием)\s*$"
)
ASIDE_AFTER = (
    r"[ -]?(?:ish|tinged|flavou?red|influenced|inspired|influences?|elements?|touch|flavou?r|vibes?|feel)(?!\w)"
)
"""Around a style word that is only a colour of the song."""

STRONG, FAIR, FAINT = 3, 2, 1
"""How clearly a word names a style."""

USUAL = ("pop",)
"""Words of the style that is taken when nothing else speaks for any style."""
