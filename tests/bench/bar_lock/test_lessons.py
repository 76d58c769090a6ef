"""What the networks learn from is true, and the same whenever it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from studio.align.hear.phases import METER_TRAITS
from studio.align.hear.spectra import BANDS, FINE_BANDS, PITCHES
from tests.bench.bar_lock import material
from tests.bench.bar_lock.learn.examples import example
from tests.bench.bar_lock.learn.material import LEARN, coded, lesson
from tests.bench.bar_lock.learn.strewn import strewn


def test_lessons_are_drawn_from_seeds_of_their_own() -> None:
    assert not set(LEARN) & (set(material.TUNE) | set(material.TEST))


@pytest.mark.parametrize("seed", [LEARN[1], LEARN[7]])
def test_a_lesson_is_what_its_seed_says(seed: int) -> None:
    given, again = lesson(seed), lesson(seed)
    assert np.array_equal(given.audio, again.audio)
    assert len(given.onsets)
    assert given.onsets[0] >= 0.0
    assert given.onsets[-1] < given.audio.shape[1] / given.rate
    assert np.abs(given.audio).max() > 0.1


def test_onsets_are_where_sound_sets_in() -> None:
    """In strewn lessons over silence, energy rises behind an onset that stands alone."""
    rises = []
    for seed in range(LEARN[0], LEARN[0] + 40):
        given = strewn(seed)
        gaps = np.diff(given.onsets, prepend=-1.0)
        for begin in given.onsets[gaps > 0.3].tolist():
            frame, side = round(begin * given.rate), round(0.03 * given.rate)
            before, after = given.audio[0, max(0, frame - side) : frame], given.audio[0, frame : frame + side]
            rises.append(float((after**2).sum()) > float((before**2).sum()))
    assert len(rises) > 50
    assert np.mean(rises) > 0.8


@pytest.mark.parametrize("seed", [LEARN[1], LEARN[0] + (-LEARN[0]) % 12])
def test_an_example_fits_the_networks(seed: int) -> None:
    given = example(seed)
    assert given["view"].shape == (len(given["phase"]), 2 * BANDS + PITCHES)
    assert given["fine"].shape[1] == FINE_BANDS
    assert given["traits"].shape == (METER_TRAITS,)
    assert given["phase"].max() < 1.0
    assert all(np.isfinite(given[name]).all() for name in ("view", "phase", "fine", "onsets", "pitches"))


def test_a_lossy_codec_delays_nothing() -> None:
    click = np.zeros((1, 44_100), np.float32)
    click[0, 22_050:22_060] = 0.9
    back = coded(click, 44_100, 0.5)
    assert back.shape == click.shape
    assert abs(int(np.abs(back).argmax()) - 22_055) < 12
