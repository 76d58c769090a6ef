# ruff: noqa: E501  (a row of a table stays on one line)
"""Keys and modes in words."""

from __future__ import annotations

MODE_WORDS = (
    (r"major|maj|мажор\w*", "major"),
    (r"minor|min|минор\w*", "minor"),
    (r"dorian|дорийск\w+", "dorian"),
    (r"phrygian|фригийск\w+", "phrygian"),
    (r"mixolydian|миксолидийск\w+", "mixolydian"),
    (r"lydian|лидийск\w+", "lydian"),
    (r"aeolian|эолийск\w+", "aeolian"),
    (r"locrian|локрийск\w+", "locrian"),
    (r"ionian|ионийск\w+", "ionian"),
)

RUSSIAN_NOTES = {"до": "C", "ре": "D", "ми": "E", "фа": "F", "соль": "G", "ля": "A", "си": "B"}

NOT_KEYS = frozenset(
    [
        "change",
        "changes",
        "key",
        "keys",
        "problem",
        "problems",
        "issue",
        "issue",
        "role",
        "hit",
        "hits",
        "mistake",
        "setback",
        "label",
        "part",
        "twist",
        "third",
        "lift",
        "mood",
        "feel",
        "feeling",
        "scale",
        "mode",
        "detail",
        "edit",
        "tweak",
        "adjustment",
        "influence",
        "star",
        "success",
        "release",
        "event",
        "update",
        "inconvenience",
        "difference",
        "motif",
        "character",
        "deal",
        "player",
    ]
)
"""Nouns before which "A minor" or "A major" at the start of a sentence is an article and an adjective."""

LIFTS = (
    (r"(?:half[ -]step|semitone|half[ -]tone)(?: up)? (?:key change|modulation)|key change (?:up )?(?:by )?a (?:half[ -]step|semitone)|"
     r"(?:модуляци\w+|смен\w+ тональности) на полтона", 1),
    (r"key change|key[ -]lift|truck[ -]driver(?: modulation)?|modulat(?:e|es|ing|ion)(?: up)?|модуляци\w+|"
     r"смен\w+ тональности|сменой тональности", 2),
)  # fmt: skip
"""Pattern, and by how many semitones the last chorus is lifted."""
