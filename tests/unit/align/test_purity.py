"""Purity: strokes, basses and what lies above them are told apart, and a separator's word counts more."""

from __future__ import annotations

import numpy as np
import pytest

from studio.align.purity import ESTIMATE, SEPARATION, hear_purity
from studio.mix.arrays import Audio
from studio.mix.sources import ArraySource
from studio.song.values import ROLES

RATE = 44100
FRAMES = 6 * RATE


def tone(hz: float, level: float = 0.3) -> Audio:
    time = np.arange(FRAMES) / RATE
    return np.tile((level * np.sin(2 * np.pi * hz * time)).astype(np.float32), (2, 1))


def strokes(level: float = 0.6) -> Audio:
    out = np.zeros((2, FRAMES), np.float32)
    generator = np.random.default_rng(1)
    for start in range(0, FRAMES, RATE // 2):
        length = min(RATE // 5, FRAMES - start)
        fade = np.exp(-np.arange(length) / 1500)
        out[:, start : start + length] = level * fade * generator.standard_normal((2, length))
    return out


def share(sound: Audio, role: str) -> float:
    found = hear_purity(ArraySource(sound), RATE, role)
    assert found.method == ESTIMATE
    assert found.share is not None
    return found.share


def test_pure_sounds_are_of_their_role() -> None:
    assert share(strokes(), "drums") > 0.9
    assert share(tone(60), "bass") > 0.9
    for role in ("harmony", "lead", "vocals"):
        assert share(tone(600), role) > 0.9
        assert share(tone(60), role) < 0.1
    assert share(tone(600), "bass") < 0.1
    assert share(tone(60), "drums") < 0.1


def test_bleed_lowers_the_share() -> None:
    clean, bleeding = tone(60), tone(60) + tone(700, 0.3)
    assert share(bleeding, "bass") == pytest.approx(0.5, abs=0.1)
    assert share(clean, "bass") > share(clean + strokes(0.3), "bass")


def test_effects_and_silence_cannot_be_told() -> None:
    assert hear_purity(ArraySource(strokes()), RATE, "fx").share is None
    for role in ROLES:
        assert hear_purity(ArraySource(np.zeros((1, 100), np.float32)), RATE, role).share is None


def test_the_shortest_sounds_are_looked_at() -> None:
    for frames in (1, 10, 5000):
        found = hear_purity(ArraySource(tone(400)[:, :frames]), RATE, "lead")
        assert found.share is None or 0 <= found.share <= 1


def test_a_separator_is_asked_block_by_block() -> None:
    sizes: list[int] = []

    def separate(audio: Audio, rate: int) -> dict[str, Audio]:
        assert rate == RATE
        sizes.append(audio.shape[1])
        return {"drums": np.sqrt(np.float32(0.25)) * audio, "bass": np.sqrt(np.float32(0.75)) * audio}

    sound = np.tile(strokes(), (1, 3))
    found = hear_purity(ArraySource(sound), RATE, "drums", separate)
    assert found.method == SEPARATION
    assert found.share == pytest.approx(0.25, abs=1e-3)
    assert sum(sizes) == sound.shape[1]
    assert max(sizes) <= 10 * RATE
    assert found.as_json() == {"role": "drums", "share": 0.25, "method": "separation"}
