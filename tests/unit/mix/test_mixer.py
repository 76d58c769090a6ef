"""The block mixer: sums, solo and mute, pan, ramps, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.mix.errors import MixError, SourceError
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.sources import FileSource
from tests.unit.mix.sounds import RATE, noise, on_24_bits


def track(name: str, audio: np.ndarray, start: int = 0, **settings: object) -> Track:
    return Track(name, (Placed(audio, start),), **settings)  # type: ignore[arg-type]


def test_tracks_on_the_24_bit_grid_add_up_exactly() -> None:
    stems = [on_24_bits(noise(5000, 0.05, seed)) for seed in range(6)]
    mix = Mixer([track(str(i), stem) for i, stem in enumerate(stems)], RATE).mix(0, 5000)
    np.testing.assert_array_equal(mix, sum(stem.astype(np.float64) for stem in stems))


def test_parts_stand_at_their_frames_and_overlap() -> None:
    a, b = np.ones((2, 10), np.float32), np.full((1, 4), 0.5, np.float32)
    mixer = Mixer([Track("a", (Placed(a, 5), Placed(b, 12), Placed(b, -2)))], RATE)
    expected = np.zeros(20)
    expected[5:15] += 1.0
    expected[12:16] += 0.5
    expected[:2] += 0.5
    np.testing.assert_array_equal(mixer.mix(0, 20), np.stack([expected, expected]))
    assert mixer.frames == 16


def test_mute_beats_solo_and_solo_silences_the_rest() -> None:
    one = np.ones((2, 4), np.float32)

    def level(*settings: dict[str, bool]) -> float:
        return float(Mixer([track(str(i), one, **s) for i, s in enumerate(settings)], RATE).mix(0, 4)[0, 0])

    assert level({}, {}) == 2.0
    assert level({"mute": True}, {}) == 1.0
    assert level({"solo": True}, {}, {}) == 1.0
    assert level({"solo": True}, {"solo": True}, {}) == 2.0
    assert level({"solo": True, "mute": True}, {}) == 0.0


def test_gain_and_pan() -> None:
    one = np.ones((2, 1), np.float32)
    assert Mixer([track("a", one, gain_db=-20.0)], RATE).mix(0, 1)[0, 0] == pytest.approx(0.1)
    assert not Mixer([track("a", one, gain_db=float("-inf"))], RATE).mix(0, 1).any()
    np.testing.assert_array_equal(Mixer([track("a", one, pan=1.0)], RATE).mix(0, 1), [[0.0], [1.0]])
    left, right = Mixer([track("a", one, pan=-0.5)], RATE).mix(0, 1)[:, 0]
    assert (left, right) == (1.0, pytest.approx(2**-0.5))


def test_a_change_while_playing_is_a_ramp_of_ten_milliseconds() -> None:
    mixer = Mixer([track("a", np.ones((2, 4800), np.float32))], RATE)
    mixer.mix(0, 100)
    mixer.change("a", mute=True)
    after = np.concatenate([mixer.mix(100, 30), mixer.mix(130, 700)], axis=1)[0]
    assert after[0] == 1.0
    assert float(np.abs(np.diff(after)).max()) < 1 / 480 + 1e-6
    assert not after[480:].any()
    mixer.change("a", mute=False)
    mixer.mix(830, 240)
    mixer.change("a", mute=True)
    turned = mixer.mix(1070, 2)[0]
    assert turned[0] == pytest.approx(0.5)


def test_soloing_one_track_ramps_the_others_down() -> None:
    one = np.ones((2, 2000), np.float32)
    mixer = Mixer([track("a", one), track("b", one)], RATE)
    mixer.change("a", solo=True)
    out = mixer.mix(0, 1000)[0]
    assert (out[0], out[999]) == (2.0, 1.0)
    assert [t.solo for t in mixer.tracks] == [True, False]


def test_a_file_mixes_as_its_array_does(tmp_path: Path) -> None:
    audio = on_24_bits(noise(10_000))
    soundfile.write(tmp_path / "a.wav", audio.T, RATE, subtype="PCM_24")
    with FileSource(tmp_path / "a.wav", RATE) as source:
        mixer = Mixer([Track("a", (Placed(source, 3),))], RATE)
        for start, frames in ((5000, 700), (0, 100), (9990, 100)):
            expected = Mixer([track("a", audio, 3)], RATE).mix(start, frames)
            np.testing.assert_array_equal(mixer.mix(start, frames), expected)


def test_a_memory_mapped_array_is_a_source(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(1000))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_array_equal(Mixer([track("a", mapped)], RATE).mix(0, 1000), mapped)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros((10, 2)), 44_100)
    soundfile.write(tmp_path / "wide.wav", np.zeros((10, 3)), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    for name, reason in (("slow", "44100 Hz"), ("wide", "3 channels"), ("text", "sound file"), ("none", "sound")):
        with pytest.raises(SourceError, match=reason):
            FileSource(tmp_path / f"{name}.wav", RATE)


class Surround:
    """A source with more channels than the mixer has."""

    frames = 100
    channels = 3

    def read(self, start: int, frames: int) -> np.ndarray:
        raise AssertionError("it is refused before anything is read")


def test_bad_tracks_are_refused() -> None:
    one = np.ones((2, 1), np.float32)
    with pytest.raises(MixError, match="one name"):
        Mixer([track("a", one), track("a", one)], RATE)
    with pytest.raises(MixError, match="gain"):
        track("a", one, gain_db=41.0)
    with pytest.raises(MixError, match="gain"):
        track("a", one, gain_db=float("nan"))
    with pytest.raises(MixError, match="pan"):
        track("a", one, pan=1.5)
    with pytest.raises(MixError, match="channels"):
        Mixer([Track("a", (Placed(Surround()),))], RATE)
    with pytest.raises(MixError, match="called 'b'"):
        Mixer([track("a", one)], RATE).change("b", mute=True)
    with pytest.raises(MixError, match="frames"):
        Mixer([], RATE).mix(0, -1)
