"""What was made fast gives what the plain way gives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dsp.peaks import block_peaks
from models.api import TempoSpan
from models.band.sound.effects.clip import soft_clip
from models.band.sound.effects.dynamics import falling_maximum
from models.band.sound.effects.space import fast_length
from models.band.sound.effects.tone import Band, biquad, butterworth, run_filter
from models.band.sound.pitching import control_block, lowpassed
from models.band.sound.synth.sweep import ringing
from models.timing import CellClock

RATE = 48_000


def noise(*shape):
    return np.random.Generator(np.random.PCG64(5)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 1023, 1024, 5000, 200_001])
def test_a_filter_that_leaves_silence_out_is_the_filter(frames):
    from scipy.signal import sosfilt

    x = noise(2, frames) * ((np.arange(frames) // 12_000) % 3 == 1).astype(np.float32)
    sections = np.array([biquad(Band("highpass", 30.0), RATE), biquad(Band("highshelf", 8000.0, 4.0), RATE)])
    plain = sosfilt(sections, x.astype(np.float64), axis=1)
    assert np.abs(run_filter(sections, x) - plain).max() <= 1e-6 * np.abs(plain).max()  # -120 dB


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 640, 30_011])
def test_a_moving_filter_is_that_of_one_call_a_block(frames):
    from scipy.signal import lfilter

    x, block = noise(frames), control_block(RATE)
    hertz = 300.0 * 2.0 ** (4.0 * np.abs(np.sin(np.arange(-(-frames // block)) / 40.0)))
    state, plain = np.zeros(2), []
    for row, at in enumerate(range(0, frames, block)):
        omega, q = 2 * np.pi * hertz[row] / RATE, 10 ** ((6.0 - 3.01) / 20)
        alpha, side = np.sin(omega) / (2 * q), (1 - np.cos(omega)) / 2 / np.sqrt(q)
        b, a = np.array([side, 2 * side, side]), np.array([1 + alpha, -2 * np.cos(omega), 1 - alpha])
        out, state = lfilter(b / a[0], a / a[0], x[at : at + block].astype(np.float64), zi=state)
        plain.append(out)
    assert np.abs(lowpassed(x, hertz, 6.0, RATE) - np.concatenate(plain)).max() < 1e-5


@pytest.mark.parametrize("frames", [1, 64, 100, 20_000])
def test_ringing_partials_are_decaying_sines(frames):
    hz, decay, level, angle = (np.array(v) for v in ([440.0, 3301.5], [3.0, 11.0], [0.5, 0.2], [0.3, 1.7]))
    seconds = np.arange(frames)[:, None] / RATE
    plain = (level * np.exp(-decay * seconds) * np.sin(2 * np.pi * hz * seconds + angle)).sum(axis=1)
    turning = (-decay + 2j * np.pi * hz) / RATE
    assert np.abs(ringing(turning, level * np.exp(1j * angle), frames) - plain).max() < 1e-9


@pytest.mark.parametrize("bpm", ["120", "87.5", "127.125", "61"])
def test_a_steady_clock_counts_frames_as_fractions_do(bpm):
    tempo, offset = Fraction(bpm), Fraction(-1, 144_001)
    halves = (Fraction(4), Fraction(12))  # the same tempo in two spans takes the general way
    steady = CellClock([TempoSpan(Fraction(0), Fraction(16), tempo, tempo)], RATE, offset)
    general = CellClock(
        [TempoSpan(start, beats, tempo, tempo) for start, beats in zip((Fraction(0), halves[0]), halves, strict=True)],
        RATE, offset,
    )  # fmt: skip
    for tick in range(-960, 20 * 960, 7):
        assert steady.frame(Fraction(tick, 960)) == general.frame(Fraction(tick, 960))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("kind", "hz"),
    [("lowpass", 900.0), ("highpass", 2500.0), ("bandpass", (60.0, 11_000.0)), ("bandpass", (1500.0, 1600.0))],
)
def test_butterworth_filters_are_scipys(kind, hz, order):
    from scipy import signal

    turns = np.linspace(1e-3, np.pi - 1e-3, 500)
    _, plain = signal.sosfreqz(signal.butter(order, hz, kind, fs=RATE, output="sos"), turns)
    _, ours = signal.sosfreqz(butterworth(kind, hz, RATE, order), turns)
    assert np.abs(ours - plain).max() < 1e-9


@pytest.mark.parametrize("frames", [1, 7, 8191, 8192, 20_001])
def test_clipping_by_matrices_is_clipping_tap_by_tap(frames):
    from scipy.signal import firwin2

    k = np.arange(8) + 0.5
    between = np.sinc(k) * np.i0(7.0 * np.sqrt(1 - (k / 8) ** 2))
    up = np.concatenate([between[::-1], between]) / (2 * between.sum())
    f = np.linspace(0.0, 1.0, 65)
    down = firwin2(32, f, np.where(f <= 0.46, 1.0 / np.cos(np.pi * f / 2), 0.0), window="hamming")
    u = np.pad(3.0 * noise(1, frames)[0].astype(np.float64), 64)
    twice = np.stack([u, np.convolve(u, up)[8 : 8 + len(u)]], axis=1).reshape(-1)  # between a frame and the next
    slope = np.sqrt(1 + twice**2)
    mean = (twice[1:] + twice[:-1]) / (slope[1:] + slope[:-1])
    plain = np.convolve(mean, down / down.sum())[15 : 15 + 2 * len(u) : 2][64 : 64 + frames]
    assert np.abs(soft_clip(noise(1, frames), 3.0)[0] - plain).max() < 1e-5


@pytest.mark.parametrize("frames", [0, 1, 23, 24, 20_001])
@pytest.mark.parametrize("block", [1, 5, 22, 24, 96])
def test_peaks_of_blocks(frames, block):
    for x in (noise(2, frames), noise(1, frames)):
        padded = np.pad(np.abs(x).max(axis=0), (0, -frames % block))
        assert np.array_equal(block_peaks(x, block), padded.reshape(-1, block).max(axis=1))


@pytest.mark.parametrize("decay", [1e-3, 0.05, 3.0])
def test_a_falling_maximum_is_that_of_step_by_step(decay):
    values = np.maximum(noise(40_000), 0.0).astype(np.float64) * (np.arange(40_000) % 9000 < 2000)
    plain, highest = np.empty(len(values)), 0.0
    for step, value in enumerate(values):
        plain[step] = highest = max(value, highest * np.exp(-decay))
    assert np.allclose(falling_maximum(values, decay), plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 7, 4097, 88_200, 250_000])
def test_lengths_of_responses_suit_the_transform(frames):
    from scipy.fft import next_fast_len

    assert fast_length(frames) == next_fast_len(frames, real=True)
