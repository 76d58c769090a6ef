"""How each fx sound is made: (held frames, rate) -> (2, frames), at a level that suits velocity 100."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.band.sound.synth.sweep import (
    Sound,
    along,
    fall,
    filtered,
    geometric,
    joined,
    narrow,
    ringing,
    saw,
    swept,
    turns,
    white,
)

Maker = Callable[[int, int], NDArray[np.float64]]


def _grown(frames: int, floor_db: float, bend: float = 1.0) -> NDArray[np.float64]:
    """A level that climbs from `floor_db` to 0 dB over `frames`, from a true zero at the start."""
    level = joined(10 ** (floor_db / 20 * (1.0 - along(frames) ** bend)), frames)
    level[: min(frames, 64)] *= np.linspace(0.0, 1.0, min(frames, 64))
    return np.asarray(level)


def _rise(sound: Sound, rate: int, floor_db: float, bend: float = 1.2) -> Sound:
    """Even out the sound's own swell and beating (over 80 ms), then let it climb: its peak is its end."""
    frames = sound.shape[1]
    half = max(1, round(0.04 * rate))
    total = np.concatenate([[0.0], np.cumsum(np.einsum("cn,cn->n", sound, sound))])
    knots = np.minimum(np.rint(along(frames) * (frames - 1)).astype(np.intp), frames - 1)
    start, stop = np.maximum(knots - half, 0), np.minimum(knots + half, frames)
    level = np.sqrt((total[stop] - total[start]) / (stop - start) / len(sound))
    return sound * joined(1.0 / np.maximum(level, 0.05 * level.max()), frames) * _grown(frames, floor_db, bend)


