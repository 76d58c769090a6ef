"""One note of a patch, rendered as if its key were never let go: (2, frames) float32 from the onset on.

Everything here is elementwise or causal, so the note rendered longer begins with the same samples: a cached
long note serves every shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.band.sound.effects.clip import soft_clip
from models.band.sound.effects.stereo import width
from models.band.sound.effects.tone import butterworth, remove_dc, run_filter
from models.band.sound.synth import curves
from models.band.sound.synth.patch import Filter, Noise, Operator, Oscillator, Patch
from models.band.sound.synth.wavetable import (
    TOP_HZ,
    Floats,
    Table,
    formant_gain,
    harmonics,
    highest_harmonic,
)

_CYCLE = 4294967296.0  # phases are uint32: a period is 2**32, overflow is the wrap
_CLIP_LOOKAHEAD = 32  # frames; the clipper's filters look this far at most
_SILENT_DECAYS = 1.5  # a decay to nothing is over at -90 dB


@dataclass(frozen=True)
class NoteId:
    """What makes two notes of a patch sound differently, apart from level and length.

    `strength` is the velocity layer's centre in 0..1; `from_key` is the key a glide starts at.
    """

    key: int
    strength: float
    from_key: int


def note_length(patch: Patch, frames: int, rate: int) -> int:
    """How many of `frames` are worth rendering: a patch without sustain falls silent by itself."""
    if patch.amp.sustain > 0.0:
        return frames
    return min(frames, int((patch.amp.attack_ms + _SILENT_DECAYS * patch.amp.decay_ms) * rate / 1000) + 1)


def render_note(patch: Patch, note: NoteId, frames: int, rate: int, bpm: float) -> Floats:
    """The note for `frames` at `rate`; level is that of velocity 100, trim included."""
    wanted = frames
    if patch.drive_db > 0.0:
        frames += _CLIP_LOOKAHEAD
    sound = np.zeros((2, frames), np.float32)
    bend = _bend(patch, note, frames, rate)
    corner = _corner(patch.filter, note, frames, rate, bpm) if patch.filter else None
    for place, oscillator in enumerate(patch.osc):
        _add_oscillator(sound, patch, oscillator, place, note, bend, corner, rate)
    for operator in patch.fm:
        _add_operator(sound, operator, note, bend, rate)
    if patch.noise is not None:
        _add_noise(sound, patch.noise, note.key, rate)
    sound *= curves.envelope(patch.amp, frames, rate)
    if patch.drive_db > 0.0:
        # Saws and subs in step are lopsided, and a clipper turns that into an offset.
        frames = wanted
        sound = soft_clip(sound, 10 ** (patch.drive_db / 20))[:, :frames]
        sound = remove_dc(sound, rate, out=sound)
    if patch.family == "bass" and any(o.spread for o in patch.osc):
        sound = width(sound, rate, 1.0, out=sound)  # what is low is in the middle, on any loudspeaker
    if patch.amp.sustain == 0.0:
        end = note_length(patch, frames + 1, rate)
        fade = round(0.005 * rate)
        if end <= frames:
            sound[:, end:] = 0.0
            sound[:, max(0, end - fade) : end] *= curves.release(fade)[-min(end, fade) :]
    sound *= np.float32(10 ** (patch.trim_db / 20))
    return sound


def key_hz(key: float) -> float:
    """Equal temperament, A4 (key 69) = 440 Hz."""
    return float(440.0 * 2.0 ** ((key - 69.0) / 12.0))


class _Bend:
    """Pitch over the note: `time` is what has passed of the unbent key's time, in seconds at each frame.

    `highest` is the most the pitch can be raised, a ratio; it does not depend on how long the note is.
    """

    def __init__(self, semitones: NDArray[np.float64], most_semitones: float, rate: int):
        factor = 2.0 ** (semitones / 12.0)
        self.highest = 2.0 ** (most_semitones / 12.0)
        self.time = np.concatenate([[0.0], np.cumsum(factor[:-1])]) / rate


def _bend(patch: Patch, note: NoteId, frames: int, rate: int) -> _Bend | None:
    semitones = np.zeros(frames)
    most = 0.0
    moving = False
    if patch.pitch is not None and patch.pitch.semitones:
        semitones += patch.pitch.semitones * curves.decay(frames, rate, patch.pitch.decay_ms)
        most += max(0.0, patch.pitch.semitones)
        moving = True
    if note.from_key != note.key and patch.glide_ms:
        left = np.clip(1.0 - curves.seconds(frames, rate) * 1000 / patch.glide_ms, 0.0, 1.0)
        semitones += (note.from_key - note.key) * left * left
        most += max(0.0, note.from_key - note.key)
        moving = True
    if patch.vibrato is not None:
        v = patch.vibrato
        semitones += curves.vibrato(frames, rate, v.hz, v.cents / 100, v.delay_ms)
        most += v.cents / 100
        moving = True
    return _Bend(semitones, most, rate) if moving else None


def _phase(hz: float, start: float, frames: int, bend: _Bend | None, rate: int) -> NDArray[np.uint32]:
    """Phase of a wave of `hz` from `start` (cycles), following the bend."""
    if bend is None:
        step = np.uint32(round(hz / rate * _CYCLE) & 0xFFFFFFFF)
        first = np.uint32(int(start * _CYCLE) & 0xFFFFFFFF)
        return np.asarray(np.arange(frames, dtype=np.uint32) * step + first)
    cycles = bend.time * hz
    cycles += start
    cycles -= np.floor(cycles)
    return (cycles * _CYCLE).astype(np.uint64).astype(np.uint32)


def _corner(shape: Filter, note: NoteId, frames: int, rate: int, bpm: float) -> Floats:
    """The filter's corner over the note in log2 Hz; a single value where nothing moves it."""
    base = np.log2(shape.cutoff_hz) + shape.key_track * (note.key - 60) / 12
    base += shape.velocity_octaves * (note.strength - 100 / 127)
    moving = shape.env_octaves != 0.0 or shape.lfo_octaves != 0.0
    octave = np.full(frames if moving else 1, base, np.float32)
    if shape.env_octaves:
        rise = round(shape.attack_ms * rate / 1000)
        env = np.ones(frames, np.float32)
        env[:rise] = np.linspace(0.0, 1.0, max(rise, 1), dtype=np.float32)[:frames]
        fall = curves.decay(max(frames - rise, 0), rate, shape.decay_ms)
        env[rise:] = shape.sustain + (1.0 - shape.sustain) * fall
        octave += np.float32(shape.env_octaves) * env
    if shape.lfo_octaves:
        hz = bpm / 60.0 / shape.lfo_beats if shape.lfo_beats else shape.lfo_hz
        octave -= (shape.lfo_octaves * np.cos(2 * np.pi * hz * curves.seconds(frames, rate))).astype(np.float32)
    return np.clip(octave, np.float32(np.log2(25.0)), np.float32(np.log2(TOP_HZ)))


