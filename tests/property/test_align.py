"""Whatever the song and the sound: clips of consecutive grids meet in one frame, pieces tile, warps keep the tempo."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from studio.align.fit import TOLERANCE_S, fit, shift
from studio.align.grid import Grid
from studio.align.laying import Kept
from studio.align.level import CEILING_DBTP, level
from studio.align.seam import Voice, Voices, assemble
from studio.align.values import BeatMap, Wish
from studio.mix.sources import ArraySource
from studio.mix.truepeak import true_peak_dbtp
from studio.song import Meter, Song, Timeline
from tests.property.test_time import songs
from tests.unit.align.bars import heard, noise, nothing, whole

RATE = 44_100


@st.composite
def beat_maps(draw: st.DrawFn) -> BeatMap:
    """A sound's beats, steady or wandering, around any tempo from 50 to 250."""
    count = draw(st.integers(2, 40))
    lengths = np.array(draw(st.lists(st.floats(0.9, 1.1), min_size=count, max_size=count)))
    seconds = draw(st.floats(-0.3, 1.0)) + np.concatenate(([0.0], np.cumsum(lengths))) * 60 / draw(st.floats(50, 250))
    return BeatMap(seconds, np.arange(count + 1.0))


@given(songs(), st.data())
@settings(max_examples=60)
def test_clips_of_consecutive_grids_meet_in_the_same_frame(song: Song, data: st.DataObject) -> None:
    timeline = Timeline(song)
    bars = len(timeline.bars)
    cuts = sorted({1, bars + 1, *data.draw(st.lists(st.integers(1, bars + 1), max_size=4))})
    beat_map = data.draw(beat_maps())
    end = float(beat_map.seconds[-1])
    at = timeline.frame(timeline.bars[0].start, RATE)
    for first, stop in pairwise(cuts):
        grid = Grid.of_song(timeline, first, stop - first, RATE)
        sound = heard(end, beat_map, beat_map.seconds[beat_map.seconds > 0])
        plan = fit(sound, round(end * RATE), Wish(grid, loop=True, fill=True))
        assert grid.first_frame == at
        assert plan.frames == plan.pieces[-1].stop
        at += plan.frames
    assert at == timeline.total_frames(RATE)


@given(songs(), beat_maps(), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_pieces_tile_the_grid_and_follow_its_tempo(song: Song, beat_map: BeatMap, loop: bool, fill: bool) -> None:
    grid = Grid.of_song(Timeline(song), 1, min(16, len(Timeline(song).bars)), RATE)
    end = float(beat_map.seconds[-1])
    sound = heard(end, beat_map, beat_map.seconds[beat_map.seconds > 0])
    plan = fit(sound, round(end * RATE), Wish(grid, loop=loop, fill=fill))
    edges = [0, *(piece.stop for piece in plan.pieces)]
    assert [piece.start for piece in plan.pieces] == edges[:-1]
    assert edges[-1] == plan.grid.frames
    assert all(a < b for a, b in pairwise(edges))
    assert fill <= (plan.grid.meters == grid.meters)
    assert Fraction(0) <= plan.pickup_beats <= grid.meter.bar_beats
    lines = {plan.grid.exact_frame(line) for line in plan.grid.bar_starts}
    starts = {piece.start: piece for piece in plan.pieces}
    for piece in plan.pieces:
        warp = piece.warp
        assert np.all(np.diff(warp.source) > 0)
        assert np.all(np.diff(warp.target) > 0)
        # The sound's beat 0 comes to lie on the piece's start, to half a frame or the tolerance.
        zero = float(warp.target_at(float(beat_map.seconds_at(0.0)) * RATE))
        assert abs(zero - piece.start) <= max(1.01, 1.1 * TOLERANCE_S * RATE)
    assert len(lines & set(starts)) >= 1


@given(
    st.lists(
        st.tuples(st.integers(-900, 900), st.integers(1, 1500), st.integers(0, 300), st.integers(0, 300)),
        min_size=1, max_size=5,
    ),
    st.integers(200, 1000), st.integers(1, 400), st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_voices_do_not_depend_on_blocks(
    drawn: list[tuple[int, int, int, int]], frames: int, size: int, loop: bool
) -> None:
    voices = []
    for seed, (start, length, fade_in, fade_out) in enumerate(drawn):
        fades = min(fade_in, length // 2), min(fade_out, length // 2)
        voices.append(
            Voice(Kept(ArraySource(noise(1500, seed=seed)), 2, 0, start, start + 1500), start, start + length, *fades)
        )
    sound = Voices(voices, 0, frames, loop)
    blocks = [sound.read(at, min(size, frames - at)) for at in range(0, frames, size)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole(sound))


@given(
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(-3000, 9000),
    st.floats(50, 300),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=40)
def test_any_pieces_are_joined_to_exactly_their_bars(
    bars: int, own: int, zero: int, bpm: float, loop: bool, seed: int
) -> None:
    grid = Grid.steady(f"{bpm:.2f}", Meter(4, 4), bars, 8000)
    lines = [grid.exact_frame(line) for line in grid.bar_starts]
    sound = noise(lines[min(own, bars)] + max(0, zero) + seed, 0.1, seed)
    beats = np.array([0.0, 400.0])
    beat_map = BeatMap((grid.frame_at(beats) + zero) / 8000, beats)
    assume(sound.shape[1] > 10)
    marks = np.arange(0.0, sound.shape[1] / 8000, 60 / bpm)
    plan = fit(heard(sound.shape[1] / 8000, beat_map, marks), sound.shape[1], Wish(grid, loop=loop, fill=True))
    sounds = []
    for piece in plan.pieces:
        by = round(float(piece.warp.target[0] - piece.warp.source[0]))
        np.testing.assert_array_equal(piece.warp.target - piece.warp.source, shift(by).target - shift(by).source)
        sounds.append(Kept(ArraySource(sound), 2, 0, by, by + sound.shape[1]))
    result = assemble(plan, sounds, marks * 8000, 8000, loop=loop, step=nothing)
    y = whole(result.voices)
    assert y.shape == (2, plan.pickup_frames + grid.frames)
    assert np.isfinite(y).all()
    assert len(result.joins) == len(plan.pieces) - (not loop)
    assert float(np.abs(y).max()) < 3 * max(1e-3, float(np.abs(sound).max()))


@given(
    st.integers(0, 999), st.integers(1, 30_000), st.floats(0.001, 3.0), st.none() | st.floats(-40, -6), st.booleans()
)
@settings(max_examples=60)
def test_no_level_ends_above_the_ceiling(
    seed: int, frames: int, amplitude: float, lufs: float | None, loop: bool
) -> None:
    sound = noise(frames, amplitude, seed)
    result, levels = level(ArraySource(sound), RATE, lufs, loop=loop, edges=True, attack=False, step=nothing)
    assert true_peak_dbtp(whole(result)) <= CEILING_DBTP + 0.02
    assert levels.true_peak_dbtp <= CEILING_DBTP + 0.02
