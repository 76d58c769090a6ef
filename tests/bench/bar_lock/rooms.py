"""What lies between a performance and a file: rooms, noise floors, channels, sixteen bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.band.sound.effects import reverb

Audio = NDArray[np.float32]

NOISES = ("white", "pink", "hum")


def in_room(audio: Audio, rate: int, kind: str, seconds: float, level: float) -> Audio:
    """The dry sound with a space around it, `level` times as loud; the dry sound is not delayed."""
    return audio + np.float32(level) * reverb(audio, rate, kind, seconds)


def noise(frames: int, rate: int, colour: str, random: np.random.Generator) -> Audio:
    """(2, frames) of unit RMS: white or pink noise, or a mains hum with hiss."""
    white = random.standard_normal((2, frames))
    if colour == "pink":
        spectrum = np.fft.rfft(white, axis=1)
        hz = np.fft.rfftfreq(frames, 1.0 / rate)
        white = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 20.0)), frames, axis=1)
    elif colour == "hum":
        time = np.arange(frames) / rate
        hum = sum(np.sin(2 * np.pi * 50.0 * k * time + 2 * np.pi * random.random()) / k for k in (1, 2, 3, 5))
        white = 0.5 * white + hum
    return np.asarray(white / np.sqrt(np.mean(white**2)), np.float32)


def with_noise(audio: Audio, rate: int, snr: float, colour: str, random: np.random.Generator) -> Audio:
    """Noise from the first frame to the last, `snr` dB below the RMS of the sounding part of (2, frames)."""
    power = np.mean(audio**2, axis=0)
    sounding = power > 1e-4 * power.max()
    rms = float(np.sqrt(power[sounding].mean()))
    return audio + np.float32(rms * 10 ** (-snr / 20)) * noise(audio.shape[1], rate, colour, random)


def as_file(audio: Audio, channels: int, peak_db: float) -> Audio:
    """Mono or stereo with this sample peak, on the steps of a 16-bit file."""
    if channels == 1:
        audio = audio.mean(axis=0, keepdims=True)
    audio = audio * np.float32(10 ** (peak_db / 20) / np.abs(audio).max())
    return np.asarray(np.rint(audio * 32768) / 32768, np.float32)
