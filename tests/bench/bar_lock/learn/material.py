"""What the networks learn from: the benchmark's kind of material, drawn wider, from seeds that it never uses.

Every style and kind of section that the band knows, parts that begin inside a bar, and what happens to sound on its
way: tone controls, saturation, lossy codecs, band limits, faint noise. All of it with the truth known.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from scipy import signal

from models.styles import load_heads, load_style
from studio.align.grid import Grid
from studio.align.values import Audio, BeatMap, Floats
from studio.song.meter import Meter
from tests.bench.bar_lock import rooms
from tests.bench.bar_lock.material import TEMPI, Plan, Rng, finished, grid_of, played, strayed, truth_of
from tests.bench.bar_lock.music import HALF_TIME, Music, by_the_band, from_pattern
from tests.bench.bar_lock.patterns import PATTERNS

LEARN = range(2_000_000, 3_000_000)
"""Seeds: neither those of tuning nor those of testing."""
_SHARES = {
    "drums": 0.15, "bass": 0.17, "piano": 0.13, "pad": 0.18, "voice": 0.14, "lead": 0.04, "mix": 0.14, "loop": 0.05,
}  # fmt: skip
_BARS = {2: 0.12, 3: 0.05, 4: 0.28, 6: 0.07, 8: 0.3, 12: 0.06, 16: 0.12}
_SECTIONS = ("chorus", "verse", "intro", "bridge", "prechorus", "break", "outro")
_ROLES = {
    "drums": ("drums",), "bass": ("bass",), "piano": ("harmony",), "pad": ("harmony",), "voice": ("lead",),
    "lead": ("lead",),
}  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """A sound with its truth. `beats` counts from the downbeat of bar 1; onsets are seconds, each moment once."""

    material: str
    says: str
    audio: Audio
    rate: int
    grid: Grid
    beats: BeatMap
    onsets: Floats
    last: float
    """The second at which its last bar ends."""
    pulse: bool = True
    """Whether it has bars at all."""


def lesson(seed: int) -> Lesson:
    """Draw and render one. Equal seeds give equal lessons."""
    random = np.random.Generator(np.random.PCG64([seed, 777]))
    plan = _plan(random, seed)
    grid = grid_of(plan, random)
    truth, _ = truth_of(plan, grid, random)
    music = strayed(plan, random)
    seconds = truth.seconds_at(music.notes["beat"]) + music.notes["jitter"]
    music, seconds = Music(music.notes[seconds >= 0.0], music.parts), seconds[seconds >= 0.0]
    ends = truth.seconds_at(music.notes["beat"] + music.notes["beats"])
    dry = played(plan, music, seconds, ends, truth, grid.bpm)
    audio = handled(finished(plan, truth, _treated(dry, plan.rate, random), random), plan.rate, random)
    last = float(truth.seconds_at(plan.bars * float(plan.meter.bar_beats)))
    return Lesson(
        plan.material, plan.done["source"], audio, plan.rate, grid, truth, np.unique(np.round(seconds, 4)), last
    )


def _drawn(random: Rng, shares: dict[str, float]) -> str:
    values = np.array(list(shares.values()))
    return str(random.choice(list(shares), p=values / values.sum()))


def _plan(random: Rng, seed: int) -> Plan:
    material = _drawn(random, _SHARES)
    bars = int(random.choice(list(_BARS), p=list(_BARS.values())))
    bars = max(bars, 4) if material == "pad" else bars
    kind = _drawn(random, TEMPI["loop" if material == "loop" else "usual"])
    pickup = 0.0
    if material not in ("pad", "loop") and random.random() < 0.25:
        pickup = float(random.choice([0.5, 1.0, 1.5, 2.0]))
    plan = _by_the_band(random, seed, material, bars, kind) if material != "loop" and random.random() < 0.6 else None
    plan = plan or _by_a_pattern(random, seed, material, bars, kind, pickup)
    plan.loop = material == "loop" or (plan.done["pickup"] == 0 and random.random() < 0.2)
    plan.rate = int(random.choice([44_100, 48_000, 22_050], p=[0.45, 0.4, 0.15]))
    return plan


def _by_a_pattern(random: Rng, seed: int, material: str, bars: int, kind: str, pickup: float) -> Plan:
    pattern = PATTERNS[int(random.integers(len(PATTERNS)))]
    swing = 0.5
    if pattern.swing and (pattern.always or random.random() < 0.4):
        swing = float(random.uniform(0.58 if pattern.always else 0.52, 0.70))
    roles: tuple[str, ...] = (material,)
    if material == "mix":
        more = [role for role, share in (("pad", 0.4), ("lead", 0.6)) if random.random() < share]
        roles = ("drums", "bass", "piano", *more)
        if random.random() < 0.5:
            roles = tuple(role for role in roles if random.random() < 0.7) or ("drums",)
    elif material == "loop":
        roles = ("drums",)
    music = from_pattern(pattern, roles, random, bars, swing, pickup, shots=material == "loop")
    done = {"tempo": kind, "pickup": pickup, "exact": kind == "exact", "source": pattern.name}
    return Plan(material, seed, pattern, music, Meter.parse(pattern.meter), bars, pattern.tempo, kind, False, 0, done)


def _by_the_band(random: Rng, seed: int, material: str, bars: int, kind: str) -> Plan | None:
    names = sorted(load_heads())
    style = names[int(random.integers(len(names)))]
    known = load_style(style)
    meters = ["3/4", "6/8", "7/8", "5/4", "4/4"] if random.random() < 0.25 else list(known.meters)
    meter = Meter.parse(meters[int(random.integers(len(meters)))])
    roles = (
        _ROLES.get(material)
        or tuple(role for role in ("drums", "bass", "harmony", "lead") if random.random() < 0.7)
        or ("drums", "bass")
    )
    section = _SECTIONS[int(random.integers(len(_SECTIONS)))]
    try:
        music = by_the_band(material, roles, style, seed, meter, f"{section}:{bars}")
    except ValueError:
        return None
    if music is None or len(np.unique(music.notes["beat"])) < max(4, bars):
        return None
    done = {"tempo": kind, "pickup": 0.0, "exact": kind == "exact", "source": f"band {style} {section}"}
    done["feel"] = "half" if style in HALF_TIME else "normal"
    cut, size = float(random.choice([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])), float(meter.bar_beats)
    if random.random() < 0.12 and cut < size and bars >= 3:  # music that begins inside a bar
        notes = music.notes[music.notes["beat"] >= cut - 1e-6].copy()
        if len(notes) >= 6:
            notes["beat"] -= size
            music, bars, done["pickup"] = Music(notes, music.parts), bars - 1, size - cut
    tempo = (known.tempo[0], known.tempo[2])
    return Plan(material, seed, None, music, meter, bars, tempo, kind, False, 0, done)


def _treated(audio: Audio, rate: int, random: Rng) -> Audio:
    """What a player's or an engineer's hands do before the room: tone, saturation, levels that move."""
    if random.random() < 0.35:
        gain, corner = 10 ** (random.uniform(-9, 9) / 20), float(np.exp(random.uniform(np.log(150), np.log(3500))))
        low = signal.sosfilt(signal.butter(1, corner, fs=rate, output="sos"), audio, axis=1)
        audio = np.asarray(low + gain * (audio - low), np.float32)
    if random.random() < 0.2:
        drive = 10 ** (random.uniform(0, 14) / 20)
        audio = np.tanh(audio / np.abs(audio).max() * drive).astype(np.float32)
    if random.random() < 0.15:
        places = np.linspace(0, audio.shape[1], 6)
        levels = np.interp(np.arange(audio.shape[1]), places, random.uniform(0.25, 1, 6))
        audio = (audio * levels).astype(np.float32)
    return audio


def handled(audio: Audio, rate: int, random: Rng) -> Audio:
    """What happens to a finished file: a band limit, a lossy codec, faint noise where there was none at all."""
    if random.random() < 0.15:
        corner = float(np.exp(random.uniform(np.log(2500), np.log(0.42 * rate))))
        limit = signal.butter(3, corner, fs=rate, output="sos")
        audio = np.asarray(signal.sosfiltfilt(limit, audio, axis=1), np.float32)
    if random.random() < 0.25:
        audio = coded(audio, rate, float(random.uniform(0.3, 1.0)))
    if random.random() < 0.7:
        hiss = rooms.noise(audio.shape[1], rate, str(random.choice(rooms.NOISES[:2])), random)[: len(audio)]
        audio = audio + np.float32(np.abs(audio).max() * 10 ** (random.uniform(-80, -45) / 20)) * hiss
    return audio


def coded(audio: Audio, rate: int, coarseness: float) -> Audio:
    """Through Ogg Vorbis and back: quantised in frequency, with what that smears before attacks."""
    packed = io.BytesIO()
    soundfile.write(packed, audio.T, rate, format="OGG", subtype="VORBIS", compression_level=coarseness)
    packed.seek(0)
    back, _ = soundfile.read(packed, dtype="float32", always_2d=True)
    result = np.zeros_like(audio)
    count = min(result.shape[1], len(back))
    result[:, :count] = back[:count].T
    return result
