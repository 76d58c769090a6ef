"""A singer for the benchmark: a glottal pulse through five formants, with vibrato, portamento and consonants.

Harmonics are summed one by one, each with the gain that the formants have at its frequency at that moment, which is
free of aliasing. Formants after Peterson & Barney (1952) and Fant's cascade (1960), source slope -12 dB an octave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.band.sound.voice import Hit

Floats = NDArray[np.float64]

CONTROL = 400
"""How often a second pitch, loudness and vowels are set."""
VOWELS = {
    "a": (730, 1090, 2440, 3400, 4500), "e": (530, 1840, 2480, 3500, 4500), "i": (270, 2290, 3010, 3600, 4600),
    "o": (570, 840, 2410, 3300, 4400), "u": (300, 870, 2240, 3200, 4300),
}  # fmt: skip
WIDTHS = (80.0, 95.0, 130.0, 180.0, 250.0)
CONSONANTS = ("", "m", "d", "s")
"""None (the voice alone begins), nasal, plosive, fricative. All lie before the note's frame, as in singing: the vowel
is on the beat."""
_LEAD = {"m": 0.050, "d": 0.012, "s": 0.075}
_RELEASE, _GLIDE, _LONGEST_GAP = 0.06, 0.05, 0.08


def sing(hits: Sequence[Hit], frames: int, rate: int, seed: int, size: float = 1.0) -> NDArray[np.float32]:
    """One voice in (2, frames). `size` stretches the formants: 1 a man's, 1.16 a woman's. A later note cuts the one
    before; notes that nearly touch are joined by a portamento."""
    random = np.random.Generator(np.random.PCG64([seed, 7]))
    ordered = sorted(hits, key=lambda hit: hit.frame)
    count = int(frames / rate * CONTROL) + 2
    time = np.arange(count) / CONTROL
    pitch, level = np.zeros(count), np.zeros(count)
    formants = np.tile(np.array(VOWELS["a"], float), (count, 1))
    noise = np.zeros(frames)
    for number, hit in enumerate(ordered):
        start, stop = hit.frame / rate, (hit.frame + hit.frames) / rate
        following = ordered[number + 1].frame / rate if number + 1 < len(ordered) else np.inf
        before = ordered[number - 1] if number else None
        joined = before is not None and start - (before.frame + before.frames) / rate < _LONGEST_GAP
        vowel, consonant = random.choice(list(VOWELS)), str(random.choice(CONSONANTS, p=[0.3, 0.25, 0.25, 0.2]))
        stop = min(stop, following)
        inside = (time >= start - 0.03) & (time < min(stop + 3 * _RELEASE, following))
        since = time[inside] - start
        goal = np.full(len(since), float(hit.key))
        if joined and before is not None:
            goal -= (hit.key - before.key) * np.exp(-np.maximum(since, 0.0) / (_GLIDE / 2))
        swell = np.clip((since - 0.25) / 0.4, 0.0, 1.0)
        goal += 0.35 * swell * np.sin(2 * np.pi * 5.4 * since) + 0.04 * random.standard_normal()
        pitch[inside] = goal
        attack = np.clip((since + 0.004) / (0.02 if consonant == "d" else 0.045), 0.0, 1.0)
        floor = 0.35 if joined and consonant in ("", "m") else 0.0
        shape = np.maximum(attack, floor) * np.where(time[inside] > stop, np.exp((stop - time[inside]) / _RELEASE), 1.0)
        level[inside] = shape * (hit.velocity / 127) ** 1.3
        formants[inside] = np.array(VOWELS[str(vowel)], float)
        if consonant:
            _speak(noise, consonant, hit, rate, random)
            closing = (time >= start - _LEAD[consonant]) & (time < start - 0.004)
            level[closing] *= 0.3 if consonant == "m" else 0.02
    pitch = _held(pitch)
    formants = _smooth(formants, 8) * size
    voice = _voiced(pitch, _smooth(level[:, None], 3)[:, 0], formants, frames, rate)
    return np.asarray(np.stack([voice + noise] * 2), np.float32)


def _voiced(pitch: Floats, level: Floats, formants: Floats, frames: int, rate: int) -> Floats:
    at = np.arange(frames) * (CONTROL / rate)
    marks = np.arange(len(pitch))
    hz = 440.0 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * np.cumsum(np.interp(at, marks, hz)) / rate
    top = 0.45 * min(rate, 20_000)
    gains = []
    for k in range(1, int(top / hz.min()) + 1):
        own = k * hz
        gain = np.where(own < top, 1.0 / k, 0.0)
        for number, width in enumerate(WIDTHS):
            centre = formants[:, number]
            # One resonance of the cascade: unity far below it.
            gain = gain * centre**2 / np.sqrt((centre**2 - own**2) ** 2 + (width * own) ** 2)
        gains.append(gain)
    # All vowels alike in power: singers even them out, and recordings more so.
    even = level / np.sqrt(np.sum(np.square(gains), axis=0))
    out = np.zeros(frames)
    for k, gain in enumerate(gains, start=1):
        out += np.interp(at, marks, gain * even) * np.sin(k * phase)
    return out


def _speak(noise: Floats, consonant: str, hit: Hit, rate: int, random: np.random.Generator) -> None:
    """Add the breath of a consonant before the note."""
    if consonant == "m":
        return
    length = round(_LEAD[consonant] * rate)
    start = hit.frame - length
    if start < 0:
        return
    burst = np.diff(random.standard_normal(length + 1))  # the breath is bright
    shape = np.hanning(length) if consonant == "s" else np.exp(-np.arange(length) / (0.004 * rate))
    noise[start : hit.frame] += 0.03 * burst * shape * hit.velocity / 127


def _held(pitch: Floats) -> Floats:
    """Pitch where nothing is sung: that of the note before, or of the first."""
    sung = np.flatnonzero(pitch)
    if not len(sung):
        return np.full(len(pitch), 60.0)
    last = np.maximum.accumulate(np.where(pitch > 0, np.arange(len(pitch)), sung[0]))
    return np.asarray(pitch[last])


def _smooth(values: Floats, width: int) -> Floats:
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(values, width, axis=0, mode="nearest"))
