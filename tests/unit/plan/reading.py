"""What a prompt was read as, in a short form that tables can be written in."""

from __future__ import annotations

from functools import cache
from typing import Any

from models.styles import load_heads
from studio.plan.lexicon.styles import FAIR
from studio.plan.words import read_words


@cache
def facts(prompt: str) -> dict[str, Any]:
    """The reading of a prompt by short names: bpm "120", ramp "90-110", pace -1/0/1,
    key "F# minor" (or "F# ?" and "? minor"), meter "7/8", style, without and only (roles), seconds, bars, counts
    ("verse 2"), form (a whole sequence), kindbars ("verse 16"), kindmeter, double, lift, title, moods, loop."""
    wishes = read_words(prompt, load_heads())
    tempo, key, structure, length = wishes.tempo, wishes.key, wishes.structure, wishes.length
    named = [name for word in wishes.styles[:1] if word.strength >= FAIR for name in word.styles]
    pace = tempo.tendency
    return {
        "bpm": str(tempo.bpm) if tempo.bpm is not None and tempo.ramp_to is None else None,
        "ramp": f"{tempo.bpm}-{tempo.ramp_to}" if tempo.ramp_to is not None else None,
        "pace": None if pace is None else (pace > 0) - (pace < 0),
        "feel": tempo.feel or None,
        "key": f"{key.tonic or '?'} {key.mode or '?'}" if key.tonic or key.mode else None,
        "meter": str(wishes.meter) if wishes.meter else None,
        "style": named[0] if named else None,
        "without": " ".join(sorted(wishes.parts.without)) or None,
        "only": " ".join(sorted(wishes.parts.only)) or None,
        "asked": " ".join(sorted({part.name for part in wishes.parts.parts if not part.no})) or None,
        "seconds": float(length.seconds) if length.seconds is not None else None,
        "bars": length.bars,
        "loop": length.loop or None,
        "counts": " ".join(f"{kind} {count}" for kind, count in sorted(structure.counts.items())) or None,
        "form": " ".join(kind for kind, _ in structure.sequence) or None,
        "kindbars": " ".join(f"{kind} {bars}" for kind, bars in sorted(structure.bars.items())) or None,
        "kindmeter": " ".join(f"{kind} {meter}" for kind, meter in sorted(structure.meters.items())) or None,
        "double": structure.double or None,
        "lift": key.lift,
        "title": wishes.quoted.title or None,
        "moods": " ".join(wishes.mood.names) or None,
    }


def differences(prompt: str, expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where the reading is not the expected one: name -> (expected, read)."""
    read = facts(prompt)
    return {name: (value, read[name]) for name, value in expected.items() if read[name] != value}
