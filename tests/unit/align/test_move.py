"""Moving sound through a warp: what must come out for every source, and what may not be heard in it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from studio.align.move import Method, choose_method, render, stretch_ratios
from studio.align.move.spans import cut
from studio.align.values import AlignError, Audio, Floats, Material, Warp
from tests.support.moved import (
    attack_levels,
    chord,
    count_attacks,
    drift,
    followed,
    hits,
    lateness,
    noise_between,
    partial_errors,
    plucks,
    ratio,
    steady,
    width,
)

RATE = 48000
NONE = np.zeros(0)
METHODS = list(Method)
RATIOS = (0.8, 0.97, 1.04, 1.25)
rng = np.random.default_rng


class Strict:
    """A source that takes no reads that the protocol does not allow."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio
        self.channels, self.frames = audio.shape

    def read(self, start: int, frames: int) -> Audio:
        assert start >= 0
        assert frames > 0
        assert start + frames <= self.frames
        piece = self._audio[:, start : start + frames]
        piece.setflags(write=False)
        return piece


def moved(
    audio: Audio,
    warp: Warp,
    start: int,
    stop: int,
    onsets: Floats = NONE,
    method: Method | None = None,
    rate: int = RATE,
) -> Audio:
    pieces = list(render(Strict(audio), rate, warp, start, stop, onsets, Material.PITCHED, method))
    assert all(piece.dtype == np.float32 for piece in pieces)
    assert all(piece.shape[1] <= 1 << 17 for piece in pieces)
    whole = np.concatenate([np.zeros((len(audio), 0), np.float32), *pieces], axis=1)
    assert whole.shape == (len(audio), max(0, stop - start))
    assert np.isfinite(whole).all()
    return whole


def noise(frames: int, channels: int = 2, seed: int = 1) -> Audio:
    return (0.2 * rng(seed).standard_normal((channels, frames))).astype(np.float32)


def groove(seconds: float = 4.0) -> Floats:
    """Uneven sixteenths."""
    steps = rng(5).choice([6000, 6000, 9000, 12000], 200) + rng(6).integers(-300, 300, 200)
    places = np.cumsum(steps) + 2000
    return places[places < (seconds - 0.3) * RATE].astype(np.float64)


# -- copies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [0.0, 1234.0, -700.0, 0.3, 99.7])
def test_a_shift_copies_every_sample(by):
    audio = noise(100_000)
    warp = Warp(np.array([0.0, 30_000.2, 90_000.0]), np.array([0.0, 30_000.0, 90_000.1]) + by)
    out = moved(audio, warp, -1000, 103_000, groove())
    expected = np.zeros((2, 104_000), np.float32)
    at = 1000 + round(by)
    expected[:, at : at + 100_000] = audio
    assert np.array_equal(out, expected)
    assert np.array_equal(stretch_ratios(warp), [1.0, 1.0])


def test_half_a_frame_more_is_no_shift():
    warp = Warp(np.array([0.0, 1000.0]), np.array([0.0, 1000.5]))
    assert stretch_ratios(warp).tolist() == [1.0005]


@pytest.mark.parametrize("method", METHODS)
def test_pieces_of_a_warp_that_stretch_nothing_stay_as_they_are(method):
    audio, onsets = noise(200_000), np.array([0.0, 50_000.0, 120_000.0])
    warp = Warp(np.array([0.0, 120_000.0, 200_000.0]), np.array([0.0, 120_000.0, 210_000.0]))
    out = moved(audio, warp, 0, 110_000, onsets, method)
    assert np.abs(out - audio[:, :110_000]).max() < (1e-5 if method is Method.VOCODE else 1e-9)


