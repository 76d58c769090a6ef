"""Sounds that are counted by beats which somebody else has heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.align.grid import Grid
from studio.align.lock import lock
from studio.align.values import AlignError, Counted, Wish
from studio.counting import MOST_BYTES, read_beats
from studio.mix.errors import SourceError
from studio.song import Meter
from tests.unit.align.bars import RATE, struck

GRID = Grid.steady("120", Meter(4, 4), 4, RATE)


def even(bpm: float, count: int, first: float = 0.0, downbeat: int | None = 0) -> Counted:
    downbeats = np.zeros(count, bool)
    if downbeat is not None:
        downbeats[downbeat::4] = True
    return Counted(first + np.arange(count) * 60.0 / bpm, downbeats)


def test_the_same_strokes_are_counted_as_they_are_told() -> None:
    """Strokes every half second: quarters at 120 BPM, eighths at 60, or dotted ones at 80."""
    sound = struck(9 * RATE, np.arange(16) * 0.5)
    for bpm, count in ((120.0, 17), (80.0, 12)):
        report = lock(sound, RATE, Wish(GRID, counted=even(bpm, count))).report
        assert report.heard.bpm == pytest.approx(bpm, abs=0.05)
        assert report.after.errors is not None
        assert report.after.errors.median_ms < 1.5


@pytest.mark.parametrize("downbeat", [0, 1, 3])
def test_bars_begin_where_they_are_told_to(downbeat: int) -> None:
    sound = struck(9 * RATE, np.arange(16) * 0.5)
    plan = lock(sound, RATE, Wish(GRID, counted=even(120.0, 17, 0.004, downbeat), fill=True)).plan
    at = float(plan.pieces[0].warp.target_at(0.5 * downbeat * RATE)) % (2 * RATE)
    assert min(at, 2 * RATE - at) < 0.003 * RATE


def test_beats_that_are_told_roughly_are_moved_onto_the_strokes() -> None:
    random = np.random.Generator(np.random.PCG64(2))
    sound = struck(10 * RATE, 0.2 + np.arange(16) * 0.55)
    rough = even(60 / 0.55, 17, 0.2)
    rough = Counted(rough.seconds + 0.02 * random.standard_normal(17), rough.downbeats)
    report = lock(sound, RATE, Wish(GRID, counted=rough)).report
    assert report.after.errors is not None
    assert report.after.errors.p95_ms < 2.0


@pytest.mark.parametrize("seconds", [[], [1.0], [0.0, 0.0], [1.0, 0.5], [0.0, np.nan], [0.0, 0.001]])
def test_beats_that_do_not_count(seconds: list[float]) -> None:
    with pytest.raises(AlignError, match="beats"):
        Counted(np.array(seconds), np.zeros(len(seconds), bool))


def test_beats_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "beats.txt"
    path.write_text("# of a take\n0.5\t3\n1.0\t4\n\n1.5 1\n2.0,2\n2.5\n")
    found = read_beats(path)
    assert found.seconds.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert found.downbeats.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"one\n2\n", "'one'"), (b"-1\n2\n", "'-1'"), (b"nan\n2\n", "'nan'"), (b"1\n1e999\n", "'1e999'"),
        (b"\xff\xfe\x00", "no text"), (b"1\n" * (MOST_BYTES // 2 + 1), "more than"), (b"", "two beats"),
        (b"2\n1\n", "rise"),
    ],
)  # fmt: skip
def test_files_that_hold_no_beats(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "beats.txt"
    path.write_bytes(data)
    with pytest.raises((SourceError, AlignError), match=says):
        read_beats(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_beats(tmp_path / "none.txt")
