"""Which bars of a sound go on which bars of the grid, and how."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from studio.align.fit import TOLERANCE_S, Plan, fit
from studio.align.grid import Grid
from studio.align.values import BeatMap, Heard, Material, Wish
from studio.song import Meter, TempoMap, TempoPoint
from tests.unit.align.bars import RATE, heard, steady

FOUR = Meter(4, 4)


def grid(bars: int = 4, bpm: str = "120", meter: Meter = FOUR) -> Grid:
    return Grid.steady(bpm, meter, bars, RATE)


def bars_of(bars: float, bpm: float = 120.0, zero: float = 0.0, tail: float = 0.0, meter: Meter = FOUR) -> Heard:
    """So many bars with an attack on every quarter, the first at `zero` seconds, and a tail in seconds."""
    beats = bars * float(meter.bar_beats)
    attacks = zero + np.arange(np.ceil(beats - 1e-9)) * 60 / bpm
    return heard(zero + beats * 60 / bpm + tail, steady(bpm, zero), attacks)


def planned(sound: Heard, bars: int = 4, fill: bool = True, loop: bool = False, on: Grid | None = None) -> Plan:
    return fit(sound, round(sound.seconds * RATE), Wish(on or grid(bars), loop=loop, fill=fill))


# -- how many bars -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0, 8.009, 10.0, 20.0])
def test_a_sound_ends_a_bar_inside_the_grid_or_past_it(seconds: float) -> None:
    assert Grid.steady("120", FOUR, 4, RATE).ends_bar(seconds)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 7.98, 8.02, 9.0])
def test_a_sound_does_not_end_with_a_bar(seconds: float) -> None:
    assert not Grid.steady("120", FOUR, 4, RATE).ends_bar(seconds)


@pytest.mark.parametrize(
    ("sound", "bars"),
    [
        (bars_of(8), 8),
        (bars_of(8, tail=1.3), 8),  # it rings
        (bars_of(8, tail=-0.1), 8),  # its last stroke is short
        (bars_of(8.1), 8),  # a machine went on for a moment
        (bars_of(7.6), 7),  # and here it stopped in mid-bar
        (bars_of(8, bpm=97.0, zero=0.4, tail=0.7), 8),
        (bars_of(0.5), 1),
        (bars_of(5, meter=Meter(3, 4)), 3),  # on a grid of fours
    ],
)
def test_a_sound_has_as_many_bars_as_it_fills(sound: Heard, bars: int) -> None:
    plan = planned(sound, fill=False)
    assert plan.own_bars == plan.grid.bars == bars
    assert plan.frames == grid(bars).frames


def test_a_pattern_that_rests_at_the_end_of_each_bar_is_whole_without_its_rest() -> None:
    beats = np.array([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])
    sound = heard(14.2 * 0.5, steady(120.0), beats * 0.5)
    assert planned(sound, fill=False).own_bars == 4


def test_chords_held_for_two_bars_count_two() -> None:
    attacks = np.array([0.0, 4.0, 8.0, 12.0])  # every second bar
    sound = heard(18.1, steady(120.0), attacks, Material.SUSTAINED)
    assert planned(sound, fill=False).own_bars == 8


def test_what_hisses_behind_the_last_bar_is_none() -> None:
    attacks = np.concatenate((np.arange(16) * 0.5, [8.6, 9.9, 11.3]))
    sound = heard(12.4, steady(120.0), attacks)
    weak = np.where(attacks > 8, 0.12, 1.0)
    object.__setattr__(sound.onsets, "strength", weak)
    object.__setattr__(sound.onsets, "sharpness", np.where(attacks > 8, 0.06, 1.0))
    assert planned(sound, fill=False).own_bars == 4


def test_the_number_that_is_asked_for_decides_what_the_sound_leaves_open() -> None:
    quiet_end = heard(16.0, steady(120.0), np.arange(26) * 0.5, last_sound=13.2)  # six and a half bars of eight
    assert planned(quiet_end, bars=8).own_bars == 8
    assert planned(quiet_end, bars=4).own_bars >= 7


def test_without_a_number_the_grid_goes_on_for_as_long_as_the_sound() -> None:
    plan = planned(bars_of(6), bars=1, fill=False)
    assert plan.grid.meters == (FOUR,) * 6


# -- repeating and trimming --------------------------------------------------------------------------------------


def places(plan: Plan) -> list[int]:
    """The bars at which pieces start, and the end."""
    lines = [plan.grid.exact_frame(line) for line in plan.grid.bar_starts]
    return [lines.index(piece.start) for piece in plan.pieces] + [lines.index(plan.pieces[-1].stop)]


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [(4, 16, [0, 4, 8, 12, 16]), (3, 8, [0, 3, 6, 8]), (1, 3, [0, 1, 2, 3]), (8, 4, [0, 4]), (5, 5, [0, 5])],
)
@pytest.mark.parametrize("bpm", ["120", "97.31"])
def test_phrases_are_repeated_and_trimmed_at_bar_lines(own: int, asked: int, expected: list[int], bpm: str) -> None:
    plan = planned(bars_of(own, bpm=111.0), on=grid(asked, bpm))
    assert places(plan) == expected
    assert plan.frames == grid(asked, bpm).frames
    for piece in plan.pieces:  # each begins with the sound's own bar 1
        assert abs(float(piece.warp.source_at(float(piece.start)))) < 1.0


def test_only_a_whole_last_bar_may_ring_on() -> None:
    ringing = bars_of(3, tail=1.0)
    rings = [piece.ring for piece in planned(ringing, bars=8).pieces]
    assert rings[0] == rings[1] == pytest.approx(1.0 * RATE, abs=2)
    assert rings[2] == 0
    assert planned(bars_of(8, tail=1.0), bars=4).pieces[0].ring == 0


def test_beats_are_laid_one_after_the_other_whatever_the_bars() -> None:
    meters = (FOUR, Meter(7, 8), Meter(3, 4), FOUR, Meter(5, 8), FOUR)
    odd = Grid(RATE, meters, TempoMap.constant("120"))
    plan = planned(bars_of(2, tail=0.2), on=odd)
    starts = [piece.start for piece in plan.pieces]
    assert starts[0] == 0
    assert all(a.stop == b.start for a, b in zip(plan.pieces, plan.pieces[1:], strict=False))
    assert plan.pieces[-1].stop == plan.frames == odd.frames
    beats = np.arange(0, 7.5, 0.25)  # the first pass takes the first two bars: 7.5 beats
    laid = plan.pieces[0].warp.target_at(beats * 0.5 * RATE)
    np.testing.assert_allclose(laid, odd.frame_at(beats), atol=0.51)


# -- the way through time ----------------------------------------------------------------------------------------


def test_the_grids_own_tempo_gives_one_shift_by_whole_frames() -> None:
    for bpm, zero in (("120", 0.0), ("97.31", 0.1234567), ("143.77", 0.3)):
        plan = planned(bars_of(3, bpm=float(bpm), zero=zero), on=grid(8, bpm))
        for piece in plan.pieces:
            distance = piece.warp.target - piece.warp.source
            assert np.ptp(distance) == 0.0
            assert distance[0] == np.rint(distance[0])
            assert abs(piece.start - distance[0] - zero * RATE) <= 1.0


@pytest.mark.parametrize("start", [Fraction(0), Fraction(4), Fraction(13, 3)])
def test_a_sound_that_already_lies_on_a_ramp_is_not_moved(start: Fraction) -> None:
    ramp = TempoMap.build((TempoPoint(1, Decimal(90), Decimal(133)),), [Fraction(4 * k) for k in range(9)])
    on = Grid(RATE, (FOUR,) * 4, ramp, start)
    beats = np.arange(-4.0, 24.0)
    sound = heard(on.frames / RATE, BeatMap(on.frame_at(beats) / RATE, beats), on.frame_at(np.arange(16.0)) / RATE)
    piece = planned(sound, on=on).pieces[0]
    np.testing.assert_array_equal(piece.warp.source, piece.warp.target)


def test_one_wrong_tempo_gives_one_ratio() -> None:
    for piece in planned(bars_of(3, bpm=100.0, zero=0.3), bars=8).pieces:
        assert len(piece.warp.source) == 2
        ratio = float(np.diff(piece.warp.target)[0] / np.diff(piece.warp.source)[0])
        assert ratio == pytest.approx(100 / 120, rel=1e-9)


@pytest.mark.parametrize("ramp", [False, True])
def test_a_drifting_sound_is_followed_to_a_fifth_of_a_millisecond(ramp: bool) -> None:
    beats = np.arange(-8.0, 48.0)
    seconds = 0.4 + beats * 0.5 + 0.03 * np.sin(beats / 5)
    tempo = TempoMap.constant("131")
    if ramp:
        tempo = TempoMap.build((TempoPoint(1, Decimal(100), Decimal(160)),), [Fraction(4 * k) for k in range(9)])
    on = Grid(RATE, (FOUR,) * 8, tempo)
    beat_map = BeatMap(seconds, beats)
    plan = planned(heard(17.0, beat_map, beat_map.seconds_at(np.arange(32.0))), on=on)
    warp = plan.pieces[0].warp
    at = np.arange(0.0, 32.0, 0.05)
    error = warp.target_at(beat_map.seconds_at(at) * RATE) - on.frame_at(at)
    assert np.abs(error).max() <= 1.01 * TOLERANCE_S * RATE
    assert len(warp.source) < len(at) / 4


def test_two_knots_are_bent_to_a_ramp() -> None:
    tempo = TempoMap.build((TempoPoint(1, Decimal(60), Decimal(180)),), [Fraction(4 * k) for k in range(9)])
    on = Grid(RATE, (FOUR,) * 8, tempo)
    warp = planned(bars_of(8, bpm=110.0), on=on).pieces[0].warp
    at = np.arange(0.0, 32.0, 0.05)
    error = warp.target_at(at * 60 / 110 * RATE) - on.frame_at(at)
    assert np.abs(error).max() <= 1.5 * TOLERANCE_S * RATE


# -- pickups -----------------------------------------------------------------------------------------------------


def with_pickup(first: float, bpm: float = 120.0, meter: Meter = FOUR, bars: int = 4) -> Heard:
    """Bars whose first attack is `first` beats before bar 1."""
    zero = (first + 0.02) * 60 / bpm
    attacks = zero + np.concatenate(([-first], np.arange(float(bars * meter.bar_beats)))) * 60 / bpm
    return heard(zero + float(bars * meter.bar_beats) * 60 / bpm, steady(bpm, zero), attacks)


@pytest.mark.parametrize(
    ("first", "meter", "kept"),
    [
        (0.04, FOUR, Fraction(0)),  # only early
        (0.25, FOUR, Fraction(1)),
        (1.0, FOUR, Fraction(1)),
        (1.03, FOUR, Fraction(1)),
        (1.5, FOUR, Fraction(2)),
        (3.9, FOUR, Fraction(4)),
        (3.3, Meter(7, 8), Fraction(7, 2)),
        (2.6, Meter(6, 8), Fraction(3)),
    ],
)
def test_a_pickup_begins_whole_beats_before_bar_1(first: float, meter: Meter, kept: Fraction) -> None:
    plan = planned(with_pickup(first, meter=meter), on=grid(4, meter=meter))
    assert plan.pickup_beats == kept
    assert plan.pickup_frames == round(float(kept) * 0.5 * RATE)
    assert plan.frames == plan.pickup_frames + grid(4, meter=meter).frames


def test_a_loop_lays_its_pickup_over_the_end_of_the_last_bar_and_of_every_repeat() -> None:
    plan = planned(with_pickup(1.5), bars=8, loop=True)
    assert plan.pickup_frames == 0
    assert plan.frames == grid(8).frames
    assert [piece.lead for piece in plan.pieces] == [pytest.approx(0.75 * RATE, abs=2)] * 2


def test_a_pickup_before_a_songs_first_bar_has_its_first_tempo() -> None:
    tempo = TempoMap.build((TempoPoint(1, Decimal(100), Decimal(140)),), [Fraction(4 * k) for k in range(9)])
    plan = planned(with_pickup(2.0), on=Grid(RATE, (FOUR,) * 4, tempo))
    assert plan.pickup_frames == round(2 * 0.6 * RATE)


# -- no pulse ----------------------------------------------------------------------------------------------------


def test_a_sound_without_a_pulse_begins_at_bar_1_as_it_is() -> None:
    sound = heard(5.0, None, [0.73], first_sound=0.72, last_sound=3.2)
    plan = planned(sound, fill=False)
    assert plan.grid.bars == 2  # 2.47 s in bars of 2 s
    piece = plan.pieces[0]
    assert float(piece.warp.target_at(0.73 * RATE)) == pytest.approx(0.0, abs=1.0)
    assert np.ptp(piece.warp.target - piece.warp.source) == 0.0


def test_a_sound_without_a_pulse_that_is_as_long_as_its_bars_is_left_where_it_is() -> None:
    plan = planned(heard(6.0, None, [0.73], first_sound=0.72, last_sound=3.2), fill=False)
    assert plan.grid.bars == 3
    assert float(plan.pieces[0].warp.target_at(0.0)) == 0.0


def test_a_single_stroke_is_not_repeated_but_a_texture_is() -> None:
    stroke = heard(1.0, None, [0.0], first_sound=0.0, last_sound=0.6)
    assert len(planned(stroke, bars=4).pieces) == 1
    rain = heard(5.3, None, [], Material.SUSTAINED, first_sound=0.0, last_sound=5.3)
    assert places(planned(rain, bars=8)) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("fill", [False, True])
def test_silence_fills_bars_too(fill: bool) -> None:
    plan = planned(heard(3.9, None, [], last_sound=0.0), fill=fill)
    assert plan.grid.bars == (4 if fill else 2)
    assert len(plan.pieces) == 1
