"""The benchmark's truth must be true, or its figures mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from studio.song.meter import Meter
from tests.bench.bar_lock import material, music
from tests.bench.bar_lock.case import Case, load, save
from tests.bench.bar_lock.patterns import PATTERNS, Pattern
from tests.bench.bar_lock.score import ENVELOPE_RATE, Answer, attack_envelope, lags, mapped
from tests.bench.bar_lock.voices import render

RATE = 48_000


def first(name: str, fits: Callable[[Case], bool]) -> Case:
    """The first case of TUNE that fits."""
    made = (material.make(name, seed) for seed in material.seeds("tune", name, 60))
    return next(case for case in made if fits(case))


def test_a_seed_says_everything():
    first, again = material.make("voice", 5), material.make("voice", 5)
    assert first.says == again.says
    assert np.array_equal(first.audio, again.audio)
    assert np.array_equal(first.music.notes, again.music.notes)


def test_the_splits_share_no_seed():
    assert material.TUNE.stop <= material.TEST.start
    for name in material.MATERIALS:
        assert all(seed in material.TUNE for seed in material.seeds("tune", name, 500))
        assert all(seed in material.TEST for seed in material.seeds("test", name, 500))


def test_a_kept_case_is_the_same(tmp_path: Path):
    made = material.make("loop", 6)
    save(made, tmp_path / "case.npz")
    kept = load(tmp_path / "case.npz")
    assert np.array_equal(made.audio, kept.audio)
    assert np.array_equal(made.onsets, kept.onsets)
    assert (made.grid, made.wish, made.done, made.says) == (kept.grid, kept.wish, kept.done, kept.says)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_patterns_fill_their_bars(pattern: Pattern):
    steps = Meter.parse(pattern.meter).bar_beats * pattern.steps
    for text in (*pattern.drums.values(), pattern.bass, pattern.comp):
        for bar in text.split("|"):
            assert Fraction(len(bar.replace(" ", ""))) == steps, text


@pytest.mark.slow
@pytest.mark.parametrize("voice", [*(f"kit:{kit}" for kit in music.KITS), *music.BASSES, *music.STRUCK])
def test_sharp_voices_begin_on_the_frame(voice: str):
    """Within a millisecond each has passed -20 dB of its attack, and before its frame there is nothing at all."""
    keys = (36, 38, 42) if voice.startswith("kit:") else (40,) if voice in music.BASSES else (60, 67)
    for key in keys:
        notes = np.zeros(1, music.NOTE)
        notes["key"], notes["velocity"] = key, 96
        frame = np.array([RATE // 10])
        sound = render(music.Music(notes, (music.Part("", voice),)), frame, frame + RATE // 2, RATE, RATE, 120.0, 1)
        level = np.abs(sound).max(axis=0)
        assert not level[: frame[0]].any()
        attack = level[frame[0] : frame[0] + RATE // 4]
        assert np.argmax(attack >= 0.1 * attack.max()) < 0.001 * RATE


@pytest.mark.slow
def test_notes_sound_where_the_truth_says():
    """Through a drifting tempo, in the waveform itself: silence up to a stroke's frame, sound within a millisecond."""

    def plain(case: Case) -> bool:
        return case.done["tempo"] in ("drift", "walk") and not case.done["snr"] and not case.done["room"]

    case = first("drums", plain)
    level = np.abs(case.audio).max(axis=0)
    notes = case.music.notes
    frames = np.rint((case.truth.seconds_at(notes["beat"]) + notes["jitter"]) * case.rate).astype(int)
    checked = 0
    for frame in np.unique(frames):
        before, after = level[max(0, frame - 96) : frame], level[frame : frame + 480]
        if before.size and before.max() < 0.02 * after.max():
            checked += 1
            assert np.argmax(after >= 0.1 * after.max()) < 0.001 * case.rate
    assert checked >= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["drums", "bass", "loop"])
def test_a_sound_that_is_only_late_is_ideal_when_moved(name: str):
    """The ear's measure finds nothing wrong with a sound whose tempo is right once its downbeat is on bar 1."""

    def only_late(case: Case) -> bool:
        done = case.done
        return done["tempo"] in ("shift", "exact") and case.rate == case.grid.rate and "ramp" not in done

    case = first(name, only_late)
    downbeat = round(float(case.truth.seconds_at(0.0)) * case.rate)
    late, lost = lags(case, Answer(case.audio, downbeat, lambda seconds: seconds))
    assert lost == 0
    assert np.percentile(np.abs(late), 95) < 0.5


def test_a_known_error_is_measured():
    case = material.make("drums", 7)
    sound, lead = material.ideal(case)
    late = round(0.0125 * case.grid.rate)
    moved = np.pad(sound, ((0, 0), (late, 0)))

    def target_at(seconds: np.ndarray) -> np.ndarray:
        return case.grid.frame_at(case.truth.beats_at(seconds)) + late

    found, lost = lags(case, Answer(moved, lead, target_at))
    assert not lost
    assert np.allclose(found, 12.5, atol=0.2)
    told = mapped(case, target_at)
    assert told.right
    assert np.allclose(told.errors, 12.5, atol=0.05)


def test_a_wrong_bar_and_a_wrong_tempo_are_not_right():
    case = material.make("drums", 7)
    frames_a_beat = 60 / case.grid.bpm * case.grid.rate

    def mapped_as(beats: float, scale: float) -> bool:
        return mapped(case, lambda s: frames_a_beat * (scale * case.truth.beats_at(s) + beats)).right

    assert mapped_as(0.0, 1.0)
    assert mapped_as(0.2, 1.0)
    assert not mapped_as(0.5, 1.0)
    assert not mapped_as(-4.0, 1.0)
    assert not mapped_as(0.0, 2.0)
    assert not mapped_as(0.0, 2 / 3)


def test_an_envelope_rises_at_the_attack():
    click = np.zeros((1, RATE), np.float32)
    click[0, RATE // 2] = 0.9
    envelope = attack_envelope(click, RATE)
    assert abs(int(envelope.argmax()) / ENVELOPE_RATE - 0.5) <= 0.003
