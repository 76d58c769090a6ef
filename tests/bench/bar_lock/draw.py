"""Pictures of cases, for eyes: the sound, its onset envelope, where beats truly are and where they were heard."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from studio.align.values import Audio, BeatMap, Floats
from studio.picture import theme
from studio.project.atomic import atomic_write
from tests.bench.bar_lock.case import Case

WIDTH, ROW, HEADER, FOOTER = 1800, 150, 44, 26
SECONDS = 12.0
"""A row shows at most this much; longer sounds take more rows, up to `ROWS`."""
ROWS = 6
ENVELOPE_RATE = 500
"""Values a second."""
_WAVE, _ENVELOPE = theme.ROLES["harmony"], theme.ROLES["bass"]
_TRUE, _HEARD, _ONSET, _NOTE = theme.ROLES["fx"], theme.ROLES["drums"], theme.ROLES["lead"], theme.TEXT_FAINT


def save_picture(case: Case, path: Path, heard: BeatMap | None = None, onsets: Floats | None = None) -> None:
    """Draw rows of time. From the top of a row: true beats (green, downbeats tall and numbered) and true notes (grey),
    the waveform (blue), its onset envelope (orange), onsets heard (violet), beats heard (red, downbeats tall)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = min(ROWS, max(1, int(np.ceil(case.seconds / SECONDS))))
    span = min(SECONDS, case.seconds)
    image = Image.new("RGB", (WIDTH, HEADER + count * (ROW + 12) + FOOTER), theme.BACKGROUND)
    pen = ImageDraw.Draw(image)
    pen.text((12, 12), theme.printable(case.says.replace("->", " to ")), font=theme.font(17), fill=theme.TEXT)
    envelope = flux(case.audio, case.rate)
    for row in range(count):
        _row(pen, case, HEADER + row * (ROW + 12), row * span, span, envelope, heard, onsets)
    says = (
        "green: true beats and bars, grey: true notes, orange: onset envelope, violet: onsets heard, red: beats heard"
    )
    pen.text((12, image.height - FOOTER + 4), says, font=theme.font(13), fill=theme.TEXT_SOFT)
    data = io.BytesIO()
    image.save(data, format="PNG")
    atomic_write(path, data.getvalue(), durable=False)


def flux(audio: Audio, rate: int) -> Floats:
    """A plain onset envelope, 0..1 at `ENVELOPE_RATE`: the rise of the log spectrum over 20 ms."""
    from scipy import signal

    mono = audio.mean(axis=0)
    hop = rate // ENVELOPE_RATE
    window = 1 << int(np.log2(0.025 * rate))
    padded = np.concatenate([np.zeros(window), mono, np.zeros(window)])
    _, _, spectrum = signal.stft(padded, rate, nperseg=window, noverlap=window - hop, boundary=None, padded=False)
    levels = np.log1p(1000.0 * np.abs(spectrum) / max(float(np.abs(spectrum).max()), 1e-9))
    rise = np.maximum(levels[:, 10:] - levels[:, :-10], 0.0).sum(axis=0)
    # The window's middle passes a frame of the sound half a window after its first sample does.
    first = round((window / 2 - 10 * hop / 2) / hop)
    return np.asarray(rise[first:] / max(float(rise.max()), 1e-9))


def _row(
    pen: ImageDraw.ImageDraw, case: Case, top: int, start: float, span: float, envelope: Floats, heard: BeatMap | None,
    onsets: Floats | None,
) -> None:  # fmt: skip
    pen.rectangle((0, top, WIDTH, top + ROW), fill=theme.PANEL)
    scale = WIDTH / span
    edges = ((start + np.arange(WIDTH + 1) / scale) * case.rate).astype(int)
    mono = case.audio.mean(axis=0)
    middle = top + ROW * 0.55
    for x in range(WIDTH):
        part = mono[edges[x] : edges[x + 1]]
        if len(part):
            pen.line((x, middle - 45 * float(part.max()), x, middle - 45 * float(part.min())), fill=_WAVE)
    ends = ((start + np.arange(WIDTH + 1) / scale) * ENVELOPE_RATE).astype(int)
    for x in range(WIDTH):
        rise = envelope[ends[x] : max(ends[x + 1], ends[x] + 1)]
        if len(rise):
            pen.line((x, top + ROW - 24, x, top + ROW - 24 - 40 * float(rise.max())), fill=_ENVELOPE)

    def mark(seconds: float, low: float, high: float, colour: theme.Colour) -> float:
        x = (seconds - start) * scale
        pen.line((x, top + low, x, top + high), fill=colour)
        return x

    for onset in case.onsets:
        mark(float(onset["seconds"]), 16, 24, _NOTE)
    size = float(case.grid.meter.bar_beats)
    for beat in np.arange(-np.ceil(case.done["pickup"]), case.beats + 1):
        mark(float(case.truth.seconds_at(beat)), 4, 14, _TRUE)
    for bar in range(case.bars + 1):
        x = mark(float(case.truth.seconds_at(bar * size)), 0, 40, _TRUE)
        pen.text((x + 3, top + 22), str(bar + 1), font=theme.font(13), fill=_TRUE)
    if onsets is not None:
        for seconds in onsets:
            mark(float(seconds), ROW - 22, ROW - 14, _ONSET)
    if heard is not None:
        for beat in np.arange(-np.ceil(case.done["pickup"]), case.beats + 1):
            mark(float(heard.seconds_at(beat)), ROW - 12, ROW, _HEARD)
        for bar in range(case.bars + 1):
            mark(float(heard.seconds_at(bar * size)), ROW - 36, ROW, _HEARD)
