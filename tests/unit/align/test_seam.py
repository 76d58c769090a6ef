"""Joins: what meets at a bar line, how it is heard, and the score that says so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from studio.align.fit import Piece, Plan, shift
from studio.align.grid import Grid
from studio.align.laying import Endless, Kept, leads_on
from studio.align.seam import Patch, Seamed, Shifted, Voice, Voices, assemble, seam_score
from studio.align.seam.crossfade import Continued, crossfaded
from studio.align.seam.join import Side, begins_anew, join
from studio.align.values import Audio, Floats
from studio.mix.sources import ArraySource
from studio.song import Meter
from tests.unit.align.bars import RATE, noise, nothing, pad, struck, tone, whole

BAR = 2 * RATE
NONE = np.zeros(0)


def kept(audio: Audio, first: int = 0) -> Kept:
    """A sound in memory whose frame 0 lies on frame `first`."""
    return Kept(ArraySource(audio), audio.shape[0], 0, first, first + audio.shape[1])


def looped(audio: Audio, bars: int, own: int, attacks: Floats = NONE, zero: int = 0, ring: int = 0) -> Seamed:
    """`own` bars of a sound whose bar 1 is on its frame `zero`, repeated in a loop of `bars`."""
    grid = Grid.steady("120", Meter(4, 4), bars, RATE)
    pieces = []
    for start in range(0, bars, own):
        stop = min(start + own, bars)
        pieces.append(Piece(shift(start * BAR - zero), start * BAR, stop * BAR, 0, ring if stop - start == own else 0))
    plan = Plan(grid, tuple(pieces), own, grid.beats * 0, 0)
    sounds = [kept(audio, piece.start - zero) for piece in pieces]
    return assemble(plan, sounds, attacks, RATE, loop=True, step=nothing)


def quarters(bars: int, late: float = 0.0) -> Floats:
    return late + np.arange(4 * bars) * 0.5


def twice(audio: Audio) -> Audio:
    return np.concatenate((audio, audio), axis=1)


def raw_score(audio: Audio, at: int, attacks: Floats = NONE) -> float:
    """How much a plain cut at a frame stands out."""
    return seam_score(audio, [(at, at)], attacks, RATE).value


# -- voices ------------------------------------------------------------------------------------------------------


def test_voices_sound_the_same_in_blocks_of_any_size() -> None:
    sound = noise(9000)
    voices = [
        Voice(kept(sound), 0, 4000, 0, 700),
        Voice(kept(sound, 3000), 3100, 8800, 500, 900),
        Voice(Patch(sound[:, :300], 3300), 3300, 3600),
    ]
    for loop in (False, True):
        sum_ = Voices(voices, 0, 6000, loop)
        at_once = whole(sum_)
        for size in (1, 617, 5999):
            blocks = [sum_.read(at, min(size, 6000 - at)) for at in range(0, 6000, size)]
            np.testing.assert_array_equal(np.concatenate(blocks, axis=1), at_once)


def test_what_lies_past_the_end_of_a_loop_sounds_at_its_start_however_often() -> None:
    sound = noise(2500)
    result = whole(Voices([Voice(kept(sound), -300, 2500)], 0, 1000, True))
    expected = np.zeros((2, 1000), np.float32)
    for start in (0, 1000, 2000):
        piece = sound[:, start : start + 1000]
        expected[:, : piece.shape[1]] += piece
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_voice_alone_passes_untouched() -> None:
    sound = noise(5000)
    assert whole(Voices([Voice(kept(sound, 7), 7, 5007)], 7, 5000, False)).tobytes() == sound.tobytes()


# -- crossfades --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.3, 0.7, 1.0])
def test_a_crossfade_keeps_the_power(correlation: float) -> None:
    generator = np.random.default_rng(3)
    shared, old, new = generator.standard_normal((3, 400_000))
    size = np.sqrt(abs(correlation))
    a = size * shared + np.sqrt(1 - size**2) * old
    b = np.sign(correlation or 1.0) * size * shared + np.sqrt(1 - size**2) * new
    mixed = crossfaded(a[None], b[None], correlation)[0]
    for part in np.array_split(mixed, 10):
        assert np.mean(part**2) == pytest.approx(1.0, abs=0.03)


def test_equal_sounds_cross_at_equal_gain() -> None:
    same = tone(220, 4000).astype(np.float64)
    np.testing.assert_allclose(crossfaded(same, same, 1.0), same, atol=1e-6)


@pytest.mark.parametrize("phase", [0.0, 0.6, 1.6, np.pi, 4.0])
@pytest.mark.parametrize("hz", [65.0, 311.0, 2100.0])
def test_a_drone_is_joined_whatever_its_phase(hz: float, phase: float) -> None:
    before, after = tone(hz, 2 * BAR), tone(hz, 2 * BAR, phase=phase)
    sides = Side(kept(before), NONE), Side(kept(after, BAR - 4000), NONE)
    made = join(*sides, BAR, RATE)
    assert made.patch is not None
    voices = [
        Voice(sides[0].sound, 0, made.leave),
        Voice(made.patch, made.patch.first, made.patch.last),
        Voice(sides[1].sound, made.enter, 2 * BAR),
    ]
    result = whole(Voices(voices, 0, 2 * BAR, False))
    assert seam_score(result, made.spans, NONE, RATE).value < 1.0
    level = np.sqrt(np.mean(result[:, BAR - 5000 : BAR + 5000] ** 2))
    around = [np.sqrt(np.mean(part**2)) for part in np.array_split(result[:, BAR - 4410 : BAR + 4410], 6, axis=1)]
    assert min(around) > 0.6 * level


# -- loops of many materials -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bars", "own"), [(1, 1), (2, 2), (8, 3)])
@pytest.mark.parametrize("around", [0, 9000])
@pytest.mark.parametrize("kind", ["tone", "noise", "drums", "pad"])
def test_no_seam_stands_out(kind: str, around: int, bars: int, own: int) -> None:
    frames = own * BAR + 2 * around
    attacks = NONE
    if kind == "drums":
        seconds = np.arange(-1, 4 * own + 2) * 0.5 + around / RATE
        sound, attacks = struck(frames, seconds), seconds[(seconds >= 0) & (seconds * RATE < frames)] * RATE
    else:
        sound = {"tone": tone(137.0, frames), "noise": noise(frames), "pad": pad(frames)}[kind]
    result = looped(sound, bars, own, attacks, zero=around)
    assert len(result.joins) == len(result.scores) == -(-bars // own)
    assert result.score is not None
    assert result.score < 1.0
    assert result.voices.frames == bars * BAR


@pytest.mark.parametrize("kind", ["tone", "pad"])
def test_a_plain_cut_of_the_same_stands_out(kind: str) -> None:
    sound = {"tone": tone(137.3, 3 * BAR), "pad": pad(3 * BAR)}[kind]
    assert raw_score(np.concatenate((sound[:, : BAR + 333], sound[:, 7000:BAR]), axis=1), BAR + 333) > 1.0


@pytest.mark.parametrize("kind", ["tone", "noise", "pad"])
def test_a_hole_stands_out(kind: str) -> None:
    sound = {"tone": tone, "pad": pad, "noise": noise}[kind](*((137.3, 3 * BAR) if kind == "tone" else (3 * BAR,)))
    holed = sound.copy()
    holed[:, BAR : BAR + RATE // 50] = 0.0
    assert seam_score(holed, [(BAR, BAR + RATE // 50)], NONE, RATE).value > 1.0
    assert seam_score(sound, [(BAR, BAR + RATE // 50)], NONE, RATE).value < 1.0


def test_a_click_stands_out_in_a_quiet_place_of_a_loud_clip() -> None:
    seconds = quarters(3)
    sound = struck(3 * BAR, seconds) + noise(3 * BAR, 0.001)
    at = BAR - 3000
    assert raw_score(sound, at, seconds * RATE) < 1.0
    sound[:, at] += 0.03
    assert raw_score(sound, at, seconds * RATE) > 1.0


def test_an_attack_that_belongs_at_the_bar_line_does_not() -> None:
    seconds = quarters(3)
    assert raw_score(struck(3 * BAR, seconds), BAR, seconds * RATE) < 1.0
    # The same stroke where there are none: a cut in the middle of a tone.
    alone = tone(137.0, 3 * BAR) + struck(3 * BAR, [2.0])
    assert raw_score(alone, BAR) > 1.0


@pytest.mark.parametrize(("early_ms", "around"), [(0.0, 0), (0.0, 9000), (4.0, 9000), (12.0, 9000), (25.0, 9000)])
def test_an_attack_at_the_bar_line_survives_whole(early_ms: float, around: int) -> None:
    early = early_ms / 1000
    seconds = quarters(3, around / RATE - early)
    frames = 2 * BAR + 2 * around
    sound = struck(frames, seconds) + tone(90.0, frames, 0.05)
    result = looped(sound, 2, 2, seconds[seconds >= 0] * RATE, zero=around)
    y = whole(result.voices)
    first = round(-early * RATE)
    attack = np.take(y, np.arange(first, first + 400) % y.shape[1], axis=1)
    wanted = sound[:, around + first : around + first + 400]
    faded = 12 if not around else 0  # a file that begins in full swing is led in over 0.25 ms
    assert np.corrcoef(attack[0, faded:], wanted[0, faded:])[0, 1] > 0.98
    assert float(np.abs(attack).max()) > 0.9 * float(np.abs(wanted).max())
    assert result.score is not None
    assert result.score < 1.0


def test_what_rings_beyond_the_last_bar_is_added_to_the_beginning() -> None:
    seconds = np.array([0.0, 0.5, 1.0, 1.8])
    sound = struck(BAR + RATE, seconds, decay_s=0.2)
    result = looped(sound, 1, 1, seconds * RATE, ring=RATE)
    y = whole(result.voices)
    expected = sound[:, :BAR].copy()
    expected[:, :RATE] += sound[:, BAR:]
    np.testing.assert_allclose(y[:, 20 : RATE // 2], expected[:, 20 : RATE // 2], atol=1e-6)
    np.testing.assert_allclose(y[:, RATE:], expected[:, RATE:], atol=1e-6)
    assert result.joins[0].way == "overlay"


def test_a_held_sound_that_does_not_die_is_not_laid_over_the_beginning() -> None:
    sound = pad(BAR + RATE)
    result = looped(sound, 1, 1, ring=RATE)
    assert result.joins[0].way == "crossfade"
    y = whole(result.voices)
    assert np.sqrt(np.mean(y[:, : RATE // 2] ** 2)) < 1.3 * np.sqrt(np.mean(sound**2))


def test_a_loop_that_leads_on_into_itself_is_left_alone() -> None:
    turns = np.arange(BAR) / BAR * 2 * np.pi
    wave = 0.2 * np.sin(274 * turns) + 0.1 * np.sin(411 * turns + 1)
    sound = np.stack([wave, wave]).astype(np.float32)
    assert leads_on(ArraySource(sound), RATE, NONE)
    result = looped(sound, 1, 1)
    assert result.joins[0].way == "through"
    assert whole(result.voices).tobytes() == sound.tobytes()
    endless = Endless(ArraySource(sound), 1000)
    np.testing.assert_array_equal(whole(endless), np.concatenate((sound[:, -1000:], sound, sound[:, :1000]), axis=1))
    assert not leads_on(ArraySource(np.ascontiguousarray(sound[:, 117:-3000])), RATE, NONE)


@pytest.mark.parametrize("early_ms", [2.0, 9.0, 30.0])
def test_an_attack_a_little_too_early_for_the_first_frame_is_not_cut(early_ms: float) -> None:
    first = RATE - round(early_ms * RATE / 1000)
    seconds = np.concatenate(([first / RATE], 1.0 + np.arange(1, 8) * 0.5))
    sound = struck(3 * RATE, seconds) + tone(90.0, 3 * RATE, 0.02)
    grid = Grid.steady("120", Meter(4, 4), 1, RATE)
    plan = Plan(grid, (Piece(shift(-RATE), 0, BAR, 0, 0),), 1, grid.beats * 0, 0)
    whole_ = assemble(plan, [kept(sound, -RATE)], seconds * RATE, RATE, loop=False, step=nothing).voices
    y = whole(whole_)
    np.testing.assert_array_equal(y[:, : RATE // 100], sound[:, first : first + RATE // 100])
    np.testing.assert_array_equal(y[:, RATE // 5 :], sound[:, RATE + RATE // 5 : RATE + BAR])
    assert seam_score(y, [(RATE // 100, RATE // 5)], (seconds - 1) * RATE, RATE).value < 1.0


def test_a_loop_cut_at_a_stroke_is_left_alone_even_if_the_stroke_was_not_heard() -> None:
    audio = struck(2 * BAR, quarters(2)[:-1])
    audio[:, -RATE // 10 :] *= np.linspace(1, 0, RATE // 10, dtype=np.float32)
    result = looped(audio, 2, 2, quarters(2)[1:-1] * RATE)
    assert result.joins[0].way.value == "through"
    assert result.score is not None
    assert result.score < 1
    np.testing.assert_array_equal(whole(result.voices), audio)


@pytest.mark.parametrize(("phase", "quiet_end", "expected"), [(0.0, 1, True), (np.pi / 2, 1, False), (0.0, 0, False)])
def test_a_sound_begins_anew_where_it_rises_by_itself(phase: float, quiet_end: int, expected: bool) -> None:
    sound = tone(220.0, BAR, phase=phase)
    if quiet_end:
        sound[:, -RATE // 2 :] *= np.linspace(1, 0, RATE // 2, dtype=np.float32)
    assert begins_anew(kept(sound, -BAR), kept(sound), RATE) == expected


def test_silence_at_the_join_stays_silence() -> None:
    sound = struck(BAR, [0.5, 1.0])
    y = whole(looped(sound, 4, 1, np.array([0.5, 1.0]) * RATE).voices)
    assert float(np.abs(y[:, BAR - 1000 : BAR + 1000]).max()) < 1e-4


@pytest.mark.parametrize("frames", [1, 2, 37, 900, 4000])
def test_the_shortest_sounds_can_be_joined(frames: int) -> None:
    grid = Grid.steady("400", Meter(1, 16), 6, RATE)
    lines = [grid.exact_frame(line) for line in grid.bar_starts]
    sound = noise(frames)
    pieces = tuple(Piece(shift(a), a, b, 0, 0) for a, b in itertools.pairwise(lines))
    sounds = [kept(sound, piece.start) for piece in pieces]
    for loop in (False, True):
        result = assemble(Plan(grid, pieces, 1, grid.beats * 0, 0), sounds, NONE, RATE, loop=loop, step=nothing)
        y = whole(result.voices)
        assert y.shape == (2, grid.frames)
        assert np.isfinite(y).all()
        assert result.score is not None
        assert np.isfinite(result.score)


def test_a_pickup_sounds_over_the_end_of_the_last_bar() -> None:
    seconds = np.array([0.25, 0.5, 1.0, 1.5, 2.0])  # the first one is the pickup
    sound = struck(round(2.5 * RATE), seconds)
    grid = Grid.steady("120", Meter(4, 4), 1, RATE)
    zero = RATE // 2
    piece = Piece(shift(-zero), 0, BAR, RATE // 4, 0)
    plan = Plan(grid, (piece,), 1, grid.beats * 0, 0)
    result = assemble(plan, [kept(sound, -zero)], seconds * RATE, RATE, loop=True, step=nothing)
    y = whole(result.voices)
    over = sound[:, RATE // 4 : RATE // 2] + sound[:, 2 * RATE + RATE // 4 :]
    np.testing.assert_allclose(y[:, BAR - RATE // 4 : BAR - 600], over[:, :-600], atol=0.01)
    np.testing.assert_array_equal(y[:, 2000 : BAR // 2], sound[:, zero + 2000 : zero + BAR // 2])


def test_a_sound_goes_on_beyond_its_end_without_a_click() -> None:
    for sound in (tone(137.3, BAR), pad(BAR), tone(41.0, BAR)):
        more = Continued.of(kept(sound), BAR, 4000, RATE)
        y = more.read(0, BAR + 4000)
        assert seam_score(y, [(BAR - 600, BAR + 3900)], NONE, RATE).step < 1.0
        np.testing.assert_array_equal(y[:, : BAR - 600], sound[:, : BAR - 600])


def test_a_shifted_sound_is_the_same_later() -> None:
    sound = Shifted(kept(noise(100), 5), 20)
    assert (sound.first, sound.last, sound.channels) == (25, 125, 2)
    np.testing.assert_array_equal(sound.read(0, 200)[:, 25:125], noise(100))
    assert not sound.read(0, 25).any()
