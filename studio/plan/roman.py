"""Roman numerals to chords in a key.

A plain numeral is a degree of the key's own scale; capitals are major, small letters minor, and what follows is said
as in chord symbols (an uppercase 7 is a dominant). A flat or sharp sign is meant against the major scale, so that
bVII in minor is the degree that minor has already lowered. A slash names the bass as a degree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from studio.song import Chord, Key, SongError
from studio.song.key import IONIAN

_NUMERAL = re.compile(r"([b#]?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(?![IVXivx])([^/]*)(?:/([b#]?)([1-7]))?")
_DEGREES = {"I": 0, "II": 1, "III": 2, "IV": 3, "V": 4, "VI": 5, "VII": 6}
_MAJOR = {"": "", "°": "dim", "+": "aug", "°7": "dim7"}
_MINOR = {"": "m", "°": "dim", "+": "aug", "°7": "dim7", "6": "m6", "7": "m7", "9": "m9", "11": "m11", "13": "m13",
          "69": "m6", "maj7": "mmaj7", "maj9": "mmaj7", "add9": "madd9"}  # fmt: skip
# The sevenths of a diatonic chord by its own intervals: (third, fifth, seventh).
_SEVENTHS = {
    (4, 7, 11): "maj7",
    (4, 7, 10): "7",
    (3, 7, 10): "m7",
    (3, 6, 10): "m7b5",
    (3, 7, 11): "mmaj7",
    (3, 6, 9): "dim7",
}
_NINTHS = {"maj7": "maj9", "7": "9", "m7": "m9"}
_RICHER = {"7": {"13": "13", "11": "11"}, "m7": {"11": "m11", "13": "m13"}}
_HOME_MODES = {"minor": ("minor", "aeolian"), "major": ("major", "ionian")}


@dataclass(frozen=True)
class Numeral:
    """A numeral, taken apart. `accidental` and `bass_accidental` are -1, 0 or 1 semitones; degrees count from 0."""

    degree: int
    accidental: int
    upper: bool
    suffix: str
    bass_degree: int | None = None
    bass_accidental: int = 0

    @classmethod
    def parse(cls, text: str) -> Numeral:
        """Read "bVII", "ii7", "V7/3". Raises SongError."""
        match = _NUMERAL.fullmatch(text)
        if not match:
            raise SongError(f"numeral {text[:20]!r}: write a Roman numeral such as i, bVII or V7")
        sign = {"": 0, "b": -1, "#": 1}
        return cls(
            _DEGREES[match[2].upper()], sign[match[1]], match[2].isupper(), match[3],
            int(match[5]) - 1 if match[5] else None, sign[match[4] or ""],
        )  # fmt: skip

    @property
    def is_tonic(self) -> bool:
        return self.degree == 0 and self.accidental == 0

    @property
    def is_dominant(self) -> bool:
        return self.degree == 4 and self.accidental == 0 and self.upper


def degree_pitch_class(key: Key, degree: int, accidental: int) -> int:
    """The pitch class of a degree 0..6: the key's own, or lowered or raised against the major scale."""
    own = (key.scale[degree] - key.tonic_pitch_class) % 12
    if accidental:
        wanted = (IONIAN[degree] + accidental) % 12
        own = wanted if wanted == own or key.mode in ("major", "ionian") else _moved(own, degree, accidental)
    return (key.tonic_pitch_class + own) % 12


def _moved(own: int, degree: int, accidental: int) -> int:
    """In other modes: b on a degree that is not yet lowered lowers it; # raises what is there."""
    lowered = own < IONIAN[degree]
    if accidental < 0:
        return own if lowered else own - 1
    return own + 1


@cache
def chord_of(numeral: Numeral, key: Key, family: str, resolves: bool) -> Chord:
    """The chord of a numeral written for a family ("minor" or "major"), in a key.

    In the family's home mode the numeral is taken at its word. In another mode triads and sevenths become the mode's
    own; a diminished triad that was not asked for gives way to the chord a third below, which shares two notes with
    it. A major dominant stays where it `resolves` to the tonic and the mode's fifth degree allows a cadence.
    """
    if key.mode in _HOME_MODES[family] or numeral.accidental:
        return _spelled(numeral, key, numeral.degree, _literal(numeral))
    cadence = key.mode in ("dorian", "minor", "aeolian", "lydian", "major", "ionian")
    if numeral.is_dominant and resolves and cadence:
        return _spelled(numeral, key, numeral.degree, _literal(numeral))
    degree = numeral.degree
    _, fifth, _ = _stack(key, degree)
    if fifth != 7 and degree != 0 and numeral.suffix not in ("°", "°7", "m7b5", "+"):
        degree = (degree - 2) % 7
    return _spelled(numeral, key, degree, _diatonic(numeral, key, degree))


def _stack(key: Key, degree: int) -> tuple[int, int, int]:
    scale = key.scale
    root = scale[degree]
    third, fifth, seventh = ((scale[(degree + step) % 7] - root) % 12 for step in (2, 4, 6))
    return third, fifth, seventh


def _literal(numeral: Numeral) -> str:
    table = _MAJOR if numeral.upper else _MINOR
    return table.get(numeral.suffix, numeral.suffix)


def _diatonic(numeral: Numeral, key: Key, degree: int) -> str:
    third, fifth, seventh = _stack(key, degree)
    triad = "dim" if fifth == 6 else ("m" if third == 3 else "")
    suffix = numeral.suffix
    seventh_chord = _SEVENTHS.get((third, fifth, seventh), "m7" if third == 3 else "7")
    if suffix in ("7", "maj7", "m7b5", "7b9", "7#9", "7#5", "°7"):
        return seventh_chord
    if suffix in ("9", "maj9", "11", "13"):
        richer = _RICHER.get(seventh_chord, {}).get(suffix)
        return richer or _NINTHS.get(seventh_chord, seventh_chord)
    if triad == "dim":
        return triad
    if suffix in ("6", "69") and (key.scale[(degree + 5) % 7] - key.scale[degree]) % 12 == 9:
        return "m6" if third == 3 else suffix
    if suffix == "add9" and (key.scale[(degree + 1) % 7] - key.scale[degree]) % 12 == 2:
        return "madd9" if third == 3 else "add9"
    if suffix in ("5", "sus2", "sus4", "7sus4", "9sus4"):
        return suffix
    return triad


def _spelled(numeral: Numeral, key: Key, degree: int, quality: str) -> Chord:
    root = key.spell(degree_pitch_class(key, degree, numeral.accidental))
    bass = None
    if numeral.bass_degree is not None:
        bass = key.spell(degree_pitch_class(key, numeral.bass_degree, numeral.bass_accidental))
    return Chord(root, quality, bass if bass != root else None)
