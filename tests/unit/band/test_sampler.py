"""The sampler: exact onsets, pitch, levels, loops, releases and chokes, at any rate and always the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.band.sound.cache import ByteCache
from models.band.sound.envelopes import Envelope, Oscillator
from models.band.sound.font import Font
from models.band.sound.index import ASSETS, find_preset, presets
from models.band.sound.pitching import bent, transposed
from models.band.sound.sampler import FontVoice, bundled_font, font_voice
from models.band.sound.voice import Hit, VoiceError
from tests.unit.band.soundfont_files import TinySample, TinyZone, sine, soundfont

RATE = 48_000
Sound = NDArray[np.float32]


def pitch(sound: Sound, rate: int, near: float) -> float:
    """Return the frequency in Hz of the strongest partial within a semitone of `near`."""
    mono = sound.mean(axis=0)
    size = 1 << 20
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size))
    low, high = (int(near * 2.0 ** (cents / 1200.0) * size / rate) for cents in (-100, 100))
    top = low + int(power[low:high].argmax())
    before, at, after = np.log(power[top - 1 : top + 2] + 1e-12)  # a parabola through the peak
    return float((top + 0.5 * (before - after) / (before - 2.0 * at + after)) * rate / size)


def cents(hertz: float, key: int) -> float:
    """Return how far a frequency is above a key's equal-tempered one."""
    return float(1200.0 * np.log2(hertz / (440.0 * 2.0 ** ((key - 69) / 12.0))))


def level(sound: Sound) -> float:
    """Return the RMS level in dB."""
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def tiny(
    zones: list[TinyZone], samples: list[TinySample] | None = None, rate: int = RATE, sharp: bool = True
) -> FontVoice:
    """Return a voice of a soundfont with a looped 440 Hz sine, or other samples."""
    looped = [TinySample(sine(1.2), loop=(4410, 4410 + 44_100))]  # 440 whole turns: the loop is seamless
    return FontVoice(Font(soundfont(samples or looped, zones)), 0, 0, rate, sharp=sharp)


# -- pitch and time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_keys_are_in_tune_over_the_whole_range(rate: int) -> None:
    voice = tiny([TinyZone(0, {54: 1})], rate=rate)
    for key in (21, 33, 45, 57, 69, 70, 81, 93, 105, 115):
        sound = voice.render([Hit(0, 3 * rate, key, 100)], 3 * rate)
        assert abs(cents(pitch(sound, rate, 440.0 * 2.0 ** ((key - 69) / 12.0)), key)) < 1.0


@pytest.mark.parametrize(
    "name", ["trombone", "rock_organ", "drawbar_organ", "clarinet", "pan_flute", "xylophone", "kalimba"]
)
def test_bundled_instruments_are_in_tune(name: str) -> None:
    preset = find_preset(name)
    voice = font_voice(name, RATE)
    for key in range(preset.low + 4, preset.high + 1, 7):
        sound = voice.render([Hit(0, RATE, key, 100)], RATE)[:, 2400:]
        assert abs(cents(pitch(sound, RATE, 440.0 * 2.0 ** ((key - 69) / 12.0)), key)) < 4.0, key


@pytest.mark.parametrize(("number", "value", "shift"), [(51, 2, 200.0), (52, 30, 30.0), (56, 50, -300.0)])
def test_tuning_generators(number: int, value: int, shift: float) -> None:
    sound = tiny([TinyZone(0, {54: 1, number: value})]).render([Hit(0, RATE, 75, 100)], RATE)
    assert cents(pitch(sound, RATE, 440.0 * 2.0 ** ((600.0 + shift) / 1200.0)), 75) == pytest.approx(shift, abs=1.0)


