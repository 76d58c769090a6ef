"""The files of a bounce as pieces of work, each complete in itself, so that any thread or process can write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.api import Cancel, Cancelled
from studio.align.known import known_seam, measure_known
from studio.align.report import Level, Report, judge_known
from studio.mix.arrays import Audio, from_db
from studio.mix.curve import Curve
from studio.mix.limiter import limit
from studio.mix.master import Energies, clip_loudness, take_energies
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.sources import Source, as_source
from studio.mix.tails import TailMode, clip_from_take
from studio.mix.truepeak import true_peak_dbtp
from studio.project.wav import ClipInfo, WavInfo, write_clip, write_wav

CLIP_CEILING_DBTP = -1.0
STEPS = 1 << 23
"""Of the 24-bit grid, from 0 to full scale."""
CLOSING_S = 0.25


@dataclass(frozen=True)
class WrittenClip:
    """What became of a clip: the frames of its sound, and how well that sits where its notes are known."""

    frames: int
    report: dict[str, Any] | None


@dataclass(frozen=True)
class ClipPiece:
    """A take under its gain and curve, put on the grid of its cell (`frames`), and its notes."""

    sound: Source | Audio
    start: int
    """The take's first frame, counted from the curve's."""
    frames: int
    rate: int
    gain_db: float
    curve: Curve
    tails: TailMode
    path: Path
    info: ClipInfo
    write_midi: Callable[[], None] | None = None
    begins: NDArray[np.float64] | None = None
    """Where its notes begin, in frames of the cell; None where they are not known."""
    energies: Energies | None = None
    """What `take_energies` says of the take, where that is known already."""

    def write(self, cancel: Cancel) -> WrittenClip:
        """Write the files. Raises ProjectError, or Cancelled before it begins."""
        _stop_if(cancel)
        sound = whole(self.sound)
        energies = take_energies(sound, self.rate) if self.energies is None else self.energies
        sound = sound * (self.curve.gains(self.start, sound.shape[1]) * np.float32(from_db(self.gain_db)))
        audio = limit(clip_from_take(sound, self.frames, self.tails, self.rate), self.rate, CLIP_CEILING_DBTP)
        write_clip(self.path, audio, self.rate, self.info)
        if self.write_midi is not None:
            self.write_midi()
        return WrittenClip(audio.shape[1], self._report(audio, energies))

    def _report(self, audio: Audio, energies: Energies) -> dict[str, Any] | None:
        """How well the clip sits; None where its notes are not known."""
        if self.begins is None:
            return None
        loops = self.tails == "wrap"
        wrap = self.frames if loops else None
        known = measure_known(audio, self.rate, self.begins)
        report = Report(
            *judge_known(known), float(self.info.bpm), str(self.info.meter), known=known,
            seam=known_seam(audio, self.rate, self.begins) if loops else None,
            level=Level(
                clip_loudness(energies, self.rate, self.gain_db, self.curve, self.start, wrap), true_peak_dbtp(audio)
            ),
        )  # fmt: skip
        return report.as_json()


@dataclass(frozen=True)
class StemPiece:
    """A stem over the whole song: its takes at their places, under its gain and the song's curve."""

    parts: tuple[Placed, ...]
    frames: int
    rate: int
    gain_db: float
    curve: Curve
    path: Path
    info: WavInfo

    def write(self, cancel: Cancel) -> None:
        """Mix and write it block by block. Raises ProjectError, or Cancelled between blocks."""
        write_wav(self.path, self._blocks(cancel), self.rate, channels=2, frames=self.frames, info=self.info)

    def _blocks(self, cancel: Cancel) -> Iterator[Audio]:
        at = 0
        for block in Mixer([Track("stem", self.parts, self.gain_db)], self.rate).blocks(self.frames):
            _stop_if(cancel)
            gains = self.curve.gains(at, block.shape[1])
            self._close(gains, at)
            yield block * gains
            at += block.shape[1]

    def _close(self, gains: NDArray[np.float32], start: int) -> None:
        """Take gains from frame `start` on to zero in the song's last moment: what still rings there is faded."""
        length = min(round(CLOSING_S * self.rate), self.frames)
        left = self.frames - 1 - np.arange(max(start, self.frames - length), start + len(gains))
        if len(left):
            gains[-len(left) :] *= np.sin(np.pi / 2 * left / max(length - 1, 1)).astype(np.float32)


def whole(sound: Source | Audio) -> Audio:
    """All of a sound."""
    source = as_source(sound)
    return source.read(0, source.frames)


def _stop_if(cancel: Cancel) -> None:
    if cancel():
        raise Cancelled("cancelled")
