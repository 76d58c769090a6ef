# ruff: noqa: E501  (a row of a table stays on one line)
"""Moods in words: what they do to energy (added), mode and tempo."""

from __future__ import annotations

MOODS = (
    # (pattern, what prompts say, energy, "minor" | "major" | "", tempo -1..1)
    (r"sad(?:ly|ness)?|sorrowful|mournful|heartbroken|heartbreak|грустн\w+|грусть\w*|печальн\w+|тоскл\w+", "sad", -0.12, "minor", -0.4),
    (r"melanchol\w+|wistful|меланхол\w+", "melancholic", -0.1, "minor", -0.3),
    (r"dark|gloomy|sinister|ominous|brooding|мрачн\w+|темн(?:ый|ая|ое|ые|ого|ую)|зловещ\w+", "dark", 0.0, "minor", 0.0),
    (r"angry|aggressive|furious|brutal|rage|зл(?:ой|ая|ое|ые)|агрессивн\w+|яростн\w+", "aggressive", 0.15, "minor", 0.4),
    (r"tense|suspenseful|tension|anxious|тревожн\w+|напряженн\w+", "tense", 0.05, "minor", 0.1),
    (r"mysterious|haunting|eerie|spooky|таинственн\w+|загадочн\w+", "mysterious", -0.08, "minor", -0.2),
    (r"nostalgic|nostalgia|bittersweet|ностальг\w+", "nostalgic", -0.05, "", -0.1),
    (r"lonely|loneliness|одинок\w+|одиночеств\w+", "lonely", -0.12, "minor", -0.3),
    (r"rainy|дождлив\w+", "rainy", -0.1, "minor", -0.2),
    (r"happy|happiness|cheerful|joyful|joyous|jolly|веселы?\w*|весело\w*|радостн\w+|счастлив\w+", "happy", 0.08, "major", 0.3),
    (r"uplifting|hopeful|optimistic|inspiring|triumphant|вдохновля\w+|жизнеутвержда\w+|торжественн\w+|победн\w+", "uplifting", 0.1, "major", 0.2),
    (r"bright|sunny|summery|ярк\w+|солнечн\w+|летн(?:ий|яя|ее|ие|юю)", "bright", 0.05, "major", 0.1),
    (r"playful|funny|quirky|игрив\w+|забавн\w+|шуточн\w+", "playful", 0.03, "major", 0.2),
    (r"romantic|love song|tender|романтич\w+|нежн\w+|любовн\w+", "romantic", -0.08, "", -0.3),
    (r"calm(?:ing)?|relax(?:ed|ing)|peaceful|serene|gentle|soothing|chill(?:ed|out)?|mellow|soft|quiet|спокойн\w+|"
     r"расслабл\w+|умиротвор\w+|тих(?:ая|ий|ое|ую|ие)|мягк\w+", "calm", -0.15, "", -0.4),
    (r"dreamy|ethereal|floating|hazy|мечтательн\w+|воздушн\w+", "dreamy", -0.1, "", -0.3),
    (r"warm|cozy|cosy|тепл(?:ый|ая|ое|ые|ую)|уютн\w+", "warm", -0.03, "", -0.1),
    (r"energetic|high[ -]energy|driving|powerful|intense|pumping|энергичн\w+|драйвов\w+|мощн\w+|бодр\w+", "energetic", 0.15, "", 0.4),
    (r"epic|heroic|grand|эпич\w+|героич\w+|величеств\w+", "epic", 0.12, "", 0.0),
    (r"groovy|funky|danceable|party|танцевальн\w+|грувов\w+", "groovy", 0.05, "", 0.1),
    (r"catchy|запоминающ\w+", "catchy", 0.03, "", 0.0),
    (r"hypnotic|trippy|гипнотич\w+", "hypnotic", 0.0, "minor", 0.0),
)  # fmt: skip
