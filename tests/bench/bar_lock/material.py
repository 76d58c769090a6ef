"""The benchmark's material: cases drawn from a seed alone, with exact ground truth.

Seeds come in two ranges that have nothing in common: thresholds are tuned on TUNE, and nothing is ever tuned on TEST.
Sound comes from the band's own voices, each note on the frame nearest to its true time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.styles import load_style
from studio.align.grid import Grid
from studio.align.values import Audio, BeatMap, Wish
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, TempoSegment
from tests.bench.bar_lock import rooms, warps
from tests.bench.bar_lock.case import Case, load, save
from tests.bench.bar_lock.music import HALF_TIME, STYLES, Music, composed, from_pattern
from tests.bench.bar_lock.patterns import PATTERNS, Pattern
from tests.bench.bar_lock.voices import render

MATERIALS = ("drums", "mix", "bass", "piano", "pad", "voice", "loop")
TUNE = range(1_000_000)
TEST = range(1_000_000, 2_000_000)
SPLITS = {"tune": TUNE, "test": TEST}

LONGEST = 45.0
"""Seconds a case lasts at most."""
TEMPI = {  # how tempo goes wrong: shares of each kind
    "usual": {"exact": 0.06, "shift": 0.10, "ratio": 0.34, "drift": 0.25, "walk": 0.25},
    "loop": {"exact": 0.15, "shift": 0.10, "ratio": 0.60, "drift": 0.05, "walk": 0.10},
}
Rng = np.random.Generator


def seeds(split: str, material: str, count: int) -> list[int]:
    """The seeds of the first `count` cases of a material in a split, "tune" or "test"."""
    whole = SPLITS[split]
    return [whole[k * len(MATERIALS) + MATERIALS.index(material)] for k in range(count)]


def cases(split: str, materials: Sequence[str], count: int, cache: Path | None = None) -> Iterator[Case]:
    """`count` cases of each material; kept in the folder `cache` if there is one."""
    for material in materials:
        for seed in seeds(split, material, count):
            yield case(material, seed, cache)


def case(material: str, seed: int, cache: Path | None = None) -> Case:
    """One case, from the cache if it is there."""
    if cache is None:
        return make(material, seed)
    path = cache / _digest() / f"{material}-{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save(make(material, seed), path)
    return load(path)


def make(material: str, seed: int) -> Case:
    """Draw and render a case. Equal arguments give equal cases."""
    random = np.random.Generator(np.random.PCG64([seed, MATERIALS.index(material)]))
    plan = _plan(material, random, seed)
    grid = grid_of(plan, random)
    truth, bpm = truth_of(plan, grid, random)
    music = strayed(plan, random)
    seconds = truth.seconds_at(music.notes["beat"]) + music.notes["jitter"]
    ends = truth.seconds_at(music.notes["beat"] + music.notes["beats"])
    audio = finished(plan, truth, played(plan, music, seconds, ends, truth, grid.bpm), random)
    wish = Wish(grid, loop=plan.loop, fill=grid.bars != plan.bars)
    return Case(material, seed, audio, plan.rate, wish, truth, music, plan.bars, bpm, plan.done)


def ideal(case: Case) -> tuple[Audio, int]:
    """What bar lock should give, from the notes themselves: (channels, frames) at the grid's rate without noise, and
    the frame of beat 0 in it. Each note strays from the grid as its player strayed, in musical time."""
    grid, notes = case.grid, case.music.notes
    at = case.truth.beats_at(case.truth.seconds_at(notes["beat"]) + notes["jitter"])
    lead = int(np.ceil(-min(0.0, float(np.min(grid.frame_at(at)))))) + round(0.1 * grid.rate)
    starts, stops = (np.rint(grid.frame_at(x)).astype(np.int64) + lead for x in (at, notes["beat"] + notes["beats"]))
    frames = max(lead + grid.frames, int(stops.max())) + grid.rate
    audio = render(case.music, starts, stops, grid.rate, frames, grid.bpm, case.seed)
    if case.done["room"]:
        audio = rooms.in_room(audio, grid.rate, case.done["room"], case.done["room_seconds"], case.done["room_level"])
    return rooms.as_file(audio, case.audio.shape[0], -3.0), lead


@dataclass
class Plan:
    """What is drawn of a case before anything sounds."""

    material: str
    seed: int
    pattern: Pattern | None
    music: Music
    meter: Meter
    bars: int
    tempo: tuple[float, float]
    kind: str
    loop: bool
    rate: int
    done: dict[str, Any]


def _plan(material: str, random: Rng, seed: int) -> Plan:
    style = ""
    if material in STYLES and random.random() < 0.35:
        style = STYLES[material][int(random.integers(len(STYLES[material])))]
    bars = int(random.choice([2, 3, 4, 6, 8, 12, 16], p=[0.1, 0.04, 0.3, 0.06, 0.34, 0.04, 0.12]))
    if material == "pad":
        bars = max(bars, 4)  # fewer chords would tell nothing
    kinds = TEMPI["loop" if material == "loop" else "usual"]
    kind = str(random.choice(list(kinds), p=list(kinds.values())))
    pickup = float(random.choice([0.5, 1.0, 1.5, 2.0])) if random.random() < 0.12 else 0.0
    if kind == "exact" or material in ("pad", "loop") or style:
        pickup = 0.0
    done: dict[str, Any] = {"tempo": kind, "pickup": pickup, "exact": kind == "exact"}
    music: Music | None = None
    pattern: Pattern | None = None
    if style:
        known = load_style(style)
        meter = Meter.parse(known.meters[int(random.integers(len(known.meters)))])
        music = composed(material, style, seed, meter, bars)
        low, high = known.tempo[0], known.tempo[2]
        done |= {"source": f"band {style}", "feel": "half" if style in HALF_TIME else "normal", "swing": 0.0}
    if music is None:
        fitting = [p for p in PATTERNS if _begins(p, material)]
        pattern = fitting[int(random.integers(len(fitting)))]
        meter = Meter.parse(pattern.meter)
        swing = 0.5
        if pattern.swing and (pattern.always or random.random() < 0.4):
            swing = float(random.uniform(0.58 if pattern.always else 0.52, 0.70))
        music = from_pattern(pattern, _roles(material, random), random, bars, swing, pickup, shots=material == "loop")
        low, high = pattern.tempo
        done |= {"source": pattern.name, "feel": pattern.feel, "swing": round(100 * swing) if swing > 0.5 else 0}
    loop = material == "loop" or (pickup == 0 and random.random() < 0.2)
    rate = int(random.choice([44_100, 48_000, 22_050], p=[0.45, 0.4, 0.15]))
    if kind == "exact":
        rate = max(rate, 44_100)
    return Plan(material, seed, pattern, music, meter, bars, (low, high), kind, loop, rate, done)


def _begins(pattern: Pattern, material: str) -> bool:
    """Whether a part alone plays on the first downbeat."""
    line = {"bass": pattern.bass, "piano": pattern.comp}.get(material, "x")
    return line[0] not in ".-"


def _roles(material: str, random: Rng) -> tuple[str, ...]:
    if material == "mix":
        more = [role for role, share in (("pad", 0.4), ("lead", 0.6)) if random.random() < share]
        return ("drums", "bass", "piano", *more)
    return ("drums",) if material == "loop" else (material,)


def grid_of(plan: Plan, random: Rng) -> Grid:
    """The target: mostly where the music is at home, now and then at any tempo from 40 to 220."""
    low, high = plan.tempo
    bpm = (
        float(np.exp(random.uniform(np.log(40), np.log(220)))) if random.random() < 0.06 else random.uniform(low, high)
    )
    bpm = round(bpm) if random.random() < 0.6 else round(bpm, 2)
    size = float(plan.meter.bar_beats)
    while plan.bars > 2 and plan.bars * size * 60 / (0.8 * bpm) > LONGEST:
        plan.bars = max(2, plan.bars // 2)
        notes = plan.music.notes
        plan.music = Music(notes[notes["beat"] < plan.bars * size - 0.05], plan.music.parts)
    bars = plan.bars
    if plan.kind != "exact" and random.random() < 0.2 and bars >= 4:
        bars = bars // 2 if random.random() < 0.5 else 2 * bars
    rate = plan.rate if plan.kind == "exact" or random.random() < 0.6 else int(random.choice([44_100, 48_000]))
    rate = max(rate, 44_100)
    first = Fraction(int(random.integers(0, 40))) * plan.meter.bar_beats if random.random() < 0.5 else Fraction(0)
    tempo = Fraction(str(bpm))
    final = tempo
    if random.random() < 0.07:
        final = Fraction(str(round(bpm * random.uniform(0.88, 1.12), 2)))
        plan.done["ramp"] = float(final)
    length = bars * plan.meter.bar_beats
    segments = [TempoSegment(first, length, tempo, final)]
    if first:
        segments.insert(0, TempoSegment(Fraction(0), first, tempo, tempo))
    return Grid(rate, (plan.meter,) * bars, TempoMap(tuple(segments)), first)


def truth_of(plan: Plan, grid: Grid, random: Rng) -> tuple[BeatMap, float]:
    """Where beats truly lie in the sound, and the tempo on its label."""
    beats, done = plan.bars * float(plan.meter.bar_beats), plan.done
    if plan.kind == "exact":
        at = np.arange(-warps.BEFORE * warps.KNOTS, (int(beats) + warps.AFTER) * warps.KNOTS) / warps.KNOTS
        done["late_ms"] = 0
        return BeatMap(grid.frame_at(at) / grid.rate, at), round(grid.bpm, 3)
    wrong = 1.0 if plan.kind == "shift" else float(random.uniform(0.8, 1.2))
    drift = float(random.uniform(-0.04, 0.04)) if plan.kind == "drift" else 0.0
    walk = float(random.uniform(0.001, 0.01)) if plan.kind == "walk" else 0.0
    late = 0.0 if plan.material == "loop" or random.random() < 0.3 else float(random.uniform(0.0, 0.7))
    if plan.kind == "shift" and late == 0.0 and plan.material != "loop":
        late = float(random.uniform(0.02, 0.7))
    bpm = grid.bpm * wrong
    done |= {"wrong": wrong, "drift": drift, "walk": walk, "late_ms": round(1000 * late)}
    truth = warps.beat_map(bpm, beats, drift, walk, random)
    begin = float(truth.seconds_at(-done["pickup"]))
    return warps.shifted(truth, late - begin), float(max(1, round(bpm)))


def strayed(plan: Plan, random: Rng) -> Music:
    """The music with its players' straying: those who strike together stray together."""
    sd = 0.0 if plan.kind == "exact" or random.random() < 0.4 else float(random.uniform(0.0, 0.006))
    plan.done["jitter_ms"] = round(1000 * sd, 1)
    notes = plan.music.notes.copy()
    if sd:
        _, struck = np.unique(np.round(notes["beat"] * 960) * 64 + notes["part"], return_inverse=True)
        stray = np.clip(random.normal(0.0, sd, int(struck.max()) + 1), -2.5 * sd, 2.5 * sd)
        notes["jitter"] = stray[struck]
    return Music(notes, plan.music.parts)


