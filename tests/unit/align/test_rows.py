"""What waits comes back as it was, in memory and on the disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import DTypeLike

from studio.align.rows import InMemory, Room, around, blocks, held
from studio.mix.errors import SourceError
from studio.scratch import Scratch


@pytest.fixture(params=["memory", "disk"])
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    if request.param == "memory":
        yield InMemory()
    else:
        with Scratch() as scratch:
            yield scratch


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16])
def test_rows_are_read_back_at_any_place(room: Room, dtype: DTypeLike) -> None:
    values = np.arange(3000).reshape(1000, 3).astype(dtype)
    rows = room.rows(3, dtype)
    for start, stop in ((0, 10), (10, 500), (500, 500), (500, 501), (501, 1000)):
        rows.append(values[start:stop])
    assert len(rows) == 1000
    for start, stop in ((0, 1000), (5, 8), (9, 11), (499, 502), (999, 1000), (0, 0), (500, 500), (1000, 1000)):
        found = rows.read(start, stop)
        assert found.dtype == np.dtype(dtype)
        assert found.shape == (stop - start, 3)
        np.testing.assert_array_equal(found, values[start:stop])


def test_what_was_added_does_not_change_with_the_array(room: Room) -> None:
    values, rows = np.ones((4, 2), np.float32), room.rows(2)
    rows.append(values)
    values[:] = 7
    assert rows.read(0, 4).max() == 1


def test_none_at_all(room: Room) -> None:
    rows = room.rows(5)
    assert len(rows) == 0
    assert rows.read(0, 0).shape == (0, 5)
    assert list(blocks(rows)) == []


def test_blocks_and_what_lies_around() -> None:
    values = np.arange(20.0).reshape(10, 2)
    rows = held(values)
    assert [(start, len(block)) for start, block in blocks(rows, 4)] == [(0, 4), (4, 4), (8, 2)]
    expected = np.concatenate([values[:1], values[:1], values, values[-1:]])
    np.testing.assert_array_equal(around(rows, -2, 11), expected)
    np.testing.assert_array_equal(around(rows, 3, 5), values[3:5])


def test_rows_on_the_disk_can_be_gone() -> None:
    with Scratch() as scratch:
        rows = scratch.rows(2)
        rows.append(np.zeros((5, 2), np.float32))
        with pytest.raises(SourceError, match="on the disk ended"):
            rows.read(0, 6)
        with pytest.raises(ValueError, match="rows of 2"):
            rows.append(np.zeros((5, 3), np.float32))
    with pytest.raises(ValueError, match="closed"):
        rows.read(0, 1)
