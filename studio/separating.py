"""A mix into its stems, from file to files, which appear when all of it is separated, each whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.api.wire import MOST_BYTES
from studio.align.purity import Separator
from studio.audiofile import AudioFile
from studio.jobs.neural import NeuralHost
from studio.mix.arrays import Audio
from studio.mix.errors import SourceError
from studio.project.errors import ProjectError
from studio.project.wav import WavInfo, write_wav
from studio.scratch import ScratchSound
from studio.song import SongError

BLOCK = 1 << 16
OPENED, SEPARATED = 0.05, 0.95
"""How much of the work is done when the file has been read, and when its stems are there."""
SILENT_DB = -120.0

Say = Callable[[float, str], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Separation:
    """What is to be separated, by what, and where the stems go."""

    source: Path
    folder: Path
    weights: Path
    engine: str = "demucs"
    device: str = "cpu"
    force: bool = False
    """Whether stems that are there may be replaced."""


@dataclass(frozen=True)
class Separated:
    """What was written."""

    paths: Mapping[str, Path]
    rate: int
    frames: int
    shares: Mapping[str, float]
    """0..1 of the stems' energy in all; zeros for silence."""
    residual_db: float
    """What the stems leave of the mix when they are added up, against it; -120 for nothing."""
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "stems": {name: str(path.resolve()) for name, path in self.paths.items()}, "rate": self.rate,
            "frames": self.frames, "shares": {name: round(share, 4) for name, share in self.shares.items()},
            "residual_db": round(self.residual_db, 1),
        }  # fmt: skip


def separate_file(order: Separation, say: Say, cancel: Cancel) -> Separated:
    """Write the stems of a sound file beside one another, each as long as it. Raises SourceError, EngineError,
    ProjectError or SongError."""
    with (
        AudioFile(order.source, None, lambda done: say(OPENED * done, "reading")) as source,
        NeuralHost() as host,
        ExitStack() as kept,
    ):
        _check_length(source)
        stems: dict[str, ScratchSound] = {}

        def take(parts: dict[str, Audio]) -> None:
            for name, audio in parts.items():
                if name not in stems:
                    _check_free(order, name)
                    stems[name] = kept.enter_context(closing(ScratchSound(source.channels)))
                stems[name].append(audio)

        def told(kind: str, done: int, of: int) -> None:
            part = done / of if of else 0.0
            say(OPENED + (SEPARATED - OPENED) * part, "loading" if kind == "loading" else "separating")

        mix = source.read(0, source.frames)
        host.separate(
            mix, source.rate, order.engine, order.weights, device=order.device, take=take, told=told, cancel=cancel
        )
        shares, residual = _measured(mix, stems)
        return _written(order, source, stems, shares, residual, say)


def purity_by(weights: Path, host: NeuralHost, engine: str = "demucs", device: str = "cpu") -> Separator:
    """What tells bar lock how much of a sound is of which role, by separating it."""

    def separate(audio: Audio, rate: int) -> dict[str, Audio]:
        parts: dict[str, list[Audio]] = {}

        def take(found: dict[str, Audio]) -> None:
            for name, part in found.items():
                parts.setdefault(name, []).append(part)

        host.separate(audio, rate, engine, weights, device=device, take=take)
        return {name: np.concatenate(found, axis=1) for name, found in parts.items()}

    return separate


def _check_length(source: AudioFile) -> None:
    most = MOST_BYTES // (4 * source.channels)
    if source.frames > most:
        minutes = most // (60 * source.rate)
        raise SourceError(f"{source.path} is too long to be separated (at most {minutes} minutes); cut it into parts")


def _path(order: Separation, stem: str) -> Path:
    if not (stem.isascii() and stem.replace("_", "").isalnum() and len(stem) <= 64):
        raise ProjectError(f"the separator calls a stem {stem!r:.40}, which can be no file's name: fetch it again")
    return order.folder / f"{order.source.stem}-{stem}.wav"


def _check_free(order: Separation, stem: str) -> None:
    path = _path(order, stem)
    if path.exists() and not order.force:
        raise SongError(f"{path} exists already; choose another folder, or replace it with --force")


def _measured(mix: Audio, stems: Mapping[str, ScratchSound]) -> tuple[dict[str, float], float]:
    """How much of the energy each has, and how many decibels are left of the mix when all are taken from it."""
    energies = dict.fromkeys(stems, 0.0)
    left = whole = 0.0
    for start in range(0, mix.shape[1], BLOCK):
        rest = mix[:, start : start + BLOCK].astype(np.float64)
        whole += float(np.sum(rest**2))
        for name, stem in stems.items():
            part = stem.read(start, rest.shape[1])
            energies[name] += float(np.sum(part.astype(np.float64) ** 2))
            rest = rest - part
        left += float(np.sum(rest**2))
    total = sum(energies.values())
    shares = {name: energy / total if total else 0.0 for name, energy in energies.items()}
    return shares, max(SILENT_DB, 10.0 * float(np.log10((left + 1e-30) / (whole + 1e-30)))) if whole else SILENT_DB


def _written(
    order: Separation,
    source: AudioFile,
    stems: Mapping[str, ScratchSound],
    shares: Mapping[str, float],
    residual: float,
    say: Say,
) -> Separated:
    order.folder.mkdir(parents=True, exist_ok=True)
    paths, warnings = {}, list(source.warnings)
    for number, (name, stem) in enumerate(stems.items()):
        say(SEPARATED + (1.0 - SEPARATED) * number / len(stems), "writing")
        paths[name] = _path(order, name)
        info = WavInfo(title=paths[name].stem, comment=f"{name} of {order.source.name}, by {order.engine}")
        written = write_wav(
            paths[name], _blocks(stem, source.frames), source.rate, channels=source.channels, frames=source.frames,
            info=info, durable=True,
        )  # fmt: skip
        if written.clipped:
            warnings.append(f"{written.clipped} samples of {name} were clipped at full scale: make the mix softer")
    return Separated(paths, source.rate, source.frames, shares, residual, tuple(warnings))


def _blocks(stem: ScratchSound, frames: int) -> Iterator[Audio]:
    for start in range(0, frames, BLOCK):
        yield stem.read(start, min(BLOCK, frames - start))