def played(
    plan: Plan, music: Music, seconds: NDArray[np.float64], ends: NDArray[np.float64], truth: BeatMap, bpm: float
) -> Audio:
    """(2, frames) with a tail of up to 2.5 s, dry."""
    rate = plan.rate
    starts, stops = (np.rint(values * rate).astype(np.int64) for values in (seconds, ends))
    last = truth.seconds_at(plan.bars * float(plan.meter.bar_beats))
    frames = max(int(stops.max()), round(float(last) * rate)) + round(2.5 * rate)
    return render(music, starts, stops, rate, frames, bpm, plan.seed)


def finished(plan: Plan, truth: BeatMap, audio: Audio, random: Rng) -> Audio:
    """The room, the end, the noise floor, the channels."""
    rate, done = plan.rate, plan.done
    done["room"] = str(random.choice(["room", "hall"])) if random.random() < 0.5 else ""
    done["room_seconds"] = round(
        float(random.uniform(0.3, 0.8) if done["room"] == "room" else random.uniform(1.2, 2.2)), 2
    )
    done["room_level"] = round(float(random.uniform(0.1, 0.35)), 2)
    if done["room"]:
        audio = rooms.in_room(audio, rate, done["room"], done["room_seconds"], done["room_level"])
    last = round(float(truth.seconds_at(plan.bars * float(plan.meter.bar_beats))) * rate)
    wrap = plan.loop and (plan.kind == "exact" or random.random() < 0.7) and done["late_ms"] == 0
    done["end"] = "wrapped" if wrap else "cut" if plan.kind == "exact" else str(random.choice(["rings", "cut"]))
    if wrap:
        tail = audio[:, last:][:, :last]
        audio = audio[:, :last].copy()
        audio[:, : tail.shape[1]] += tail
    else:
        room = 0 if plan.kind == "exact" else round(float(random.uniform(0.0, 0.25)) * rate)
        audio = audio[:, : last + room].copy() if done["end"] == "cut" else audio
        fade = round((0.5 if done["end"] == "rings" else 0.005) * rate)
        audio[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    done["snr"], done["noise"] = 0, ""
    if plan.kind != "exact" and random.random() < 0.6:
        done["snr"], done["noise"] = round(float(random.uniform(20, 60))), str(random.choice(rooms.NOISES))
        audio = rooms.with_noise(audio, rate, done["snr"], done["noise"], random)
    channels = 1 if random.random() < 0.3 else 2
    return rooms.as_file(audio, channels, float(random.uniform(-6.0, -3.0 if plan.kind == "exact" else -1.0)))


def _digest() -> str:
    """Names what made the material: cached cases of other code do not count. The band's sounds are not part of it."""
    here = Path(__file__).parent
    names = ("case", "material", "music", "patterns", "rooms", "singing", "voices", "warps")
    text = b"".join((here / f"{name}.py").read_bytes() for name in names)
    return hashlib.sha256(text).hexdigest()[:12]
