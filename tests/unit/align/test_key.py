"""Keys: known chords give their key, detuned and under drums too; noise gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from studio.align.key import hear_key, profile
from studio.mix.arrays import Audio
from studio.mix.sources import ArraySource
from studio.song import Key
from studio.song.key import MODES

RATE = 44100
CADENCES = {
    "major": [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
    "minor": [(0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7)],
}


def chords(
    rows: Sequence[Sequence[int]], tonic: int, cents: float = 0.0, seconds: float = 1.0, rate: int = RATE
) -> Audio:
    """Chords of tones with overtones, above C3 and the tonic."""
    time = np.arange(round(seconds * rate)) / rate
    parts = []
    for chord in rows:
        sound = np.zeros(len(time))
        for note in (chord[0] - 12, *chord):
            hz = 440.0 * 2 ** ((48 + tonic + note - 69 + cents / 100) / 12)
            for overtone in range(1, 6):
                sound += 0.05 / overtone * np.sin(2 * np.pi * overtone * hz * time + note + overtone)
        parts.append(sound * np.minimum(1.0, 20 * (seconds - time)))
    return np.concatenate(parts).astype(np.float32)[None]


def drums(audio: Audio, rate: int = RATE) -> Audio:
    """The same with strokes of noise that are louder."""
    out = audio.copy()
    generator = np.random.default_rng(1)
    for start in range(0, out.shape[1], rate // 4):
        stroke = out[0, start : start + rate // 8]
        stroke += (0.7 * np.exp(-np.arange(len(stroke)) / 900) * generator.standard_normal(len(stroke))).astype(
            np.float32
        )
    return out


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_a_cadence_gives_its_key(mode: str, tonic: int) -> None:
    heard = hear_key(ArraySource(chords(CADENCES[mode], tonic)), RATE)
    assert heard.estimate is not None
    assert (heard.estimate.tonic_pitch_class, heard.estimate.mode) == (tonic, mode)
    assert heard.confidence > 0.3
    assert abs(heard.tuning_cents) < 5
    assert sum(heard.chroma) == pytest.approx(1.0)


@pytest.mark.parametrize("cents", [-40.0, -15.0, 25.0, 45.0])
def test_the_tuning_is_followed(cents: float) -> None:
    heard = hear_key(ArraySource(chords(CADENCES["minor"], 2, cents)), RATE)
    assert str(heard.estimate) == "D minor"
    assert heard.tuning_cents == pytest.approx(cents, abs=5)


def test_drums_do_not_change_the_key() -> None:
    heard = hear_key(ArraySource(drums(chords(CADENCES["major"], 3))), RATE)
    assert str(heard.estimate) == "Eb major"


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
def test_any_rate_will_do(rate: int) -> None:
    heard = hear_key(ArraySource(chords(CADENCES["major"], 7, rate=rate)), rate)
    assert str(heard.estimate) == "G major"


def test_noise_and_silence_have_no_key_to_speak_of() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, (2, 4 * RATE)).astype(np.float32)
    assert hear_key(ArraySource(noise), RATE).confidence < 0.1
    for frames in (1, 100, RATE):
        heard = hear_key(ArraySource(np.zeros((2, frames), np.float32)), RATE, Key("D", "dorian"))
        assert (heard.estimate, heard.confidence, heard.fit) == (None, 0.0, None)


def test_the_song_s_key_fits_or_does_not() -> None:
    sound = ArraySource(chords(CADENCES["major"], 0))
    right = hear_key(sound, RATE, Key("C", "major")).fit
    wrong = hear_key(sound, RATE, Key("F#", "major")).fit
    assert right is not None
    assert wrong is not None
    assert (right.rank, right.in_scale > 0.9) == (1, True)
    assert (wrong.rank > 12, wrong.in_scale < 0.5) == (True, True)


@pytest.mark.parametrize(
    ("mode", "rows"),
    [
        ("dorian", [(0, 3, 7), (5, 9, 12), (0, 3, 7), (10, 14, 17), (0, 3, 7)]),
        ("mixolydian", [(0, 4, 7), (10, 14, 17), (5, 9, 12), (0, 4, 7)]),
        ("phrygian", [(0, 3, 7), (1, 5, 8), (0, 3, 7), (10, 13, 17), (0, 3, 7)]),
    ],
)
def test_modes_fit_where_they_should(mode: str, rows: list[tuple[int, ...]]) -> None:
    heard = hear_key(ArraySource(chords(rows, 9)), RATE, Key("A", mode))
    assert heard.fit is not None
    assert heard.fit.in_scale > 0.85
    assert heard.fit.rank <= 2


@pytest.mark.parametrize("mode", MODES)
def test_a_profile_favours_its_scale(mode: str) -> None:
    key = Key("D", mode)
    expected = profile(key)
    off = [pc for pc in range(12) if pc not in key.scale]
    tonic = key.tonic_pitch_class  # whose overtones make the fifth as strong
    assert set(np.argsort(expected)[-2:]) >= {tonic}
    assert expected[list(key.scale)].mean() > 2 * expected[off].mean()


def test_json_says_what_was_heard() -> None:
    data = hear_key(ArraySource(chords(CADENCES["minor"], 9)), RATE, Key("A", "minor")).as_json()
    assert data["estimate"] == "A minor"
    assert data["fit"]["key"] == "A minor"
    assert data["fit"]["rank"] == 1
