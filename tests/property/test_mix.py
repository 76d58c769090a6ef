"""What must hold in the sound room whatever the audio: limiter, levels, mixer and tails."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.mix.arrays import Audio, from_db, to_db
from studio.mix.curve import Curve, attack_nodes, curve_hop, giving_way
from studio.mix.limiter import gain_regions, limit
from studio.mix.loudness import integrated_loudness
from studio.mix.master import CEILING_DBTP, MOST_REDUCTION_DB, PlacedTake, solve_master
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.tails import TAIL_MODES, TailMode, clip_from_take
from studio.mix.truepeak import true_peak, true_peak_dbtp
from tests.unit.mix.sounds import finished, heard_alike

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


@st.composite
def stems_and_balance(draw: st.DrawFn) -> tuple[dict[str, list[PlacedTake]], dict[str, float], int]:
    """One to four stems of up to three takes, which may overlap, ring past the song or be silent."""
    frames = draw(st.integers(1, 20_000))
    stems = {}
    for index in range(draw(st.integers(1, 4))):
        takes = [
            PlacedTake(random_audio(draw(st.integers(0, 999)), draw(st.integers(1, 9_000)), channels, burst), start)
            for start, channels, burst in draw(
                st.lists(st.tuples(st.integers(0, frames), st.sampled_from([1, 2]), st.integers(0, 3)), max_size=3)
            )
        ]
        stems[str(index)] = takes
    return stems, {name: draw(st.floats(-40.0, 10.0)) for name in stems}, frames


@given(material=stems_and_balance(), rate=st.sampled_from([11_025, RATE, 48_000, 96_000]))
@settings(max_examples=120)
def test_no_sum_of_stems_exceeds_the_ceiling(
    material: tuple[dict[str, list[PlacedTake]], dict[str, float], int], rate: int
) -> None:
    stems, balance, frames = material
    master = solve_master(stems, frames, rate, balance)
    audio = finished(stems, master, frames)
    for sound in heard_alike(audio).values():
        assert to_db(float(np.abs(sound).max())) <= CEILING_DBTP + 1e-3
        assert true_peak_dbtp(sound) <= CEILING_DBTP + 0.1
    assert master.curve.reduction_db <= MOST_REDUCTION_DB + 1e-3
    steps = np.diff(20 * np.log10(master.curve.nodes.astype(np.float64)))
    attack = attack_nodes(rate / curve_hop(rate))
    assert float(np.abs(steps).max(initial=0.0)) <= MOST_REDUCTION_DB / attack + 1e-3
    # On target, or below it because the peaks (or a stem next to silence) do not let it rise.
    assert integrated_loudness(heard_alike(audio)["mix"], rate) <= -14.0 + 0.3


@given(seed=st.integers(0, 999), hop=st.integers(1, 130), start=st.integers(-500, 2000), data=st.data())
@settings(max_examples=100)
def test_a_curve_has_the_same_bits_in_any_partition(seed: int, hop: int, start: int, data: st.DataObject) -> None:
    generator = np.random.Generator(np.random.PCG64(seed))
    curve = Curve(generator.uniform(0.03, 1.0, data.draw(st.integers(1, 40))).astype(np.float32), hop)
    frames = data.draw(st.integers(0, 3000))
    cuts = sorted(data.draw(st.sets(st.integers(0, frames), max_size=8)) | {0, frames})
    parts = [curve.gains(start + a, b - a) for a, b in pairwise([*cuts, frames])]
    whole = curve.gains(start, frames)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert bool(((whole >= curve.nodes.min() * (1 - 1e-6)) & (whole <= curve.nodes.max() * (1 + 1e-6))).all())


@given(sound=sounds, seed=st.integers(0, 999), level=st.floats(0.0, 1.0), companies=st.integers(1, 3))
@settings(max_examples=120)
def test_giving_way_keeps_every_sum_below_the_ceiling(sound: Audio, seed: int, level: float, companies: int) -> None:
    frames, ceiling = sound.shape[1], from_db(-1.2)
    company = []
    for index in range(companies):
        # Alone they keep 1 dB below the ceiling, which leaves the sound, at -30 dB, room enough.
        others = random_audio(seed + index, frames, 2, 2)
        company.append(np.float32(level * ceiling * from_db(-1.0) / max(1e-9, float(np.abs(others).max()))) * others)
    sound = np.clip(sound, -2.0, 2.0)
    before = [sound.copy(), *(others.copy() for others in company)]
    curve = giving_way(sound, company, ceiling, RATE)
    gains = np.ones(frames, np.float32) if curve is None else curve.gains(0, frames)
    for others in company:
        assert float(np.abs(sound * gains + others).max()) <= ceiling * (1 + 1e-5)
    if curve is None:
        assert all(float(np.abs(sound + others).max()) <= ceiling for others in company)
    for now, then in zip([sound, *company], before, strict=True):
        np.testing.assert_array_equal(now, then)
