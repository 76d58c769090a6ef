"""Bars of many styles, written out by hand for the benchmark of bar lock.

Texts are read on an even grid of `steps` a quarter note; `|` separates bars, spaces are for the eye. Drums: `X` accent,
`x` plain, `o` soft, `g` ghost. Bass: `R` root, `3` `5` `7` `8` above it, `4` the fifth below, `a` a semitone below the
next root. Comping: `x` the chord, `o` softly. Everywhere `-` holds and `.` rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """A bar or several; `tempo` is where it is at home, in quarter notes a minute.

    `swing`: the steps a beat that may swing, 0 for none; `always` if it is nothing without.
    `feel`: whether its accents count at the notated tempo, at half or at double of it.
    """

    name: str
    meter: str
    steps: int
    tempo: tuple[int, int]
    drums: Mapping[str, str]
    bass: str
    comp: str
    swing: int = 0
    always: bool = False
    feel: str = "normal"


def _p(name: str, meter: str, steps: int, tempo: tuple[int, int], bass: str, comp: str, **more: object) -> Pattern:
    settings = {key: more.pop(key) for key in ("swing", "always", "feel") if key in more}
    drums = {drum: str(text) for drum, text in more.items()}
    return Pattern(name, meter, steps, tempo, drums, bass, comp, **settings)  # type: ignore[arg-type]


PATTERNS = (
    _p("rock eighths", "4/4", 2, (96, 150), "RR RR RR Ra", "x- -x -x --", kick="X. .x X. ..", snare=".. X. .. X.",
       hat="xo xo xo xo"),
    _p("rock push", "4/4", 4, (84, 132), "R.R. ..R. R.R. ..5.", "x--- --x- ---- x-x-", kick="X... ..x. ..x. ....",
       snare=".... X... .... X..g", hat="x.x. x.x. x.x. x.x."),
    _p("four on the floor", "4/4", 4, (116, 132), "..R. ..R. ..R. ..8.", "..x- .x-. ..x- .x-.", swing=4,
       kick="X... X... X... X...", clap=".... x... .... x...", open="..x. ..x. ..x. ..x.", hat="o.g. o.g. o.g. o.gg"),
    _p("techno", "4/4", 4, (124, 145), ".RRR .RRR .RRR .RRR", "...x --.. ...x --..", kick="X... X... X... X...",
       hat="..x. ..x. ..x. ..x.", rim="...x ..x. .x.. x.x.", shaker="oooo oooo oooo oooo"),
    _p("trap half-time", "4/4", 4, (120, 160), "R--- --.. ..R- ----", "x--- ---- --x- ----", feel="half",
       kick="X... .... ..x. ...x", snare=".... .... X... ....", hat="x.x. x.xx x.x. xxxx"),
    _p("half-time rock", "4/4", 2, (110, 160), "R- .. .R R.", "x- -- -- x-", feel="half",
       kick="X. .x .. .x", snare=".. .. X. ..", ride="xo xo xo xo"),
    _p("dnb two-step", "4/4", 4, (164, 178), "R--- --.. ..R- 5---", "x--- --x- ---- ----",
       kick="X... .... ..X. ....", snare=".... X... .... X...", hat="x.x. x.x. x.x. x.xo"),
    _p("breakbeat", "4/4", 4, (130, 172), "R... ..R. ...R ....", "x--- ---- -x-- ----",
       kick="X.X. .... ..xX ....|X.X. .... ..X. ....", snare=".... X..g .g.. X..g|.... X..g .g.. ..X.",
       ride="x.x. x.x. x.x. x.x."),
    _p("jungle chop", "4/4", 4, (155, 172), "R--- --R- ---- 5---", "...x --.. ...x --..",
       kick="X.x. ..x. .x.. ..x.", snare="...g X..x .g.X .x.g", hat="x.x. x.x. x.x. x.x."),
    _p("funk on the one", "4/4", 4, (92, 116), "R.R. ..5. ..7. 8..a", "...x ..x. .x.. x...", swing=4,
       kick="X.x. ..x. ..x. .x..", snare=".g.g X..g .g.g X..g", hat="xoxo xoxo xoxo xo.o", open=".... .... .... ..x."),
    _p("funk linear", "4/4", 4, (88, 112), "R..R ..8. .7.. 5...", ".x.. x..x .x.. x.x.",
       kick="X..x ..X. .x.. .x..", snare="..g. X..g .gX. .g.X", hat=".x.. .xo. x... x.o."),
    _p("bossa nova", "4/4", 4, (60, 84), "R..5 ...R R..5 ...R", "x..x ..x. .x.. x..x",
       kick="X..x x..x X..x x..x", rim="x..x ..x. ..x. .x..", hat="oooo oooo oooo oooo"),
    _p("samba", "4/4", 4, (88, 112), "R... 5..5 R... 5..5", ".x.x .x.. x.x. .x..",
       kick="o..x X..o o..x X..o", snare="xggx gxgg xgxg gxgg", shaker="xoox xoox xoox xoox"),
    _p("one drop", "4/4", 2, (64, 84), ".. 55 .R .3", ".. x. .. x.", swing=2, feel="half",
       kick=".. .. X. ..", rim=".. .. X. ..", hat="xo xo xo xo"),
    _p("waltz", "3/4", 2, (84, 170), "R- .. ..", ".. x- x-", kick="X. .. ..", snare=".. o. o.", ride="x. xo x."),
    _p("jazz waltz", "3/4", 2, (110, 180), "R- 5- 8-", "x- .x --", swing=2, always=True,
       kick="o. .. .o", snare=".. .o ..", pedal=".. x. ..", ride="X. xx x."),
    _p("ballad in six", "6/8", 2, (60, 100), "R- -- 5.", "xo ox oo", kick="X. .. .x", snare=".. .X ..",
       hat="xo ox oo"),
    _p("afro six", "6/8", 2, (80, 126), "R. R5 .8", "x. xx .x", kick="X. .x ..", rim="x. xx .x", conga_hi=".x .. x.",
       shaker="xo ox oo"),
    _p("seven", "7/8", 2, (100, 170), "R. R. R5 .", "x- x- x- -", kick="X. .. X. .", snare=".. X. .. X",
       hat="xo xo xo o"),
    _p("seven sixteenths", "7/8", 4, (90, 140), "R.R. 5.5. R..R a.", "x--- x--- x--x --",
       kick="X..x .... X..x ..", snare=".... X... .... X.", hat="x.x. x.x. x.x. x."),
    _p("swing ride", "4/4", 2, (110, 200), "R- 3- 5- a-", "x. .x .. ..|.. .x -- ..", swing=2, always=True,
       ride="x. Xx x. Xx", pedal=".. x. .. x.", kick="o. o. o. o.", snare=".. .. .o ..|.o .. .. o."),
    _p("blues shuffle", "4/4", 2, (90, 140), "RR 55 66 55", "x. .x .. .x", swing=2, always=True,
       kick="X. .. X. .x", snare=".. X. .. X.", hat="xx xx xx xx"),
    _p("disco", "4/4", 4, (108, 126), "R.8. R.8. R.8. R.8.", "..x. ..x. ..x. .xx.",
       kick="X... X... X... X...", snare=".... X... .... X...", open="..x. ..x. ..x. ..x.", hat="xo.o xo.o xo.o xo.o"),
    _p("boom bap", "4/4", 4, (82, 98), "R..R ..R. ..7. 5...", "x--- ---- x--- ----", swing=4,
       kick="X..x ..x. ..X. ....", snare=".... X... .... X..g", hat="x.x. x.x. x.xo x.x."),
    _p("laid-back hop", "4/4", 4, (70, 92), "R... ..5. .R.. ....", "x--- --x- ---- ----", swing=4,
       kick="X.x. .... .xx. ....|X... ..x. .x.. ..x.", snare=".... X... .... X...", hat="x.xo x.x. xox. x.x."),
    _p("d-beat", "4/4", 2, (84, 110), "RR RR RR RR", "x- -- x- --", feel="double",
       kick="X. Xx X. Xx", snare=".X .X .X .X", ride="xx xx xx xx"),
    _p("train beat", "4/4", 4, (96, 126), "R... 5... R... 5...", "..x. ..x. ..x. ..x.", feel="double",
       kick="X... x... X... x...", snare="ooXo ooXo ooXo ooXx"),
    _p("two-step garage", "4/4", 4, (126, 136), "R..R ..5. .R.. 8.5.", ".x-. .x-. ..x- .x-.", swing=4, always=True,
       kick="X... .... ..x. ....|X... ...x ..x. ....", snare=".... X... .... X...", hat="..x. .ox. ..xo .ox."),
    _p("son clave", "4/4", 4, (80, 108), "...R ..5. ...R ..5.", "x.xx .x.x .x.x .x.x",
       kick="...x ..x. ...x ..x.", claves="X..X ..X. ..X. X...", conga_hi="x.ox x.oo x.ox x.oo",
       cowbell="X.o. x.o. X.o. x.o."),
    _p("afrobeat", "4/4", 4, (100, 122), "R..5 .7.. R..5 .8.7", ".x.x ..x. .x.x ..x.",
       kick="X..x ..x. X..x ..x.", snare=".g.g .gX. .g.g .gXg", hat="x.ox x.ox x.ox x.ox"),
    _p("synthwave", "4/4", 2, (84, 118), "RR RR RR RR", "x- -- -- --", kick="X. X. X. X.", snare=".. X. .. X.",
       hat=".x .x .x .x"),
    _p("metal gallop", "4/4", 4, (100, 140), "R.RR R.RR R.RR R.RR", "x.xx x.xx x.xx x.x-",
       kick="X.xx X.xx X.xx X.xx", snare=".... X... .... X...", china="x... x... x... x..."),
)  # fmt: skip

# One chord a bar: semitones of its root above the tonic, and its quality.
PROGRESSIONS = (
    "0:m 8:M 3:M 10:M", "0:M 7:M 9:m 5:M", "2:m7 7:7 0:M7 9:7", "0:m7 5:7", "0:7 5:7 0:7 7:7", "0:m 10:M 8:M 7:M",
    "0:M 5:M 7:M 5:M", "9:m 5:M 0:M 7:M", "0:M7 9:m7 2:m7 7:7", "0:m9 3:M7 8:M7 7:7", "0:M 10:M 5:M 0:M",
    "0:m 5:m 3:M 10:M",
)  # fmt: skip
QUALITIES = {
    "M": (0, 4, 7), "m": (0, 3, 7), "M7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "7": (0, 4, 7, 10), "m9": (0, 3, 10, 14)
}  # fmt: skip

# Bars of sung phrases, on eighths: `x` a syllable, `-` holds it.
MELODIES = (
    "x- x- x- --", ".x xx x- --", "x- -x -x x-", "xx x- xx x-", "x- -- x- x-", ".. xx xx x-", "x- xx -x --",
    "xx xx x- ..",
)  # fmt: skip


def chords(text: str) -> list[tuple[int, tuple[int, ...]]]:
    """A progression as (semitones above the tonic, the chord's tones above its root)."""
    pairs = [word.split(":") for word in text.split()]
    return [(int(root), QUALITIES[quality]) for root, quality in pairs]