# -- any source --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("factor", [0.25, 0.5, 0.9, 1.1, 2.0, 4.0])
@pytest.mark.parametrize("frames", [1, 2, 100, 5000, 30_000])
def test_every_length_and_ratio_fills_its_place_and_no_more(frames, factor, method):
    audio = noise(frames, 1, seed=frames)
    onsets = np.sort(rng(frames).uniform(-2000, frames + 2000, 20))
    first, last = 500, 500 + round(frames * factor)
    out = moved(audio, ratio(factor, RATE, 500.0), -300, last + 9000, onsets, method)
    near = round(0.012 * RATE)  # what lies so near to an attack goes along with it
    assert not out[:, : 300 + first - near].any()
    assert not out[:, 300 + last + 4 * near :].any()
    if frames > 1000:
        inside = out[:, 300 + first : 300 + last]
        level = float(np.sqrt(np.mean(np.square(inside))))
        assert 0.12 < level < 0.25


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000, 192000])
def test_every_rate_keeps_pitch_and_place(rate, method):
    sound = steady([440.0], 1.5, rate)
    onsets = np.array([0.4, 0.9]) * rate
    sound += hits(onsets, sound.shape[1], rate)[:1]
    warp = ratio(1.08, rate)
    out = moved(sound, warp, 0, round(1.08 * sound.shape[1]), onsets, method, rate)
    assert np.abs(lateness(out, sound, onsets, warp, rate)).max() <= 0.5
    line = followed(out, 440.0, 40.0, rate)[200:-200]
    turns = np.polyfit(np.arange(len(line)) * (rate // 1000) / rate, np.unwrap(np.angle(line)), 1)[0] / (2 * np.pi)
    if method is Method.VOCODE:
        assert abs(1200 * np.log2(1 + turns / 440.0)) < 2.0


def test_onsets_and_knots_far_outside_of_the_source_do_no_harm():
    audio = noise(20_000)
    warp = Warp(np.array([-9e6, -8e6, 7e6]), np.array([-9e6, -8.1e6, 7.9e6]))
    onsets = np.array([-5e5, -1.0, 400.0, 19_999.0, 20_000.0, 8e5])
    begin = round(float(warp.target_at(0)))
    for method in METHODS:
        out = moved(audio, warp, begin - 100, begin + 25_000, onsets, method)
        assert not out[:, :99].any()
        assert out[:, 100:20_000].any()


def test_nothing_is_rendered_where_nothing_is_asked_for():
    assert moved(noise(1000), ratio(1.1, RATE), 50, 50).shape == (2, 0)
    assert not moved(np.zeros((1, 0), np.float32), ratio(1.1, RATE), 0, 500).any()


@pytest.mark.parametrize("factor", [0.2, 4.5])
def test_a_ratio_out_of_range_is_refused_in_one_line(factor):
    with pytest.raises(AlignError, match=r"between 0\.25 and 4 times") as error:
        moved(noise(1000), ratio(factor, RATE), 0, 1000)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_comes_out_again_and_however_it_is_asked_for(method):
    onsets = groove()
    audio = hits(onsets, 4 * RATE, RATE) + plucks(onsets[::3], [50] * len(onsets[::3]), 4 * RATE, RATE)
    warp = drift(4.0, RATE)
    whole = moved(audio, warp, 0, 150_000, onsets, method)
    assert np.array_equal(whole, moved(audio, warp, 0, 150_000, onsets, method))
    assert np.array_equal(whole[:, :77_777], moved(audio, warp, 0, 77_777, onsets, method))
    if method is Method.SPLICE:
        assert np.array_equal(whole[:, 77_777:], moved(audio, warp, 77_777, 150_000, onsets, method))


def test_memory_does_not_grow_with_length():
    rate = 8000

    class Long:
        channels = 2

        def __init__(self, seconds: int) -> None:
            self.frames = seconds * rate

        def read(self, start: int, frames: int) -> Audio:
            time = np.arange(start, start + frames) / rate
            return np.stack([np.sin(700 * time), np.sin(1100 * time)]).astype(np.float32)

    def peak(seconds: int, method: Method) -> int:
        source = Long(seconds)
        onsets = np.arange(0.5, seconds, 1.0) * rate
        tracemalloc.start()
        for _ in render(
            source, rate, ratio(1.03, rate), 0, round(1.03 * source.frames), onsets, Material.PITCHED, method
        ):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for method in METHODS:
        assert peak(160, method) < peak(60, method) + 1_000_000  # the sound itself would be 6 MB more


# -- attacks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", RATIOS)
def test_attacks_keep_their_place_their_edge_and_their_number(factor, method):
    onsets = groove()
    audio = hits(onsets, 4 * RATE, RATE, decay=0.015)
    warp = ratio(factor, RATE, 100.0)
    out = moved(audio, warp, 0, round(4 * RATE * factor) + 5000, onsets, method)
    assert np.abs(lateness(out, audio, onsets, warp, RATE)).max() <= 0.5
    sharp, early = attack_levels(out, audio, onsets, warp, RATE)
    assert np.abs(sharp).max() < 0.5
    assert np.median(early) < 1.0
    assert early.max() < 6.0
    assert count_attacks(out, RATE) == count_attacks(audio, RATE) == len(onsets)


@pytest.mark.parametrize("method", METHODS)
def test_attacks_follow_a_drifting_warp(method):
    onsets = groove(8.0)
    audio = hits(onsets, 8 * RATE, RATE) + plucks(
        onsets[::4], [45 + k % 12 for k in range(len(onsets[::4]))], 8 * RATE, RATE
    )
    warp = drift(8.0, RATE)
    out = moved(audio, warp, 0, 8 * RATE, onsets, method)
    late = np.abs(lateness(out, audio, onsets, warp, RATE))
    assert np.percentile(late, 95) <= 0.5
    assert late.max() <= 1.0


def test_attacks_with_silence_before_them_come_out_after_silence():
    onsets = np.array([20_000.0, 60_000.0, 110_000.0])
    audio = hits(onsets, 150_000, RATE, decay=0.02)
    for method in METHODS:
        for factor in RATIOS:
            out = moved(audio, ratio(factor, RATE), 0, round(150_000 * factor), onsets, method)
            for onset in onsets:
                at = round(onset * factor)
                top = np.abs(out[:, at : at + 500]).max()
                assert np.abs(out[:, at - 3000 : at - 300]).max() < 1e-4 * top, (method, factor)
                assert np.abs(out[:, at - 300 : at - 1]).max() < 4e-3 * top, (method, factor)


def test_attacks_nearer_than_twelve_milliseconds_stay_together():
    spans = cut(ratio(1.25, RATE), np.array([10_000.0, 10_300.0, 20_000.0]), 40_000, RATE)
    assert [span.source for span in spans] == [0, 10_000 - 192, 20_000 - 192]
    assert [span.target for span in spans] == [0, 12_500 - 192, 25_000 - 192]


# -- tones -------------------------------------------------------------------------------------------------------

LOW_FIFTH, MAJOR_SEVENTH, CLUSTER = chord([33, 40], 10), chord([41, 53, 57, 60, 64], 8), chord([60, 61, 62, 64], 4)


BETWEEN_BINS = [(k + 0.5) / 0.128 for k in (20, 56, 171)]


@pytest.mark.parametrize("hertz", [BETWEEN_BINS, [41.2 * k for k in range(1, 20)], LOW_FIFTH, MAJOR_SEVENTH, CLUSTER])
@pytest.mark.parametrize("factor", [0.8, 1.04, 1.25])
def test_sustained_chords_keep_their_pitch_and_do_not_beat(factor, hertz):
    audio = steady(hertz, 3.0, RATE)
    out = moved(audio, ratio(factor, RATE), 0, round(3 * RATE * factor))
    cents, dip = partial_errors(out, hertz, RATE)
    assert cents < 0.5
    assert dip < 0.5
    assert noise_between(out, hertz, RATE) < max(-50.0, noise_between(audio, hertz, RATE) + 6.0)


@pytest.mark.parametrize("factor", RATIOS)
def test_chords_ring_on_through_the_attacks_of_others(factor):
    hertz = chord([48, 55, 64, 67])
    onsets = np.arange(0.3, 3.7, 0.25) * RATE
    pad = steady(hertz, 4.0, RATE)
    ticks = signal_above(hits(onsets, 4 * RATE, RATE, decay=0.01)[:1], 6000.0)
    out = moved(pad + ticks, ratio(factor, RATE), 0, round(4 * RATE * factor), onsets, Method.VOCODE)
    cents, dip = partial_errors(out, hertz, RATE)
    assert cents < 2.0
    assert dip < 1.5


def signal_above(audio: Audio, hertz: float) -> Audio:
    spectrum = np.fft.rfft(audio)
    spectrum[:, np.fft.rfftfreq(audio.shape[1], 1 / RATE) < hertz] = 0
    return np.fft.irfft(spectrum, audio.shape[1]).astype(np.float32)


@pytest.mark.parametrize(("factor", "near"), [(0.8, 0.15), (0.95, 0.05), (1.05, 0.05), (1.25, 0.15)])
def test_vibrato_keeps_its_width(factor, near):
    time = np.arange(4 * RATE) / RATE
    sung = sum(np.sin(k * (2 * np.pi * 220 * time + 1.2 * np.sin(2 * np.pi * 5.5 * time))) / k for k in range(1, 8))
    audio = (0.2 * sung[None]).astype(np.float32)
    out = moved(audio, ratio(factor, RATE), 0, round(4 * RATE * factor))
    widths, rates = [], []
    for sound in (audio, out):
        line = followed(sound, 220.0, 120.0, RATE)[400:-400]
        course = np.diff(np.unwrap(np.angle(line))) * 1000 / (2 * np.pi)
        course -= course.mean()
        widths.append(float(course.std()))
        spectrum = np.abs(np.fft.rfft(course * np.hanning(len(course)), 1 << 16))
        rates.append(float(np.argmax(spectrum) * 1000 / (1 << 16)))
    assert widths[1] == pytest.approx(widths[0], rel=near)
    assert rates[1] == pytest.approx(rates[0] / factor, rel=0.03)


def test_a_held_chord_without_attacks_follows_every_knot():
    """Two notes in turn, crossfaded so softly that there is no attack: they change where the warp has it."""
    time = np.arange(8 * RATE) / RATE
    high = 0.5 - 0.5 * np.tanh(40 * np.sin(2 * np.pi * time / 2.0))
    audio = (0.3 * ((1 - high) * np.sin(2 * np.pi * 300 * time) + high * np.sin(2 * np.pi * 450 * time)))[None]
    warp = drift(8.0, RATE, most=0.06)
    out = moved(audio.astype(np.float32), warp, 0, round(float(warp.target_at(8 * RATE))), NONE, Method.VOCODE)
    low, up = (np.abs(followed(out, f, 60.0, RATE)) for f in (300.0, 450.0))
    changes = np.arange(1.0, 7.5) * RATE
    for change in warp.target_at(changes):
        near = slice(round(change / 48) - 150, round(change / 48) + 150)
        crossing = np.flatnonzero(np.diff(np.sign(low[near] - up[near])))
        assert len(crossing) == 1
        assert abs(crossing[0] - 150) < 12  # ms


# -- stereo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_mono_in_stereo_stays_mono_to_the_bit(method):
    onsets = groove()
    one = hits(onsets, 4 * RATE, RATE)[:1] + plucks(onsets[::4], [57] * len(onsets[::4]), 4 * RATE, RATE)[:1]
    out = moved(np.repeat(one, 2, axis=0), drift(4.0, RATE), 0, 4 * RATE, onsets, method)
    assert out.any()
    assert np.array_equal(out[0], out[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", RATIOS)
def test_the_stereo_image_stands_still(factor, method):
    onsets = groove()
    audio = plucks(onsets[::2], [45 + 5 * k % 24 for k in range(len(onsets[::2]))], 4 * RATE, RATE)
    audio[1] = np.roll(audio[1], 20)  # a little later on the right: the phases differ with frequency
    audio += hits(onsets, 4 * RATE, RATE)
    out = moved(audio, ratio(factor, RATE), 0, round(4 * RATE * factor), onsets, method)
    before, after = width(audio), width(out)
    assert after[0] == pytest.approx(before[0], abs=0.03)
    assert after[1] == pytest.approx(before[1], abs=0.15)


# -- the choice --------------------------------------------------------------------------------------------------


def test_drums_and_noise_are_spliced_and_tones_vocoded():
    onsets = groove(6.0)
    frames = 6 * RATE
    drums = hits(onsets, frames, RATE)
    keys = [40 + 7 * k % 30 for k in range(len(onsets[::3]))]
    tones = plucks(onsets[::3], keys, frames, RATE)
    cases = {
        "drums": (drums, onsets, Method.SPLICE),
        "noise": (noise(frames), NONE, Method.SPLICE),
        "plucks": (tones, onsets[::3], Method.VOCODE),
        "chord": (steady(MAJOR_SEVENTH, 6.0, RATE), NONE, Method.VOCODE),
        "both": (0.3 * drums + tones, onsets, Method.VOCODE),
    }
    for name, (audio, attacks, expected) in cases.items():
        for material in Material:
            assert choose_method(Strict(audio.astype(np.float32)), RATE, attacks, material) is expected, name


def test_silence_and_crumbs_can_be_chosen_for():
    for frames in (0, 1, 10, 3000):
        choose_method(Strict(np.zeros((1, frames), np.float32)), RATE, NONE, Material.PITCHED)
