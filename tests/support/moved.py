"""Sounds to be moved, made of numbers, and what moved sound is measured by. Shared by tests and the bench."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from studio.align.values import Audio, Floats, Warp

ENVELOPE_HOP = 0.00025
"""Seconds."""
REACH = 0.010
"""So far a moved attack is looked for, in seconds."""


# -- sounds ------------------------------------------------------------------------------------------------------


def steady(hertz: Sequence[float], seconds: float, rate: int, seed: int = 1, gain: float = 0.5) -> Audio:
    """Sines with random phases, the higher the softer, 10 ms faded in and out: (1, frames)."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(hertz))
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros(len(time))
    for f, phase in zip(hertz, phases.tolist(), strict=True):
        sound += np.cos(2 * np.pi * f * time + phase) * (min(hertz) / f)
    edge = np.clip(np.minimum(time, time[-1] - time) / 0.01, 0.0, 1.0)
    return np.asarray((gain * edge * sound / np.abs(sound).max())[None], np.float32)


def chord(keys: Sequence[int], partials: int = 6) -> list[float]:
    """Frequencies of the first partials of some MIDI keys."""
    return [440.0 * 2.0 ** ((key - 69) / 12.0) * k for key in keys for k in range(1, partials + 1)]


def hits(onsets: Floats, frames: int, rate: int, seed: int = 1, decay: float = 0.04) -> Audio:
    """Bursts of noise on these frames, (2, frames), each a little different and not quite in the middle."""
    random = np.random.default_rng(seed)
    sound = np.zeros((2, frames))
    for onset in onsets.astype(int).tolist():
        length = min(frames - onset, round(8 * decay * rate))
        burst = random.standard_normal((2, length)) * np.exp(-np.arange(length) / (decay * rate))
        sound[:, onset : onset + length] += burst * random.uniform(0.5, 1.0, (2, 1))
    return (0.2 * sound).astype(np.float32)


def plucks(onsets: Floats, keys: Sequence[int], frames: int, rate: int, decay: float = 0.5) -> Audio:
    """Notes of six partials on these frames that ring on, (2, frames), panned in turn."""
    sound = np.zeros((2, frames))
    for number, (onset, key) in enumerate(zip(onsets.astype(int).tolist(), keys, strict=True)):
        time = np.arange(frames - onset) / rate
        note = sum(np.sin(2 * np.pi * f * time) * np.exp(-time * k / decay) / k for k, f in enumerate(chord([key]), 1))
        pan = 0.5 + 0.3 * np.cos(number)
        sound[:, onset:] += note * np.array([[pan], [1 - pan]])
    return (0.2 * sound).astype(np.float32)


# -- attacks -----------------------------------------------------------------------------------------------------


def attack_envelope(audio: Audio, rate: int) -> Floats:
    """How sharply a sound rises, every ENVELOPE_HOP: the sum of rises in dB above -50, in four bands, over 2 ms."""
    edges = [f for f in (60.0, 250.0, 1000.0, 4000.0) if f < 0.3 * rate] + [0.45 * rate]
    at = np.arange(0.0, audio.shape[1], ENVELOPE_HOP * rate)
    total = np.zeros(len(at) - 1)
    for low, high in pairwise(edges):
        sections = signal.butter(2, (low, high), "bandpass", fs=rate, output="sos")
        power = np.square(signal.sosfiltfilt(sections, audio, axis=1)).sum(axis=0)
        sums = np.concatenate([[0.0], np.cumsum(power)])
        places = np.arange(len(sums))
        mean = np.interp(at + 0.001 * rate, places, sums) - np.interp(at - 0.001 * rate, places, sums)
        level = 10.0 * np.log10(np.maximum(mean, 0.0) + 1e-5 * mean.max() + 1e-12)
        total += np.maximum(np.diff(level), 0.0)
    return total


def lateness(moved: Audio, source: Audio, onsets: Floats, warp: Warp, rate: int) -> Floats:
    """By how many ms each attack of `moved` is later than the warp has it: where its envelope, 12 ms before to 20 ms
    after, agrees best with the source's; attacks too near to an end are left out."""
    goal, got = attack_envelope(source, rate), attack_envelope(moved, rate)
    hop = ENVELOPE_HOP * rate
    before, after, reach = (round(seconds / ENVELOPE_HOP) for seconds in (0.012, 0.020, REACH))
    found = []
    for onset in onsets.tolist():
        here, there = onset / hop, float(warp.target_at(onset)) / hop
        a, b = round(here), round(there)
        if min(a - before, b - before - reach) < 0 or a + after > len(goal) or b + after + reach > len(got):
            continue
        alike = np.correlate(got[b - before - reach : b + after + reach], goal[a - before : a + after], "valid")
        found.append((int(alike.argmax()) - reach + (b - there) - (a - here)) * ENVELOPE_HOP * 1000.0)
    return np.array(found)


def _energy(audio: Audio, start: int, stop: int) -> float:
    """Of the first difference, in which an attack is sharp."""
    return float(np.square(np.diff(audio[:, start:stop].astype(np.float64))).sum())


