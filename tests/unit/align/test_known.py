"""Takes whose notes are known: an attack is found where it is, whatever rings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.align.known import MOST, measure_known

RATE = 48000
Sound = NDArray[np.float32]


def struck(frames: list[int], length: int, hz: float = 220.0, decay_s: float = 0.15, channels: int = 2) -> Sound:
    """A decaying tone from each frame on."""
    out = np.zeros((channels, length), np.float32)
    for number, frame in enumerate(frames):
        time = np.arange(min(length - frame, round(8 * decay_s * RATE))) / RATE
        tone = 0.5 * np.exp(-time / decay_s) * np.sin(2 * np.pi * hz * (1 + number % 3 / 4) * time + 0.5)
        out[:, frame : frame + len(time)] += tone.astype(np.float32)
    return out


def steps(count: int, apart_s: float = 0.25) -> list[int]:
    return [round((0.1 + apart_s * k) * RATE) for k in range(count)]


@pytest.mark.parametrize("hz", [55.0, 220.0, 1200.0])
@pytest.mark.parametrize("decay_s", [0.02, 0.15])
def test_attacks_are_found_where_they_are(hz: float, decay_s: float) -> None:
    frames = steps(24)
    fit = measure_known(struck(frames, 7 * RATE, hz, decay_s), RATE, np.array(frames, float))
    assert fit.errors is not None
    assert fit.notes == 24
    assert fit.measured + fit.masked == 24
    assert fit.measured >= 12
    assert fit.errors.median_ms < 0.35
    assert abs(fit.drift_ms) < 0.5


@pytest.mark.parametrize("late_ms", [-6.0, -2.0, 0.5, 3.0, 8.0])
def test_a_renderer_that_is_late_or_early_is_found_out(late_ms: float) -> None:
    frames = steps(20)
    shifted = [frame + round(late_ms / 1000 * RATE) for frame in frames]
    fit = measure_known(struck(shifted, 6 * RATE), RATE, np.array(frames, float))
    assert fit.bias_ms == pytest.approx(late_ms, abs=0.35)
    assert fit.errors is not None
    assert fit.errors.median_ms == pytest.approx(abs(late_ms), abs=0.35)


def test_a_renderer_that_drifts_is_found_out() -> None:
    frames = steps(20)
    drifting = [frame + 20 * k for k, frame in enumerate(frames)]
    fit = measure_known(struck(drifting, 7 * RATE), RATE, np.array(frames, float))
    assert fit.drift_ms == pytest.approx(19 * 20 / RATE * 1000, abs=0.5)


def test_notes_at_once_share_one_attack_and_the_channels_count_both() -> None:
    frames = steps(10)
    sound = struck(frames, 3 * RATE)
    sound[0] = 0  # all of it on the right
    fit = measure_known(sound, RATE, np.repeat(np.array(frames, float), 4))
    assert (fit.notes, fit.measured) == (10, 10)


def test_what_begins_under_a_louder_sound_is_masked() -> None:
    frames = steps(10)
    generator = np.random.default_rng(1)
    sound = 1e-4 * struck(frames, 3 * RATE) + generator.normal(0, 0.2, (2, 3 * RATE)).astype(np.float32)
    fit = measure_known(sound, RATE, np.array(frames, float))
    assert fit.masked >= 8


def test_of_many_notes_some_are_looked_at() -> None:
    frames = steps(300, 0.1)
    fit = measure_known(struck(frames, 31 * RATE, decay_s=0.03), RATE, np.array(frames, float))
    assert fit.notes == 300
    assert fit.measured + fit.masked == MOST


@pytest.mark.parametrize("frames", [[], [-5.0], [1e9]])
def test_without_notes_in_the_sound_nothing_is_measured(frames: list[float]) -> None:
    fit = measure_known(struck([100], RATE), RATE, np.array(frames))
    assert (fit.measured, fit.errors) == (0, None)


def test_silence_and_the_shortest_sounds() -> None:
    for length in (2, 50, RATE):
        fit = measure_known(np.zeros((2, length), np.float32), RATE, np.array([0.0, length / 2]))
        assert (fit.measured, fit.errors) == (0, None)


def test_a_note_in_the_first_frame_is_measured() -> None:
    fit = measure_known(struck([0, RATE], 2 * RATE), RATE, np.array([0.0, RATE]))
    assert fit.measured == 2
