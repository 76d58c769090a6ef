"""What moving sound does to it: the two methods of `studio.align.move` beside Signalsmith Stretch and librosa. By hand.

    python tests/bench/stretch_quality.py [--sounds drums,piano] [--warps 0.9,1.1,drift] [--each]

Ten seconds of each sound are played by the band's sampler, moved, and compared with what the sampler plays when the
notes themselves are moved. Averages over the warps, or with --each every warp for itself:

    late    ms that attacks are off the warp, median and 95 in 100, by their envelopes (where the moved notes are off
            as well, an attack is too soft or covered to be told better)
    sharp   dB by which the first 3 ms of an attack are louder than the source's
    early   dB by which the 20 ms before an attack are louder than those of the ideal, 40 dB below it at the least
    far     dB between the spectrograms of sound and ideal, in frames of 171, 43 and 11 ms
    image   change of the correlation of the channels; mono: of the level of their sum in dB
    speed   times real time, by processor time

Then steady chords: the largest error of pitch in cents, the deepest dip of a partial in dB, and what lies between the
partials in dB. The peers know no knots: where a warp drifts they get its mean ratio. They come with the extra `bench`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache

import numpy as np

from models.band.sound.kits import kit_voice, kits
from models.band.sound.sampler import font_voice
from models.band.sound.voice import Hit
from studio.align.move import Method, choose_method, render
from studio.align.move.choose import tonality
from studio.align.values import Audio, Floats, Material, Warp
from studio.mix.sources import ArraySource
from tests.bench.conditions import conditions
from tests.support.moved import (
    attack_levels,
    chord,
    distance,
    drift,
    lateness,
    noise_between,
    partial_errors,
    ratio,
    steady,
    width,
)

RATE = 48_000
BPM = 100.0
BEATS = 16
LEAD = 0.15
Part = tuple[str, float, float, int, int]
"""A voice, its start and length in beats, its key and its velocity."""


def drums(kit: str) -> list[Part]:
    """A rock beat with sixteenths on the hats."""
    parts: list[Part] = []
    for bar in range(0, BEATS, 4):
        parts += [(kit, bar + at, 0.4, 36, 110) for at in (0.0, 2.5)] + [(kit, bar + at, 0.4, 38, 112) for at in (1, 3)]
        hats = [(bar + k / 4, 46 if k == 14 else 42, (95, 50, 75, 55)[k % 4]) for k in range(16)]
        parts += [(kit, at, 0.2, key, velocity) for at, key, velocity in hats]
    return parts


def line(voice: str, keys: tuple[int, ...], step: float, length: float) -> list[Part]:
    """Keys one after the other, over and over."""
    count = int(BEATS / step)
    return [(voice, k * step, length, keys[k % len(keys)], 100 - 10 * (k % 2)) for k in range(count)]


def comping(voice: str) -> list[Part]:
    """Chords three times a bar, ringing into each other, and a few notes above."""
    chords = ((48, 60, 64, 67, 71), (45, 57, 60, 64, 67), (41, 57, 60, 65, 69), (43, 55, 59, 62, 65))
    parts: list[Part] = []
    for bar, keys in enumerate(chords):
        parts += [
            (voice, 4 * bar + at, length, key, 90) for at, length in ((0, 1.4), (1.5, 0.9), (2.5, 1.4)) for key in keys
        ]
        parts += [(voice, 4 * bar + k + 0.25, 0.7, key, 75) for k, key in enumerate((76, 79, 83, 74))]
    return parts


def held(voice: str, velocity: int = 90) -> list[Part]:
    """A chord a bar."""
    chords = ((48, 60, 64, 67), (45, 57, 64, 69), (41, 57, 60, 65), (43, 55, 62, 67))
    return [(voice, 4.0 * bar, 3.9, key, velocity) for bar, keys in enumerate(chords) for key in keys]


BASS = line("finger_bass", (28, 28, 40, 31, 33, 33, 45, 35), 0.5, 0.45)
SOUNDS: dict[str, tuple[Material, list[Part]]] = {
    "drums": (Material.PERCUSSIVE, drums("standard")),
    "brushes": (Material.PERCUSSIVE, drums("brush")),
    "808": (Material.PERCUSSIVE, drums("808")),
    "bass": (Material.PITCHED, BASS),
    "piano": (Material.PITCHED, comping("piano")),
    "guitar": (Material.PITCHED, line("nylon_guitar", (52, 59, 64, 67, 71, 67, 64, 59), 0.5, 1.5)),
    "sax": (Material.PITCHED, line("alto_sax", (60, 62, 64, 67, 65), 1.0, 0.95)),
    "strings": (Material.SUSTAINED, held("slow_strings")),
    "pad": (Material.SUSTAINED, held("warm_pad")),
    "mix": (
        Material.PITCHED,
        drums("standard") + BASS + comping("piano") + held("warm_pad", 70),
    ),
}
CHORDS = {
    "sine": [440.0],
    "bass E1": [41.2 * k for k in range(1, 20)],
    "low fifth": chord([33, 40], 10),
    "triad": chord([48, 55, 64, 67]),
    "low maj7": chord([41, 53, 57, 60, 64], 8),
    "cluster": chord([60, 61, 62, 64], 4),
}


# -- the methods -------------------------------------------------------------------------------------------------


def ours(method: Method) -> Callable[[Audio, Warp, Floats, int], Audio]:
    """One of our methods."""

    def move(audio: Audio, warp: Warp, onsets: Floats, frames: int) -> Audio:
        source = ArraySource(audio)
        return np.concatenate([*render(source, RATE, warp, 0, frames, onsets, Material.PITCHED, method)], axis=1)

    return move


def signalsmith(audio: Audio, warp: Warp, onsets: Floats, frames: int) -> Audio:
    """The whole sound at once: its Python binding cannot change the ratio on the way."""
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch(1)
    stretch.preset(len(audio), RATE)
    stretch.setTimeFactor(1.0 / mean_ratio(warp, audio))
    return placed(stretch.process(np.ascontiguousarray(audio)), warp, frames)


def librosa(audio: Audio, warp: Warp, onsets: Floats, frames: int) -> Audio:
    """Its phase vocoder."""
    from librosa.effects import time_stretch

    return placed(time_stretch(audio, rate=1.0 / mean_ratio(warp, audio)), warp, frames)


def mean_ratio(warp: Warp, audio: Audio) -> float:
    """By which the whole sound becomes longer."""
    first, last = warp.target_at(np.array([0.0, audio.shape[1]]))
    return float(last - first) / audio.shape[1]


def placed(audio: Audio, warp: Warp, frames: int) -> Audio:
    """With its first frame where the warp has it."""
    begin = round(float(warp.target_at(0.0)))
    out = np.zeros((len(audio), frames), np.float32)
    part = audio[:, : frames - begin]
    out[:, begin : begin + part.shape[1]] = part
    return out


IDEAL = "notes moved"
METHODS = {**{method.value: ours(method) for method in Method}, "signalsmith": signalsmith, "librosa": librosa}


# -- the tables --------------------------------------------------------------------------------------------------


def played(parts: list[Part], warp: Warp | None = None) -> tuple[Audio, Floats]:
    """The notes, moved one by one where there is a warp, and the frames on which they begin without one."""

    def frame(beat: float) -> int:
        own = round((beat * 60.0 / BPM + LEAD) * RATE)
        return own if warp is None else round(float(warp.target_at(own)))

    hits: dict[str, list[Hit]] = {}
    for voice, at, length, key, velocity in parts:
        begin = frame(at)
        hits.setdefault(voice, []).append(Hit(begin, max(1, frame(at + length) - begin), key, velocity))
    frames = frame(BEATS) + RATE // 2
    voices = {name: kit_voice(name, RATE) if name in kits() else font_voice(name, RATE) for name in hits}
    audio = sum(
        (voices[name].render(played, frames) for name, played in hits.items()), np.zeros((2, frames), np.float32)
    )
    onsets = {round((at * 60.0 / BPM + LEAD) * RATE) for _, at, _, _, _ in parts}
    return np.asarray(0.35 * audio, np.float32), np.array(sorted(onsets), np.float64)


def warps(names: str) -> dict[str, Warp]:
    """The warps by name: a ratio, or "drift"."""
    return {name: drift(12.0, RATE) if name == "drift" else ratio(float(name), RATE) for name in names.split(",")}


def judged(name: str, source: Audio, onsets: Floats, ideal: Audio, warp: Warp) -> list[float]:
    """One method on one sound and one warp, in the order of the columns."""
    if name == IDEAL:
        out, speed = ideal, float("nan")
    else:
        METHODS[name](source[:, :RATE], warp, onsets, RATE)  # what is loaded on first use
        began = time.process_time()
        out = METHODS[name](source, warp, onsets, ideal.shape[1])
        speed = ideal.shape[1] / RATE / (time.process_time() - began)
    late = np.abs(lateness(out, source, onsets, warp, RATE))
    sharp, _ = attack_levels(out, source, onsets, warp, RATE)
    still = Warp(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    _, early = attack_levels(out, ideal, warp.target_at(onsets), still, RATE)
    before, after = width(source), width(out)
    far = [distance(out, ideal, size) for size in (8192, 2048, 512)]
    marks = [float(np.median(late)), float(np.percentile(late, 95)), float(sharp.mean()), float(early.mean()), *far]
    return [*marks, after[0] - before[0], after[1] - before[1], speed]


HEADER = "                                 late ms       sharp  early   far 171, 43, 11 ms   image   mono   speed"


def row(values: list[float]) -> str:
    """The marks as they are printed."""
    late, late95, sharp, early, fine, middle, fast, image, mono, speed = values
    speeds = "" if np.isnan(speed) else f"{speed:6.0f}x"
    return (
        f"{late:6.2f} {late95:6.2f}  {sharp:+6.1f} {early:+6.1f}   {fine:5.2f} {middle:5.2f} {fast:5.2f}"
        f"   {image:+6.3f} {mono:+6.2f} {speeds}"
    )


def sounds(chosen: list[str], ways: dict[str, Warp], each: bool) -> None:
    """Print the table of sounds."""
    print(HEADER)
    for name in chosen:
        material, parts = SOUNDS[name]
        source, onsets = played(parts)
        best = choose_method(ArraySource(source), RATE, onsets, material)
        print(f"{name}: tonality {tonality(ArraySource(source), RATE, onsets):.2f}, {len(onsets)} onsets")
        ideals = {way: played(parts, warp)[0] for way, warp in ways.items()}
        for method in (IDEAL, *METHODS):
            marks = {way: judged(method, source, onsets, ideals[way], warp) for way, warp in ways.items()}
            label = f"{method}{' (chosen)' if method == best else ''}"
            if each:
                for way, values in marks.items():
                    print(f"  {label:20} {way:>6} {row(values)}")
            else:
                print(f"  {label:27} {row(np.mean(list(marks.values()), axis=0).tolist())}")


@cache
def tones(name: str) -> Audio:
    """Six seconds of a chord."""
    return steady(CHORDS[name], 6.0, RATE)


def chords(ways: dict[str, Warp]) -> None:
    """Print the table of chords: the worst of all ratios."""
    print("\nsteady chords, the worst of all ratios    cents     dip   noise")
    for name, hertz in CHORDS.items():
        for method, move in METHODS.items():
            marks = []
            for way, warp in ways.items():
                if way != "drift":
                    out = move(tones(name), warp, np.zeros(0), round(6 * RATE * float(way)))
                    marks.append((*partial_errors(out, hertz, RATE), noise_between(out, hertz, RATE)))
            if marks:
                cents, dip, noise = np.max(marks, axis=0)
                print(f"  {name:16} {method:16}   {cents:10.2f} {dip:7.2f} {noise:7.1f}")


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", default=",".join(SOUNDS))
    parser.add_argument("--warps", default="0.8,0.9,0.97,1.03,1.1,1.25,drift")
    parser.add_argument("--each", action="store_true")
    arguments = parser.parse_args()
    print(conditions())
    print(f"{BEATS * 60 / BPM:.1f} s stereo at {RATE} Hz, warps {arguments.warps}\n")
    ways = warps(arguments.warps)
    sounds(arguments.sounds.split(","), ways, arguments.each)
    chords(ways)


if __name__ == "__main__":
    main()
