"""Exact frames, seams and edges of clips."""

from __future__ import annotations

import numpy as np
import pytest

from studio.mix.errors import MixError
from studio.mix.tails import FADE_IN_FRAMES, TAIL_MODES, TailMode, clip_from_take
from tests.unit.mix.sounds import RATE, hits, noise, sine


def ringing(frames: int) -> np.ndarray:
    """A tone that dies away, in steps no larger than a smooth wave makes."""
    return sine(220, frames, 0.5) * np.exp(-6 * np.arange(frames) / frames).astype(np.float32)


def largest_step(audio: np.ndarray) -> float:
    return float(np.abs(np.diff(audio, axis=1)).max())


def test_wrap_adds_what_rings_over_to_the_start() -> None:
    take = noise(2500, 0.1)
    take[:, -64:] = 0.0
    clip = clip_from_take(take, 1000, "wrap", RATE)
    expected = take[:, :1000].copy()
    expected += take[:, 1000:2000]
    expected[:, :500] += take[:, 2000:]
    np.testing.assert_array_equal(clip, expected)


def test_a_wrapped_loop_has_no_seam() -> None:
    take = ringing(30_000)
    clip = clip_from_take(take, 20_000, "wrap", RATE)
    looped = np.concatenate((clip, clip), axis=1)
    across = np.abs(looped[:, 20_000] - looped[:, 19_999]).max()
    onset = np.abs(take[:, 0]).max()
    assert across <= largest_step(take) + onset + 1e-6


def test_a_take_that_fills_the_loop_is_left_alone() -> None:
    take = sine(100, 4800, 0.5)
    np.testing.assert_array_equal(clip_from_take(take, 4800, "wrap", RATE), take)


def test_ring_keeps_the_tail_until_it_is_inaudible() -> None:
    take = np.concatenate((ringing(30_000), np.zeros((2, 20_000), np.float32)), axis=1)
    clip = clip_from_take(take, 20_000, "ring", RATE)
    assert 30_000 - 200 <= clip.shape[1] <= 30_000 + 400
    np.testing.assert_array_equal(clip[:, 1:29_000], take[:, 1:29_000])
    assert not clip[:, -1].any()


def test_ring_without_a_tail_is_the_clips_length() -> None:
    assert clip_from_take(np.zeros((2, 100), np.float32), 5000, "ring", RATE).shape == (2, 5000)


@pytest.mark.parametrize("mode", ["ring", "cut"])
@pytest.mark.parametrize("length", [9_000, 10_000, 15_000])
def test_edges_are_zero_and_nothing_clicks(mode: TailMode, length: int) -> None:
    take = sine(220, length, 0.5)
    clip = clip_from_take(take, 10_000, mode, RATE)
    assert not clip[:, 0].any()
    assert not clip[:, -1].any()
    assert largest_step(np.pad(clip, ((0, 0), (1, 1)))) < 2 * largest_step(take)


def test_a_cut_fades_within_ten_milliseconds() -> None:
    take = sine(220, 20_000, 0.5)
    clip = clip_from_take(take, 10_000, "cut", RATE)
    np.testing.assert_array_equal(clip[:, 1 : 10_000 - 480], take[:, 1 : 10_000 - 480])


def test_an_attack_on_the_first_frame_is_not_dulled() -> None:
    take = hits(RATE, 0.9)
    take[:, 0] = 0.9
    clip = clip_from_take(take, RATE, "cut", RATE)
    np.testing.assert_array_equal(clip[:, FADE_IN_FRAMES:4000], take[:, FADE_IN_FRAMES:4000])
    quiet = hits(RATE, 0.9)
    assert np.abs(quiet[:, 0]).max() == 0.0
    np.testing.assert_array_equal(clip_from_take(quiet, RATE, "cut", RATE)[:, :4000], quiet[:, :4000])


@pytest.mark.parametrize("mode", TAIL_MODES)
@pytest.mark.parametrize("length", [0, 1, 5])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_takes_and_clips(mode: TailMode, length: int, frames: int) -> None:
    take = np.full((2, length), 0.5, np.float32)
    assert clip_from_take(take, frames, mode, RATE).shape[1] >= frames


def test_bad_input_is_refused() -> None:
    take = np.zeros((2, 10), np.float32)
    with pytest.raises(MixError, match="at least 1 frame"):
        clip_from_take(take, 0, "cut", RATE)
    with pytest.raises(MixError, match="wrap, ring, cut"):
        clip_from_take(take, 5, "fade", RATE)  # type: ignore[arg-type]
