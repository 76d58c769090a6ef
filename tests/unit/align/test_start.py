"""Where a file begins: its noise floor is no attack, a soft stroke is one."""

from __future__ import annotations

import numpy as np
import pytest

from studio.align.start import without_hiss
from studio.align.values import Audio
from studio.mix.sources import ArraySource
from tests.unit.align.bars import RATE, noise, onsets, struck, tone

LATER = np.arange(0.6, 4.0, 0.5)


def first_onset(sound: Audio, at: float = 0.002) -> float:
    """The first onset that is left of one at the file's start and those of the strokes."""
    kept = without_hiss(onsets(np.concatenate(([at], LATER))), ArraySource(sound), RATE)
    assert len(kept.strength) == len(kept.low) == len(kept.sharpness) == len(kept)
    return float(kept.seconds[0])


def music() -> Audio:
    return struck(4 * RATE, LATER)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.03])
def test_hiss_is_no_attack(level: float) -> None:
    assert first_onset(music() + noise(4 * RATE, level, seed=5)) == LATER[0]


def test_hum_is_no_attack() -> None:
    assert first_onset(music() + tone(50.0, 4 * RATE, 0.01)) == LATER[0]


@pytest.mark.parametrize("gain", [0.05, 0.3, 1.0])
def test_a_stroke_is_one_however_soft(gain: float) -> None:
    assert first_onset(music() + gain * struck(4 * RATE, [0.002], 0.02)) == 0.002


def test_a_held_note_as_loud_as_the_music_is_one() -> None:
    held = np.zeros((2, 4 * RATE), np.float32)
    held[:, : RATE // 2] = tone(220.0, RATE // 2, 0.2)
    assert first_onset(music() + held) == 0.002


def test_an_onset_behind_the_start_is_left_alone() -> None:
    assert first_onset(music() + noise(4 * RATE, 0.01), at=0.1) == 0.1


def test_nothing_to_compare_with_changes_nothing() -> None:
    for sound in (noise(10, 0.01), noise(RATE, 0.01)):
        assert len(without_hiss(onsets([0.0]), ArraySource(sound), RATE)) == 1
    assert len(without_hiss(onsets([]), ArraySource(noise(10)), RATE)) == 0
