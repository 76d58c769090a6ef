"""Filters as matrix products give what a filter gives, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import sosfilt

from dsp.filters import CHUNK, Cascade, run
from models.band.sound.effects.tone import Band, biquad
from studio.mix.loudness import k_weighting

RATES = (44_100, 48_000, 96_000)
CASCADES = {
    "low corner": [Band("highpass", 20.0)],
    "high corner": [Band("lowpass", 20_000.0)],
    "resonant": [Band("highpass", 40.0, q=10.0), Band("lowpass", 3000.0, q=20.0)],
    "shelves": [Band("lowshelf", 120.0, -9.0), Band("highshelf", 6000.0, 12.0), Band("peak", 900.0, 6.0, 2.0)],
    "two turns": [Band("highpass", 30.0), *(Band("peak", hz, 5.0, 1.5) for hz in (80.0, 300.0, 1200.0, 5000.0))],
}


def noise(*shape: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(5)).standard_normal(shape)


def sections(name: str, rate: int) -> np.ndarray:
    return np.array([biquad(band, rate) for band in CASCADES[name]])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", CASCADES)
def test_a_cascade_is_the_plain_recursion(name: str, rate: int) -> None:
    x = noise(2, 2 * CHUNK + 777)
    plain = sosfilt(sections(name, rate), x)
    np.testing.assert_allclose(run(sections(name, rate), x), plain, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 2, 31, 32, 33, 4095, 4096, 4097, CHUNK - 1, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("channels", [1, 2])
def test_sounds_of_any_length(frames: int, channels: int) -> None:
    x, filters = noise(channels, frames), k_weighting(48_000)
    np.testing.assert_allclose(run(filters, x), sosfilt(filters, x) if frames else x, rtol=0.0, atol=1e-9)


def test_sections_of_the_first_order_and_without_memory() -> None:
    rows = np.array([[0.1, 0.0, 0.0, 1.0, -0.9, 0.0], [0.5, -0.5, 0.0, 1.0, 0.3, 0.0], [2.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    x = noise(1, 5000)
    np.testing.assert_allclose(run(rows, x), sosfilt(rows, x), rtol=0.0, atol=1e-12)


def test_few_digits_are_lost_even_at_a_low_resonance() -> None:
    """Against the recursion with 64 bits of mantissa, where the platform has them."""
    [[b0, b1, b2, _, a1, a2]] = rows = biquad(Band("highpass", 10.0, q=20.0), 96_000)[None]
    x = noise(1, 30_000)
    exact, one, two = [], np.longdouble(0.0), np.longdouble(0.0)
    for value in x[0].astype(np.longdouble):
        y = b0 * value + one
        one, two = b1 * value - a1 * y + two, b2 * value - a2 * y
        exact.append(y)
    if np.finfo(np.longdouble).nmant > 60:
        np.testing.assert_allclose(run(rows, x)[0], np.array(exact, np.float64), rtol=0.0, atol=1e-11)


def test_pieces_of_any_size_give_the_same_sound() -> None:
    x, rows = noise(2, 150_000).astype(np.float32), sections("two turns", 48_000)
    whole, cascade, pieces = run(rows, x), Cascade(rows, 2), []
    sizes = np.random.Generator(np.random.PCG64(6)).integers(1, 40_000, 40)
    for start, stop in zip(np.cumsum(sizes) - sizes, np.cumsum(sizes), strict=True):
        pieces.append(np.empty(x[:, start:stop].shape))
        cascade.run(x[:, start:stop], pieces[-1])
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=0.0, atol=1e-12)


def test_sounds_that_begin_alike_come_out_alike_to_the_bit() -> None:
    x, rows = noise(2, 3 * CHUNK).astype(np.float32), sections("shelves", 48_000)
    whole = run(rows, x)
    for frames in (1, 100, CHUNK - 5, CHUNK + 4000, 2 * CHUNK + 31):
        np.testing.assert_array_equal(run(rows, x[:, :frames]), whole[:, :frames])


def test_the_sound_itself_may_take_the_result() -> None:
    x, rows = noise(2, CHUNK + 99).astype(np.float32), sections("shelves", 48_000)
    wanted = run(rows, x).astype(np.float32)
    Cascade(rows, 2).run(x, x)
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("name", CASCADES)
def test_what_rings_on_in_silence_ends_at_zero_without_subnormal_numbers(name: str) -> None:
    rate = 48_000
    x = np.zeros((1, 30 * rate), np.float32)
    x[:, :1000] = noise(1, 1000)
    y = run(sections(name, rate), x)
    ringing = np.flatnonzero(y[0])
    assert np.abs(y[0, ringing]).min() > np.finfo(np.float64).tiny
    assert ringing[-1] < len(y[0]) - rate
    np.testing.assert_allclose(y, sosfilt(sections(name, rate), x.astype(np.float64)), rtol=0.0, atol=1e-9)