@pytest.mark.parametrize("name", ["piano", "finger_bass", "trumpet", "standard_kit"])
def test_rates_agree_in_level_and_length(name: str) -> None:
    levels, ends = [], []
    for rate in (44_100, 48_000, 96_000):
        sound = font_voice(name, rate).render([Hit(0, rate // 2, 48, 100)], 3 * rate)
        levels.append(level(sound[:, : rate // 2]))
        audible = np.flatnonzero(np.abs(sound).max(axis=0) > 1e-3 * np.abs(sound).max())
        ends.append(audible[-1] / rate)
    assert np.ptp(levels) < 0.3
    assert np.ptp(ends) < 0.02


def test_transposing_up_leaves_no_alias() -> None:
    t = np.arange(44_100) / 44_100
    loud = np.sin(2.0 * np.pi * 15_000.0 * t).astype(np.float32)
    up = transposed(loud, 2.0)  # would sound at 30 kHz, over half the rate
    assert level(up[2000:-2000][None]) - level(loud[None]) < -100.0


def test_bending_by_a_constant_is_a_transposition() -> None:
    x = sine(1.0, 1000.0, RATE).astype(np.float32)
    assert pitch(bent(x, np.full(40_000, 100.0))[None], RATE, 1059.0) == pytest.approx(1059.46, abs=0.1)


# -- onsets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, preset in presets().items() if preset.sharp and preset.bank == 0])
def test_struck_notes_start_on_their_frame(name: str) -> None:
    preset = find_preset(name)
    voice = font_voice(name, RATE)
    for key in (preset.low, (preset.low + preset.high) // 2, preset.high):
        sound = np.abs(voice.render([Hit(777, 24_000, key, 100)], 15_000)).max(axis=0)
        head = sound[777 : 777 + 12_000]
        assert sound[:777].max() == 0.0
        assert np.argmax(head > 0.0) <= 1
        assert np.argmax(head > 0.1 * head.max()) <= 0.001 * RATE, f"key {key} is late"


@pytest.mark.parametrize("name", [name for name, preset in presets().items() if preset.bank == 128])
def test_every_drum_starts_on_its_frame(name: str) -> None:
    voice = font_voice(name, RATE)
    for key in (35, 36, 37, 38, 39, 40, 41, 42, 44, 45, 46, 49, 51, 54, 56):
        sound = np.abs(voice.render([Hit(500, 4800, key, 100)], 12_500)).max(axis=0)
        assert sound[:500].max() == 0.0
        assert np.argmax(sound[500:] > 0.1 * sound.max()) <= 0.001 * RATE, f"key {key} is late"


def test_silence_before_the_attack_is_left_out_alike_in_all_layers() -> None:
    first = np.concatenate([np.zeros(900), sine(0.5)])
    second = np.concatenate([np.zeros(1400), sine(0.5, 880.0)])
    zones = [TinyZone(0, {17: -500}), TinyZone(1, {17: 500})]
    sound = tiny(zones, [TinySample(first), TinySample(second)]).render([Hit(0, RATE, 69, 127)], RATE // 2)
    left, right = (int(np.argmax(np.abs(channel) > 0.01)) for channel in sound)
    assert left <= 4
    assert right - left == pytest.approx(500 * 48_000 / 44_100, abs=8)


def test_a_slow_rise_is_kept_unless_the_note_is_struck() -> None:
    zone = TinyZone(0, {54: 1, 34: -2400})  # an attack of 250 ms
    slow = tiny([zone], sharp=False).render([Hit(0, RATE, 69, 127)], RATE)
    early, late = np.abs(slow[0, 2300:2500]).max(), np.abs(slow[0, 11_900:12_100]).max()
    assert early / late == pytest.approx(0.2, abs=0.02)
    struck = np.abs(tiny([zone]).render([Hit(0, RATE, 69, 127)], RATE)[0])
    assert np.argmax(struck > 0.1 * struck[:4800].max()) <= 48


# -- level -------------------------------------------------------------------------------------------------------


def test_velocity_follows_the_concave_curve_of_the_standard() -> None:
    voice = tiny([TinyZone(0, {54: 1})])
    levels = {v: level(voice.render([Hit(0, RATE, 69, v)], RATE)) for v in (127, 90, 64, 32)}
    for velocity, heard in levels.items():
        assert heard - levels[127] == pytest.approx(40.0 * np.log10(velocity / 127), abs=0.01)


@pytest.mark.parametrize("name", ["piano", "finger_bass", "brass_section", "alto_sax", "standard_kit", "vibraphone"])
def test_louder_velocities_are_louder(name: str) -> None:
    voice = font_voice(name, RATE)
    key = 38 if name.endswith("kit") else 60
    levels = [level(voice.render([Hit(0, 12_000, key, v)], 12_000)) for v in range(7, 128, 8)]
    # Where one velocity layer gives way to the next a font may step back a little.
    assert min(np.diff(levels)) > -1.0
    assert levels[-1] - levels[0] > 15.0


def test_instruments_come_out_equally_loud() -> None:
    from models.band.assets.make_assets import loudness, phrase

    for name in ("piano", "finger_bass", "slow_strings", "trumpet", "marimba", "warm_pad"):
        preset = find_preset(name)
        hits = phrase(preset.low, preset.high, preset.sharp)
        sound = font_voice(name, RATE).render(hits, hits[-1].frame + RATE)
        assert loudness(sound) == pytest.approx(-20.0, abs=0.3), name


# -- loops, releases, chokes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["drawbar_organ", "slow_strings", "trumpet", "synth_bass_1", "flute"])
def test_long_notes_go_on_without_jumps(name: str) -> None:
    preset = find_preset(name)
    key = (preset.low + preset.high) // 2
    sound = font_voice(name, RATE).render([Hit(0, 12 * RATE, key, 100)], 12 * RATE).mean(axis=0)
    late = sound[3 * RATE :].reshape(-1, RATE // 4)
    levels = 10.0 * np.log10((late.astype(np.float64) ** 2).mean(axis=1))
    assert np.abs(np.diff(levels)).max() < 6.0
    steps = np.abs(np.diff(sound))
    assert steps[3 * RATE :].max() < 1.5 * steps[RATE // 10 : 3 * RATE].max()


def test_a_loop_repeats_seamlessly() -> None:
    sound = tiny([TinyZone(0, {54: 1})]).render([Hit(0, 5 * RATE, 69, 127)], 5 * RATE)[0]
    assert np.abs(np.diff(sound[100:])).max() < 1.02 * np.abs(np.diff(sound[4800:24_000])).max()
    assert level(sound[None, 4 * RATE :]) == pytest.approx(level(sound[None, :RATE]), abs=0.05)


def test_mode_three_leaves_the_loop_when_the_key_is_let_go() -> None:
    data = np.concatenate([sine(0.5, 441.0), sine(0.5, 882.0)])
    zone = TinyZone(0, {54: 3, 38: 2400})
    sound = tiny([zone], [TinySample(data, loop=(4400, 4500))]).render([Hit(0, 2 * RATE, 69, 127)], 3 * RATE)
    assert pitch(sound[:, RATE : 2 * RATE], RATE, 441.0) == pytest.approx(441.0, abs=0.5)
    assert pitch(sound[:, int(2.45 * RATE) : int(2.8 * RATE)], RATE, 882.0) == pytest.approx(882.0, abs=0.8)


def test_release_falls_at_the_stated_rate_and_ends_at_zero() -> None:
    voice = tiny([TinyZone(0, {54: 1, 38: 0})])  # one second for 96 dB
    sound = voice.render([Hit(0, RATE, 69, 127)], 3 * RATE)
    at = [level(sound[:, int(t * RATE) : int((t + 0.05) * RATE)]) for t in (0.9, 1.25, 1.5)]
    assert at[1] - at[2] == pytest.approx(24.0, abs=0.3)
    assert at[0] - at[1] == pytest.approx(96.0 * 0.275, abs=0.5)
    assert sound[:, 2 * RATE :].max() == 0.0
    last = int(np.flatnonzero(np.abs(sound[0]) > 0)[-1])
    assert np.abs(np.diff(sound[0, last - 2000 : last + 2])).max() < 1e-4
    assert 0.6 * RATE < voice.tail_frames() < 0.7 * RATE


def test_the_same_key_again_lets_go_of_the_earlier_note() -> None:
    voice = tiny([TinyZone(0, {54: 1, 38: -1200})])
    both = voice.render([Hit(0, 4 * RATE, 69, 127), Hit(RATE, 100, 69, 1)], 4 * RATE)
    alone = voice.render([Hit(0, RATE, 69, 127)], 4 * RATE)
    assert level(both[:, 3 * RATE :]) < -150.0
    assert np.allclose(both[:, :RATE], alone[:, :RATE])


def test_an_exclusive_class_chokes_within_eight_milliseconds() -> None:
    voice = font_voice("standard_kit", RATE)
    alone = voice.render([Hit(0, 2400, 46, 120)], RATE)
    for key in (42, 44):
        closing = voice.render([Hit(9600, 2400, key, 60)], RATE)
        both = voice.render([Hit(0, 2400, 46, 120), Hit(9600, 2400, key, 60)], RATE)
        rest = both - closing
        assert np.allclose(rest[:, :9600], alone[:, :9600], atol=1e-6)
        assert np.abs(rest[:, 9600 + 385 :]).max() < 1e-6
        assert level(alone[:, 10_000:12_000]) > -70.0
        assert np.abs(np.diff(rest)).max() <= 1.01 * np.abs(np.diff(alone)).max()


def test_filter_closes_with_soft_velocities_where_the_font_says_so() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).uniform(-0.5, 0.5, 44_100)
    zone = TinyZone(0, {8: 13_000}, ((0x0102, 8, -6000, 0, 0),))
    voice = tiny([zone], [TinySample(noise)])
    soft, loud = (voice.render([Hit(0, RATE, 69, v)], RATE)[0] for v in (30, 127))
    shares = []
    for sound in (soft, loud):
        power = np.abs(np.fft.rfft(sound)) ** 2
        shares.append(power[len(power) // 4 :].sum() / power.sum())
    assert shares[0] < 0.05
    assert shares[1] > 0.4


def test_a_modulation_envelope_sweeps_the_filter() -> None:
    noise = np.random.Generator(np.random.PCG64(2)).uniform(-0.5, 0.5, 88_200)
    zone = TinyZone(0, {8: 6000, 11: 6000, 28: 0, 29: 1000})
    sound = tiny([zone], [TinySample(noise)]).render([Hit(0, 2 * RATE, 69, 127)], 2 * RATE)[0]
    early, late = (np.abs(np.fft.rfft(sound[a:b])) ** 2 for a, b in ((0, 9600), (70_000, 79_600)))
    assert early[1200:].sum() / early.sum() > 10.0 * late[1200:].sum() / late.sum()


def test_envelope_stages() -> None:
    envelope = Envelope(delay=0.1, attack=0.2, hold=0.1, decay=1.0, sustain=0.25, release=0.5)
    gain = envelope.gain(RATE, RATE)
    db = 20.0 * np.log10(np.maximum(gain, 1e-9))
    assert gain[: int(0.1 * RATE)].max() == 0.0
    assert gain[int(0.2 * RATE)] == pytest.approx(0.5, abs=0.01)
    assert gain[int(0.35 * RATE)] == pytest.approx(1.0)
    assert db[int(0.5 * RATE)] == pytest.approx(-9.6, abs=0.1)
    assert db[int(0.7 * RATE)] == pytest.approx(-24.0, abs=0.1)
    assert envelope.level(int(0.5 * RATE), RATE) == pytest.approx(float(gain[int(0.5 * RATE)]), rel=1e-3)
    assert envelope.release_gain(RATE)[-1] == 0.0


def test_the_oscillator_is_a_triangle_after_its_delay() -> None:
    shape = Oscillator(delay=1.0, hertz=1.0).shape(np.array([0.0, 1.0, 1.25, 1.5, 1.75, 2.0]))
    assert shape == pytest.approx([0.0, 0.0, 1.0, 0.0, -1.0, 0.0])


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = ByteCache(1000)
    for name in "abc":
        cache.put(name, (np.zeros(100, np.float32),))
        assert cache.get("a") is not None
    assert cache.get("b") is None
    assert cache.get("c") is not None
    cache.put("huge", (np.zeros(1000, np.float32),))
    assert cache.get("huge") is not None, "one array larger than the budget is still kept"
    assert cache.get("c") is None


# -- contract ----------------------------------------------------------------------------------------------------


def test_every_bundled_preset_sounds() -> None:
    for name, preset in presets().items():
        key = 38 if preset.bank else (preset.low + preset.high) // 2
        sound = font_voice(name, 44_100).render([Hit(10, 10_000, key, 100)], 20_000)
        assert sound.shape == (2, 20_000)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0.01 < np.abs(sound).max() < 2.0, name


@pytest.mark.parametrize("name", list(presets()))
@pytest.mark.parametrize("key", [0, 127])
def test_the_outermost_keys_sound_or_are_refused(name: str, key: int) -> None:
    voice = FontVoice(bundled_font(), find_preset(name).bank, find_preset(name).program, 44_100)
    playable = voice.keys()
    if key in playable:
        sound = voice.render([Hit(0, 22_050, key, 100)], 22_050)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 1e-5
    else:
        with pytest.raises(VoiceError, match=f"no sound at key {key}, .* it plays keys"):
            voice.render([Hit(0, 22_050, key, 100)], 22_050)


@pytest.mark.parametrize("hit", [Hit(-1, 1, 60, 1), Hit(0, 0, 60, 1), Hit(0, 1, 128, 1), Hit(0, 1, 60, 0)])
def test_impossible_hits_are_refused(hit: Hit) -> None:
    with pytest.raises(VoiceError):
        font_voice("piano", RATE).render([hit], 100)


def test_unknown_names_and_rates_are_refused() -> None:
    with pytest.raises(VoiceError, match="choose one of: piano"):
        font_voice("kazoo", RATE)
    with pytest.raises(VoiceError, match="bank 0, program 127"):
        font_voice((0, 127), RATE)
    with pytest.raises(VoiceError, match="rate 100"):
        font_voice("piano", 100)


def test_sound_past_the_end_is_dropped_and_the_rest_is_unchanged() -> None:
    voice = font_voice("piano", RATE)
    hits = [Hit(0, 9000, 60, 90), Hit(4000, 9000, 64, 70), Hit(30_000, 100, 67, 70)]
    long, short = voice.render(hits, 60_000), voice.render(hits, 10_000)
    assert np.array_equal(long[:, :10_000], short)


@pytest.mark.parametrize("name", ["piano", "slow_strings", "standard_kit"])
def test_the_same_hits_give_the_same_bytes(name: str) -> None:
    hits = [Hit(n * 6000, 5000, 40 + n % 5, 60 + 7 * n % 60) for n in range(24)]
    first = font_voice(name, RATE).render(hits, 200_000)
    fresh = Font.open(ASSETS / "general.sf3")
    preset = find_preset(name)
    again = FontVoice(fresh, preset.bank, preset.program, RATE, preset.trim_db, preset.sharp)
    again.render([Hit(0, 100_000, 42, 64)], 100_000)  # what was rendered before must not matter
    assert first.tobytes() == again.render(list(reversed(hits)), 200_000).tobytes()
    assert first.tobytes() == font_voice(name, RATE).render(hits, 200_000).tobytes()
