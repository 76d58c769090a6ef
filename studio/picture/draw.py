"""Draws an arrangement: header, sections, chords, bar numbers, one lane a stem, a clock below.

Everything is drawn at twice the size and reduced, which smooths waveforms, text and rounded corners alike.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from studio.picture import theme
from studio.picture.arrangement import Arrangement, PictureError, SectionSpan, StemLane
from studio.picture.peaks import Outline, outline
from studio.picture.theme import Colour
from studio.project.atomic import atomic_write

SCALE = 2
MIN_SIZE, MAX_SIZE = (640, 360), (8000, 5000)

# Measures in pixels of the finished picture.
MARGIN = 28
LABELS = 112
HEADER = 92
BAND = 30
CHORDS = 24
RULER = 22
CLOCK = 34
LANE_GAP = 8
CORNER = 6

_PNG = b"\x89PNG\r\n\x1a\n"

#: A section counts as a clip of a stem that sounds (above -80 dBFS RMS) in more than this share of it.
AUDIBLE, CLIP_SHARE = 1e-4, 0.08
#: A section's chords are written if at least this share of them has room.
CHORD_SHARE = 0.75


def draw_arrangement(arrangement: Arrangement, width: int = 1600, height: int = 900) -> Image.Image:
    """Return the picture, RGB.

    Raises:
        PictureError: a size outside 640x360 to 8000x5000, or too many stems for the height.
        studio.mix.errors.SourceError: a stem's sound cannot be read.
    """
    inside = MIN_SIZE[0] <= width <= MAX_SIZE[0] and MIN_SIZE[1] <= height <= MAX_SIZE[1]
    if not inside:
        raise PictureError(f"a picture measures from 640x360 to 8000x5000 pixels, not {width}x{height}")
    return _Canvas(arrangement, width, height).draw()


def save_picture(arrangement: Arrangement, path: Path, width: int = 1600, height: int = 900) -> None:
    """Draw the arrangement and write it to `path` as PNG, whole or not at all. Another picture there is replaced.

    Raises:
        PictureError, SourceError: see `draw_arrangement`; PictureError too where `path` is not a picture's.
        ProjectError: the file cannot be written.
    """
    check_picture_path(path)
    data = io.BytesIO()
    draw_arrangement(arrangement, width, height).save(data, format="PNG", optimize=True)
    atomic_write(path, data.getvalue(), durable=False)


def check_picture_path(path: Path) -> None:
    """Raise PictureError unless a picture may be written to `path`: what is there may only be another one."""
    if path.suffix.lower() != ".png":
        raise PictureError(f"picture {str(path)[:200]!r}: give a file name that ends in .png")
    if path.is_dir():
        raise PictureError(f"{path} is a folder; give a file name that ends in .png")
    try:
        with open(path, "rb") as file:
            is_picture = file.read(len(_PNG)) == _PNG
    except OSError:
        return  # nothing is there, or nothing can be: writing tells
    except ValueError:
        raise PictureError(f"picture {str(path)[:200]!r}: this is no path; choose another name") from None
    if not is_picture:
        raise PictureError(f"{path} is there and is no PNG picture; choose another name")


class _Canvas:
    def __init__(self, arrangement: Arrangement, width: int, height: int) -> None:
        self._song = arrangement
        self._width, self._height = width * SCALE, height * SCALE
        self._image = Image.new("RGB", (self._width, self._height), theme.BACKGROUND)
        self._pen = ImageDraw.Draw(self._image)
        self._left = (MARGIN + LABELS) * SCALE
        self._right = self._width - MARGIN * SCALE
        self._has_chords = any(section.chords for section in arrangement.sections)
        self._band_top = HEADER * SCALE
        self._chords_top = self._band_top + (BAND + 4) * SCALE
        self._ruler_top = self._chords_top + (CHORDS * SCALE if self._has_chords else 0)
        self._lanes_top = self._ruler_top + RULER * SCALE
        self._lanes_end = self._height - CLOCK * SCALE
        lanes = len(arrangement.stems)
        self._lane_height = (self._lanes_end - self._lanes_top - (lanes - 1) * LANE_GAP * SCALE) // lanes
        if self._lane_height < 12 * SCALE:
            raise PictureError(f"{lanes} stems do not fit a picture of {height} pixels; make it higher")
        self._role_colours = theme.colours((stem.role for stem in arrangement.stems), theme.ROLES)
        self._kind_colours = theme.colours((span.kind for span in arrangement.sections), theme.SECTIONS)

    def draw(self) -> Image.Image:
        self._draw_header()
        self._draw_sections()
        self._draw_ruler()
        outlines = [outline(s.source, self._song.frames, self._right - self._left) for s in self._song.stems]
        for row, (stem, shape) in enumerate(zip(self._song.stems, outlines, strict=True)):
            self._draw_lane(row, stem, shape)
        self._draw_clock()
        return self._image.reduce(SCALE)

    def _x(self, frame: int) -> int:
        return self._left + (self._right - self._left) * frame // self._song.frames

    def _text(
        self,
        at: tuple[float, float],
        text: str,
        size: int,
        colour: Colour,
        *,
        room: float | None = None,
        medium: bool = False,
        anchor: str = "lm",
    ) -> None:
        """Write at a point of the canvas in `size` final pixels; `room` (canvas pixels) shortens the text."""
        face = theme.font(size * SCALE, medium)
        fitted = theme.printable(text) if room is None else theme.fitted(text, face, room)
        self._pen.text(at, fitted, font=face, fill=colour, anchor=anchor)

    def _draw_header(self) -> None:
        left, room = MARGIN * SCALE, self._width - 2 * MARGIN * SCALE
        self._text((left, 38 * SCALE), self._song.title, 28, theme.TEXT, room=room, medium=True)
        self._text((left, 68 * SCALE), self._song.subtitle, 15, theme.TEXT_SOFT, room=room)

    def _draw_sections(self) -> None:
        for section in self._song.sections:
            colour = self._kind_colours[section.kind]
            x0, x1 = self._x(section.start) + SCALE, self._x(section.end) - SCALE
            if x1 <= x0:
                continue
            box = (x0, self._band_top, x1, self._band_top + BAND * SCALE)
            self._pen.rounded_rectangle(box, CORNER * SCALE, fill=theme.blend(colour, theme.BACKGROUND, 0.78))
            middle = self._band_top + BAND * SCALE / 2
            room = x1 - x0 - 20 * SCALE
            self._text((x0 + 10 * SCALE, middle), section.name, 14, theme.TEXT, room=room, medium=True)
            self._draw_chords(section)

    def _draw_chords(self, section: SectionSpan) -> None:
        face = theme.font(12 * SCALE)
        middle = self._chords_top + CHORDS * SCALE / 2
        colour = theme.blend(self._kind_colours[section.kind], theme.TEXT, 0.35)
        # A chord that only repeats the one before says nothing new.
        marks = [m for i, m in enumerate(section.chords) if i == 0 or section.chords[i - 1].name != m.name]
        fitting: list[tuple[int, str]] = []
        for index, chord in enumerate(marks):
            after = self._x(marks[index + 1].frame if index + 1 < len(marks) else section.end)
            x, name = self._x(chord.frame) + 3 * SCALE, theme.printable(chord.name)
            if x + face.getlength(name) <= after + 2 * SCALE:
                fitting.append((x, name))
        # A progression with holes in it would mislead.
        if len(fitting) >= CHORD_SHARE * len(marks):
            for x, name in fitting:
                self._text((x, middle), name, 12, colour)

    def _bar_step(self) -> int:
        """Every how many bars a number has room: a power of two."""
        room = (self._right - self._left) / max(1, len(self._song.bars))
        step = 1
        while step * room < 30 * SCALE:
            step *= 2
        return step

    def _draw_ruler(self) -> None:
        step = self._bar_step()
        for index, (number, frame) in enumerate(self._song.bars):
            if index % step == 0:
                at = (self._x(frame) + 3 * SCALE, self._ruler_top + RULER * SCALE / 2)
                self._text(at, str(number), 11, theme.TEXT_FAINT)

    def _draw_lane(self, row: int, stem: StemLane, shape: Outline) -> None:
        top = self._lanes_top + row * (self._lane_height + LANE_GAP * SCALE)
        bottom = top + self._lane_height
        colour = self._role_colours[stem.role]
        self._pen.rounded_rectangle((MARGIN * SCALE, top, self._right, bottom - 1), CORNER * SCALE, fill=theme.PANEL)
        chip = (MARGIN * SCALE, top, (MARGIN + 5) * SCALE, bottom - 1)
        self._pen.rounded_rectangle(chip, 2 * SCALE, fill=colour)
        name_at = ((MARGIN + 18) * SCALE, (top + bottom) / 2)
        self._text(name_at, stem.name, 15, theme.TEXT, room=(LABELS - 24) * SCALE, medium=True)
        self._draw_grid(top, bottom)
        self._draw_clips(top, bottom, shape, colour)
        self._draw_wave(top, bottom, shape, colour)

    def _draw_grid(self, top: int, bottom: int) -> None:
        step = self._bar_step()
        for index, (_, frame) in enumerate(self._song.bars):
            strong = index % max(4, step) == 0
            if strong or step <= 2:
                x = self._x(frame)
                line = theme.LINE_PHRASE if strong else theme.LINE_BAR
                self._pen.rectangle((x, top, x + SCALE - 1, bottom - 1), fill=line)
        for section in self._song.sections[1:]:
            x = self._x(section.start)
            self._pen.rectangle((x, top, x + SCALE - 1, bottom - 1), fill=theme.LINE_SECTION)

    def _draw_clips(self, top: int, bottom: int, shape: Outline, colour: Colour) -> None:
        """Tint the sections in which the stem sounds, as a DAW tints its clips."""
        tint = Image.new("L", (self._right - self._left, bottom - top), 0)
        pen = ImageDraw.Draw(tint)
        for section in self._song.sections:
            x0, x1 = self._x(section.start) - self._left, self._x(section.end) - self._left
            # A tail that rings in from the section before does not make a clip.
            sounding = np.count_nonzero(shape.rms[x0:x1] > AUDIBLE) > CLIP_SHARE * (x1 - x0)
            if x1 - x0 > 4 * SCALE and sounding:
                box = (x0 + SCALE, 0, x1 - SCALE, bottom - top - 1)
                pen.rounded_rectangle(box, CORNER * SCALE, fill=30)
        self._image.paste(colour, (self._left, top), tint)

    def _draw_wave(self, top: int, bottom: int, shape: Outline, colour: Colour) -> None:
        """Paint peaks softly and the root mean square brightly, both from the middle of the lane."""
        height = bottom - top
        reach = height / 2 - 5 * SCALE
        peak = max(float(shape.high.max()), -float(shape.low.min()), 1e-4)
        rows = (height / 2 - np.arange(height)[:, None] - 0.5) / reach
        high, low, rms = (_curve(values / peak) for values in (shape.high, shape.low, shape.rms))
        # Half a pixel either way keeps a thin line where the stem is silent.
        thin = 0.5 * SCALE / reach
        outer = (rows <= high + thin) & (rows >= low - thin)
        inner = (np.abs(rows) <= rms) & outer
        sounding = shape.high - shape.low > 0
        soft = np.where(outer, np.where(sounding, 150, 60), 0).astype(np.uint8)
        self._image.paste(colour, (self._left, top), Image.fromarray(soft))
        bright = np.where(inner, 255, 0).astype(np.uint8)
        light = theme.blend((255, 255, 255), colour, 0.16)
        self._image.paste(light, (self._left, top), Image.fromarray(bright))

    def _draw_clock(self) -> None:
        seconds = self._song.frames / self._song.rate
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
        room = (self._right - self._left) / seconds
        step = next((s for s in steps if s * room >= 70 * SCALE), steps[-1])
        middle = self._lanes_end + CLOCK * SCALE / 2 - 2 * SCALE
        for second in range(0, int(seconds) + 1, step):
            x = self._left + room * second
            if x + 30 * SCALE < self._right or second == 0:
                clock = f"{second // 60}:{second % 60:02d}"
                self._text((x + 3 * SCALE, middle), clock, 11, theme.TEXT_FAINT)


def _curve(level: np.ndarray) -> np.ndarray:
    """Lift quiet passages a little (exponent 0.8), so that a decay can be seen."""
    return np.asarray(np.sign(level) * np.abs(level) ** 0.8)
