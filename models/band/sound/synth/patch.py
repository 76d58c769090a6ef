"""A synthesizer patch as data: what a file in `patches/` may say, and within which limits.

A patch is a TOML table of the classes below. Signal path of a note::

    osc ─▶ vowel ─▶ filter ─┐
    fm ─────────────────────┼─▶ amp envelope ─▶ drive ─▶ velocity, trim ─▶ bus (chorus) ─▶ out
    noise ─▶ its own band ──┘

Times are milliseconds, pitches semitones or cents, levels decibels, unless the key's name says otherwise.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from models.band.sound.tables import choice, number, read_table
from models.band.sound.voice import SoundError

PATCH_FOLDER = Path(__file__).resolve().parent.parent / "patches"

WAVES = ("sine", "triangle", "saw", "square", "pulse", "organ", "hollow", "glass")
VOWELS = ("none", "ah", "oh", "oo", "ee")


class PatchError(SoundError):
    """A patch that does not exist or whose file is wrong; the message says file, key and limit."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Attack to 1, exponential decay to `sustain`; `decay_ms` is the time to fall by 60 dB of the way."""

    attack_ms: float = number(1.0, 0.0, 8000.0)
    decay_ms: float = number(500.0, 1.0, 30000.0)
    sustain: float = number(1.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Amp(Envelope):
    """The loudness of a note: its envelope, its release after the key, and what velocity does."""

    release_ms: float = number(60.0, 1.0, 12000.0)
    velocity_db: float = number(18.0, 0.0, 40.0)  # level at velocity 127 over that at velocity 1


@dataclass(frozen=True, kw_only=True)
class Oscillator:
    """A band-limited wave, `voices` of it over `detune_cents` to either side and over the stereo field."""

    wave: str = choice(None, *WAVES)
    level_db: float = number(0.0, -60.0, 12.0)
    semitones: float = number(0.0, -48.0, 48.0)
    cents: float = number(0.0, -100.0, 100.0)
    voices: int = number(1, 1, 15)
    detune_cents: float = number(0.0, 0.0, 100.0)
    spread: float = number(0.0, 0.0, 1.0)  # 0 mono, 1 outermost voices hard left and right
    scatter: float = number(0.0, 0.0, 1.0)  # start phases: 0 all at the wave's start, 1 anywhere
    width: float = number(0.5, 0.02, 0.98)  # pulse: the part of the period that is high
    pwm: float = number(0.0, 0.0, 0.45)  # pulse: how far the width moves
    pwm_hz: float = number(0.4, 0.01, 20.0)
    filtered: bool = True


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A sine carrier phase-modulated by a sine (Chowning 1973); `index` is the peak deviation in radians."""

    ratio: float = number(1.0, 0.0, 32.0)
    carrier: float = number(1.0, 0.0, 32.0)
    index: float = number(1.0, 0.0, 20.0)
    index_floor: float = number(0.0, 0.0, 1.0)  # share of the index that stays after its decay
    index_decay_ms: float = number(600.0, 1.0, 20000.0)
    index_velocity: float = number(0.5, 0.0, 1.0)  # share of the index that velocity governs
    feedback: float = number(0.0, 0.0, 2.0)  # of the modulator on itself, radians
    decay_ms: float = number(0.0, 0.0, 30000.0)  # its own loudness falls by 60 dB in this time; 0: never
    level_db: float = number(0.0, -60.0, 12.0)
    cents: float = number(0.0, -100.0, 100.0)
    pan: float = number(0.0, -1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Stereo noise between two corners; with `decay_ms` a breath or click at the onset, without it a bed."""

    level_db: float = number(-24.0, -80.0, 12.0)
    low_hz: float = number(200.0, 10.0, 16000.0)
    high_hz: float = number(8000.0, 40.0, 20000.0)
    decay_ms: float = number(0.0, 0.0, 10000.0)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A swept filter. Its envelope moves the corner by `env_octaves`; an LFO by +-`lfo_octaves`."""

    kind: str = choice("lowpass24", "lowpass12", "lowpass24", "bandpass", "highpass")
    cutoff_hz: float = number(None, 20.0, 20000.0)  # at key 60, velocity 100, envelope at 0
    resonance: float = number(0.0, 0.0, 1.0)
    key_track: float = number(0.5, 0.0, 1.5)
    env_octaves: float = number(0.0, -8.0, 8.0)
    attack_ms: float = number(0.0, 0.0, 8000.0)
    decay_ms: float = number(400.0, 1.0, 30000.0)
    sustain: float = number(0.0, 0.0, 1.0)
    velocity_octaves: float = number(1.0, 0.0, 4.0)  # from velocity 1 to 127
    lfo_octaves: float = number(0.0, 0.0, 5.0)
    lfo_hz: float = number(2.0, 0.01, 30.0)
    lfo_beats: float = number(0.0, 0.0, 16.0)  # period in beats; over 0 it replaces lfo_hz


@dataclass(frozen=True, kw_only=True)
class Vibrato:
    cents: float = number(8.0, 0.0, 200.0)
    hz: float = number(5.2, 0.05, 12.0)
    delay_ms: float = number(250.0, 0.0, 5000.0)


@dataclass(frozen=True, kw_only=True)
class PitchSweep:
    """The note begins `semitones` off its pitch and settles exponentially within `decay_ms` (to 0.1 %)."""

    semitones: float = number(0.0, -48.0, 60.0)
    decay_ms: float = number(80.0, 1.0, 4000.0)


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """A chorus on the patch's bus (see `effects.chorus`)."""

    depth_ms: float = number(3.0, 0.1, 10.0)
    hz: float = number(0.6, 0.02, 10.0)
    mix: float = number(0.5, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A whole patch; `range` is the keys it is meant for, `trim_db` brings it to the common loudness."""

    family: str = choice(None, "bass", "lead", "harmony")
    about: str = ""
    range: tuple[int, int] = number((36, 84), 0, 127)
    trim_db: float = number(0.0, -60.0, 40.0)
    mono: bool = False  # one note at a time: a new one ends the last
    glide_ms: float = number(0.0, 0.0, 1000.0)  # between notes that overlap by 5 ms or more; only when mono
    drive_db: float = number(0.0, 0.0, 48.0)
    vowel: str = choice("none", *VOWELS)
    amp: Amp = Amp()
    osc: tuple[Oscillator, ...] = ()
    fm: tuple[Operator, ...] = ()
    noise: Noise | None = None
    filter: Filter | None = None
    vibrato: Vibrato | None = None
    pitch: PitchSweep | None = None
    chorus: Ensemble | None = None


def patch_names() -> list[str]:
    """The names of all patches, sorted."""
    return sorted(path.stem for path in PATCH_FOLDER.glob("*.toml"))


def load_patch(name: str) -> Patch:
    """The patch called `name`. Raises `PatchError` if there is none or its file is wrong."""
    names = patch_names()
    if name not in names:
        raise PatchError(f"no patch '{name}'; patches: {', '.join(names)}")
    return read_patch((PATCH_FOLDER / f"{name}.toml").read_bytes(), f"{name}.toml")


def read_patch(text: bytes, where: str) -> Patch:
    """A patch from the bytes of a TOML file that messages call `where`. Raises `PatchError`."""
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise PatchError(f"{where}: not a TOML file: {problem}") from problem
    patch = read_table(Patch, table, where, PatchError)
    if not patch.osc and not patch.fm and patch.noise is None:
        raise PatchError(f"{where}: makes no sound; give it at least one [[osc]], [[fm]] or [noise]")
    low, high = patch.range
    if low >= high:
        raise PatchError(f"{where}: range must rise, is [{low}, {high}]")
    if patch.glide_ms and not patch.mono:
        raise PatchError(f"{where}: glide_ms needs mono = true")
    if patch.noise is not None and patch.noise.low_hz >= patch.noise.high_hz:
        raise PatchError(f"{where}: noise: low_hz must be below high_hz")
    return patch
