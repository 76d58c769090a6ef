"""What a style is: the values that a style file holds.

Patterns are texts read from left to right on an even grid of `steps` steps a quarter note (4: sixteenths, 3: eighth
triplets, 6: sixteenth triplets, 2: eighths). `|` separates bars, spaces are for the eye. Patterns are written for 4/4
and are fitted to other meters by their felt beats (see models.band.compose.grid).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("intro", "verse", "prechorus", "chorus", "postchorus", "bridge", "break", "outro")
ROLES = ("drums", "bass", "harmony", "lead", "fx")


@dataclass(frozen=True)
class Swing:
    """Every second step of a grid of `steps` a beat (2: eighths, 4: sixteenths) is late: `ratio` is the share of
    the pair that the first step takes, 0.5 (straight) to 0.75; 2/3 is triplet swing."""

    steps: int = 2
    ratio: float = 0.5


@dataclass(frozen=True)
class Feel:
    """Bounds of the human touch: no note moves by more than `timing_ms` milliseconds or `velocity` steps."""

    timing_ms: float = 0.0
    velocity: int = 0


@dataclass(frozen=True)
class Groove:
    """One groove family's bar(s): what each drum plays, and from which energy of the section on it plays.

    Characters: `X` accent, `x` plain, `o` soft, `g` ghost, `?` a ghost that plays half of the time, `.` rest.
    A line also falls silent above its energy in `leaves` (a hat that makes way for the ride). `vary` replaces lines in
    the last bar of every four. `kinds` limits the groove to those kinds of section, where it is then preferred.
    `meter` is the meter it is written for ("3/4" with three beats of steps); such a groove is preferred there.
    """

    name: str
    steps: int
    lines: Mapping[str, str]
    enters: Mapping[str, float] = field(default_factory=dict)
    leaves: Mapping[str, float] = field(default_factory=dict)
    vary: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    meter: str = "4/4"


@dataclass(frozen=True)
class Fill:
    """The last bar of a section: `lines` replace the groove's over the last `beats` beats (patterns are `beats`
    beats long). `energy`: least energy of the section that follows."""

    steps: int
    beats: int
    lines: Mapping[str, str]
    energy: float = 0.0


@dataclass(frozen=True)
class Drums:
    kits: tuple[str, ...]
    grooves: tuple[Groove, ...]
    fills: tuple[Fill, ...]
    crash: float = 0.5
    """Energy from which a section opens with a crash; above 1: never."""


@dataclass(frozen=True)
class BassLine:
    """`R` root, `r` soft root, `3` `5` `6` `7` `8` degrees above it, `4` the fifth below, `a` approach to the next
    root, `n` that root itself, `w` walking step, `-` hold, `.` rest. The pattern "kick" plays the root wherever the
    kick plays. A line with `kinds` is for those kinds of section, where it is then preferred."""

    pattern: str
    steps: int = 4
    kinds: tuple[str, ...] = ()
    energy: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Bass:
    instruments: tuple[str, ...]
    low: int
    high: int
    lines: tuple[BassLine, ...]
    lock: bool = False
    """Every attack falls together with a kick, or on the first beat of a chord."""
    glide: bool = False
    """Joined notes slide now and then, where the patch can."""


@dataclass(frozen=True)
class Layer:
    """One instrument of the harmony stem. `X` `x` `o` all voices, digits one voice from the bottom (1 is lowest),
    `t` all but the lowest, `b` the lowest two, `-` hold, `.` rest. A pattern of one `x` and holds is a pad.
    `voicing` is the part's where it is empty."""

    instruments: tuple[str, ...]
    patterns: tuple[str, ...]
    steps: int = 4
    kinds: tuple[str, ...] = ()
    enters: float = 0.0
    octave: int = 0
    velocity: int = 84
    voicing: str = ""
    strum_ms: float = 0.0


@dataclass(frozen=True)
class HarmonyPart:
    """`voicing`: close, open, shell, rootless, power, drop2 or cluster; `low`..`high` bound every voice."""

    voicing: str
    voices: int
    low: int
    high: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Lead:
    """The melody. `rhythms` are one-bar rhythms (`x` attack, `X` accent, `-` hold, `.` rest) of which a motif is made;
    `scale`: mode, pentatonic, blues or chord; `density` a kind of section: the share of bars in which it plays;
    `leap` is the largest step inside a phrase in semitones; `contour`: arch, rise, fall, wave."""

    instruments: tuple[str, ...]
    low: int
    high: int
    rhythms: tuple[str, ...]
    steps: int = 4
    scale: str = "mode"
    contours: tuple[str, ...] = ("arch", "wave")
    leap: int = 9
    density: Mapping[str, float] = field(default_factory=dict)
    double: float = 2.0
    """Energy from which a chorus doubles the melody an octave apart; above 1: never."""


@dataclass(frozen=True)
class Effects:
    """Transitions and beds. `into`: sounds that lead into a kind of section from the bars before it, as
    (sound, bars); `on`: sounds at its first beat; `bed`: sounds held through it."""

    into: Mapping[str, tuple[tuple[str, int], ...]]
    on: Mapping[str, tuple[str, ...]]
    bed: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Channel:
    """A stem's place in the mix: its loudness against the mix in LU, and its chain of effects as plain data."""

    level: float
    chain: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StyleHead:
    """What a style says of itself at the top of its file: by this it is found, and with this a song begins. Tempi in
    BPM: lowest, usual, highest."""

    name: str
    title: str
    words: tuple[str, ...]
    examples: tuple[str, ...]
    moods: tuple[str, ...]
    tempo: tuple[float, float, float]
    meters: tuple[str, ...]
    modes: tuple[str, ...]

    @property
    def phrases(self) -> tuple[str, ...]:
        """What a prompt is compared with by meaning: its examples, and last its title with its English words."""
        return (*self.examples, f"{self.title}: {', '.join(word for word in self.words if word.isascii())}")


@dataclass(frozen=True)
class Style(StyleHead):
    """One style, as read from its file. `form` is the default order of sections ("intro:8 verse:16");
    `progressions[family][kind]` are texts of Roman numerals, family is "minor" or "major"."""

    form: str
    progressions: Mapping[str, Mapping[str, tuple[str, ...]]]
    drums: Drums
    bass: Bass
    harmony: HarmonyPart
    lead: Lead
    fx: Effects
    mix: Mapping[str, Channel]
    swing: Swing = Swing()
    feel: Feel = Feel()
    energy: Mapping[str, float] = field(default_factory=dict)
