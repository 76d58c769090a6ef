"""How well onsets sit on the bars, and on which grid: right where there is one, nothing where there is none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.measure import (
    CLEAR,
    LEAST_SWING,
    MOST_SWING,
    GridFit,
    measure,
    measure_on,
    robust_slope,
    turns,
    weighted_quantile,
)
from studio.align.values import BeatMap, Onsets
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, parse_tempo_map

RATE = 48000
Floats = NDArray[np.float64]


def grid(bpm: str = "120", meter: str = "4/4", bars: int = 8) -> Grid:
    return Grid.steady(bpm, Meter.parse(meter), bars, RATE)


def onsets(seconds: Floats, strength: Floats | float = 1.0, sharpness: Floats | float = 1.0) -> Onsets:
    ones = np.ones(len(seconds))
    return Onsets(seconds, ones * strength, 0 * ones, ones * sharpness)


def measured(target: Grid, beats: Floats, noise_ms: float = 1.0, seed: int = 1, late_ms: float = 0.0) -> GridFit:
    """Onsets at these beats, a normal error off."""
    generator = np.random.default_rng(seed)
    frames = target.frame_at(beats) + RATE / 1000 * (late_ms + generator.normal(0, noise_ms, len(beats)))
    return measure(onsets(frames / RATE), frames, target)


def every(step: float, beats: float = 32.0) -> Floats:
    return np.arange(0, beats - 1e-9, step)


@pytest.mark.parametrize(
    ("name", "step"),
    [("quarter", 1.0), ("eighth", 1 / 2), ("triplet", 1 / 3), ("sixteenth", 1 / 4), ("sextuplet", 1 / 6)],
)
@pytest.mark.parametrize("bpm", ["70", "120", "180"])
def test_the_smallest_grid_is_found(name: str, step: float, bpm: str) -> None:
    fit = measured(grid(bpm), every(step))
    assert fit.step is not None
    assert (fit.step.name, fit.step.swing) == (name, None)
    assert fit.clear
    assert fit.errors is not None
    assert fit.errors.count == len(every(step))
    assert 0.4 < fit.errors.median_ms < 1.0
    assert 1.5 < fit.errors.p95_ms < 2.6


@pytest.mark.parametrize("swing", [54.0, 58.0, 62.0, 66.7, 72.0])
@pytest.mark.parametrize(("name", "pair"), [("eighth", 1.0), ("sixteenth", 0.5)])
def test_swing_is_measured_and_is_no_error(swing: float, name: str, pair: float) -> None:
    on = every(pair)
    beats = np.sort(np.concatenate([on, on + pair * swing / 100]))
    fit = measured(grid("92"), beats)
    assert fit.step is not None
    assert fit.step.name == name
    assert fit.step.swing == pytest.approx(swing, abs=0.8)
    assert fit.errors is not None
    assert fit.errors.p95_ms < 3.0


def test_swing_stays_within_what_it_may_be() -> None:
    for late in (0.5, 0.505, 0.8):
        fit = measured(grid("92"), np.sort(np.concatenate([every(1.0), every(1.0) + late])))
        swing = None if fit.step is None else fit.step.swing
        assert swing is None or LEAST_SWING <= swing <= MOST_SWING


@pytest.mark.parametrize("count", [4, 8, 16, 40, 200])
@pytest.mark.parametrize("meter", ["4/4", "7/8", "6/8"])
def test_onsets_anywhere_follow_no_grid(count: int, meter: str) -> None:
    """However fine a grid: what lies anywhere does not follow it. Chance is given 60 tries."""
    generator = np.random.default_rng(count)
    for bpm in (70, 110, 180):
        target = grid(str(bpm), meter)
        for _ in range(20):
            seconds = np.sort(generator.uniform(0, target.frames / RATE, count))
            fit = measure(onsets(seconds, generator.uniform(0.02, 1, count)), seconds * RATE, target)
            assert fit.evidence < CLEAR
            assert not fit.clear


def test_a_pulse_at_another_tempo_follows_no_grid() -> None:
    seconds = np.arange(0, 16, 60 / 97.3)
    assert not measure(onsets(seconds), seconds * RATE, grid("120")).clear


def test_what_was_moved_to_the_grid_piece_by_piece_proves_nothing() -> None:
    """Random attacks, each warped to a beat of its own, agree with the grid perfectly."""
    frames = grid().frame_at(every(1.0))
    assert measure(onsets(frames / RATE), frames, grid()).clear
    fit = measure(onsets(frames / RATE), frames, grid(), free=len(frames))
    assert (fit.clear, fit.step) == (False, None)


def test_a_late_sound_is_late_and_not_a_finer_grid() -> None:
    fit = measured(grid(), every(0.5), late_ms=9.0)
    assert fit.bias_ms == pytest.approx(9.0, abs=0.5)
    assert fit.errors is not None
    assert fit.errors.median_ms == pytest.approx(9.0, abs=0.5)


@pytest.mark.parametrize("drift_ms", [-30.0, 0.0, 12.0])
def test_drift_is_measured_through_outliers(drift_ms: float) -> None:
    beats = every(0.5)
    frames = grid().frame_at(beats) + np.linspace(0, drift_ms, len(beats)) * RATE / 1000
    frames[::9] += 0.02 * RATE
    assert measure(onsets(frames / RATE), frames, grid()).drift_ms == pytest.approx(drift_ms, abs=2.0)


def test_ghosts_weigh_little() -> None:
    """A quarter of the onsets lie anywhere, but are as soft as hiss."""
    generator = np.random.default_rng(2)
    true, ghosts = every(0.5) / 2, generator.uniform(0, 16, 20)
    seconds = np.concatenate([true, ghosts])
    strength = np.concatenate([np.ones(len(true)), np.full(len(ghosts), 0.02)])
    order = np.argsort(seconds)
    fit = measure(onsets(seconds[order], strength[order]), seconds[order] * RATE, grid())
    assert fit.errors is not None
    assert fit.errors.p95_ms < 0.1
    assert str(fit.step) == "eighth"
    assert fit.attacks == pytest.approx(len(true), abs=2)


def test_swells_are_no_attacks() -> None:
    frames = grid().frame_at(every(1.0))
    assert measure(onsets(frames / RATE, 1.0, 0.1), frames, grid()).attacks == 0


def test_a_stretch_that_leaves_the_grid_shows() -> None:
    beats = every(0.5)
    frames = grid().frame_at(beats)
    frames[20:36] += 0.02 * RATE
    fit = measure(onsets(frames / RATE), frames, grid())
    assert fit.worst_ms == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize(("meter", "step", "name"), [("7/8", 0.5, "eighth"), ("5/4", 1.0, "quarter"),
                                                     ("6/8", 1.5, "dotted quarter"), ("6/8", 0.5, "eighth"),
                                                     ("7/16", 0.25, "sixteenth")])  # fmt: skip
def test_every_bar_line_is_on_the_grid(meter: str, step: float, name: str) -> None:
    """Steps are counted from each bar line: bars of 3.5 beats have a bar line off the beats."""
    target = grid("100", meter, 12)
    starts = [float(start) for start in target.bar_starts[:-1]]
    beats = np.concatenate([start + np.arange(0, float(target.meter.bar_beats) - 1e-9, step) for start in starts])
    fit = measured(target, beats)
    assert str(fit.step) == name
    assert fit.errors is not None
    assert fit.errors.p95_ms < 3.0


def test_a_pickup_and_what_follows_the_bars_lie_on_the_grid_too() -> None:
    fit = measured(grid(), every(0.5, 44.0) - 2.0)
    assert fit.errors is not None
    assert fit.errors.max_ms < 5.0


def test_a_moving_tempo_is_followed() -> None:
    starts = [4 * k for k in range(9)]
    tempo = TempoMap.build(parse_tempo_map("1=90 3=90..130"), [Fraction(start) for start in starts])
    target = Grid(RATE, (Meter(),) * 8, tempo)
    fit = measured(target, every(0.5))
    assert str(fit.step) == "eighth"
    assert fit.clear


def played(pattern: list[float], bars: int) -> Onsets:
    """Strengths for every sixteenth of a bar in 4/4 at 120 BPM, over and over."""
    strength = np.tile(pattern, bars)
    struck = np.flatnonzero(strength)
    return onsets(struck / 8, strength[struck])


BEAT = [1.0, 0, 0.2, 0.6, 0.7, 0, 0.2, 0, 0.2, 0, 0.9, 0, 0.7, 0, 0.2, 0.4]


@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(3, 4), Fraction(2, 3), Fraction(3, 2)])
def test_a_sound_that_repeats_with_other_bars_is_found_out(ratio: Fraction) -> None:
    """Counted at a simple ratio to its tempo its onsets fall on a grid all the same."""
    sound = played(BEAT, 12)
    at = sound.seconds * RATE * float(ratio)
    fit = measure(sound, at, grid())
    assert fit.rival == ratio
    assert measure(sound, sound.seconds * RATE, grid()).rival is None


def test_what_repeats_with_its_bars_or_not_at_all_has_no_rival() -> None:
    generator = np.random.default_rng(5)
    for pattern in ([1.0, 0.0] * 8, [1.0, 0, 0, 0.5, 0, 0, 0.5, 0, 1.0, 0, 0, 0.5, 0, 0, 0.5, 0]):
        sound = played(pattern, 8)
        assert measure(sound, sound.seconds * RATE, grid()).rival is None
    sound = played((generator.uniform(0, 1, 128) * (generator.uniform(0, 1, 128) < 0.5)).tolist(), 1)
    assert measure(sound, sound.seconds * RATE, grid()).rival is None
    short = played(BEAT, 1)
    assert measure(short, short.seconds * RATE, grid()).rival is None


def test_no_onsets_and_few_onsets() -> None:
    nothing = np.zeros(0)
    fit = measure(onsets(nothing), nothing, grid())
    assert (fit.step, fit.errors, fit.attacks) == (None, None, 0.0)
    for count in (1, 2, 3):
        frames = grid().frame_at(every(1.0, count))
        fit = measure(onsets(frames / RATE), frames, grid())
        assert fit.errors is not None
        assert fit.errors.count == count
        assert fit.attacks == count


def test_errors_to_a_given_grid() -> None:
    frames = grid().frame_at(every(0.5))
    fit = measure(onsets(frames / RATE), frames, grid())
    late = measure_on(fit.step, onsets(frames / RATE), frames + 480, grid())
    assert late is not None
    assert late.median_ms == pytest.approx(10.0, abs=0.01)
    assert measure_on(None, onsets(np.zeros(0)), np.zeros(0), grid()) is None


def test_turns_are_counted_where_the_tempo_changes() -> None:
    beats = np.arange(65.0)
    steady = BeatMap(0.5 * beats, beats)
    assert turns(steady) == 0
    generator = np.random.default_rng(1)
    assert turns(BeatMap(0.5 * beats + generator.uniform(-0.0005, 0.0005, 65), beats)) == 0
    assert turns(BeatMap(np.cumsum(np.where(beats < 32, 0.5, 0.52)), beats)) == 1
    ramp = BeatMap(0.5 * beats + 0.0002 * beats**2, beats)
    assert 4 <= turns(ramp) <= 12
    assert turns(BeatMap(0.5 * beats + generator.uniform(-0.05, 0.05, 65), beats)) > 40


def test_a_quantile_counts_weights() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_quantile(values, np.ones(3), 0.5) == 2.0
    assert weighted_quantile(values, np.array([10.0, 1.0, 1.0]), 0.5) == 3.0
    assert weighted_quantile(values, np.array([1.0, 1.0, 10.0]), 0.95) == 3.0


def test_a_slope_stands_outliers_and_many_points() -> None:
    x = np.linspace(0, 100, 5000)
    y = 0.25 * x
    y[::5] += 40
    assert robust_slope(x, y, np.ones(len(x))) == pytest.approx(0.25, abs=0.01)
    assert robust_slope(np.ones(4), np.arange(4.0), np.ones(4)) == 0.0
