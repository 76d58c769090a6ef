"""The gain curve: linear between its nodes, low enough for every hop, without a click; and giving way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dsp.peaks import block_peaks
from studio.mix.arrays import from_db
from studio.mix.curve import (
    MOST_GIVEN_WAY_DB,
    RELEASE_DB_PER_S,
    Curve,
    attack_nodes,
    curve_hop,
    giving_way,
    highest_in_hops,
    limiting_nodes,
)
from studio.mix.errors import MixError
from tests.unit.mix.sounds import RATE, hits, noise, pink, sine

NODES_PER_S = RATE / curve_hop(RATE)


def test_a_curve_is_linear_between_its_nodes_and_holds_its_ends() -> None:
    curve = Curve(np.array([0.5, 1.0, 0.25], np.float32), 4)
    line = [0.5, 0.5, 0.5, 0.625, 0.75, 0.875, 1.0, 0.8125, 0.625, 0.4375, 0.25, 0.25, 0.25]
    np.testing.assert_array_equal(curve.gains(-2, 13), line)
    np.testing.assert_array_equal(curve.gains(100, 2), [0.25, 0.25])
    assert curve.gains(3, 0).shape == (0,)
    assert curve.reduction_db == pytest.approx(12.04, abs=0.01)


def test_blocks_of_any_size_give_the_same_bits() -> None:
    nodes = np.random.Generator(np.random.PCG64(4)).uniform(0.2, 1.0, 50).astype(np.float32)
    curve = Curve(nodes, 60)
    whole = curve.gains(-100, 3500)
    for cuts in ([-100, 3400], range(-100, 3401, 7), [-100, 0, 1, 59, 60, 61, 2000, 3400]):
        parts = [curve.gains(a, b - a) for a, b in pairwise([*cuts, 3400])]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("rate", "hop"), [(8_000, 10), (11_025, 15), (44_100, 60), (48_000, 60), (88_200, 120), (96_000, 120), (48_001, 60)]
)
def test_the_usual_rates_divide_into_whole_hops(rate: int, hop: int) -> None:
    assert curve_hop(rate) == hop


def test_a_rate_outside_the_limits_is_refused() -> None:
    with pytest.raises(MixError, match="sample rate"):
        curve_hop(100)


@pytest.mark.parametrize("frames", [1, 59, 60, 61, 1000])
def test_hop_peaks_are_the_highest_magnitudes(frames: int) -> None:
    audio = noise(frames)
    expected = [np.abs(audio[:, start : start + 60]).max() for start in range(0, frames, 60)]
    np.testing.assert_array_equal(block_peaks(audio, 60), np.array(expected, np.float32))


def test_the_nodes_hold_every_hop_to_the_ceiling_and_do_nothing_below_it() -> None:
    peaks = block_peaks(hits(2 * RATE, 1.0), 60)
    nodes = limiting_nodes(peaks, 0.5, NODES_PER_S)
    assert len(nodes) == len(peaks) + 1
    assert float((highest_in_hops(nodes) * peaks).max()) <= 0.5 * (1 + 1e-6)
    assert float((highest_in_hops(nodes) * peaks).max()) == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_array_equal(limiting_nodes(peaks, 1.0 + float(peaks.max()), NODES_PER_S), 1.0)


def test_a_lone_peak_is_met_by_a_short_attack_and_a_straight_release() -> None:
    peaks = np.zeros(800, np.float32)
    peaks[400] = 1.0
    reduction = -20 * np.log10(limiting_nodes(peaks, 0.5, NODES_PER_S).astype(np.float64))
    width = attack_nodes(NODES_PER_S)
    assert reduction.max() == pytest.approx(6.02, abs=0.01)
    assert not reduction[: 401 - width].any()
    assert float(np.diff(reduction).max()) <= 6.03 / width
    assert float(-np.diff(reduction).min()) <= RELEASE_DB_PER_S / NODES_PER_S + 1e-4
    released = np.flatnonzero(reduction[400:] < 0.01)[0] / NODES_PER_S
    assert released == pytest.approx(6.02 / RELEASE_DB_PER_S, abs=0.01)


def test_a_peak_on_the_first_and_the_last_hop_is_caught() -> None:
    peaks = np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0], np.float32)
    nodes = limiting_nodes(peaks, 0.5, NODES_PER_S)
    assert float((highest_in_hops(nodes) * peaks).max()) <= 0.5 * (1 + 1e-6)
    assert float(limiting_nodes(np.ones(1, np.float32), 0.5, NODES_PER_S).max()) == pytest.approx(0.5)


def test_giving_way_brings_the_sum_below_the_ceiling_and_touches_nothing() -> None:
    sound, others = hits(RATE, 0.8, 1), sine(55, RATE, 0.6)
    before = sound.copy(), others.copy()
    ceiling = from_db(-1.2)
    assert float(np.abs(sound + others).max()) > ceiling
    curve = giving_way(sound, [others], ceiling, RATE)
    assert curve is not None
    assert float(np.abs(sound * curve.gains(0, RATE) + others).max()) <= ceiling * (1 + 1e-6)
    np.testing.assert_array_equal(sound, before[0])
    np.testing.assert_array_equal(others, before[1])


def test_a_sound_gives_way_to_each_company_it_is_heard_in() -> None:
    sound, stem = hits(RATE, 0.8, 1), sine(55, RATE, 0.6)
    mix = stem - np.float32(0.7) * stem  # another stem cancels most of this one
    ceiling = from_db(-1.2)
    curve = giving_way(sound, [stem, mix], ceiling, RATE)
    assert curve is not None
    for company in (stem, mix):
        assert float(np.abs(sound * curve.gains(0, RATE) + company).max()) <= ceiling * (1 + 1e-6)
    alone = giving_way(sound, [mix], ceiling, RATE)
    assert alone is None or alone.reduction_db < curve.reduction_db


def test_nothing_to_do_is_none() -> None:
    sound, others = pink(RATE, 0.05, 1), pink(RATE, 0.05, 2)
    assert giving_way(sound, [others], 0.9, RATE) is None
    assert giving_way(sound, [], 0.9, RATE) is None
    # Where the sound is silent or takes from the sum, giving way would not help.
    loud = np.full((2, RATE), 0.95, np.float32)
    assert giving_way(np.zeros((2, RATE), np.float32), [loud], 0.9, RATE) is None
    assert giving_way(np.full((2, RATE), -0.02, np.float32), [loud], 0.9, RATE) is None
    assert giving_way(np.full((2, RATE), 1e-41, np.float32), [loud], 0.9, RATE) is None  # subnormal: a tail's last


def test_company_too_loud_by_itself_takes_the_sound_down_no_further_than_is_of_use() -> None:
    sound, others = np.full((2, 4800), 0.3, np.float32), np.full((2, 4800), 0.95, np.float32)
    curve = giving_way(sound, [others], 0.9, RATE)
    assert curve is not None
    assert curve.reduction_db == pytest.approx(MOST_GIVEN_WAY_DB, abs=0.01)


def test_a_mono_sound_gives_way_in_stereo_company() -> None:
    sound, others = sine(80, 4800, 0.5)[:1], sine(80, 4800, 0.6)
    curve = giving_way(sound, [others], 0.9, RATE)
    assert curve is not None
    assert float(np.abs(sound * curve.gains(0, 4800) + others).max()) <= 0.9 * (1 + 1e-6)
