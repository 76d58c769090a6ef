"""Instruments that a stem's prompt asks for, by the band's own names, and parts moved to where they can be played."""

from __future__ import annotations

from fractions import Fraction

from models.api import Note
from models.band.compose.finish import Draft, playable
from models.band.sound.index import presets

# What stem prompts call instruments -> what the band has. Prompts are lists of words set off by commas.
_INSTRUMENTS = {
    "drums": {"brushed drums": "kit:brush", "drum machine": "kit:808"},
    "bass": {
        "upright bass": "font:acoustic_bass", "slap bass": "font:slap_bass", "fretless bass": "font:fretless_bass",
        "808 bass": "patch:808", "synth bass": "patch:saw_bass", "sub bass": "patch:sub",
    },
    "harmony": {
        "electric guitar": "font:overdrive_guitar", "nylon guitar": "font:nylon_guitar",
        "acoustic guitar": "font:steel_guitar", "guitar": "font:clean_guitar",
        "electric piano": "font:electric_piano", "piano": "font:piano", "organ": "font:drawbar_organ",
        "string quartet": "font:slow_strings", "strings": "font:slow_strings", "brass": "font:brass_section",
        "pads": "patch:warm_pad", "synth": "patch:supersaw_chord", "accordion": "font:accordion",
        "harp": "font:harp", "banjo": "font:banjo", "choir": "font:choir", "cello": "font:cello",
        "clavinet": "font:clavinet",
    },
    "lead": {
        "lead guitar": "font:distortion_guitar", "synth lead": "patch:saw_lead", "saxophone": "font:tenor_sax",
        "trumpet": "font:trumpet", "trombone": "font:trombone", "flute": "font:flute", "clarinet": "font:clarinet",
        "violin": "font:violin", "harmonica": "font:harmonica", "vibraphone": "font:vibraphone",
        "marimba": "font:marimba", "glockenspiel": "font:glockenspiel", "bells": "patch:bell",
        "whistle": "patch:whistle",
    },
}  # fmt: skip
_PARTS = {"harmony": "chords", "lead": "melody", "fx": "effects"}
"""What a stem is called in words, where it is not its role."""
_EVERYWHERE = {name: instrument for role in ("harmony", "lead") for name, instrument in _INSTRUMENTS[role].items()}


def asked_for(role: str, prompt: str) -> tuple[list[str], set[str]]:
    """The instruments that a prompt wants, in its order, and those it will not have ("no piano")."""
    known = {**(_EVERYWHERE if role in ("harmony", "lead") else {}), **_INSTRUMENTS.get(role, {})}
    words = [word.strip().lower() for word in prompt.split(",")]
    wanted = list(dict.fromkeys(known[word] for word in words if word in known))
    unwanted = {known[word[3:]] for word in words if word.startswith("no ") and word[3:] in known}
    return [name for name in wanted if name not in unwanted], unwanted


def is_silent(role: str, prompt: str) -> bool:
    """Whether the prompt of a section says that this stem does not play in it ("no drums")."""
    return f"no {_PARTS.get(role, role)}" in [word.strip().lower() for word in prompt.split(",")]


def in_reach(notes: tuple[Note, ...], layers: tuple[str, ...], beats: Fraction) -> tuple[Note, ...]:
    """The notes with every layer moved by octaves to where its sampled instrument is at home."""
    shifts = {layer: _shift([n.pitch for n in notes if n.layer == layer], name) for layer, name in enumerate(layers)}
    if not any(shifts.values()):
        return notes
    drafts = [
        Draft(n.start, n.beats, n.pitch + shifts.get(n.layer, 0), n.velocity, n.layer, swings=False, exact=True)
        for n in notes
    ]
    return playable(drafts, beats)


def _shift(pitches: list[int], name: str) -> int:
    """The octaves, in semitones, that bring most of the pitches inside the instrument's usual range."""
    kind, _, instrument = name.partition(":")
    preset = presets().get(instrument) if kind == "font" else None
    if preset is None or not pitches:
        return 0

    def outside(shift: int) -> tuple[int, int, int]:
        missed = sum(not preset.low <= pitch + shift <= preset.high for pitch in pitches)
        return missed, abs(shift), shift

    return min((0, 12, -12, 24, -24), key=outside)