def _unison(oscillator: Oscillator) -> list[tuple[float, float, float]]:
    """(detune in cents, left gain, right gain) of each voice; together of unit power."""
    count = oscillator.voices
    places = np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)
    levels = 1.0 - 0.35 * np.abs(places)
    levels /= np.sqrt(np.sum(levels**2))
    voices = []
    for i, (place, level) in enumerate(zip(places, levels, strict=True)):
        # Neighbours in pitch go to opposite sides, so that neither side is sharp as a whole. The even
        # spacing is bent a little: equal distances beat in step, which is heard as a pulse.
        side = abs(place) * oscillator.spread * (1 if i % 2 else -1)
        cents = oscillator.detune_cents * np.sign(place) * abs(place) ** 1.2 + oscillator.cents
        angle = (side + 1.0) * np.pi / 4
        voices.append((float(cents), float(level * np.cos(angle)), float(level * np.sin(angle))))
    return voices


def _add_oscillator(
    sound: Floats,
    patch: Patch,
    oscillator: Oscillator,
    place: int,
    note: NoteId,
    bend: _Bend | None,
    corner: Floats | None,
    rate: int,
) -> None:
    hz = key_hz(note.key + oscillator.semitones)
    sharpest = hz * 2.0 ** ((oscillator.detune_cents + abs(oscillator.cents)) / 1200)
    count = highest_harmonic(sharpest * (bend.highest if bend else 1.0), rate)
    if count == 0:
        return
    spectrum = harmonics(oscillator, count) * formant_gain(patch.vowel, hz * np.arange(1.0, count + 1.0))
    shape = patch.filter if oscillator.filtered else None
    table = Table(spectrum, hz, shape, corner)
    octave = corner if shape is not None and corner is not None and len(corner) > 1 else None
    random = np.random.Generator(np.random.PCG64([note.key, place, 20]))
    frames = sound.shape[1]
    level = 10 ** (oscillator.level_db / 20)
    width = _pulse_width(oscillator, frames, rate)
    # A pulse starts on its narrow side, where its energy is: the onset is then at full level at once.
    first = 1.0 - oscillator.width if width is not None else 0.0
    for cents, left, right in _unison(oscillator):
        start = first + oscillator.scatter * random.random()
        phase = _phase(hz * 2.0 ** (cents / 1200), start % 1.0, frames, bend, rate)
        wave = table.read(phase, octave)
        if width is not None:
            wave = table.read(phase + width, octave) - wave
        if left == right:
            wave *= np.float32(left * level)
            sound += wave
        else:
            sound[0] += wave * np.float32(left * level)
            sound[1] += wave * np.float32(right * level)


