"""The synthesizer: pitch, folding, onsets, levels and ends are measured on every patch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.band.sound.synth import (
    FX_KEYS,
    PatchError,
    PatchVoice,
    fx_voice,
    load_patch,
    patch_names,
    patch_voice,
    read_patch,
)
from models.band.sound.synth.note import key_hz
from models.band.sound.voice import Hit

RATES = (44100, 48000, 96000)
RATE = 48000
Floats = NDArray[np.float32]

PADS = {"warm_pad", "glass_pad", "dark_pad", "choir_pad", "string_machine"}
REQUIRED = (
    "sub 808 acid reese saw_bass fm_bass pluck_bass square_bass wobble supersaw saw_lead square_lead chip "
    "soft_lead whistle trance_lead mono_lead supersaw_chord house_stab organ_stab warm_pad glass_pad "
    "string_machine dark_pad choir_pad fm_epiano pluck bell brass_synth"
)
RISERS = ("riser_noise", "riser_tone", "riser_snare", "reverse_cymbal", "sweep_up", "swell")
STRIKES = ("downlifter", "impact", "sub_drop", "sweep_down", "zap", "laser", "glitch")
BEDS = ("noise_bed", "wind", "vinyl", "rain", "shimmer")


def usual_keys(name: str) -> tuple[int, int, int]:
    low, high = load_patch(name).range
    return low + (high - low) // 4, (low + high) // 2, high - (high - low) // 4


def decibels(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-12)))


def envelope(sound: Floats, rate: int, seconds: float) -> NDArray[np.float64]:
    """RMS over both sides in blocks of `seconds`."""
    size = round(seconds * rate)
    blocks = sound.shape[1] // size
    return np.sqrt(np.mean(sound[:, : blocks * size].astype(np.float64) ** 2, axis=0).reshape(blocks, size).mean(1))


def test_all_asked_for_patches_are_there() -> None:
    assert set(REQUIRED.split()) <= set(patch_names())


@pytest.mark.parametrize("name", patch_names())
def test_pitch_is_within_three_cents(name: str) -> None:
    """Centroid of the strongest of the first three harmonics in the mono sum, after the onset.

    Detuned voices spread a harmonic symmetrically, so its centre of gravity is the note's pitch.
    """
    voice = patch_voice(name, RATE)
    for key in usual_keys(name):
        sound = voice.render([Hit(0, 4 * RATE, key, 100)], 4 * RATE).mean(axis=0, dtype=np.float64)
        part = sound[RATE // 2 :]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 19)) ** 2
        hz = np.fft.rfftfreq(1 << 19, 1 / RATE)
        found = []
        for harmonic in (1, 2, 3):
            wanted = key_hz(key) * harmonic
            near = np.abs(np.log2(np.maximum(hz, 1.0) / wanted)) < 50 / 1200
            total = power[near].sum()
            found.append((total, 1200 * np.log2((power[near] * hz[near]).sum() / total / wanted)))
        assert abs(max(found)[1]) < 3.0, key


@pytest.mark.parametrize("name", patch_names())
def test_high_notes_do_not_alias(name: str) -> None:
    """What is in the spectrum at 44.1 kHz and not in that of the note made at 176.4 kHz has folded.

    Compared up to 18 kHz at the range's upper end and full velocity, within eight bins of 1 Hz; the patch's
    own noise is left out, being another draw at each rate.
    """
    from dataclasses import replace

    from scipy import ndimage, signal

    patch = replace(load_patch(name), noise=None)
    hit = [Hit(0, 4 * 44100, patch.range[1], 127)]
    plain = PatchVoice(patch, 44100).render(hit, 44100)[0].astype(np.float64)
    fine = PatchVoice(patch, 176400).render(hit, 176400)[0].astype(np.float64)
    fine = signal.resample_poly(fine, 1, 4, window=("kaiser", 12.0))
    window = signal.windows.blackmanharris(44100)
    made, true = (np.abs(np.fft.rfft(x * window)) for x in (plain, fine))
    folded = (made - 1.12 * ndimage.maximum_filter1d(true, 17))[:18000].max()
    assert decibels(folded / made.max()) < -50


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", patch_names())
def test_a_note_starts_on_its_frame_and_ends_at_zero(name: str, rate: int) -> None:
    voice = patch_voice(name, rate)
    onset, held = 1234, rate // 2
    for key in usual_keys(name):
        sound = voice.render([Hit(onset, held, key, 100)], onset + held + voice.tail_frames() + 100)
        level = np.abs(sound).max(axis=0)
        assert np.isfinite(sound).all()
        assert level[:onset].max() == 0.0
        assert np.flatnonzero(level)[0] - onset <= 2
        assert level[-100:].max() == 0.0, "the note is over when the tail is"
        if name not in PADS:
            early = level[onset : onset + rate // 10].max()
            assert np.argmax(level >= 0.5 * early) - onset <= 0.005 * rate
        assert np.abs(sound.mean(axis=1)).max() < 1e-3, "no offset"
        last = onset + held + voice.tail_frames()
        assert level[last - rate // 1000 : last].max() < 0.01 * level.max(), "faded, not cut"


@pytest.mark.parametrize("name", patch_names())
def test_patches_are_of_comparable_loudness(name: str) -> None:
    """A steady phrase at velocity 100 in the patch's usual keys: -20 LUFS, give or take 2, no overs."""
    import pyloudnorm

    patch = load_patch(name)
    low, high = patch.range
    centre = low + (high - low) // (3 if patch.family == "bass" else 2)
    hits = []
    for beat in range(8):
        if patch.family == "harmony":
            start, held = beat * RATE, int((1.95 if name in PADS else 0.95) * RATE)
            if held < RATE or beat % 2 == 0:
                hits += [Hit(start, held, centre - 6 + k, 100) for k in (0, 4, 7, 11)]
        else:
            step = (0, 3, 5, 7, 5, 3, -2, 0)[beat]
            hits += [Hit(beat * RATE + h * RATE // 2, int(0.45 * RATE), centre + step, 100) for h in (0, 1)]
    sound = patch_voice(name, RATE).render(hits, 8 * RATE)
    loudness = pyloudnorm.Meter(RATE).integrated_loudness(sound.T.astype(np.float64))
    assert loudness == pytest.approx(-20.0, abs=2.0)
    assert np.abs(sound).max() < 1.0


@pytest.mark.parametrize("name", patch_names())
def test_rendering_is_deterministic_and_stateless(name: str) -> None:
    """The cache may not be heard: a voice that has played longer notes plays the same bytes."""
    key = usual_keys(name)[1]
    hits = [Hit(0, 9000, key, 90), Hit(9000, 5000, key + 3, 110), Hit(20000, 3000, key, 40)]
    fresh = patch_voice(name, RATE).render(hits, RATE)
    used = patch_voice(name, RATE)
    used.render([Hit(0, 2 * RATE, key, 90), Hit(0, 3 * RATE, key + 3, 110)], 3 * RATE)
    assert np.array_equal(used.render(hits, RATE), fresh)
    assert np.array_equal(used.render(hits[::-1], RATE), fresh), "the order of the hits does not matter"


@pytest.mark.parametrize("name", patch_names())
def test_the_rate_does_not_change_the_sound(name: str) -> None:
    """Energy and spectrum below 8 kHz are those at 48 kHz, at 44.1 and at 96."""
    key = usual_keys(name)[1]
    spectra = []
    for rate in RATES:
        sound = patch_voice(name, rate).render([Hit(0, rate, key, 100)], rate).astype(np.float64)
        power = np.mean(np.abs(np.fft.rfft(sound, axis=1) / rate) ** 2, axis=0)[:8000]
        edges = (20, 250, 800, 2500, 8000)
        spectra.append([power[a:b].sum() for a, b in pairwise(edges)])
    for bands in zip(*spectra, strict=True):
        if max(bands) > 1e-5 * np.sum(spectra[1]):
            assert 10 * np.log10(max(bands) / min(bands)) < 1.0


@pytest.mark.parametrize("name", [n for n in patch_names() if load_patch(n).family == "bass"])
def test_the_low_end_of_basses_is_mono(name: str) -> None:
    """Below 100 Hz the side signal is 20 dB or more under the middle."""
    low, high = load_patch(name).range
    sound = patch_voice(name, RATE).render([Hit(0, 2 * RATE, (2 * low + high) // 3, 100)], 2 * RATE)
    middle, side = (np.abs(np.fft.rfft(s))[40:200] for s in (sound[0] + sound[1], sound[0] - sound[1]))
    assert decibels(float(np.linalg.norm(side) / np.linalg.norm(middle))) < -20


@pytest.mark.parametrize("name", [n for n in patch_names() if load_patch(n).amp.sustain > 0.0])
def test_detuned_voices_do_not_cancel_in_mono(name: str) -> None:
    """Over 3.5 s of a held note, no tenth of a second of the mono sum falls 10 dB below the usual one."""
    voice = patch_voice(name, RATE)
    for key in usual_keys(name):
        middle = voice.render([Hit(0, 4 * RATE, key, 100)], 4 * RATE).mean(axis=0, keepdims=True)
        steps = envelope(middle[:, RATE // 2 :], RATE, 0.1)
        assert decibels(float(steps.min() / np.median(steps))) > -10.0, key


def test_velocity_raises_level_and_brightness() -> None:
    voice = patch_voice("saw_bass", RATE)
    soft, loud = (voice.render([Hit(0, RATE, 40, v)], RATE) for v in (30, 120))
    assert np.abs(loud).max() > 2 * np.abs(soft).max()
    share = []
    for sound in (soft, loud):
        power = np.abs(np.fft.rfft(sound[0])) ** 2
        share.append(power[1500:].sum() / power.sum())
    assert share[1] > 2 * share[0]


def test_mono_patches_cut_the_last_note_and_slide() -> None:
    voice = patch_voice("mono_lead", RATE)
    both = voice.render([Hit(0, RATE, 60, 100), Hit(RATE // 2, RATE // 2, 72, 100)], RATE)
    tail = both[0, RATE // 2 + RATE // 4 :].astype(np.float64)
    power = np.abs(np.fft.rfft(tail * np.hanning(len(tail)))) ** 2
    hz = np.fft.rfftfreq(len(tail), 1 / RATE)
    near = power[np.abs(hz - key_hz(72)) < 20].max()
    low = power[np.abs(hz - key_hz(60)) < 10].max()
    # The patch's own sub lies an octave below the new key: compare with the note alone.
    alone = voice.render([Hit(0, RATE // 2, 72, 100)], RATE)[0, RATE // 4 : RATE // 2].astype(np.float64)
    own = np.abs(np.fft.rfft(alone * np.hanning(len(alone)))) ** 2
    own_hz = np.fft.rfftfreq(len(alone), 1 / RATE)
    own_ratio = own[np.abs(own_hz - key_hz(60)) < 10].max() / own[np.abs(own_hz - key_hz(72)) < 20].max()
    assert low / near == pytest.approx(own_ratio, rel=0.1), "nothing of the first note is left"
    start = both[0, RATE // 2 : RATE // 2 + 960].astype(np.float64)
    jump = voice.render([Hit(RATE // 2, RATE // 2, 72, 100)], RATE)[0, RATE // 2 : RATE // 2 + 960]
    assert np.abs(start - jump).max() > 0.1 * np.abs(jump).max(), "it slides in"


def test_wobble_follows_the_tempo() -> None:
    """Twice a beat: at 120 BPM 4 Hz, at 90 BPM 3 Hz."""
    for bpm, wanted in ((120.0, 4.0), (90.0, 3.0)):
        sound = patch_voice("wobble", RATE, bpm).render([Hit(0, 4 * RATE, 30, 100)], 4 * RATE)
        treble = np.abs(np.diff(sound[0], prepend=np.float32(0)))
        level = treble.reshape(-1, 480).mean(axis=1)
        beat = np.abs(np.fft.rfft(level - level.mean(), 4000))
        assert np.argmax(beat) * 100 / 4000 == pytest.approx(wanted, abs=0.15)


def test_the_fx_keys_are_named_and_apart() -> None:
    assert set(FX_KEYS) == {*RISERS, *STRIKES, *BEDS}
    assert len(set(FX_KEYS.values())) == len(FX_KEYS)
    assert all(0 <= key <= 127 for key in FX_KEYS.values())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", RISERS)
def test_risers_end_with_their_note(name: str, rate: int) -> None:
    onset, held = 777, 2 * rate + 13
    voice = fx_voice(rate)
    sound = voice.render([Hit(onset, held, FX_KEYS[name], 100)], onset + held + 1000)
    level = np.abs(sound).max(axis=0)
    assert level[:onset].max() == 0.0
    assert level[onset + held :].max() == 0.0
    assert np.flatnonzero(level > 1e-6)[-1] >= onset + held - 4
    end = sound[:, onset + held - 2 * rate : onset + held]
    steps = envelope(end, rate, 0.1)
    assert np.argmax(steps) >= 18, "the peak is in the last fifth of a second"
    assert steps[-1] > 0.8 * steps.max()
    assert steps[-1] > 4 * steps[0]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", STRIKES)
def test_strikes_start_with_their_note(name: str, rate: int) -> None:
    onset, held = 777, rate
    voice = fx_voice(rate)
    sound = voice.render([Hit(onset, held, FX_KEYS[name], 100)], onset + held + voice.tail_frames() + 10)
    level = np.abs(sound).max(axis=0)
    assert level[:onset].max() == 0.0
    assert np.argmax(level > 0.5 * level[onset : onset + rate // 20].max()) - onset <= 0.005 * rate
    steps = envelope(sound[:, onset:], rate, 0.1)
    assert np.argmax(steps) <= 1
    assert level[-10:].max() == 0.0


@pytest.mark.parametrize("name", BEDS)
def test_beds_fade_in_and_out_within_their_note(name: str) -> None:
    onset, held = 777, 4 * RATE
    sound = fx_voice(RATE).render([Hit(onset, held, FX_KEYS[name], 100)], onset + held + 1000)
    level = np.abs(sound).max(axis=0)
    assert level[:onset].max() == 0.0
    assert level[onset + held :].max() == 0.0
    steps = envelope(sound[:, onset : onset + held], RATE, 0.1)
    assert steps[0] < 0.25 * steps.max()
    assert steps[-1] < 0.25 * steps.max()


@pytest.mark.parametrize("name", sorted(FX_KEYS))
def test_fx_are_sane_at_any_length(name: str) -> None:
    voice = fx_voice(RATE)
    for held in (1, 100, 3000, 100_000):
        frames = held + voice.tail_frames()
        sound = voice.render([Hit(0, held, FX_KEYS[name], 100)], frames)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 0.95
        assert np.array_equal(sound, fx_voice(RATE).render([Hit(0, held, FX_KEYS[name], 100)], frames))
    assert np.abs(sound).max() > 0.02
    assert np.abs(sound.mean(axis=1)).max() < 1e-3
    assert not voice.render([Hit(0, 1000, 0, 100)], 1000).any(), "a key without a sound is silent"


@pytest.mark.parametrize("name", patch_names())
def test_the_ends_of_the_keyboard_and_of_the_rates_are_safe(name: str) -> None:
    for rate in (8000, 192_000):
        voice = patch_voice(name, rate)
        hits = [Hit(i * 500, 400, key, velocity) for i, (key, velocity) in enumerate([(0, 1), (127, 127), (60, 64)])]
        sound = voice.render(hits, 3000)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() < 2.0


@pytest.mark.parametrize("name", sorted(FX_KEYS))
def test_fx_play_at_every_rate(name: str) -> None:
    for rate in (8000, 192_000):
        sound = fx_voice(rate).render([Hit(0, rate // 2, FX_KEYS[name], 127)], rate)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 0.02


def test_notes_past_the_end_are_dropped() -> None:
    voice = patch_voice("pluck", RATE)
    sound = voice.render([Hit(900, 1000, 60, 100), Hit(5000, 10, 60, 100)], 1000)
    assert sound.shape == (2, 1000)
    assert np.abs(sound[:, 900:]).max() > 0.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("family = 'bass", ["new.toml", "not a TOML file"]),
        ("", ["new.toml", "family is missing", "bass, lead, harmony"]),
        ("family = 'drums'", ["family", "bass, lead, harmony", "drums"]),
        ("family = 'bass'", ["new.toml", "no sound", "[[osc]]"]),
        ("family = 'bass'\nosc = [{wave = 'sow'}]", ["osc[0]: wave", "saw", "'sow'"]),
        ("family = 'bass'\nosc = [{wave = 'saw', voices = 99}]", ["osc[0]: voices", "1 to 15", "99"]),
        ("family = 'bass'\nosc = [{wave = 'saw', voices = 2.5}]", ["osc[0]: voices", "whole number", "2.5"]),
        ("family = 'bass'\nosc = [{wave = 'saw', volume = 3}]", ["osc[0]", "'volume'", "level_db"]),
        (
            "family = 'bass'\n[[osc]]\nwave='saw'\n[filter]\nresonance=0.2",
            ["filter: cutoff_hz is missing", "20 to"],
        ),
        ("family = 'bass'\nglide_ms = 20\n[[osc]]\nwave='saw'", ["glide_ms", "mono"]),
        ("family = 'bass'\nrange = [60, 40]\n[[osc]]\nwave='saw'", ["range", "rise", "60", "40"]),
        ("family = 'bass'\nrange = [60]\n[[osc]]\nwave='saw'", ["range", "2 values"]),
        ("family = 'bass'\n[noise]\nlow_hz = 900\nhigh_hz = 500", ["noise", "low_hz", "high_hz"]),
        ("family = 'bass'\n[amp]\nattack_ms = -1", ["amp: attack_ms", "0 to 8000", "-1"]),
    ],
)
def test_a_bad_patch_file_says_what_is_wrong(text: str, words: list[str]) -> None:
    with pytest.raises(PatchError) as caught:
        read_patch(text.encode(), "new.toml")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_unknown_patch_lists_the_known_ones() -> None:
    with pytest.raises(PatchError, match=r"no patch 'ocarina'.*acid.*wobble"):
        patch_voice("ocarina", RATE)


def test_every_patch_says_what_it_is() -> None:
    folder = Path(__file__).parents[3] / "models" / "band" / "sound" / "patches"
    assert sorted(path.stem for path in folder.glob("*.toml")) == patch_names()
    assert all(len(load_patch(name).about) > 20 for name in patch_names())
