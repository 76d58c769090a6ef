"""The limiter: transparent below the ceiling, exact at it, smooth around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from studio.mix.arrays import Audio, from_db
from studio.mix.errors import MixError
from studio.mix.limiter import LOOK_AHEAD_S, RELEASE_DB_PER_S, gain_regions, limit
from studio.mix.truepeak import true_peak_dbtp
from tests.unit.mix.sounds import RATE, hits, noise, sine


def test_audio_below_the_ceiling_comes_back_itself() -> None:
    audio = hits(RATE, 0.5)
    assert limit(audio, RATE, true_peak_dbtp(audio) + 0.01) is audio
    assert limit(audio, RATE, float("inf")) is audio


@pytest.mark.parametrize("ceiling_db", [-1.0, -6.0, -12.0])
@pytest.mark.parametrize("make", [hits, lambda n: sine(45, n), lambda n: sine(15_000, n), noise])
def test_peaks_and_true_peaks_meet_the_ceiling(make: Callable[[int], Audio], ceiling_db: float) -> None:
    audio = make(RATE)
    out = limit(audio, RATE, ceiling_db)
    assert out is not audio
    assert float(np.abs(out).max()) <= from_db(ceiling_db)
    assert true_peak_dbtp(out) <= ceiling_db + 0.1


def test_far_from_a_peak_not_a_bit_changes() -> None:
    audio = sine(440, RATE, 0.25)
    audio[:, 20_000] = 1.0
    out = limit(audio, RATE, -1.0)
    changed = np.flatnonzero((out != audio).any(axis=0))
    reduction_db = 1.0 + 0.5
    assert changed.min() >= 20_000 - 2 * RATE * 0.002 - 20
    assert changed.max() <= 20_000 + RATE * (0.02 + reduction_db / RELEASE_DB_PER_S)


def test_the_gain_has_no_steps() -> None:
    audio = hits(RATE, 1.0)
    depth = 1.0 - from_db(-12.0)
    fastest = depth / (RATE * LOOK_AHEAD_S / 2)
    for region in gain_regions(audio, RATE, -12.0):
        assert float(np.abs(np.diff(region.gain)).max()) <= 1.5 * fastest
        if region.start:
            assert region.gain[0] == 1.0


def test_a_peak_on_the_first_frame_is_caught() -> None:
    audio = np.zeros((2, 1000), np.float32)
    audio[:, 0] = audio[:, -1] = 1.0
    out = limit(audio, RATE, -6.0)
    assert float(np.abs(out).max()) <= from_db(-6.0)
    assert float(out[0, 0]) == pytest.approx(from_db(-6.0), abs=0.01)


def test_both_channels_get_one_gain() -> None:
    audio = hits(RATE, 1.0)
    audio[1] = audio[0] * np.float32(0.5)
    out = limit(audio, RATE, -6.0)
    np.testing.assert_allclose(out[1], out[0] * 0.5, atol=1e-7)


def test_a_long_take_is_limited_as_its_parts_are() -> None:
    # 200,000 frames cross the blocks in which peaks are sought and reductions let go.
    audio = np.tile(hits(50_000, 1.0), 4)
    out = limit(audio, RATE, -9.0)
    assert float(np.abs(out).max()) <= from_db(-9.0)
    shifted = limit(np.pad(audio, ((0, 0), (777, 0))), RATE, -9.0)
    np.testing.assert_allclose(shifted[:, 777:], out, atol=1e-6)


@pytest.mark.parametrize("ceiling_db", [-61.0, 61.0, float("nan"), float("-inf")])
def test_a_ceiling_outside_the_limits_is_refused(ceiling_db: float) -> None:
    with pytest.raises(MixError, match="between -60 and 60"):
        limit(noise(10), RATE, ceiling_db)
