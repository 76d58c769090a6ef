"""Work in another thread: in order, one at a time, and over when nobody wants more."""

from __future__ import annotations

import threading
import time

import pytest

from studio.align.ahead import ahead


def test_results_come_in_order() -> None:
    assert list(ahead(lambda x: x * x, range(20))) == [x * x for x in range(20)]
    assert list(ahead(lambda x: x, [])) == []


def test_the_next_is_begun_while_one_is_used() -> None:
    begun: list[int] = []
    results = ahead(lambda x: begun.append(x) or x, range(10))
    assert next(results) == 0
    while len(begun) < 3:
        time.sleep(0.001)
    assert begun[:3] == [0, 1, 2]
    assert len(begun) < 5  # but not all of them
    results.close()


def test_what_goes_wrong_comes_in_its_place_and_ends_it() -> None:
    def work(x: int) -> int:
        if x == 2:
            raise ValueError("two")
        return x

    results = ahead(work, range(10))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert list(results) == []


def test_closing_leaves_no_thread() -> None:
    before = threading.active_count()
    results = ahead(lambda x: x, range(1000))
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
