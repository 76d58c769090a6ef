"""Keys: a tonic and one of the diatonic modes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.song.errors import SongError

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
IONIAN = (0, 2, 4, 5, 7, 9, 11)
# A church mode is the major scale begun on another degree (major = Ionian, minor = Aeolian).
DEGREE_OF_MODE = {
    "major": 0, "ionian": 0, "dorian": 1, "phrygian": 2, "lydian": 3,
    "mixolydian": 4, "minor": 5, "aeolian": 5, "locrian": 6,
}  # fmt: skip
MODES = tuple(DEGREE_OF_MODE)
_SHORT = {"": "major", "maj": "major", "m": "minor", "min": "minor", "moll": "minor", "dur": "major"}
_NAMES_BY_FIFTHS = ("Fb", "Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#",
                    "D#", "A#", "E#", "B#")  # fmt: skip


def pitch_class(name: str) -> int:
    """The pitch class 0..11 of a note name such as "F#" or "Bb". Raises SongError."""
    if not re.fullmatch(r"[A-G](?:#{0,2}|b{0,2})", name):
        raise SongError(f"note name {name[:20]!r}: use A to G with # or b, such as F# or Bb")
    return (LETTERS[name[0]] + name.count("#") - name.count("b", 1)) % 12


@dataclass(frozen=True)
class Key:
    """A tonic (spelled, such as "F#") and a mode of MODES."""

    tonic: str = "C"
    mode: str = "major"

    def __post_init__(self) -> None:
        if self.tonic not in _NAMES_BY_FIFTHS:
            raise SongError(f"tonic {self.tonic[:20]!r}: use A to G with one # or b, such as F# or Bb")
        if self.mode not in DEGREE_OF_MODE:
            raise SongError(f"mode {self.mode[:20]!r}: use one of {', '.join(MODES)}")

    @property
    def tonic_pitch_class(self) -> int:
        return pitch_class(self.tonic)

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes of the scale, from the tonic up."""
        degree = DEGREE_OF_MODE[self.mode]
        steps = [(IONIAN[(degree + i) % 7] - IONIAN[degree]) % 12 for i in range(7)]
        return tuple((self.tonic_pitch_class + step) % 12 for step in steps)

    @property
    def is_minor(self) -> bool:
        """Whether the third above the tonic is minor."""
        return (self.scale[2] - self.scale[0]) % 12 == 3

    @property
    def fifths(self) -> int:
        """The key signature as sharps (positive) or flats (negative), -7..7."""
        place = _NAMES_BY_FIFTHS.index(self.tonic) - 8
        offset = {0: 0, 1: -2, 2: -4, 3: 1, 4: -1, 5: -3, 6: -5}[DEGREE_OF_MODE[self.mode]]
        fifths = place + offset
        while fifths > 7:
            fifths -= 12
        while fifths < -7:
            fifths += 12
        return fifths

    def spell(self, pc: int) -> str:
        """The name of a pitch class in this key: its own spelling on the scale, else the nearest by fifths."""
        centre = self.fifths + 8 + 2  # the middle of the seven scale notes on the line of fifths, from F at fifths - 1
        names = [n for n in _NAMES_BY_FIFTHS if pitch_class(n) == pc % 12]

        def strangeness(name: str) -> tuple[int, int, str]:
            distance = abs(_NAMES_BY_FIFTHS.index(name) - centre)
            rare = distance > 3 and name in ("E#", "B#", "Cb", "Fb")  # off the scale, F is F in every key
            return distance + 6 * rare, len(name), name

        return min(names, key=strangeness)

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read "F# minor", "Am", "Bb", "d dorian". Raises SongError on anything else."""
        match = re.fullmatch(r"\s*([A-Ga-g])\s*(#|♯|b|♭|-?sharp|-?flat)?\s*([A-Za-z]*)\s*", text[:60])
        if match:
            letter, accidental, mode = match[1].upper(), match[2] or "", match[3]
            mark = {"♯": "#", "sharp": "#", "-sharp": "#", "♭": "b", "flat": "b", "-flat": "b"}.get(
                accidental, accidental
            )
            name = "minor" if mode == "m" else _SHORT.get(mode.lower(), mode.lower())
            if name in DEGREE_OF_MODE and not (mode == "M" and name == "minor"):
                return cls(letter + mark, name)
        raise SongError(f"key {text[:40]!r}: write a tonic and a mode, such as 'F# minor', 'Bb major' or 'D dorian'")
