"""Tempo in words."""

from __future__ import annotations

ITALIAN = {
    "larghissimo": 24, "grave": 40, "largo": 50, "larghetto": 62, "lento": 54, "adagio": 70, "adagietto": 74,
    "andante": 86, "andantino": 92, "moderato": 108, "allegretto": 116, "allegro": 132, "vivace": 150,
    "presto": 176, "prestissimo": 200, "адажио": 70, "анданте": 86, "модерато": 108, "аллегро": 132,
    "ларго": 50, "виваче": 150,
}  # fmt: skip
"""BPM in the middle of what metronomes print beside each term."""

FEELS = (
    (r"half[ -]?time(?: feel)?|в половинном темпе|хафтайм", "half-time"),
    (r"double[ -]?time(?: feel)?|в двойном темпе|даблтайм", "double-time"),
)

TENDENCIES = (
    (r"(?:very|super|extremely|really|painfully) slow|очень медленн\w+", -1.0),
    (r"(?:very|super|extremely|really|insanely|blazing(?:ly)?) (?:fast|quick)|очень быстр\w+|бешен\w+ темп\w*", 1.0),
    (r"mid[ -]?tempo|medium[ -]tempo|moderate(?: tempo)?|среднетемпов\w+|средн\w+ темп\w*|умеренн\w+", 0.0),
    (r"down[ -]?tempo|slow(?:ly|ish|er)?(?: tempo)?|slow-burning|unhurried|leisurely|lento|laid[ -]back|"
     r"медленн\w+|медляк\w*|неторопли\w+|небыстр\w+|спокойн\w+ темп\w*|неспешн\w+", -0.7),
    (r"up[ -]?tempo|fast(?:er)?(?:[ -]paced)?|quick|rapid|speedy|high[ -]speed|frantic|"
     r"быстр\w+|скоростн\w+|стремительн\w+|шустр\w+", 0.7),
)  # fmt: skip
"""Pattern, and where in the style's tempo range it points: -1 slowest, 0 usual, 1 fastest."""
