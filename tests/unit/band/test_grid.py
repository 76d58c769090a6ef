"""Patterns on the bars of any meter, swing, and notes that any instrument can play."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from models.band.compose.finish import Draft, playable, swung
from models.band.compose.grid import fit, on_tick
from models.styles.schema import Swing
from studio.song import Meter

BACKBEAT = "X...S...x...S..."


def strokes(meter: str, pattern: str = BACKBEAT, steps: int = 4) -> list[tuple[str, Fraction]]:
    return [(s.mark, s.start) for s in fit(pattern, steps, Meter.parse(meter).felt_beats()) if s.mark not in ".-"]


def test_a_pattern_stands_as_written_in_its_own_meter() -> None:
    assert strokes("4/4") == [("X", 0), ("S", 1), ("x", 2), ("S", 3)]


@pytest.mark.parametrize(
    ("meter", "wanted"),
    [
        ("3/4", [("X", Fraction(0)), ("S", Fraction(1)), ("S", Fraction(2))]),
        ("6/8", [("X", Fraction(0)), ("S", Fraction(3, 2))]),
        ("7/8", [("X", Fraction(0)), ("S", Fraction(1)), ("S", Fraction(2))]),
        ("5/4", [("X", Fraction(0)), ("S", Fraction(1)), ("x", Fraction(2)), ("S", Fraction(3)), ("S", Fraction(4))]),
        ("2/2", [("X", Fraction(0)), ("S", Fraction(1)), ("x", Fraction(2)), ("S", Fraction(3))]),
        ("12/8", [("X", Fraction(0)), ("S", Fraction(3, 2)), ("x", Fraction(3)), ("S", Fraction(9, 2))]),
    ],
)
def test_the_backbeat_stays_a_backbeat(meter: str, wanted: list[tuple[str, Fraction]]) -> None:
    assert strokes(meter) == wanted


def test_triplets_are_stretched_over_dotted_beats() -> None:
    assert strokes("6/8", "xxx|xxx", 3)[:3] == [("x", Fraction(0)), ("x", Fraction(1, 2)), ("x", Fraction(1))]
    assert len(strokes("12/8", "xxxxxxxxxxxx", 3)) == 12


def test_a_pattern_written_for_the_meter_is_laid_quarter_by_quarter() -> None:
    assert strokes("6/8", "X.....x.....", 4) == [("X", Fraction(0)), ("x", Fraction(3, 2))]


@pytest.mark.parametrize("unit", [2, 4, 8, 16])
@pytest.mark.parametrize("pulses", range(1, 16))
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6])
def test_every_bar_is_filled_exactly(pulses: int, unit: int, steps: int) -> None:
    meter = Meter(pulses, unit)
    laid = fit("x" + "-" * (4 * steps - 1), steps, meter.felt_beats())
    assert laid[0].start == 0
    assert all(a.start + a.length <= b.start for a, b in itertools.pairwise(laid))
    assert laid[-1].start + laid[-1].length <= meter.bar_beats
    assert laid[-1].start < meter.bar_beats


def test_swing_delays_the_second_of_a_pair_and_nothing_else() -> None:
    triplet = Swing(2, 2 / 3)
    assert swung(Fraction(0), triplet, Fraction(0)) == 0
    assert swung(Fraction(1), triplet, Fraction(0)) == 1
    assert abs(swung(Fraction(1, 2), triplet, Fraction(0)) - Fraction(2, 3)) < Fraction(1, 900)
    assert swung(Fraction(3, 2), triplet, Fraction(1, 2)) == Fraction(3, 2), (
        "pairs are counted from the bar line, not from the pickup"
    )
    assert swung(Fraction(1, 4), Swing(4, 0.6), Fraction(0)) == Fraction(3, 10)


def test_ticks_are_rounded_half_up() -> None:
    assert on_tick(Fraction(1, 1920)) == Fraction(1, 960)
    assert on_tick(Fraction(1, 3)) == Fraction(320, 960)


def test_a_pitch_is_released_before_it_is_struck_again() -> None:
    notes = playable(
        [
            Draft(Fraction(0), Fraction(4), 60, 90),
            Draft(Fraction(1), Fraction(1), 60, 80),
            Draft(Fraction(1), Fraction(1), 60, 70),
        ],
        Fraction(4),
    )
    assert [(n.start, n.beats, n.velocity) for n in notes] == [(0, 1, 90), (1, 1, 80)]


def test_notes_end_with_the_cell_and_velocities_are_in_range() -> None:
    notes = playable([Draft(Fraction(3), Fraction(9), 60, 300), Draft(Fraction(5), Fraction(1), 64, -3)], Fraction(4))
    assert all(n.end <= 4 and 1 <= n.velocity <= 127 for n in notes)
