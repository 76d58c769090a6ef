"""What must hold in the sound room whatever the audio: limiter, mixer and tails."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.mix.arrays import Audio, from_db
from studio.mix.limiter import gain_regions, limit
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.tails import TAIL_MODES, TailMode, clip_from_take
from studio.mix.truepeak import true_peak, true_peak_dbtp

RATE = 44_100


def random_audio(seed: int, frames: int, channels: int, burst: int) -> Audio:
    """Noise at a random level with a few bursts up to far above full scale."""
    generator = np.random.Generator(np.random.PCG64(seed))
    audio = generator.standard_normal((channels, frames)) * generator.uniform(0.0, 0.5)
    for _ in range(burst):
        at = int(generator.integers(0, frames))
        audio[:, at : at + int(generator.integers(1, 400))] *= generator.uniform(1.0, 12.0)
    return audio.astype(np.float32)


sounds = st.builds(
    random_audio,
    st.integers(0, 2**32 - 1),
    st.integers(1, 9_000),
    st.sampled_from([1, 2]),
    st.integers(0, 4),
)


@given(audio=sounds, ceiling_db=st.floats(-40.0, 12.0))
@settings(max_examples=120)
def test_the_limiter_never_overshoots_and_never_lifts(audio: Audio, ceiling_db: float) -> None:
    before = audio.copy()
    out = limit(audio, RATE, ceiling_db)
    np.testing.assert_array_equal(audio, before)
    assert out.dtype == np.float32
    assert out.shape == audio.shape
    assert float(np.abs(out).max()) <= from_db(ceiling_db)
    assert true_peak_dbtp(out) <= ceiling_db + 0.1
    assert bool((np.abs(out) <= np.abs(audio)).all())
    if true_peak(audio) <= from_db(ceiling_db):
        assert out is audio


@given(audio=sounds, ceiling_db=st.floats(-30.0, 6.0))
@settings(max_examples=60)
def test_the_limiters_regions_are_apart_and_its_gain_is_smooth(audio: Audio, ceiling_db: float) -> None:
    end = 0
    for region in gain_regions(audio, RATE, ceiling_db):
        assert region.start >= end
        end = region.start + len(region.gain)
        assert end <= audio.shape[1]
        assert 0.0 < float(region.gain.min()) <= float(region.gain.max()) <= 1.0
        # From full gain to none of it takes at least half the look-ahead of 2 ms.
        assert float(np.abs(np.diff(region.gain)).max(initial=0.0)) <= 8.0 / (RATE * 0.002)


@st.composite
def mixes(draw: st.DrawFn) -> tuple[list[Track], int, list[int]]:
    tracks = []
    for index in range(draw(st.integers(1, 4))):
        parts = tuple(
            Placed(
                random_audio(draw(st.integers(0, 999)), draw(st.integers(1, 600)), draw(st.sampled_from([1, 2])), 0),
                start,
            )
            for start in draw(st.lists(st.integers(-200, 900), max_size=3))
        )
        settings_ = {
            "gain_db": draw(st.floats(-30.0, 12.0)),
            "pan": draw(st.floats(-1.0, 1.0)),
            "mute": draw(st.booleans()),
            "solo": draw(st.booleans()),
        }
        tracks.append(Track(str(index), parts, **settings_))  # type: ignore[arg-type]
    frames = draw(st.integers(1, 1200))
    cuts = sorted(draw(st.sets(st.integers(0, frames), max_size=8)) | {0, frames})
    return tracks, frames, cuts


@given(mix=mixes(), change=st.tuples(st.floats(-20.0, 6.0), st.booleans()))
@settings(max_examples=150)
def test_any_partition_of_the_timeline_gives_the_same_bits(
    mix: tuple[list[Track], int, list[int]], change: tuple[float, bool]
) -> None:
    tracks, frames, cuts = mix
    for with_change in (False, True):
        one, many = Mixer(tracks, RATE), Mixer(tracks, RATE)
        for mixer in (one, many):
            if with_change:
                mixer.change("0", gain_db=change[0], mute=change[1])
        pieces = [many.mix(a, b - a) for a, b in pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), one.mix(0, frames))


@given(audio=sounds, frames=st.integers(1, 6_000), mode=st.sampled_from(TAIL_MODES))
@settings(max_examples=150)
def test_clips_have_their_frames_and_their_edges(audio: Audio, frames: int, mode: TailMode) -> None:
    clip = clip_from_take(audio, frames, mode, RATE)
    length = clip.shape[1]
    if mode == "ring":
        assert frames <= length <= max(frames, audio.shape[1])
    else:
        assert length == frames
    if mode != "wrap":
        assert not clip[:, 0].any()
        assert not clip[:, -1].any()
    assert clip.dtype == np.float32
    assert bool(np.isfinite(clip).all())


@given(audio=sounds, frames=st.integers(1, 6_000))
@settings(max_examples=80)
def test_wrapping_loses_no_sound(audio: Audio, frames: int) -> None:
    # But for the take's last 64 frames, which may be faded, every frame of the take is in the loop once.
    quiet = audio.copy()
    quiet[:, -64:] = 0.0
    clip = clip_from_take(quiet, frames, "wrap", RATE)
    expected = np.zeros((audio.shape[0], frames))
    for start in range(0, audio.shape[1], frames):
        piece = quiet[:, start : start + frames]
        expected[:, : piece.shape[1]] += piece
    np.testing.assert_allclose(clip, expected, rtol=1e-5, atol=2e-5)
