"""The soundfont reader: what it reads, how zones combine, and that no damaged file gets past it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from models.band.sound.font import ATTENUATION, CUTOFF, PAN, Font, FontError
from models.band.sound.modulators import Modulator, source_value
from models.band.sound.sampler import FontVoice, bundled_font
from models.band.sound.voice import Hit, SoundError
from tests.unit.band.soundfont_files import TinySample, TinyZone, chunk, sine, soundfont


def test_pcm_samples_come_back_as_written() -> None:
    data = sine(0.1)
    font = Font(soundfont([TinySample(data, loop=(100, 2000))], [TinyZone()]))
    assert font.presets == {(0, 0): "Tiny"}
    sample = font.sample(0)
    assert np.abs(sample.data - data).max() < 1 / 32000
    assert (sample.rate, sample.key, sample.loop_start, sample.loop_end) == (44_100, 69, 100, 2000)


def test_vorbis_samples_are_decoded_as_far_as_asked() -> None:
    data = sine(4.0)
    font = Font(soundfont([TinySample(data, loop=(100, 2000))], [TinyZone()], vorbis=True))
    part = font.sample(0, 10)
    assert 10 <= len(part.data) < part.total == len(data)
    assert (part.loop_start, part.loop_end) == (100, 2000)
    whole = font.sample(0)
    assert len(whole.data) == len(data)
    assert np.abs(whole.data[1000:-1000] - data[1000:-1000]).max() < 0.02
    assert np.array_equal(whole.data[: len(part.data)], part.data)


@pytest.mark.parametrize("pad", [True, False])
def test_odd_chunks_are_read_with_and_without_their_pad_byte(pad: bool) -> None:
    samples = [TinySample(sine(0.1, hertz)) for hertz in (440.0, 450.0, 460.0, 470.0, 480.0, 490.0)]
    sizes = set()
    for count in range(1, 7):
        data = soundfont(samples[:count], [TinyZone(number) for number in range(count)], vorbis=True, pad=pad)
        font = Font(data)
        sizes.add(len(font._smpl) % 2)
        assert [zone.sample for zone in font.zones(0, 0)] == list(range(count))
        assert len(font.sample(count - 1).data) == 4410
    assert sizes == {0, 1}, "the case of an odd sample chunk was not met"


def test_preset_values_add_to_instrument_values_and_ranges_meet() -> None:
    zones = [
        TinyZone(0, {43: (0, 60), PAN: -100, ATTENUATION: 100}),
        TinyZone(0, {43: (61, 127), CUTOFF: 8000}),
        TinyZone(0, {43: (100, 127)}),
    ]
    font = Font(soundfont([TinySample(sine(0.1))], zones, {43: (40, 80), PAN: 30, ATTENUATION: 50, CUTOFF: -500}))
    low, high = font.zones(0, 0)
    assert (low.keys, high.keys) == ((40, 60), (61, 80))
    assert (low.generators[PAN], high.generators[PAN]) == (-70, 30)
    assert (low.generators[CUTOFF], high.generators[CUTOFF]) == (13_000, 7500)
    assert low.attenuation_cb == pytest.approx(60.0)


def test_a_modulator_of_the_font_replaces_the_default_of_the_same_identity() -> None:
    plain = Font(soundfont([TinySample(sine(0.1))], [TinyZone()])).zones(0, 0)[0]
    flat = TinyZone(0, {}, ((0x0502, ATTENUATION, 0, 0, 0), (0x0102, CUTOFF, -2400, 0, 0)))
    changed = Font(soundfont([TinySample(sine(0.1))], [flat])).zones(0, 0)[0]
    assert plain.modulators == (Modulator(0x0502, ATTENUATION, 960, 0, 0),)
    assert changed.modulators == (Modulator(0x0102, CUTOFF, -2400, 0, 0),)


@pytest.mark.parametrize(
    ("source", "key", "velocity", "value"),
    [
        (0, 60, 1, 1.0),
        (2, 60, 127, 1.0),
        (0x0102, 60, 127, 0.0),
        (0x0203, 127, 1, 1.0),
        (0x0203, 0, 1, -1.0),
        (0x0303, 0, 1, 1.0),
        (0x0502, 60, 127, 0.0),
        (0x0502, 60, 64, 0.4167 * 0.2976),  # 400/960 log10(127/64)
        (0x0C02, 60, 63, 0.0),
        (0x0C02, 60, 64, 1.0),
        (0x0081, 60, 64, 0.0),  # the modulation wheel rests at zero
    ],
)
def test_modulator_sources(source: int, key: int, velocity: int, value: float) -> None:
    assert source_value(source, key, velocity) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a SoundFont"),
        (b"RIFF\x04\0\0\0WAVE", "not a SoundFont"),
        (chunk("RIFF", b"sfbk"), "damaged"),
        (chunk("RIFF", b"sfbk" + chunk("LIST", b"pdta" + chunk("phdr", bytes(39)))), "multiple of 38"),
        (soundfont([TinySample(sine(0.1))], [TinyZone()])[:-400], "runs past the end"),
        (soundfont([TinySample(sine(0.1))], [TinyZone(5)]), "sample 5 of 1"),
        (soundfont([TinySample(sine(0.1), rate=3)], [TinyZone()]), "rate of 3"),
    ],
)
def test_faults_are_one_line_errors(data: bytes, says: str) -> None:
    with pytest.raises(FontError, match=says) as caught:
        Font(data).zones(0, 0)
    assert "\n" not in str(caught.value)


def test_missing_presets_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FontError, match="no preset 0:99"):
        bundled_font().zones(0, 99)
    with pytest.raises(FontError, match=r"gone\.sf2: cannot be read"):
        Font.open(tmp_path / "gone.sf2")


def test_a_false_length_reserves_no_memory() -> None:
    data = bytearray(soundfont([TinySample(sine(0.2))], [TinyZone()], vorbis=True))
    last_page = data.rfind(b"OggS")
    data[last_page + 6 : last_page + 14] = struct.pack("<q", 1 << 50)  # the stream's length in frames
    with pytest.raises(FontError):
        Font(bytes(data)).sample(0)


def _play(data: bytes) -> None:
    """Read everything there is and sound a few notes."""
    font = Font(data)
    for place in list(font.presets)[:4]:
        voice = FontVoice(font, *place, rate=8000)
        voice.tail_frames()
        for key in sorted(voice.keys())[:3]:
            sound = voice.render([Hit(0, 200, key, 100), Hit(50, 300, key, 30)], 800)
            assert np.isfinite(sound).all()


@pytest.mark.parametrize("vorbis", [False, True])
def test_damaged_files_are_refused_or_play_but_never_break(vorbis: bool) -> None:
    zones = [
        TinyZone(0, {43: (0, 80), 54: 1, 36: 0, 57: 2, 22: -800, 5: 20}, ((0x0102, CUTOFF, -2400, 0, 0),)),
        TinyZone(1, {43: (70, 127), 54: 3, 8: 6000, 11: 2400, 26: -6000}),
    ]
    samples = [TinySample(sine(0.05), loop=(100, 1100)), TinySample(sine(0.05, 880.0), loop=(200, 900))]
    whole = soundfont(samples, zones, {48: 10}, vorbis=vorbis)
    _play(whole)
    dice = random.Random(20_261_123)
    hydra = whole.index(b"phdr")
    refused = played = 0
    for turn in range(300):
        data = bytearray(whole)
        if turn % 5 == 0:
            del data[dice.randrange(len(data)) :]
        for _ in range(dice.randint(1, 6)):
            if data:
                # Half of the damage goes into the tables, which are a small part of the file.
                first = hydra if dice.random() < 0.5 and len(data) > hydra else 0
                data[dice.randrange(first, len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        outcome = _outcome(bytes(data))
        played += outcome == "played"
        refused += outcome == "refused"
    assert refused + played == 300
    assert min(refused, played) > 20


def _outcome(data: bytes) -> str:
    try:
        _play(data)
    except SoundError as error:
        return "refused" if "\n" not in str(error) else "refused at length"
    return "played"
