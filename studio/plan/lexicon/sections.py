# ruff: noqa: E501  (a row of a table stays on one line)
"""Section kinds in words."""

from __future__ import annotations

SOLOISTS = (
    "guitar|sax|saxophone|piano|synth|keyboard|drum|bass|trumpet|violin|harmonica|organ|flute|lead|instrumental|"
    "acoustic|musical"
)

KIND_WORDS = (
    ("prechorus", r"pre-?[ ]?chorus(?:es)?|build[ -]?ups?|пре-?припев\w{0,3}|предприпев\w{0,3}|пречорус\w{0,2}|билдап\w{0,2}|"
                  r"подводк\w{1,3} к припеву"),
    ("postchorus", r"post-?[ ]?chorus(?:es)?|пост-?припев\w{0,3}|постчорус\w{0,2}"),
    ("intro", r"intros?|introduction|вступлени\w{1,3}|интро"),
    ("outro", r"outros?|codas?|аутро|концовк\w{1,3}|код(?:а|ы|у|ой)"),
    ("verse", r"verses?|couplets?|куплет\w{0,3}"),
    ("chorus", r"chorus(?:es)?|refrains?|drops?|hooks?|припев\w{0,3}|рефрен\w{0,3}|дроп\w{0,3}|хук\w{0,3}"),
    ("bridge", r"bridges?|middle[ -](?:eights?|8s?)|бридж\w{0,3}"),
    ("break", rf"break-?downs?|interludes?|(?:{SOLOISTS})[ -](?:breaks?|solos?)|breaks?|брейкдаун\w{{0,3}}|брейк\w{{0,3}}|"
              r"проигрыш\w{0,3}|интерлюди\w{1,3}|сол(?:о|ь?н\w{2,3} парти\w{1,2})(?= (?:на )?(?:гитар|фортепиано|саксофон|барабан|скрипк))"),
)  # fmt: skip

LOOSE = r"breaks?|drops?|hooks?|bridges?|codas?|refrains?|код(?:а|ы|у|ой)|хук\w{0,3}"
"""Words with an everyday meaning: sections only in a list of sections, when counted, or after `ASKING`."""

ASKING = (
    r"(?<!\w)(?:with|add|include|including|plus|then|and|has|have|having|into|needs?|want|a|an|big|huge|massive|heavy|final|last|"
    r"epic|long|short|quiet|catchy|с|со|и|добавь|есть|нужен|хочу|plus)\s+(?:(?:a|an|the|big|huge|massive|heavy|short|long|catchy|"
    r"quiet|epic|final|small|nice|мощн\w+|коротк\w+|длинн\w+)\s+)*$"
)

NOT_SECTIONS = (
    ("before", r"(?:free|blank|under|over|across|london|brooklyn|golden|tower|card|tear|rain|heart|lucky|mic|meat|"
               r"bible|chapter and|burn(?:ing|ed)?|about|про)\s*(?:the |a |that )?[ -]?$"),
    ("after", r"\s+(?:of (?!\d|the\b|a\b|(?:one|two|four|eight|sixteen|twelve)\b)|over\b|my\b|your\b|me\b|free\b|up\b(?! to)|it\b|us\b|dead\b|"
              r"beats?\b|effects?\b|pedals?\b|fx\b|[a-g]\b(?:\s*#)?\s+tun|tuning\b|dance\b|music\b|for (?!\d|(?:one|two|four|eight|sixteen|twelve)\b)|theme\b|jingle\b|troubled|between\b|"
              r"between\b|on me\b|silence\b|the (?!chorus|verse|song|end|last|final))|s?-(?!x)\w|'"),
)  # fmt: skip

REFERENCE = (
    r"(?<!\w)(?:(?:in|during|at|on|before|after|into|until|throughout|over|for|of|from|through)\s+(?:the|each|every|all|both|a)\s+"
    r"(?:\w+\s+)?|(?:в|во|на|перед|после|до|из|для|к)\s+(?:\w+(?:ом|ем|ым|ой)\s+)?)$"
)
"""Before a kind: it is spoken of, not counted."""

ENERGY_WORDS = (
    (r"huge|massive|big|epic|explosive|loud|powerful|heavy|energetic|anthemic|soaring|мощн\w+|громк\w+|взрывн\w+|эпичн\w+", 0.15),
    (r"quiet|soft|gentle|calm|sparse|stripped[ -]?(?:back|down)?|minimal|mellow|intimate|тих\w+|спокойн\w+|мягк\w+|нежн\w+", -0.2),
    (r"long|short|extended|catchy|simple|slow|final|last|first|second|third|instrumental|main|same|little|small|nice|"
     r"длинн\w+|коротк\w+|последн\w+|перв\w+|втор\w+|больш\w+|небольш\w+|инструментальн\w+", 0.0),
)  # fmt: skip
"""Adjectives that may stand before a kind, and what they add to its energy."""