def _pulse_width(oscillator: Oscillator, frames: int, rate: int) -> NDArray[np.uint32] | np.uint32 | None:
    if oscillator.wave != "pulse":
        return None
    if not oscillator.pwm:
        return np.uint32(oscillator.width * _CYCLE)
    swing = oscillator.pwm * np.sin(2 * np.pi * oscillator.pwm_hz * curves.seconds(frames, rate))
    return (np.clip(oscillator.width + swing, 0.02, 0.98) * _CYCLE).astype(np.uint32)


def _add_operator(sound: Floats, operator: Operator, note: NoteId, bend: _Bend | None, rate: int) -> None:
    frames = sound.shape[1]
    hz = key_hz(note.key) * 2.0 ** (operator.cents / 1200)
    top = min(TOP_HZ, 0.45 * rate) / (hz * (bend.highest if bend else 1.0))
    if operator.carrier >= top:
        return
    turn = np.float32(2 * np.pi / _CYCLE)
    angle = _phase(hz * operator.carrier, 0.0, frames, bend, rate).astype(np.float32) * turn
    index = operator.index * (1.0 - operator.index_velocity * (1.0 - note.strength))
    if operator.ratio > 0.0:
        # Carson's rule with room for two more sidebands: what would fold is not made.
        reach = operator.ratio * (1.0 + operator.feedback)
        index = min(index, max(0.0, (top - operator.carrier) / reach - 2.0))
    if index > 0.0 and operator.ratio > 0.0:
        turned = _phase(hz * operator.ratio, 0.0, frames, bend, rate).astype(np.float32) * turn
        if operator.feedback:
            turned += np.float32(operator.feedback) * np.sin(turned)
        depth = curves.decay(frames, rate, operator.index_decay_ms) * np.float32(1.0 - operator.index_floor)
        depth += np.float32(operator.index_floor)
        depth *= np.float32(index)
        angle += depth * np.sin(turned)
    wave = np.sin(angle)
    if operator.decay_ms:
        wave *= curves.decay(frames, rate, operator.decay_ms)
    side = (operator.pan + 1.0) * np.pi / 4
    level = 10 ** (operator.level_db / 20) * np.sqrt(2.0)
    sound[0] += wave * np.float32(level * np.cos(side))
    sound[1] += wave * np.float32(level * np.sin(side))


def _add_noise(sound: Floats, noise: Noise, key: int, rate: int) -> None:
    frames = sound.shape[1]
    if noise.decay_ms:
        frames = min(frames, int(_SILENT_DECAYS * noise.decay_ms * rate / 1000))
    random = np.random.Generator(np.random.PCG64([key, 21]))
    # (frames, 2), so that a longer note draws the same first samples.
    hiss = random.standard_normal((frames, 2), np.float32).T
    high = min(noise.high_hz, 0.45 * rate)
    if noise.low_hz >= high:
        return
    band = butterworth("bandpass", (noise.low_hz, high), rate, 1)
    # Noise power per hertz is kept the same at every rate.
    hiss = run_filter(band, hiss) * np.float32(10 ** (noise.level_db / 20) * np.sqrt(rate / 48000))
    if noise.decay_ms:
        hiss *= curves.decay(frames, rate, noise.decay_ms)
    sound[:, :frames] += hiss