def _bed(frames: int, rate: int, seconds: float) -> NDArray[np.float64]:
    """Fades of at most `seconds`, or of a third of the length."""
    fade = max(1, min(round(seconds * rate), frames // 3))
    level = np.ones(frames)
    ramp = np.sin(np.linspace(0.0, np.pi / 2, fade)) ** 2
    level[:fade] = ramp
    level[-fade:] *= ramp[::-1]
    return level


def _level(sound: Sound, rms: float) -> Sound:
    """Scale so that the loudest 50 ms have about this RMS; never past +-0.9."""
    size = min(sound.shape[1], 2048)
    power = np.mean(sound[:, : sound.shape[1] // size * size] ** 2, axis=0).reshape(-1, size).mean(axis=1)
    gain = rms / np.sqrt(max(float(power.max()), 1e-12))
    return sound * min(gain, 0.9 / max(float(np.abs(sound).max()), 1e-9))


def riser_noise(held: int, rate: int) -> Sound:
    noise = white(held, rate, 1)
    body = swept(noise, rate, "bandpass", geometric(250.0, 9000.0, held, 1.2), 1.2)
    air = swept(noise, rate, "highpass", geometric(6000.0, 2500.0, held), 0.7)
    later = 0.35 * np.linspace(0.0, 1.0, held) ** 2
    return _level(_rise(narrow(body * 2 + later * air, 0.5), rate, -36.0), 0.13)


def riser_tone(held: int, rate: int) -> Sound:
    out = np.zeros((2, held))
    for place, cents in enumerate((-14.0, -6.0, 5.0, 13.0)):
        voice = saw(geometric(110.0, 880.0, held, 1.4) * 2 ** (cents / 1200), held, rate, 0.23 * place)
        out[place % 2] += voice
        out[1 - place % 2] += 0.5 * voice
    out = swept(out, rate, "lowpass", geometric(400.0, 14000.0, held, 1.1), 1.4)
    return _level(_rise(out, rate, -30.0), 0.14)


def riser_snare(held: int, rate: int) -> Sound:
    """A snare roll that doubles its pace at each quarter of its length."""
    out = np.zeros((2, held))
    stroke = min(held, round(0.16 * rate))
    hiss = filtered(white(stroke, rate, 2), rate, "highpass", 1400.0)
    strength = np.linspace(0.0, 1.0, held)
    place, quarter = 0.0, held / 16.0
    while place < held - 1:
        share = place / held
        start = int(place)
        length = min(stroke, held - start)
        pitch = 190.0 * 2 ** (share * 0.9)
        ring = fall(length, rate, 0.13)
        body = np.sin(turns(pitch * (1.0 + 0.6 * fall(length, rate, 0.03)), rate))
        level = 0.15 + 0.85 * strength[start] ** 1.5
        out[:, start : start + length] += level * ring * (0.7 * hiss[:, :length] + body)
        place += quarter / (1, 2, 4, 8)[min(3, int(share * 4))]
    # The last stroke alone would not be the loudest frame: a breath of noise carries the roll to the line.
    out += 0.5 * filtered(white(held, rate, 3), rate, "highpass", 2500.0) * _grown(held, -50.0)
    return _level(narrow(out, 0.4) * _grown(held, -12.0), 0.15)


def downlifter(held: int, rate: int) -> Sound:
    noise = swept(white(held, rate, 4), rate, "bandpass", geometric(9000.0, 150.0, held, 0.7), 1.1)
    tone = np.sin(turns(geometric(700.0, 50.0, held, 0.6), rate, 0.25))
    return _level((narrow(noise, 0.4) + 0.05 * tone) * fall(held, rate, 1.15 * held / rate), 0.16)


def impact(held: int, rate: int) -> Sound:
    frames = round(3.2 * rate)
    boom = np.cos(turns(38.0 + 110.0 * fall(frames, rate, 0.22), rate)) * fall(frames, rate, 1.9)
    crack = filtered(white(frames, rate, 5), rate, "lowpass", 5200.0) * fall(frames, rate, 0.35)[None]
    wash = swept(white(frames, rate, 6), rate, "lowpass", geometric(6500.0, 220.0, frames, 0.45), 0.7)
    sound = 1.1 * boom + 0.55 * narrow(crack, 0.6) + 0.5 * wash * fall(frames, rate, 2.6)
    return _level(np.tanh(1.3 * sound), 0.32)


def sub_drop(held: int, rate: int) -> Sound:
    tone = np.cos(turns(geometric(105.0, 27.0, held, 0.6), rate)) * fall(held, rate, 1.1 * held / rate)
    return _level(np.tile(np.tanh(1.6 * tone), (2, 1)), 0.28)


def _cymbal(frames: int, rate: int, seed: int) -> Sound:
    """A crash: inharmonic partials and bright noise, the treble dying first."""
    random = np.random.Generator(np.random.PCG64([seed, 41]))
    noise = white(frames, rate, seed)
    out = 0.7 * filtered(noise, rate, "highpass", 5000.0) * fall(frames, rate, 2.2)
    out += 0.6 * filtered(noise, rate, "bandpass", (1500.0, 7000.0)) * fall(frames, rate, 3.4)
    hz = np.sort(random.uniform(350.0, 9500.0, 48))
    angles = random.random((48, 2))
    levels = 0.09 * np.minimum(1.0, hz / 4000.0)
    decays = 6.9078 / (3.6 * (1500.0 / (1500.0 + hz)) + 0.8)
    turning = np.asarray((-decays + 2j * np.pi * hz) / rate, np.complex128)
    for side in range(2):
        out[side] += ringing(turning, levels * np.exp(2j * np.pi * angles[:, side]), frames)
    return out


def reverse_cymbal(held: int, rate: int) -> Sound:
    return _level(narrow(_cymbal(held, rate, 7)[:, ::-1], 0.3) * _grown(held, -34.0), 0.16)


def sweep_up(held: int, rate: int) -> Sound:
    noise = swept(white(held, rate, 8), rate, "bandpass", geometric(180.0, 7500.0, held), 2.5)
    return _level(_rise(narrow(noise, 0.3), rate, -24.0, 1.0), 0.12)


def sweep_down(held: int, rate: int) -> Sound:
    noise = swept(white(held, rate, 9), rate, "bandpass", geometric(7500.0, 180.0, held), 2.5)
    return _level(narrow(noise, 0.3) * 10 ** (-30.0 / 20 * np.linspace(0.0, 1.0, held)), 0.12)


def noise_bed(held: int, rate: int) -> Sound:
    noise = filtered(filtered(white(held, rate, 10), rate, "lowpass", 900.0, 1), rate, "highpass", 120.0)
    return _level(noise * _bed(held, rate, 1.5), 0.035)


def wind(held: int, rate: int) -> Sound:
    time = np.arange(held) / rate
    gust = 0.5 + 0.25 * np.sin(2 * np.pi * 0.11 * time - 1.0) + 0.25 * np.sin(2 * np.pi * 0.23 * time + 0.6)
    noise = swept(white(held, rate, 11), rate, "bandpass", 260.0 * 2.0 ** (2.2 * gust), 3.0)
    return _level(noise * (0.3 + 0.7 * gust) * _bed(held, rate, 2.0), 0.05)


def vinyl(held: int, rate: int) -> Sound:
    """Surface noise, and crackle whose ticks lie at random (about nine a second, few of them loud)."""
    random = np.random.Generator(np.random.PCG64([12, 41]))
    out = 0.02 * filtered(white(held, rate, 12), rate, "bandpass", (300.0, 5000.0), 1)
    ticks = np.zeros((2, held))
    seconds = 0.0
    while True:
        seconds += random.exponential(0.11)
        place, loud, side = int(seconds * rate), random.random() ** 6, random.random()
        if place >= held:
            break
        ticks[:, place] += (0.2 + 0.5 * loud) * np.array([1.0 - 0.6 * side, 0.4 + 0.6 * side]) * rate / 48000
    out += filtered(ticks, rate, "bandpass", (900.0, 6500.0), 1)
    return _level(np.tanh(3.0 * out) * _bed(held, rate, 0.4), 0.02)


def rain(held: int, rate: int) -> Sound:
    """A hiss of far drops and about sixty near ones a second."""
    random = np.random.Generator(np.random.PCG64([13, 41]))
    out = 0.12 * filtered(white(held, rate, 13), rate, "bandpass", (900.0, 9000.0), 1)
    drops = np.zeros((2, held))
    seconds = 0.0
    while True:
        seconds += random.exponential(1 / 60)
        place, loud, side = int(seconds * rate), random.random() ** 4, random.random()
        if place >= held:
            break
        drops[:, place] += loud * np.array([np.cos(side * np.pi / 2), np.sin(side * np.pi / 2)]) * rate / 48000
    out += 4.0 * filtered(drops, rate, "bandpass", (1800.0, 5200.0), 2)
    return _level(out * _bed(held, rate, 1.5), 0.04)


def shimmer(held: int, rate: int) -> Sound:
    """A cloud of soft high bells in fifths and octaves, over any chord."""
    random = np.random.Generator(np.random.PCG64([14, 41]))
    out = np.zeros((2, held))
    length = min(held, round(1.2 * rate))
    rise = np.minimum(np.arange(length) / (0.06 * rate), 1.0)
    grain = rise * fall(length, rate, 1.2)
    seconds = 0.0
    while seconds * rate < held:
        start = int(seconds * rate)
        hz = (1046.5, 1568.0, 2093.0, 3136.0, 4186.0)[int(random.integers(5))] * 2 ** (random.normal(0, 4) / 1200)
        side = random.random()
        part = min(length, held - start)
        turning = np.array([2j * np.pi * hz / rate])
        tone = ringing(turning, np.array([(1046.5 / hz) ** 0.5 + 0j]), part) * grain[:part]
        out[0, start : start + part] += tone * np.cos(side * np.pi / 2)
        out[1, start : start + part] += tone * np.sin(side * np.pi / 2)
        seconds += random.exponential(0.07)
    return _level(out * _bed(held, rate, 0.8), 0.05)


def zap(held: int, rate: int) -> Sound:
    frames = round(0.22 * rate)
    hz = 90.0 + 5200.0 * fall(frames, rate, 0.12)
    tone = np.cos(turns(hz, rate)) * fall(frames, rate, 0.3)
    return _level(np.tile(tone, (2, 1)), 0.2)


def laser(held: int, rate: int) -> Sound:
    frames = round(0.5 * rate)
    hz = geometric(3600.0, 160.0, frames, 0.7)
    wobble = 1.0 + 0.03 * np.sin(2 * np.pi * 38.0 * np.arange(frames) / rate)
    out = np.stack([np.cos(turns(hz * wobble, rate)) + 0.4 * saw(hz * c, frames, rate) for c in (1.004, 0.996)])
    return _level(out * fall(frames, rate, 0.55), 0.17)


def glitch(held: int, rate: int) -> Sound:
    """A burst of short slices: tones and noise held on coarse steps, retriggered."""
    random = np.random.Generator(np.random.PCG64([15, 41]))
    frames = round(0.42 * rate)
    out = np.zeros((2, frames))
    place = 0
    while place < frames:
        length = min(frames - place, int(rate * (0.012, 0.02, 0.035, 0.055)[int(random.integers(4))]))
        hz = 180.0 * 2 ** float(random.integers(0, 20) / 4)
        side, noisy = random.random(), random.random() < 0.35
        slice_ = random.standard_normal(length) * 0.5 if noisy else np.sin(turns(np.full(length, hz), rate, 0.25))
        edge = min(length // 2, round(0.0008 * rate))
        shape = np.ones(length)
        shape[length - edge :] = np.linspace(1.0, 0.0, edge)
        shape[:edge] *= np.linspace(0.0, 1.0, edge) if place else 1.0
        out[0, place : place + length] += slice_ * shape * (1.2 - side)
        out[1, place : place + length] += slice_ * shape * (0.2 + side)
        place += length + int(random.integers(0, 2)) * length // 2
    out = filtered(filtered(out, rate, "lowpass", 11000.0), rate, "highpass", 150.0)
    return _level(out * np.linspace(1.0, 0.5, frames), 0.17)


def swell(held: int, rate: int) -> Sound:
    """A warm rising fifth-and-octave pad with air, for the bar before a section."""
    out = np.zeros((2, held))
    for place, (hz, cents) in enumerate(
        ((65.4, -7.0), (65.4, 7.0), (98.0, -5.0), (98.0, 5.0), (130.8, -9.0), (130.8, 9.0))
    ):
        voice = saw(hz * 2 ** (cents / 1200), held, rate, 0.17 * place)
        out[place % 2] += voice
        out[1 - place % 2] += 0.35 * voice
    out = swept(out, rate, "lowpass", geometric(180.0, 5500.0, held, 1.3), 0.9)
    out += 0.4 * swept(white(held, rate, 16), rate, "bandpass", geometric(800.0, 7000.0, held), 0.9)
    return _level(_rise(out, rate, -40.0), 0.14)


SOUNDS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        riser_noise, riser_tone, riser_snare, downlifter, impact, sub_drop, reverse_cymbal, sweep_up,
        sweep_down, noise_bed, wind, vinyl, rain, shimmer, zap, laser, glitch, swell,
    )
}  # fmt: skip
