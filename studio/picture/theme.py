"""Colours and type of the pictures: a dark room, one clear colour for each role."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from io import BytesIO

from PIL import ImageFont

Colour = tuple[int, int, int]

BACKGROUND: Colour = (14, 16, 22)
PANEL: Colour = (20, 23, 31)
LINE_BAR: Colour = (29, 33, 44)
LINE_PHRASE: Colour = (41, 46, 60)
LINE_SECTION: Colour = (70, 78, 99)
TEXT: Colour = (236, 239, 246)
TEXT_SOFT: Colour = (148, 156, 176)
TEXT_FAINT: Colour = (96, 104, 124)

ROLES: dict[str, Colour] = {
    "drums": (255, 107, 107),
    "bass": (255, 170, 76),
    "harmony": (77, 171, 247),
    "lead": (177, 151, 252),
    "vocals": (247, 131, 172),
    "fx": (56, 217, 169),
}
SECTIONS: dict[str, Colour] = {
    "intro": (86, 104, 140),
    "verse": (52, 120, 190),
    "prechorus": (108, 96, 190),
    "chorus": (206, 82, 108),
    "postchorus": (190, 96, 150),
    "bridge": (42, 146, 136),
    "break": (150, 118, 66),
    "outro": (86, 104, 140),
}
#: For roles and kinds of section not named above, in the order in which they turn up.
_OTHERS: tuple[Colour, ...] = (
    (130, 201, 30),
    (34, 184, 207),
    (250, 176, 5),
    (218, 119, 242),
    (134, 142, 150),
)


def colours(names: Iterable[str], known: dict[str, Colour]) -> dict[str, Colour]:
    """Return a colour for each name: its own if it is known, else the next free one."""
    chosen: dict[str, Colour] = {}
    spare = 0
    for name in names:
        if name not in chosen:
            chosen[name] = known.get(name, _OTHERS[spare % len(_OTHERS)])
            spare += name not in known
    return chosen


def blend(front: Colour, back: Colour, share: float) -> Colour:
    """Mix `share` (0 to 1) of the front colour into the back one."""
    red, green, blue = (round(b + (f - b) * share) for f, b in zip(front, back, strict=True))
    return red, green, blue


@cache
def font(size: int, medium: bool = False) -> ImageFont.FreeTypeFont:
    """Return Roboto at `size` pixels; it ships with the package, so pictures look the same everywhere."""
    name = "Roboto-Medium.ttf" if medium else "Roboto-Regular.ttf"
    data = (resources.files("studio.picture") / "fonts" / name).read_bytes()
    # The basic layout needs no shaping library, which not every build of Pillow has.
    return ImageFont.truetype(BytesIO(data), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _glyph(character: str) -> bytes:
    return bytes(font(40).getmask(character))


def printable(text: str) -> str:
    """Replace what the font cannot draw: music signs by their ASCII look-alikes, the rest by a middle dot."""
    plain = text.translate({ord("♯"): "#", ord("♭"): "b", ord("♮"): ""})
    missing = _glyph("\uffff")
    return "".join("·" if _glyph(c) == missing else c for c in plain if c.isprintable())


def fitted(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """Return the text, shortened with an ellipsis to `width` pixels; empty if not even that fits."""
    plain = printable(text)
    if face.getlength(plain) <= width:
        return plain
    # The longest beginning that fits; lengths grow with the text, so halving finds it.
    shortest, longest = 0, len(plain)
    while longest - shortest > 1:
        middle = (shortest + longest) // 2
        if face.getlength(plain[:middle].rstrip() + "…") <= width:
            shortest = middle
        else:
            longest = middle
    return plain[:shortest].rstrip() + "…" if shortest else ""
