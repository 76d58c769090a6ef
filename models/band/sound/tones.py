"""What a soundfont zone sounds like at one key and velocity: parameters first, then frames.

`resolve` turns generators and modulators (SF2 2.04, 8.1 and 8.4) into seconds, hertz and ratios;
`Tone.frames` makes the pitched, filtered sound. Loudness by velocity is left out of it, so one tone serves
notes of many velocities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.band.sound import font as sf
from models.band.sound.cache import ByteCache, kept_length
from models.band.sound.envelopes import MIN_RELEASE_SECONDS, Envelope, Oscillator, timecents
from models.band.sound.pitching import (
    MAX_RATIO,
    MIN_RATIO,
    bent,
    control_times,
    lowpassed,
    transposed,
    unrolled,
)

_STILL_ATTACK_SECONDS = 0.002  # shorter attacks only guard against clicks, which trimmed samples do not need
_END_FADE_SECONDS = 0.002
_OPEN_CENTS = 13300  # 17.7 kHz: a filter this far open is not heard, but for its gain without resonance:
_OPEN_GAIN = 10.0 ** (3.01 / 40.0)
_CACHE_BYTES = 24 << 20
_pitched = ByteCache(_CACHE_BYTES)  # tones of many velocities differ only in what is done to the same pitched sample


@dataclass(frozen=True, slots=True)
class Motion:
    """What bends pitch (cents), cutoff (cents) or volume (dB) over a note: one envelope, two oscillators."""

    envelope: Envelope
    tremor: Oscillator  #: the modulation LFO
    vibrato: Oscillator  #: the vibrato LFO
    envelope_to_pitch: float
    tremor_to_pitch: float
    vibrato_to_pitch: float
    envelope_to_cutoff: float
    tremor_to_cutoff: float
    tremor_to_volume: float

    def bends_pitch(self) -> bool:
        """Tell whether pitch moves."""
        return bool(self.envelope_to_pitch or self.tremor_to_pitch or self.vibrato_to_pitch)

    def highest_pitch(self) -> float:
        """Return the most cents that pitch can rise, at most two octaves."""
        return min(max(self.envelope_to_pitch, 0.0) + abs(self.tremor_to_pitch) + abs(self.vibrato_to_pitch), 2400.0)

    def bends_cutoff(self) -> bool:
        """Tell whether the filter moves."""
        return bool(self.envelope_to_cutoff or self.tremor_to_cutoff)

    def pitch(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return cents at each time (seconds after note-on)."""
        return (
            self.envelope_to_pitch * self.envelope.shape(t)
            + self.tremor_to_pitch * self.tremor.shape(t)
            + self.vibrato_to_pitch * self.vibrato.shape(t)
        )

    def cutoff(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return cents to add to the cutoff at each time."""
        return self.envelope_to_cutoff * self.envelope.shape(t) + self.tremor_to_cutoff * self.tremor.shape(t)


@dataclass(frozen=True, slots=True)
class Tone:
    """One zone at one key and (rounded) velocity, for an output rate."""

    sample: int
    ratio: float  #: source frames an output frame
    seconds_per_frame: float  #: of the source, at this pitch
    first: int  #: first source frame
    stop: int  #: one past the last source frame
    loop: tuple[int, int] | None
    tail_after_loop: bool  #: sample mode 3: the loop is left at note-off
    volume: Envelope
    motion: Motion
    cutoff_cents: float
    resonance_db: float
    left: float
    right: float
    exclusive: int

    def frames(self, font: sf.Font, rate: int, trim: int, count: int, held: int) -> NDArray[np.float32]:
        """Return up to `count` frames, less the first `trim` source frames, before the volume envelope.

        `held` matters only for `tail_after_loop`: the frames after which the loop is left.
        """
        if self.tail_after_loop:
            return self._moved(self._pitched(font, trim, count, held), rate, count)
        wanted = kept_length(count, rate)
        source = (font, self.sample, self.first, self.stop, self.loop, trim)
        place = (*source, self.ratio, self.motion.highest_pitch(), wanted)
        known = _pitched.get(place)
        if known is None:
            known = (self._pitched(font, trim, wanted, held),)
            _pitched.put(place, known)
        return self._moved(known[0], rate, count)

    def _pitched(self, font: sf.Font, trim: int, count: int, held: int) -> NDArray[np.float32]:
        """The sample at its pitch: `count` frames, more where the pitch will rise, or fewer where it ends."""
        wanted = math.ceil(count * self.ratio * 2.0 ** (self.motion.highest_pitch() / 1200.0)) + 64
        source = font.sample(self.sample, self.first + trim + wanted)
        data = source.data[self.first + trim : self.stop]
        loop = None if self.loop is None else (self.loop[0] - self.first - trim, self.loop[1] - self.first - trim)
        if loop is not None and loop[0] < 0:
            loop = None
        if loop is not None and self.tail_after_loop:
            data = self._left_loop(font, loop, trim, int(held * self.ratio))[:wanted]
        else:
            data = unrolled(data, loop, wanted)
        ends = len(data) < wanted
        data = np.array(data)
        if trim and len(data):
            fade = min(len(data), 12)
            data[:fade] *= np.linspace(0.0, 1.0, fade + 1, dtype=np.float32)[1:]
        if ends:
            fade = min(len(data), int(_END_FADE_SECONDS / self.seconds_per_frame) + 1)
            data[len(data) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return transposed(data, self.ratio)

    def _left_loop(self, font: sf.Font, loop: tuple[int, int], trim: int, held: int) -> NDArray[np.float32]:
        whole = font.sample(self.sample).data[self.first + trim : self.stop]
        if held <= loop[1]:
            return whole
        turns = (held - loop[1]) // (loop[1] - loop[0]) + 1
        return np.concatenate([whole[: loop[1]], np.tile(whole[loop[0] : loop[1]], turns), whole[loop[1] :]])

    def _moved(self, out: NDArray[np.float32], rate: int, count: int) -> NDArray[np.float32]:
        """Up to `count` frames of a pitched sample under all that moves: pitch, filter and volume."""
        if self.motion.bends_pitch():
            out = bent(out, self.motion.pitch(np.arange(min(len(out), count)) / rate))
        out = out[:count]
        cents = np.array([self.cutoff_cents])
        if self.motion.bends_cutoff():
            cents = self.cutoff_cents + self.motion.cutoff(control_times(len(out), rate))
        if len(out) and (cents.min() < _OPEN_CENTS or self.resonance_db > 0.0):
            hertz = 8.176 * 2.0 ** (np.clip(cents, 1500.0, 13500.0) / 1200.0)
            out = lowpassed(out, hertz, self.resonance_db, rate)
        else:
            out = out * np.float32(_OPEN_GAIN)
        if self.motion.tremor_to_volume:
            swing = self.motion.tremor.shape(np.arange(len(out)) / rate) * self.motion.tremor_to_volume
            out = (out * 10.0 ** (swing / 20.0)).astype(np.float32)
        return out


def resolve(font: sf.Font, zone: sf.Zone, key: int, velocity: int, rate: int) -> Tone:
    """Return the tone of a zone at a key and velocity, for an output rate."""
    g = [float(value) for value in zone.generators]
    for modulator in zone.modulators:
        if modulator.destination < sf.GENERATORS and modulator.destination != sf.ATTENUATION:
            g[modulator.destination] += modulator.value(key, velocity)
    played = int(g[sf.FIXED_KEY]) if g[sf.FIXED_KEY] >= 0 else key
    sample = font.sample(zone.sample, 1)
    root = g[sf.ROOT_KEY] if 0 <= g[sf.ROOT_KEY] <= 127 else sample.key
    cents = (played - root) * g[sf.SCALE_TUNING] + 100.0 * g[sf.COARSE_TUNE] + g[sf.FINE_TUNE] + sample.correction
    speed = min(max(2.0 ** (min(max(cents, -20000.0), 20000.0) / 1200.0) * sample.rate / rate, MIN_RATIO), MAX_RATIO)
    first = min(max(0, int(g[sf.START] + 32768 * g[sf.START_COARSE])), sample.total - 1)
    stop = min(max(first + 1, int(sample.total + g[sf.END] + 32768 * g[sf.END_COARSE])), sample.total)
    mode = int(g[sf.SAMPLE_MODES]) & 3
    loop = (
        int(sample.loop_start + g[sf.LOOP_START] + 32768 * g[sf.LOOP_START_COARSE]),
        int(sample.loop_end + g[sf.LOOP_END] + 32768 * g[sf.LOOP_END_COARSE]),
    )
    loops = mode in (1, 3) and first <= loop[0] < loop[1] - 1 and loop[1] <= stop
    pan = min(max(g[sf.PAN], -500.0), 500.0) / 1000.0
    return Tone(
        sample=zone.sample,
        ratio=speed,
        seconds_per_frame=1.0 / (speed * rate),
        first=first,
        stop=stop,
        loop=loop if loops else None,
        tail_after_loop=mode == 3,
        volume=_envelope(g, sf.VOL_ENV, played),
        motion=_motion(g, played),
        cutoff_cents=g[sf.CUTOFF],
        resonance_db=min(max(g[sf.RESONANCE], 0.0), 960.0) / 10.0,
        left=math.sin((0.5 - pan) * math.pi / 2.0),
        right=math.sin((0.5 + pan) * math.pi / 2.0),
        exclusive=int(g[sf.EXCLUSIVE_CLASS]),
    )


def gain(zone: sf.Zone, key: int, velocity: int) -> float:
    """Return the amplitude of a zone for a key and velocity (generator 48 and all that modulates it)."""
    centibels = zone.attenuation_cb
    for modulator in zone.modulators:
        if modulator.destination == sf.ATTENUATION:
            centibels += modulator.value(key, velocity)
    return float(10.0 ** (-min(max(centibels, 0.0), 1440.0) / 200.0))


def _envelope(g: list[float], base: int, key: int) -> Envelope:
    """Return the envelope whose six generators start at `base`; the two key scalings follow them (8.1.2)."""
    delay, attack, hold, decay, sustain, release = g[base : base + 6]
    attack_seconds = timecents(attack)
    share = sustain / 1000.0
    return Envelope(
        delay=timecents(delay),
        attack=attack_seconds if attack_seconds > _STILL_ATTACK_SECONDS else 0.0,
        hold=timecents(hold + (60 - key) * g[base + 6]),
        decay=timecents(decay + (60 - key) * g[base + 7]),
        sustain=min(max(share, 0.0), 1.0),
        release=max(timecents(release), MIN_RELEASE_SECONDS),
    )


def _motion(g: list[float], key: int) -> Motion:
    return Motion(
        envelope=_envelope(g, sf.MOD_ENV, key),
        tremor=Oscillator(timecents(g[sf.MOD_LFO_DELAY]), _hertz(g[sf.MOD_LFO_RATE])),
        vibrato=Oscillator(timecents(g[sf.VIB_LFO_DELAY]), _hertz(g[sf.VIB_LFO_RATE])),
        envelope_to_pitch=_within(g[sf.MOD_ENV_TO_PITCH], 12000.0),
        tremor_to_pitch=_within(g[sf.MOD_LFO_TO_PITCH], 1200.0),
        vibrato_to_pitch=_within(g[sf.VIB_LFO_TO_PITCH], 1200.0),
        envelope_to_cutoff=_within(g[sf.MOD_ENV_TO_CUTOFF], 12000.0),
        tremor_to_cutoff=_within(g[sf.MOD_LFO_TO_CUTOFF], 12000.0),
        tremor_to_volume=_within(g[sf.MOD_LFO_TO_VOLUME], 960.0) / 10.0,
    )


def _hertz(cents: float) -> float:
    return float(8.176 * 2.0 ** (_within(cents, 16000.0) / 1200.0))


def _within(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)
