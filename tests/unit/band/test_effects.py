"""Effects: responses, depths and times are measured; no effect may move an onset."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.band.sound import effects
from models.band.sound.effects import Band, EffectError, parse_chain
from models.band.sound.effects.dynamics import static_reduction

RATES = (44100, 48000, 96000)
RATE = 48000
Floats = NDArray[np.float32]


def noise(frames: int, seed: int = 1, level: float = 0.1) -> Floats:
    random = np.random.Generator(np.random.PCG64(seed))
    return (level * random.standard_normal((2, frames))).astype(np.float32)


def tone(hz: float, frames: int, rate: int, level: float = 0.5) -> Floats:
    wave = level * np.sin(2 * np.pi * hz * np.arange(frames) / rate)
    return np.stack([wave, wave]).astype(np.float32)


def decibels(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-12))


def gain_at(response: NDArray[np.float64], hz: float, rate: int) -> float:
    """Gain in dB at `hz` of an impulse response (frames,)."""
    turn = np.exp(-2j * np.pi * hz / rate * np.arange(len(response)))
    return decibels(abs(float(np.abs(np.sum(response * turn)))))


def response_of(bands: list[Band], rate: int) -> NDArray[np.float64]:
    impulse = np.zeros((2, rate), np.float32)
    impulse[:, 0] = 1.0
    return effects.equalize(impulse, rate, bands)[0].astype(np.float64)


@pytest.mark.parametrize("rate", RATES)
def test_equalizer_responses_at_their_key_points(rate: int) -> None:
    low = response_of([Band("lowshelf", 200.0, 6.0)], rate)
    assert gain_at(low, 20.0, rate) == pytest.approx(6.0, abs=0.1)
    assert gain_at(low, 200.0, rate) == pytest.approx(3.0, abs=0.1)
    assert gain_at(low, 5000.0, rate) == pytest.approx(0.0, abs=0.1)
    high = response_of([Band("highshelf", 4000.0, -9.0)], rate)
    assert gain_at(high, 100.0, rate) == pytest.approx(0.0, abs=0.1)
    assert gain_at(high, 4000.0, rate) == pytest.approx(-4.5, abs=0.1)
    assert gain_at(high, 18000.0, rate) == pytest.approx(-9.0, abs=0.3)
    peak = response_of([Band("peak", 1000.0, 5.0, 2.0)], rate)
    assert gain_at(peak, 1000.0, rate) == pytest.approx(5.0, abs=0.05)
    assert gain_at(peak, 60.0, rate) == pytest.approx(0.0, abs=0.1)
    passes = response_of([Band("highpass", 30.0), Band("lowpass", 8000.0)], rate)
    assert gain_at(passes, 30.0, rate) == pytest.approx(-3.0, abs=0.1)
    assert gain_at(passes, 8000.0, rate) == pytest.approx(-3.0, abs=0.1)
    assert gain_at(passes, 7.5, rate) == pytest.approx(-24.0, abs=0.6)
    assert gain_at(passes, 500.0, rate) == pytest.approx(0.0, abs=0.1)


def test_equalizer_is_the_same_over_chunk_borders() -> None:
    """Filtering a long array and its first part alone agree to the bit: chunks carry their state."""
    x = noise(200_000)
    bands = [Band("highpass", 40.0), Band("peak", 900.0, 4.0, 1.0)]
    whole, part = effects.equalize(x, RATE, bands), effects.equalize(x[:, :90_001], RATE, bands)
    assert np.array_equal(whole[:, :90_001], part)


def test_compressor_static_curve() -> None:
    levels = np.array([-40.0, -23.0, -20.0, -17.0, -8.0, 0.0])
    hard = static_reduction(levels, -20.0, 4.0, 0.0)
    assert hard == pytest.approx([0.0, 0.0, 0.0, 2.25, 9.0, 15.0])
    soft = static_reduction(levels, -20.0, 4.0, 6.0)
    assert soft == pytest.approx([0.0, 0.0, 0.5625, 2.25, 9.0, 15.0])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("level_db", "expected_db"), [(-30.0, -30.0), (-12.0, -16.0), (-6.0, -14.0)])
def test_compressor_settles_on_its_curve(rate: int, level_db: float, expected_db: float) -> None:
    x = tone(1000.0, rate, rate, 10 ** (level_db / 20))
    y = effects.compress(x, rate, -18.0, 3.0, 5.0, 50.0, 0.0, 0.0)
    assert decibels(float(np.abs(y[0, rate // 2 :]).max())) == pytest.approx(expected_db, abs=0.25)
    louder = effects.compress(x, rate, -18.0, 3.0, 5.0, 50.0, 4.0, 0.0)
    assert np.abs(louder).max() / np.abs(y).max() == pytest.approx(10 ** (4 / 20), rel=1e-3)


def test_compressor_attack_and_release_times() -> None:
    """63 % of the way in the attack time, and back in the release time."""
    x = tone(1000.0, 2 * RATE, RATE, 0.01)
    x[:, RATE // 2 : RATE] *= 70
    y = effects.compress(x, RATE, -20.0, 4.0, 20.0, 200.0, 0.0, 0.0)
    peaks = np.abs(y[0] / np.where(np.abs(x[0]) > 1e-4, x[0], 1.0))

    def reduction(seconds: float) -> float:
        at = round(seconds * RATE)
        return -decibels(float(np.median(peaks[at - 48 : at + 48])))

    full = reduction(0.99)
    assert full == pytest.approx(0.75 * (20.0 + decibels(0.7)), abs=0.3)
    assert reduction(0.52) / full == pytest.approx(0.632, abs=0.08)
    assert reduction(1.2) / full == pytest.approx(0.368, abs=0.06)


def test_duck_depth_times_and_overlap() -> None:
    ones = np.ones((2, RATE), np.float32)
    y = effects.duck(ones, [10_000], RATE, 8.0, 2.0, 180.0)[0]
    assert np.all(y[:10_001] == 1.0)
    assert decibels(float(y[10_000 + 96])) == pytest.approx(-8.0, abs=0.05)
    assert decibels(float(y[10_000 + 96 + 4320])) == pytest.approx(-4.0, abs=0.05)
    assert np.all(y[10_000 + 96 + 8640 :] == 1.0)
    twice = effects.duck(ones, [10_000, 12_000, 90_000_000], RATE, 8.0, 2.0, 180.0)
    assert decibels(float(twice.min())) == pytest.approx(-8.0, abs=0.05)
    assert np.abs(np.diff(twice[0])).max() < 0.02


@pytest.mark.parametrize("kind", ["room", "hall", "plate", "spring", "ambience"])
@pytest.mark.parametrize("rate", RATES)
def test_reverb_decays_by_60_db_in_its_seconds(kind: str, rate: int) -> None:
    """Schroeder's backward integral around 1 kHz, from -5 to -35 dB, doubled."""
    from scipy import signal

    seconds = 1.4
    band = signal.butter(3, (707, 1414), "bandpass", fs=rate, output="sos")
    response = signal.sosfilt(band, effects.impulse_response(rate, kind, seconds, 0.3).astype(np.float64))
    energy = np.cumsum(np.sum(response**2, axis=0)[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-15)
    measured = 2 * (np.argmax(level < -35) - np.argmax(level < -5)) / rate
    assert measured == pytest.approx(seconds, rel=0.2)


@pytest.mark.parametrize("kind", ["room", "hall", "plate", "spring", "ambience"])
def test_reverb_is_wide_even_in_level_and_bounded(kind: str) -> None:
    response = effects.impulse_response(RATE, kind, 1.0, 0.3)
    assert abs(float(np.corrcoef(response)[0, 1])) < 0.15
    assert np.sum(response.astype(np.float64) ** 2, axis=1) == pytest.approx([1.0, 1.0], rel=1e-3)
    x = np.zeros((2, RATE), np.float32)
    x[0, 1000] = 1.0
    wet = effects.reverb(x, RATE, kind, 1.0, predelay_ms=25.0)
    assert wet.shape == x.shape
    assert wet.dtype == np.float32
    assert np.abs(wet[:, : 1000 + 1200]).max() < 1e-6, "nothing before the predelay has passed"
    assert np.all(np.abs(wet[:, 2200:]).max(axis=1) > 1e-3), "both sides ring"


@pytest.mark.parametrize(("frames", "taps"), [(1, 1), (1000, 3), (50_000, 300), (300_000, 40_001), (5_000, 90_000)])
def test_partitioned_convolution_equals_the_plain_one(frames: int, taps: int) -> None:
    from scipy import signal

    from models.band.sound.effects.convolve import Convolver, Response

    x, response = noise(frames)[0], noise(taps, seed=2)[0]
    plain = signal.fftconvolve(x.astype(np.float64), response.astype(np.float64))[:frames]
    wet = np.zeros((2, frames), np.float32)
    room = Convolver([Response(response[:1]), Response(response)] if taps < 256 else [Response(response)] * 2)
    for at in range(0, frames, room.size):
        part = slice(at, min(at + room.size, frames))
        for side in range(2):
            room.feed(side, part.stop - at)[:] = x[part]
            room.run(side, wet[side, part])
    wet = wet[1]
    assert wet == pytest.approx(plain, abs=2e-5 * float(np.abs(plain).max()))


def test_a_reverb_rings_into_silence_and_starts_anew_each_time() -> None:
    """Rests are passed over piece by piece, in memory that the sound before has left."""
    from scipy import signal

    x = np.zeros((2, 1_200_000), np.float32)
    for start, length in ((30_000, 5_000), (130_000, 2_000), (900_000, 50_000)):
        x[:, start : start + length] = noise(length, seed=start)
    for seconds in (0.9, 2.6, 0.9):
        response = effects.impulse_response(RATE, "plate", seconds, 0.3).astype(np.float64)
        fed = (x + 0.25 * x[::-1]) / np.hypot(1.0, 0.25)
        plain = [signal.oaconvolve(side, taps)[: x.shape[1]] for side, taps in zip(fed, response, strict=True)]
        wet = effects.reverb(x, RATE, "plate", seconds)
        assert wet == pytest.approx(np.array(plain), abs=1e-4 * float(np.abs(plain).max()))


def test_delay_echoes_fall_at_their_places() -> None:
    x = np.zeros((2, RATE), np.float32)
    x[:, 100] = 1.0
    wet = effects.delay(x, RATE, 0.125, 0.5, damp=0.0)
    loud = [int(np.argmax(np.abs(wet[0, 100 + k * 6000 - 50 : 100 + k * 6000 + 50]))) - 50 for k in (1, 2, 3)]
    assert all(0 <= place <= 1 for place in loud)
    assert np.abs(wet[:, :6100]).max() == 0.0
    energy = [float(np.sum(wet[0, 100 + k * 6000 : 4000 + k * 6000])) for k in (1, 2, 3)]
    assert energy == pytest.approx([1.0, 0.5, 0.25], rel=0.01)
    hopping = effects.delay(x, RATE, 0.125, 0.5, damp=0.0, ping_pong=True)
    sides = [np.abs(hopping[:, 90 + k * 6000 : 4000 + k * 6000]).max(axis=1) for k in (1, 2)]
    assert sides[0][0] > 0.1
    assert sides[0][1] == 0.0
    assert sides[1][1] > 0.1
    assert sides[1][0] == 0.0


def test_width_keeps_the_mono_sum_and_the_bass_in_the_middle() -> None:
    x = noise(RATE)
    wide = effects.width(x, RATE, 1.6)
    assert wide.sum(axis=0) == pytest.approx(x.sum(axis=0), abs=1e-6)
    low = tone(40.0, RATE, RATE)
    low[1] *= -1
    low = effects.width(low, RATE, 1.0)
    assert decibels(float(np.abs(low[0, RATE // 2 :]).max()) / 0.5) < -18
    assert np.abs(effects.width(x, RATE, 0.0)[0] - effects.width(x, RATE, 0.0)[1]).max() == 0.0


@pytest.mark.parametrize("position", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_pan_keeps_the_power(position: float) -> None:
    x = tone(500.0, 4800, RATE)
    y = effects.pan(x, position)
    assert np.sum(y**2) == pytest.approx(np.sum(x**2), rel=1e-4)
    assert (float(np.sum(y[1] ** 2)) > float(np.sum(y[0] ** 2))) == (position > 0)


def test_saturation_keeps_its_reference_level_and_does_not_alias() -> None:
    """Sines 18 dB into the clipper at 44.1 kHz: what is neither tone nor odd harmonic has folded."""
    x = tone(5000.0, 44100, 44100, 0.5)
    y = effects.saturate(x, 18.0)[0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(y * np.blackman(len(y))))
    folded = np.array([k for k in range(100, 22050) if min(abs(k - 5000), abs(k - 15000)) > 20])
    assert decibels(float(spectrum[folded].max() / spectrum[5000])) < -60
    low = effects.saturate(tone(200.0, 44100, 44100, 0.5), 18.0)[0].astype(np.float64)
    assert np.abs(low[1000:]).max() == pytest.approx(0.5, rel=0.05)
    spectrum = np.abs(np.fft.rfft(low * np.blackman(len(low))))
    folded = np.array([k for k in range(20, 22050) if min(k % 400, 400 - k % 400) < 150])
    assert decibels(float(spectrum[folded].max() / spectrum[200])) < -80
    quiet = effects.saturate(tone(1000.0, 4800, RATE, 0.001), 6.0)
    assert np.abs(quiet).max() > 0.0012


def test_remove_dc_takes_the_offset_and_leaves_the_rest() -> None:
    x = tone(60.0, 2 * RATE, RATE, 0.3) + np.float32(0.2)
    y = effects.remove_dc(x, RATE)
    assert abs(float(y[:, RATE:].mean())) < 1e-4
    assert np.abs(y[0, RATE:]).max() == pytest.approx(0.3, rel=0.02)
    assert np.abs(np.diff(y[0])).max() < 0.21, "no edge but the one that came in"


@pytest.mark.parametrize("rate", RATES)
def test_lofi_never_moves_an_onset_by_a_millisecond(rate: int) -> None:
    x = np.zeros((2, 4 * rate), np.float32)
    places = np.arange(rate // 10, 4 * rate - rate // 10, rate // 7)
    x[:, places] = 1.0
    y = np.abs(effects.lofi(x, rate, 20.0, 18000.0, 1.0, 1.0, 16.0)[0])
    window = rate // 100
    moved = [int(np.argmax(y[p - window : p + window])) - window for p in places]
    assert max(map(abs, moved)) <= rate / 1000
    assert max(map(abs, moved)) > rate / 5000, "the speed does waver"
    steps = effects.lofi(noise(rate), rate, bits=6.0)
    assert len(np.unique(steps)) < 64
    assert effects.lofi(np.zeros((2, rate), np.float32), rate).any() == np.False_


CHAINS = {
    "eq": {"eq": [{"type": "highpass", "hz": 40}, {"type": "highshelf", "hz": 6000, "gain_db": 3}]},
    "compress": {"compress": {"threshold_db": -24, "ratio": 4}},
    "saturate": {"saturate": {"drive_db": 8}},
    "chorus": {"chorus": {}},
    "delay": {"delay": {"beats": 0.75, "feedback": 0.4, "ping_pong": True}},
    "reverb": {"reverb": {"kind": "plate", "seconds": 1.2}},
    "sidechain": {"sidechain": {"depth_db": 9}},
    "width": {"width": 1.4},
    "pan": {"pan": -0.3},
    "gain_db": {"gain_db": -3},
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", [*CHAINS, "all"])
def test_no_effect_moves_an_onset(name: str, rate: int) -> None:
    table = {k: v for c in CHAINS.values() for k, v in c.items()} if name == "all" else CHAINS[name]
    x = np.zeros((2, rate // 2), np.float32)
    x[:, 3000] = 0.8
    before = x.copy()
    y = parse_chain(table, "test").apply(x, rate, 120.0, [200])
    assert np.array_equal(x, before), "the input is left alone"
    assert y.shape == x.shape
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    # The clipper's anti-aliasing filter is symmetric: a third of a millisecond of it lies before a jump.
    quiet = 3000 - 17 if "saturate" in table else 3000
    assert np.abs(y[:, :quiet]).max() < 1e-6
    assert [int(np.argmax(np.abs(side))) for side in y] == [3000, 3000]
    again = parse_chain(table, "test").apply(x, rate, 120.0, [200], out=x)
    assert np.array_equal(y, again), "the same where it works on the sound itself"


def test_empty_chain_is_the_identity() -> None:
    x = noise(1000)
    chain = parse_chain({}, "test")
    assert np.array_equal(chain.apply(x, RATE, 120.0), x)
    assert chain.tail_seconds(120.0) == 0.0


def test_tail_is_as_long_as_what_rings() -> None:
    chain = parse_chain({"delay": {"beats": 0.5, "feedback": 0.5, "send": 1.0}, "reverb": {"seconds": 1.0}}, "t")
    tail = chain.tail_seconds(120.0)
    x = np.zeros((2, round((tail + 0.5) * RATE)), np.float32)
    x[:, 0] = 1.0
    y = np.abs(chain.apply(x, RATE, 120.0))
    assert 3.0 < tail < 6.0
    assert decibels(float(y[:, round(tail * RATE) :].max() / y.max())) < -60
    assert chain.tail_seconds(60.0) > tail


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"reverbb": {}}, ["house.toml: bass", "'reverbb'", "reverb"]),
        ({"reverb": {"kind": "cave"}}, ["house.toml: bass", "reverb", "kind", "plate", "cave"]),
        ({"reverb": {"seconds": 100}}, ["reverb", "seconds", "0.1 to 10", "100"]),
        ({"reverb": 3}, ["reverb", "table", "3"]),
        ({"eq": [{"type": "highpass"}]}, ["eq[0]", "hz is missing", "10 to 20000"]),
        ({"eq": [{"type": "highpass", "hz": 5}]}, ["eq[0]", "hz", "10 to 20000", "5"]),
        ({"eq": {"type": "peak"}}, ["eq", "list"]),
        ({"compress": {"ratio": float("nan")}}, ["compress", "ratio", "1 to 50", "nan"]),
        ({"delay": {"ping_pong": 1}}, ["delay", "ping_pong", "true or false"]),
        ({"pan": "left"}, ["pan", "-1 to 1", "'left'"]),
        ({"gain_db": True}, ["gain_db", "-60 to 24", "True"]),
        ("loud", ["house.toml: bass", "table"]),
    ],
)
def test_a_bad_chain_says_where_what_and_the_limit(table: object, words: list[str]) -> None:
    with pytest.raises(EffectError) as caught:
        parse_chain(table, "house.toml: bass")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
