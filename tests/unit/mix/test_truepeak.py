"""True peak against known waveforms and against full oversampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from studio.mix.arrays import Audio
from studio.mix.truepeak import REACH, TruePeakMeter, gap_peaks, true_peak, true_peak_dbtp
from tests.unit.mix.sounds import RATE, hits, noise, sine


def faded(audio: Audio) -> Audio:
    return audio * np.hanning(audio.shape[1]).astype(np.float32)


def test_a_quarter_rate_sine_between_its_samples() -> None:
    # BS.1770-4 Annex 2: at a quarter of the rate and 45 degrees every sample lies 3 dB below the peak.
    tone = faded(sine(RATE / 4, RATE, 0.5, phase=np.pi / 4))
    assert 20 * np.log10(np.abs(tone).max()) == pytest.approx(-9.03, abs=0.01)
    assert true_peak_dbtp(tone) == pytest.approx(-6.02, abs=0.05)


@pytest.mark.parametrize("hz", [100, 997, 5000, 11_025, 15_000, 18_000])
def test_a_sines_true_peak_is_its_amplitude(hz: float) -> None:
    assert true_peak_dbtp(faded(sine(hz, RATE, 0.5, phase=0.7))) == pytest.approx(-6.02, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_full_oversampling(seed: int) -> None:
    # Music has little above 18 kHz; there the interpolators of two meters may differ more.
    spectrum = np.fft.rfft(noise(RATE, 0.1, seed) + hits(RATE, 0.7, seed))
    spectrum[:, 18_000:] = 0
    audio = np.fft.irfft(spectrum, RATE).astype(np.float32)
    full = 20 * np.log10(np.abs(resample_poly(audio.astype(np.float64), 4, 1, axis=1)).max())
    assert true_peak_dbtp(audio) == pytest.approx(full, abs=0.05)


def test_skipping_windows_loses_nothing() -> None:
    audio = hits(RATE, 0.8)
    everything = gap_peaks(np.pad(audio, ((0, 0), (REACH, REACH))), 0.0)
    assert true_peak(audio) == pytest.approx(max(float(everything.max()), float(np.abs(audio).max())), rel=1e-6)


def test_pieces_of_any_size_give_the_same_reading() -> None:
    audio = noise(30_000)
    whole = true_peak(audio)
    for size in (1, 7, 33, 4096):
        piece = audio[:, :3000] if size == 1 else audio
        meter = TruePeakMeter()
        for start in range(0, piece.shape[1], size):
            meter.push(piece[:, start : start + size])
        expected = true_peak(piece) if size == 1 else whole
        assert meter.peak() == pytest.approx(expected, rel=1e-6)


def test_silence_and_nothing() -> None:
    assert true_peak_dbtp(np.zeros((2, 100), np.float32)) == float("-inf")
    assert true_peak_dbtp(np.zeros((2, 0), np.float32)) == float("-inf")
    assert true_peak(np.full((1, 1), -0.5, np.float32)) == pytest.approx(0.5, rel=1e-6)


def test_gaps_that_cannot_reach_the_floor_are_left_out_and_the_others_as_they_are() -> None:
    audio = noise(20_000)
    audio[:, 5_000:15_000] *= np.float32(0.01)
    padded = np.pad(audio, ((0, 0), (REACH, REACH)))
    everything, loud = gap_peaks(padded, 0.0), gap_peaks(padded, 0.2)
    # To the last bit but one: a row of a matrix product may be rounded otherwise in another place.
    np.testing.assert_allclose(loud[everything > 0.2], everything[everything > 0.2], rtol=0.0, atol=3e-7)
    assert not loud[6_000:14_000].any()
