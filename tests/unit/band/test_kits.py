"""The drum kits: every piece sounds, on its frame, at its level; hats choke; the data on disk is whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.band.sound.index import ASSETS, presets
from models.band.sound.kits import Kit, KitError, KitVoice, Piece, kit_voice, kits
from models.band.sound.voice import Hit, VoiceError

RATE = 48_000
NEEDED = ("standard", "power", "jazz", "brush", "electro", "808", "909", "lofi", "industrial")
#: What a groove may ask of any kit but `fx`.
KEYS = [*range(35, 58), 59, *range(60, 65), 69, 70, 75, 76, 77]
DRUM_KITS = [name for name in kits() if name != "fx"]


def level(sound: NDArray[np.float32]) -> float:
    """Return the RMS level in dB."""
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def test_the_kits_that_styles_rely_on_are_there() -> None:
    assert set(NEEDED) <= set(kits())


@pytest.mark.parametrize("name", DRUM_KITS)
def test_every_drum_sounds_on_its_frame(name: str) -> None:
    voice = kit_voice(name, RATE)
    for key in KEYS:
        sound = voice.render([Hit(300, 2400, key, 100)], 13_000)
        loud = np.abs(sound).max(axis=0)
        assert np.isfinite(sound).all()
        assert loud[:300].max() == 0.0
        assert 0.005 < loud.max() < 1.5, f"key {key}"
        assert np.argmax(loud[300:] > 0.1 * loud.max()) <= 0.001 * RATE, f"key {key} is late"


@pytest.mark.parametrize("name", [name for name in DRUM_KITS if kits()[name].pieces])
def test_every_piece_of_every_kit_sounds(name: str) -> None:
    voice = kit_voice(name, 44_100)
    for key in kits()[name].pieces:
        assert np.abs(voice.render([Hit(0, 2400, key, 100)], 30_000)).max() > 0.005, f"key {key}"


def test_every_effect_sounds() -> None:
    voice = kit_voice("fx", RATE)
    for key, piece in kits()["fx"].pieces.items():
        sound = voice.render([Hit(0, 100, key, 100)], 6 * RATE)
        assert np.abs(sound).max() > 0.02, key
        if piece.reverse:
            assert np.argmax(np.abs(sound).max(axis=0)) > 0.1 * RATE, f"key {key} does not rise"


@pytest.mark.parametrize("name", ["standard", "electro", "808", "909", "lofi", "industrial"])
@pytest.mark.parametrize("closing", [42, 44])
def test_closed_and_pedal_hats_choke_the_open_one(name: str, closing: int) -> None:
    voice = kit_voice(name, RATE)
    opened, closed = Hit(0, 2400, 46, 110), Hit(4000, 2400, closing, 70)
    alone, both = voice.render([opened], RATE), voice.render([opened, closed], RATE)
    rest = both - voice.render([closed], RATE)
    assert np.allclose(rest[:, :4000], alone[:, :4000], atol=1e-6)
    assert level(alone[:, 4000:4385]) > -75.0
    assert np.abs(rest[:, 4385:]).max() < 1e-5
    kick = voice.render([opened, Hit(4000, 2400, 36, 70)], RATE) - voice.render([Hit(4000, 2400, 36, 70)], RATE)
    assert np.allclose(kick, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["electro", "808", "909", "lofi", "industrial", "tabla"])
def test_louder_velocities_are_louder(name: str) -> None:
    voice = kit_voice(name, RATE)
    for key in (36, 38, 42, 49, 56):
        levels = [level(voice.render([Hit(0, 2400, key, v)], 9600)) for v in range(8, 128, 7)]
        # A borrowed piece may step back a little where its filter opens.
        assert min(np.diff(levels)) > -0.3, key
        assert levels[-1] - levels[0] > 20.0


def test_a_one_shot_ignores_the_length_of_its_note() -> None:
    voice = kit_voice("electro", RATE)
    assert np.array_equal(voice.render([Hit(0, 1, 36, 100)], 9600), voice.render([Hit(0, 9000, 36, 100)], 9600))


def test_rates_agree() -> None:
    for key in (36, 38, 46, 56):
        levels, ends = [], []
        for rate in (44_100, 48_000, 96_000):
            sound = kit_voice("808", rate).render([Hit(0, 100, key, 100)], 2 * rate)
            levels.append(level(sound[:, : rate // 4]))
            ends.append(np.flatnonzero(np.abs(sound).max(axis=0) > 0.003 * np.abs(sound).max())[-1] / rate)
        assert np.ptp(levels) < 0.3
        assert np.ptp(ends) < 0.02


def test_tune_pan_length_and_lowpass_do_what_they_say() -> None:
    def sound(**fields: float) -> NDArray[np.float32]:
        piece = Piece(sample="drum_tom_mid_hard", **fields)  # type: ignore[arg-type]
        return KitVoice(Kit(f"test {fields}", "", "", 0.0, {47: piece}), RATE).render([Hit(0, 1, 47, 127)], RATE)

    def peak(x: NDArray[np.float32]) -> float:
        return float(np.argmax(np.abs(np.fft.rfft(x[0], 1 << 18))) * RATE / (1 << 18))

    plain = sound()
    assert peak(sound(tune=12.0)) / peak(plain) == pytest.approx(2.0, rel=0.02)
    left = sound(pan=-1.0)
    assert np.array_equal(left[0], plain[0])
    assert not left[1].any()
    assert np.flatnonzero(np.abs(sound(length=0.1)).max(axis=0))[-1] <= 0.1 * RATE
    assert level(sound(gain=-6.0)) - level(plain) == pytest.approx(-6.0, abs=0.01)
    bright, dull = (np.abs(np.fft.rfft(x[0]))[5000:].sum() for x in (plain, sound(lowpass=800.0)))
    assert dull < 0.2 * bright


def test_tails_cover_what_rings() -> None:
    for name in ("standard", "electro", "808", "fx"):
        voice = kit_voice(name, RATE)
        tail = voice.tail_frames()
        keys = kits()[name].pieces or {49: Piece()}
        sound = voice.render([Hit(0, 100, key, 100) for key in keys], tail + RATE)
        assert np.abs(sound[:, tail:]).max() < 2e-3
        assert tail <= 9 * RATE


def test_the_same_hits_give_the_same_bytes() -> None:
    hits = [Hit(n * 3000, 1000, (36, 42, 38, 46)[n % 4], 50 + 3 * n % 70) for n in range(32)]
    first = kit_voice("lofi", RATE).render(hits, 120_000)
    kit_voice("lofi", RATE).render(hits[:7], 50_000)
    assert first.tobytes() == kit_voice("lofi", RATE).render(hits[::-1], 120_000).tobytes()


def test_unknown_kits_and_keys_are_refused() -> None:
    with pytest.raises(VoiceError, match="choose one of: standard"):
        kit_voice("bongo-tron", RATE)
    with pytest.raises(VoiceError, match="kit electro has nothing on key 0; it plays keys 35 to 81"):
        kit_voice("electro", RATE).render([Hit(0, 1, 0, 100)], 10)
    with pytest.raises(VoiceError, match="kit fx has nothing on key 127"):
        kit_voice("fx", RATE).render([Hit(0, 1, 127, 100)], 10)


def test_a_missing_one_shot_is_named() -> None:
    kit = Kit("broken", "", "", 0.0, {36: Piece(sample="no_such_kick")})
    with pytest.raises(KitError, match="no_such_kick"):
        KitVoice(kit, RATE).render([Hit(0, 1, 36, 100)], 10)


def test_the_files_on_disk_are_those_the_kits_name() -> None:
    named = {piece.sample for kit in kits().values() for piece in kit.pieces.values() if piece.sample}
    held = {path.stem for path in (ASSETS / "oneshots").iterdir()}
    assert named == held
    borrowed = {piece.font for kit in kits().values() for piece in kit.pieces.values() if piece.font}
    assert borrowed | {kit.preset for kit in kits().values() if kit.preset} <= set(presets())


def test_the_bundle_stays_small_and_carries_its_licences() -> None:
    size = sum(path.stat().st_size for path in ASSETS.rglob("*") if path.suffix in (".sf3", ".flac", ".ogg"))
    assert size < 25_000_000
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ASSETS / "licenses").iterdir()}
    notice = (ASSETS.parents[2] / "NOTICE").read_text(encoding="utf-8")
    assert all(f"licenses/{name}" in notice for name in texts)
    assert any("Permission is hereby granted" in text for text in texts.values())
    assert any("CC0 1.0 Universal" in text for text in texts.values())
