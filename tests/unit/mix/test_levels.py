"""The solver: what it promises is what the rendered stems measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from studio.mix.arrays import Audio
from studio.mix.errors import MixError
from studio.mix.levels import Levels, solve_levels
from studio.mix.loudness import integrated_loudness
from studio.mix.stem import PlacedTake, StemLevel, apply_level, render_stem
from studio.mix.truepeak import true_peak_dbtp
from tests.unit.mix.sounds import RATE, hits, pink, sine

BALANCE = {"drums": -2.5, "bass": -3.0, "harmony": -4.0, "lead": -3.0, "fx": -12.0}

Stems = Mapping[str, Sequence[PlacedTake]]


def song(frames: int, rate: int = RATE) -> dict[str, list[PlacedTake]]:
    """Five stems of two takes each; the first take of each rings over into the second."""
    sounds: dict[str, Audio] = {
        "drums": hits(frames, 0.9, rate=rate),
        "bass": sine(55, frames, 0.3, rate) * (0.6 + 0.4 * np.sin(np.arange(frames) / rate * 9)).astype(np.float32),
        "harmony": np.sum([sine(hz, frames, 0.05, rate, hz) for hz in (220.0, 277.2, 329.6)], axis=0),
        "lead": sine(660, frames, 0.2, rate, 0.4),
        "fx": pink(frames, 0.02, 3),
    }
    half = frames // 2
    ring = min(rate // 5, frames - half)
    stems = {}
    for role, audio in sounds.items():
        first = audio[:, : half + ring].astype(np.float32)
        first[:, half:] = pink(ring, 0.005, 7) * np.linspace(1, 0, ring, dtype=np.float32)
        stems[role] = [PlacedTake(first, 0), PlacedTake(audio[:, half:].astype(np.float32), half)]
    return stems


def rendered(stems: Stems, levels: Levels, frames: int, rate: int) -> dict[str, np.ndarray]:
    return {role: render_stem(takes, rate, levels.stems[role], frames) for role, takes in stems.items()}


def check(stems: Stems, frames: int, rate: int = RATE) -> tuple[Levels, dict[str, np.ndarray]]:
    levels = solve_levels(stems, frames, rate, BALANCE)
    audio = rendered(stems, levels, frames, rate)
    mix = np.asarray(sum(stem.astype(np.float64) for stem in audio.values()), dtype=np.float32)
    assert integrated_loudness(mix, rate) == pytest.approx(-14.0, abs=0.5)
    assert integrated_loudness(mix, rate) == pytest.approx(levels.lufs, abs=0.02)
    assert true_peak_dbtp(mix) == pytest.approx(levels.peak_dbtp, abs=0.02)
    for role, stem in [*audio.items(), ("mix", mix)]:
        assert true_peak_dbtp(stem) < -1.0, role
    return levels, audio


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_a_song_reaches_its_loudness_below_its_peak(rate: int) -> None:
    stems = song(6 * rate, rate)
    levels, audio = check(stems, 6 * rate, rate)
    loudness = {role: integrated_loudness(stem, rate) for role, stem in audio.items()}
    for role in stems:
        wanted = BALANCE[role] - BALANCE["drums"]
        assert loudness[role] - loudness["drums"] == pytest.approx(wanted, abs=2.5), role
        assert loudness[role] == pytest.approx(levels.stem_lufs[role], abs=0.05)


@pytest.mark.parametrize("role", ["drums", "bass", "harmony"])
def test_a_single_stem(role: str) -> None:
    frames = 5 * RATE
    check({role: song(frames)[role]}, frames)


@pytest.mark.parametrize("seconds", [0.3, 0.6, 2.0])
def test_very_short_songs(seconds: float) -> None:
    frames = round(seconds * RATE)
    check(song(frames), frames)


def test_a_long_song_is_sought_on_excerpts_and_measured_whole() -> None:
    rate = 8_000
    frames = 80 * rate
    levels, _ = check(song(frames, rate), frames, rate)
    assert levels.passes >= 1


def test_silent_stems_change_nothing() -> None:
    frames = 3 * RATE
    stems = song(frames)
    alone = solve_levels({"drums": stems["drums"], "bass": stems["bass"]}, frames, RATE, BALANCE)
    silence = [PlacedTake(np.zeros((2, frames), np.float32), 0)]
    mixed = {"lead": silence, "drums": stems["drums"], "fx": [], "bass": stems["bass"]}
    levels = solve_levels(mixed, frames, RATE, BALANCE)
    assert levels.stems["drums"] == alone.stems["drums"]
    assert levels.stems["lead"].gain_db == levels.stems["fx"].gain_db == 0.0
    assert levels.stem_lufs["lead"] == float("-inf")
    assert list(levels.stems) == list(mixed)


def test_a_song_of_silence() -> None:
    levels = solve_levels({"drums": [PlacedTake(np.zeros((2, 100), np.float32), 0)]}, 100, RATE, BALANCE)
    assert (levels.lufs, levels.peak_dbtp) == (float("-inf"), float("-inf"))
    assert levels.stems["drums"].gain_db == 0.0


def test_peaks_come_before_loudness() -> None:
    # One click in ten seconds cannot be made -14 LUFS loud; its peak must still be legal.
    audio = np.zeros((2, 10 * RATE), np.float32)
    audio[:, RATE] = 0.5
    levels = solve_levels({"fx": [PlacedTake(audio, 0)]}, 10 * RATE, RATE, BALANCE)
    stem = render_stem([PlacedTake(audio, 0)], RATE, levels.stems["fx"], 10 * RATE)
    assert true_peak_dbtp(stem) < -1.0
    assert levels.lufs < -14.5


def test_a_stem_is_the_sum_of_its_levelled_takes() -> None:
    frames = RATE
    level = StemLevel(gain_db=-3.0, ceiling_db=-9.0)
    takes = song(frames)["drums"]
    stem = render_stem(takes, RATE, level, frames)
    expected = np.zeros((2, frames))
    for take in takes:
        piece = apply_level(take.audio, RATE, level)[:, : frames - take.start]
        expected[:, take.start : take.start + piece.shape[1]] += piece
    np.testing.assert_allclose(stem, expected, atol=1e-6)


def test_the_same_song_gives_the_same_levels() -> None:
    frames = 2 * RATE
    assert solve_levels(song(frames), frames, RATE, BALANCE) == solve_levels(song(frames), frames, RATE, BALANCE)


def test_bad_input_is_refused() -> None:
    take = [PlacedTake(np.zeros((2, 10), np.float32), 0)]
    with pytest.raises(MixError, match="balance names no"):
        solve_levels({"cowbell": take}, 10, RATE, BALANCE)
    with pytest.raises(MixError, match="at least 1 frame"):
        solve_levels({"fx": take}, 0, RATE, BALANCE)
    with pytest.raises(MixError, match="finite"):
        solve_levels({"fx": take}, 10, RATE, BALANCE, target_lufs=float("nan"))
    with pytest.raises(MixError, match="float32"):
        solve_levels({"fx": [PlacedTake(np.zeros((2, 10)), 0)]}, 10, RATE, BALANCE)  # type: ignore[arg-type]
