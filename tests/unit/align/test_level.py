"""Levels: nothing is touched that need not be; what must be is brought exactly where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from studio.align.level import CEILING_DBTP, MOST_LIMITING_DB, Levels, level
from studio.align.values import Audio
from studio.mix.arrays import from_db
from studio.mix.loudness import integrated_loudness
from studio.mix.sources import ArraySource, Source
from studio.mix.truepeak import true_peak_dbtp
from tests.unit.align.bars import RATE, noise, nothing, pad, struck, tone, whole


def levelled(
    audio: Audio, lufs: float | None = None, loop: bool = False, edges: bool = True, attack: bool = False
) -> tuple[Source, Levels]:
    return level(ArraySource(audio), RATE, lufs, loop=loop, edges=edges, attack=attack, step=nothing)


def drums(seconds: float = 6.0) -> Audio:
    return 0.7 * struck(round(seconds * RATE), np.arange(0.1, seconds - 0.9, 0.5))


def faded(audio: Audio) -> Audio:
    """The same, beginning and ending at zero."""
    out = audio.copy()
    ramp = np.linspace(0, 1, 500, dtype=np.float32)
    out[:, :500] *= ramp
    out[:, -500:] *= ramp[::-1]
    return out


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("sound", [drums(), faded(pad(3 * RATE)), np.zeros((1, 5000), np.float32)])
def test_what_is_right_already_passes_untouched(sound: Audio, loop: bool) -> None:
    source = ArraySource(sound)
    result, levels = level(source, RATE, None, loop=loop, edges=True, attack=False, step=nothing)
    assert result is source
    assert (levels.gain_db, levels.dc, levels.note) == (0.0, (), "")
    assert levels.lufs == levels.lufs_before


@pytest.mark.parametrize("lufs", [-30.0, -20.0])
@pytest.mark.parametrize("sound", [drums(), faded(pad(3 * RATE)), faded(noise(3 * RATE, 0.02))])
def test_loudness_is_brought_to_the_target_by_one_gain(sound: Audio, lufs: float) -> None:
    result, levels = levelled(sound, lufs)
    y = whole(result)
    assert integrated_loudness(y, RATE) == pytest.approx(lufs, abs=0.15)
    assert levels.lufs == pytest.approx(lufs, abs=0.15)
    if not levels.limited_db:
        gain = np.float32(from_db(levels.gain_db))
        np.testing.assert_allclose(y, sound * gain, rtol=1e-5, atol=1e-8)


def test_a_peak_too_high_is_turned_down_by_one_gain_and_said() -> None:
    sound = faded(noise(2 * RATE, 0.4))
    result, levels = levelled(sound)
    y = whole(result)
    assert true_peak_dbtp(y) == pytest.approx(CEILING_DBTP, abs=0.02)
    assert true_peak_dbtp(y) <= CEILING_DBTP
    assert "for its peaks" in levels.note
    inside = np.abs(sound) > 1e-3
    ratio = y[inside] / sound[inside]
    assert np.ptp(ratio) < 1e-5


@pytest.mark.parametrize("loop", [False, True])
def test_loudness_above_the_ceiling_limits_the_peaks_and_no_more_than_a_little(loop: bool) -> None:
    sound = faded(noise(6 * RATE, 0.05))
    sound[:, 30_000::40_000] = 0.6
    loud = integrated_loudness(sound, RATE)
    room = CEILING_DBTP - true_peak_dbtp(sound)
    result, levels = levelled(sound, loud + room + 3.0, loop=loop)
    y = whole(result)
    assert true_peak_dbtp(y) <= CEILING_DBTP + 0.01
    assert integrated_loudness(y, RATE) == pytest.approx(loud + room + 3.0, abs=0.15)
    assert 2.0 < levels.limited_db <= MOST_LIMITING_DB
    blocks = [result.read(at, min(7001, result.frames - at)) for at in range(0, result.frames, 7001)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), y)

    result, levels = levelled(sound, -8.0, loop=loop)
    assert levels.lufs < -8.5
    assert "peaks hold it" in levels.note
    assert true_peak_dbtp(whole(result)) <= CEILING_DBTP + 0.01
    assert levels.limited_db <= MOST_LIMITING_DB + 0.1


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("frames", [4 * RATE, RATE // 3])
def test_dc_is_taken_out_without_an_edge(frames: int, loop: bool) -> None:
    sound = faded(noise(frames, 0.05))
    offset = np.array([[0.03], [-0.024]], np.float32)
    result, levels = levelled(sound + offset, loop=loop)
    y = whole(result)
    assert np.abs(y.mean(axis=1)).max() < 5e-4
    assert levels.dc == pytest.approx((0.03, -0.024), abs=2e-3)
    assert float(np.abs(np.diff(y - sound, axis=1))[:, 200:-200].max()) < 1e-5
    if not loop:
        assert float(np.abs(y[:, [0, -1]]).max()) < 1.01e-4


def test_a_little_dc_shows_where_it_is_quiet() -> None:
    result, levels = levelled(drums() + np.float32(0.004))
    assert levels.dc == pytest.approx((0.004, 0.004), abs=2e-3)
    assert float(np.abs(whole(result)[:, -3000:]).max()) < 1e-3


def test_a_synthesizers_pulse_is_no_dc() -> None:
    phase = np.arange(4 * RATE) * 110 / RATE % 1.0
    pulse = np.where(phase < 0.3, 0.27, -0.1).astype(np.float32)[None]
    assert abs(float(pulse.mean())) > 0.01
    assert levelled(pulse, loop=True)[1].dc == ()


def test_a_bass_drum_is_no_dc() -> None:
    time = np.arange(RATE) / RATE
    kick = (0.8 * np.cos(2 * np.pi * 40 * time) * np.exp(-time / 0.03)).astype(np.float32)
    sound = np.zeros((1, 4 * RATE), np.float32)
    for start in range(100, 3 * RATE, RATE):
        sound[0, start : start + RATE] += kick
    assert abs(float(sound.mean())) > 1e-4
    assert levelled(sound)[1].dc == ()


def test_edges_are_led_to_zero_and_an_attack_is_spared() -> None:
    sound = tone(220, 20_000, phase=1.0)
    result, levels = levelled(sound)
    y = whole(result)
    assert not y[:, 0].any()
    assert not y[:, -1].any()
    np.testing.assert_array_equal(y[:, levels.fade_in : -levels.fade_out], sound[:, levels.fade_in : -levels.fade_out])
    assert 0.001 < levels.fade_in / RATE < 0.0021
    assert levelled(sound, attack=True)[1].fade_in / RATE <= 0.00025
    assert levelled(sound, loop=True)[1].fade_in == 0
    assert levelled(sound, edges=False)[1].fade_out == 0


@pytest.mark.parametrize("frames", [1, 2, 5, 60])
@pytest.mark.parametrize("loop", [False, True])
def test_the_shortest_clips_have_a_level_too(frames: int, loop: bool) -> None:
    result, levels = levelled(noise(frames, 0.5), -18.0, loop=loop)
    assert np.isfinite(whole(result)).all()
    assert levels.true_peak_dbtp <= CEILING_DBTP


def test_silence_stays_silence() -> None:
    result, levels = levelled(np.zeros((2, RATE), np.float32), -18.0)
    assert not whole(result).any()
    assert levels.lufs == float("-inf")
