"""A benchmark case: a sound, what it is meant for, and everything that is true of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.values import Audio, BeatMap, Floats, Wish
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, TempoSegment
from tests.bench.bar_lock.music import Music, Part, is_sharp

ONSET = np.dtype([("beat", "f8"), ("seconds", "f8"), ("velocity", "i2"), ("part", "i2"), ("sharp", "?")])


@dataclass(frozen=True)
class Case:
    """`truth` maps beats (0 = the downbeat of bar 1) to seconds of `audio`, which is float32 (channels, frames) at
    `rate`. The sound has `bars` bars of `meter`, the grid may have more or fewer. `nominal_bpm` is what the sound's
    label says. `done` is what was done to it, as plain values."""

    material: str
    seed: int
    audio: Audio
    rate: int
    wish: Wish
    truth: BeatMap
    music: Music
    bars: int
    nominal_bpm: float
    done: dict[str, Any]

    @property
    def grid(self) -> Grid:
        return self.wish.grid

    @property
    def beats(self) -> float:
        """The sound's length in beats, without pickup and tail."""
        return self.bars * float(self.grid.meter.bar_beats)

    @property
    def seconds(self) -> float:
        return self.audio.shape[1] / self.rate

    @cached_property
    def onsets(self) -> NDArray[np.void]:
        """Where notes truly begin: one a part and position, at its nominal time (without its player's straying),
        `velocity` being the loudest note's; inside the bars that both the sound and the grid have, or in the pickup."""
        notes = self.music.notes
        last = min(self.beats, float(self.grid.beats))
        inside = notes[notes["beat"] < last - 1e-6]
        order = np.lexsort((-inside["velocity"], inside["part"], inside["beat"]))
        inside = inside[order]
        first = np.ones(len(inside), bool)
        first[1:] = (np.diff(inside["beat"]) > 1e-6) | (np.diff(inside["part"]) != 0)
        chosen = inside[first]
        result = np.zeros(len(chosen), ONSET)
        result["beat"], result["seconds"] = chosen["beat"], self.truth.seconds_at(chosen["beat"])
        result["velocity"], result["part"] = chosen["velocity"], chosen["part"]
        sharp = np.array([is_sharp(part.voice) for part in self.music.parts])
        result["sharp"] = sharp[chosen["part"]]
        return result

    def at_grid_rate(self) -> Audio:
        """The sound as it is when a file is opened for this grid."""
        if self.rate == self.grid.rate:
            return self.audio
        import soxr

        resampled = soxr.resample(self.audio.T, self.rate, self.grid.rate, quality="VHQ")
        return np.ascontiguousarray(resampled.T, dtype=np.float32)

    @property
    def name(self) -> str:
        return f"{self.material}-{self.seed}"

    @property
    def says(self) -> str:
        """One line: what it is."""
        d = self.done
        words = [
            self.name, d["source"], f"{self.grid.meter} {self.bars} bars on {self.grid.bars}",
            f"{60 * self.beats / float(np.ptp(self.truth.seconds_at([0.0, self.beats]))):.1f}->{self.grid.bpm:.1f} BPM",
        ]  # fmt: skip
        words += [f"{name} {d[name]:g}" for name in ("late_ms", "pickup", "jitter_ms", "snr", "swing") if d.get(name)]
        words += [f"{name} {100 * d[name]:.1f} %" for name in ("drift", "walk") if d.get(name)]
        words += [str(d[name]) for name in ("feel", "room", "noise", "end") if d.get(name) not in (None, "", "normal")]
        words += [f"{self.audio.shape[0]}ch {self.rate}->{self.grid.rate}"]
        words += [name for name in ("exact", "ramp", "loop") if d.get(name)]
        return ", ".join(words)


def save(case: Case, path: Path) -> None:
    """Write a case as one .npz; the sound in 16 bits, which is all it has."""
    grid = case.grid
    about = {
        "material": case.material, "seed": case.seed, "rate": case.rate, "bars": case.bars,
        "nominal_bpm": case.nominal_bpm, "done": case.done, "loop": case.wish.loop, "fill": case.wish.fill,
        "grid": {
            "rate": grid.rate, "meters": [str(meter) for meter in grid.meters], "start": str(grid.start),
            "tempo": [[str(v) for v in (s.start, s.beats, s.bpm, s.bpm_end)] for s in grid.tempo.segments],
        },
        "parts": [[part.role, part.voice, part.gain_db] for part in case.music.parts],
    }  # fmt: skip
    building = path.with_suffix(".part.npz")
    np.savez(
        building, audio=np.rint(case.audio * 32768).astype(np.int16), seconds=case.truth.seconds,
        beats=case.truth.beats, notes=case.music.notes, about=np.array(json.dumps(about)),
    )  # fmt: skip
    building.replace(path)


def load(path: Path) -> Case:
    """Read what `save` wrote."""
    with np.load(path) as stored:
        about = json.loads(str(stored["about"]))
        audio = (stored["audio"].astype(np.float32)) / np.float32(32768)
        truth = BeatMap(_floats(stored["seconds"]), _floats(stored["beats"]))
        notes = stored["notes"]
    told = about["grid"]
    segments = tuple(TempoSegment(*(Fraction(v) for v in row)) for row in told["tempo"])
    meters = tuple(Meter.parse(text) for text in told["meters"])
    grid = Grid(told["rate"], meters, TempoMap(segments), Fraction(told["start"]))
    music = Music(notes, tuple(Part(role, voice, gain) for role, voice, gain in about["parts"]))
    return Case(
        about["material"], about["seed"], audio, about["rate"], Wish(grid, loop=about["loop"], fill=about["fill"]),
        truth, music, about["bars"], about["nominal_bpm"], about["done"],
    )  # fmt: skip


def _floats(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float64)