def attack_levels(moved: Audio, source: Audio, onsets: Floats, warp: Warp, rate: int) -> tuple[Floats, Floats]:
    """For each attack in dB against the source: the first 3 ms, and the 20 to 1 ms before (what is more than 40 dB
    below the attack does not count)."""
    sharp, early = [], []
    for onset in onsets.astype(int).tolist():
        at = round(float(warp.target_at(onset)))
        if min(onset, at) < 0.02 * rate or onset + 0.01 * rate > source.shape[1] or at + 0.01 * rate > moved.shape[1]:
            continue
        ms = rate / 1000.0
        attack = _energy(source, onset, onset + round(10 * ms))
        three = [_energy(sound, place, place + round(3 * ms)) for sound, place in ((moved, at), (source, onset))]
        ahead = [
            _energy(sound, place - round(20 * ms), place - round(ms)) + 1e-4 * attack
            for sound, place in ((moved, at), (source, onset))
        ]
        sharp.append(10.0 * np.log10(three[0] / three[1]))
        early.append(10.0 * np.log10(ahead[0] / ahead[1]))
    return np.array(sharp), np.array(early)


def count_attacks(audio: Audio, rate: int) -> int:
    """How many attacks stand out."""
    envelope = attack_envelope(audio, rate)
    apart = round(0.015 / ENVELOPE_HOP)
    return len(signal.find_peaks(envelope, height=0.35 * envelope.max(), distance=apart)[0])


# -- tones -------------------------------------------------------------------------------------------------------


def followed(audio: Audio, hertz: float, width: float, rate: int) -> NDArray[np.complex128]:
    """What lies within `width` / 2 Hz of a frequency in the first channel, turned down to 0 Hz, every millisecond."""
    turned = audio[0] * np.exp(-2j * np.pi * hertz * np.arange(audio.shape[1]) / rate)
    low = signal.firwin(int(4 * rate / width) | 1, width / 2, fs=rate)
    return 2.0 * signal.oaconvolve(turned, low, "same")[:: rate // 1000]


def partial_errors(audio: Audio, hertz: Sequence[float], rate: int) -> tuple[float, float]:
    """The largest error of pitch in cents and the deepest dip in dB over all partials that lie 25 Hz or more from
    the others; half a second at both ends is left out."""
    cents, dips = [], []
    for f in hertz:
        others = [abs(f - g) for g in hertz if abs(f - g) > 1e-6]
        near = min(others, default=100.0)
        if near < 25.0:
            continue
        line = followed(audio, f, min(30.0, 0.8 * near), rate)[500:-500]
        level = 20.0 * np.log10(np.abs(line) + 1e-9)
        off = np.polyfit(np.arange(len(line)) / 1000.0, np.unwrap(np.angle(line)), 1)[0] / (2 * np.pi)
        cents.append(abs(1200.0 * np.log2(1.0 + off / f)))
        dips.append(float(np.median(level) - level.min()))
    return max(cents), max(dips)


def noise_between(audio: Audio, hertz: Sequence[float], rate: int) -> float:
    """What lies 30 Hz and more from every partial, in dB of the whole."""
    size, hop = rate // 5, rate // 40
    frames = np.lib.stride_tricks.sliding_window_view(audio[0], size)[rate // 2 : -rate // 2 : hop]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))).sum(axis=0)
    away = np.abs(np.fft.rfftfreq(size, 1.0 / rate)[:, None] - np.array(hertz)).min(axis=1) >= 30.0
    return float(10.0 * np.log10(power[away].sum() / power.sum()))


# -- the stereo image --------------------------------------------------------------------------------------------


def width(audio: Audio) -> tuple[float, float]:
    """The correlation of the channels, and the level of their sum in dB of both."""
    left, right = audio.astype(np.float64)
    power = float(np.square(left).sum() + np.square(right).sum())
    alike = float((left * right).sum() / np.sqrt(np.square(left).sum() * np.square(right).sum()))
    return alike, float(10.0 * np.log10(np.square(left + right).sum() / (2.0 * power)))


# -- likeness to what should be ----------------------------------------------------------------------------------


def distance(audio: Audio, ideal: Audio, size: int, floor_db: float = 50.0) -> float:
    """The mean difference of two spectrograms of `size` frames in dB, where the ideal one is above the floor."""
    count = min(audio.shape[1], ideal.shape[1])
    power = [_spectrogram(sound[:, :count].mean(axis=0), size) for sound in (audio, ideal)]
    floor = power[1].max() * 10.0 ** (-floor_db / 10.0)
    apart = np.abs(10.0 * np.log10((power[0] + floor) / (power[1] + floor)))
    return float(apart[power[1] > floor].mean())


def _spectrogram(sound: NDArray[np.floating], size: int) -> Floats:
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[:: size // 4]
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(size))))


def drift(seconds: float, rate: int, most: float = 0.03, seed: int = 1) -> Warp:
    """A warp with a knot about every half second whose ratio wanders by up to `most` around 1."""
    random = np.random.default_rng(seed)
    source = np.arange(0.0, seconds + 0.5, 0.5) * rate
    ratios = 1.0 + most * np.sin(np.arange(len(source) - 1) / 3.0 + random.uniform(0, 6))
    return Warp(source, np.concatenate([[0.0], np.cumsum(np.diff(source) * ratios)]) + 1234.0)


def ratio(value: float, rate: int, shift: float = 0.0) -> Warp:
    """A warp that makes everything `value` times as long."""
    return Warp(np.array([0.0, float(rate)]), np.array([0.0, value * rate]) + shift)
