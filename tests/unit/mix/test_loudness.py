"""Loudness against the specification's own figures and against pyloudnorm."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import sosfilt

from studio.mix.arrays import Audio
from studio.mix.errors import MixError
from studio.mix.loudness import LoudnessMeter, hop_energies, integrated_loudness, k_weighting
from tests.unit.mix.sounds import RATE, hits, noise, pink, sine


@pytest.mark.parametrize("rate", [44_100, 48_000, 88_200, 96_000])
def test_a_1_khz_tone_at_minus_23_reads_minus_23(rate: int) -> None:
    # EBU Tech 3341, test signal 1: a stereo tone of 1 kHz at -23 dBFS, within 0.1 LU.
    tone = sine(1000, 5 * rate, 10 ** (-23 / 20), rate)
    assert integrated_loudness(tone, rate) == pytest.approx(-23.0, abs=0.1)


def test_the_relative_gate_leaves_out_quiet_parts() -> None:
    # EBU Tech 3341, test signal 3: 10 s at -36, 60 s at -23, 10 s at -36 dBFS read -23 LUFS.
    loud, quiet = sine(1000, 60 * RATE, 10 ** (-23 / 20)), sine(1000, 10 * RATE, 10 ** (-36 / 20))
    assert integrated_loudness(np.concatenate((quiet, loud, quiet), axis=1), RATE) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("make", [pink, hits, lambda frames: sine(110, frames, 0.3)])
def test_agrees_with_pyloudnorm(make: Callable[[int], Audio], rate: int) -> None:
    audio = make(6 * rate + 1234)
    judge = pyloudnorm.Meter(rate, filter_class="DeMan")
    assert integrated_loudness(audio, rate) == pytest.approx(judge.integrated_loudness(audio.T), abs=0.05)


def test_agrees_with_pyloudnorms_own_filters_on_music_like_noise() -> None:
    audio = pink(6 * RATE)
    judged = pyloudnorm.Meter(RATE).integrated_loudness(audio.T)
    assert integrated_loudness(audio, RATE) == pytest.approx(judged, abs=0.05)


def test_pieces_of_any_size_give_the_same_reading() -> None:
    audio = noise(3 * RATE + 17)
    meter = LoudnessMeter(RATE)
    start = 0
    for size in (1, 4799, 4800, 4801, 70_000, 10**6):
        meter.push(audio[:, start : start + size])
        start += size
    assert meter.integrated() == pytest.approx(integrated_loudness(audio, RATE), abs=1e-9)
    assert len(meter.hop_energies()) == audio.shape[1] // (RATE // 10)


def test_mono_is_three_decibels_below_the_same_in_stereo() -> None:
    audio = noise(RATE)
    audio[1] = audio[0]
    difference = integrated_loudness(audio, RATE) - integrated_loudness(audio[:1], RATE)
    assert difference == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 100, RATE])
def test_silence_is_minus_infinity(frames: int) -> None:
    assert integrated_loudness(np.zeros((2, frames), np.float32), RATE) == float("-inf")


def test_audio_shorter_than_a_block_is_measured_over_its_own_length() -> None:
    short, long = sine(1000, RATE // 4, 0.1), sine(1000, 4 * RATE, 0.1)
    assert integrated_loudness(short, RATE) == pytest.approx(integrated_loudness(long, RATE), abs=0.2)


@pytest.mark.parametrize(
    "audio",
    [np.zeros(10, np.float32), np.zeros((3, 10), np.float32), np.zeros((2, 10), np.float64)],
)
def test_other_shapes_and_types_are_refused(audio: np.ndarray) -> None:
    with pytest.raises(MixError, match=r"shape|float32"):
        integrated_loudness(audio, RATE)


@pytest.mark.parametrize("hop", [60, 4800, 50_000])
def test_energies_are_those_of_every_hop_to_the_last(hop: int) -> None:
    audio = noise(2 * RATE + 123)
    weighted = sosfilt(k_weighting(RATE), audio.astype(np.float64))
    plain = np.add.reduceat(np.sum(weighted**2, axis=0), np.arange(0, audio.shape[1], hop))
    np.testing.assert_allclose(hop_energies(audio, RATE, hop), plain, rtol=1e-5)
