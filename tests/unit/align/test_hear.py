"""Hearing against sounds whose beats are known to the frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.hear import hear
from studio.align.hear.bars import BarShape
from studio.align.hear.features import features
from studio.align.hear.onsets import find_onsets
from studio.align.hear.phases import METER_TRAITS, traits
from studio.align.hear.spectra import spectra
from studio.align.rows import InMemory
from studio.align.values import AlignError, Heard, Pulse, Wish
from studio.mix.sources import as_source
from studio.song.meter import Meter
from studio.song.tempo import TempoMap, TempoSegment

RATE = 48_000
FOUR, SEVEN, SIX = Meter(4, 4), Meter(7, 8), Meter(6, 8)


def hit(kind: str, random: np.random.Generator) -> NDArray[np.float64]:
    """A drum that begins on its first frame."""
    at = np.arange(round(0.15 * RATE)) / RATE
    if kind == "kick":
        return np.sin(2 * np.pi * (50 * at + 3 * (1 - np.exp(-30 * at))) + 0.6) * np.exp(-14 * at)
    noise = random.standard_normal(len(at))
    return 0.7 * noise * np.exp(-25 * at) if kind == "snare" else 0.25 * np.diff(noise, prepend=0.0) * np.exp(-60 * at)


def beat(times: dict[str, NDArray[np.float64]], seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Drums at their times, mono (1, frames)."""
    random = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE) + RATE)
    for kind, moments in times.items():
        for moment in moments:
            sound, first = hit(kind, random), round(float(moment) * RATE)
            out[first : first + len(sound)] += sound
    return (0.5 * out[None, : round(seconds * RATE)]).astype(np.float32)


def rock(bars: int, beats_to_seconds: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """A rock beat in 4/4; `beats_to_seconds` holds the time of every eighth."""
    eighths = np.arange(8 * bars)
    return {
        "kick": beats_to_seconds[np.isin(eighths % 8, (0, 5))],
        "snare": beats_to_seconds[np.isin(eighths % 8, (2, 6))],
        "hat": beats_to_seconds[eighths],
    }


def heard_rock(bpm: float, target: str, late: float = 0.0, bars: int = 8, **wishes: float) -> Heard:
    times = late + np.arange(8 * bars) * 30.0 / bpm
    sound = beat(rock(bars, times), late + bars * 240.0 / bpm)
    return hear(as_source(sound), RATE, Wish(Grid.steady(target, FOUR, bars, RATE), **wishes))


@pytest.mark.parametrize(("bpm", "target"), [(97.3, "110"), (121.7, "104"), (174.0, "160"), (75.0, "80")])
def test_another_tempo_is_heard_to_a_millisecond(bpm: float, target: str) -> None:
    heard = heard_rock(bpm, target, late=0.31)
    assert heard.beat_map is not None
    assert heard.pulse is Pulse.STEADY
    assert heard.beat_map.seconds_at([0.0, 16.0, 31.0]) == pytest.approx(
        [0.31, 0.31 + 960 / bpm, 0.31 + 31 * 60 / bpm], abs=0.001
    )
    assert heard.bpm == pytest.approx(bpm, rel=1e-4)
    assert heard.tempo_confidence > 0.8
    assert heard.downbeat_confidence > 0.7


def test_what_is_on_the_grid_is_left_there_to_the_frame() -> None:
    grid = Grid.steady("97.3", FOUR, 8, RATE)
    heard = heard_rock(97.3, "97.3")
    assert heard.beat_map is not None
    beats = np.array([0.0, 7.5, 32.0])
    assert np.abs(heard.beat_map.seconds_at(beats) * RATE - grid.frame_at(beats)).max() < 1e-6


def test_a_late_start_is_one_shift_of_whole_frames() -> None:
    grid = Grid.steady("97.3", FOUR, 8, RATE)
    heard = heard_rock(97.3, "97.3", late=0.25)
    assert heard.beat_map is not None
    late = heard.beat_map.seconds_at([0.0, 8.0, 31.0]) * RATE - grid.frame_at([0.0, 8.0, 31.0])
    assert np.ptp(late) < 1e-6
    assert abs(late[0] - round(late[0])) < 1e-6
    assert late[0] == pytest.approx(0.25 * RATE, abs=0.001 * RATE)


def test_a_grid_that_ramps_is_followed_without_a_stretch() -> None:
    tempo = TempoMap((TempoSegment(Fraction(0), Fraction(32), Fraction(100), Fraction(112)),))
    grid = Grid(RATE, (FOUR,) * 8, tempo)
    times = grid.frame_at(np.arange(64) / 2) / RATE
    heard = hear(as_source(beat(rock(8, times), grid.frames / RATE)), RATE, Wish(grid))
    assert heard.beat_map is not None
    beats = np.arange(0, 31.5, 0.5)
    assert np.abs(heard.beat_map.seconds_at(beats) * RATE - grid.frame_at(beats)).max() < 1e-3 * RATE


def test_drift_is_followed_beat_by_beat() -> None:
    eighths = np.arange(8 * 16)
    times = 0.2 + eighths * 0.25 + 0.03 * np.sin(2 * np.pi * eighths / 64)  # 4 % up and down
    heard = hear(as_source(beat(rock(16, times), 33.0)), RATE, Wish(Grid.steady("120", FOUR, 16, RATE)))
    assert heard.beat_map is not None
    assert heard.pulse is Pulse.DRIFTING
    assert np.abs(heard.beat_map.seconds_at(eighths / 2) - times).max() < 0.004


def test_half_and_whole_tempo_are_read_alike_unless_told() -> None:
    slow = heard_rock(61.0, "120", bars=8)
    assert slow.bpm == pytest.approx(122.0, rel=2e-3)
    told = heard_rock(61.0, "120", bars=8, felt_bpm=61.0)
    assert told.bpm == pytest.approx(61.0, rel=2e-3)
    named = heard_rock(91.0, "120", bars=8, from_bpm=91.0)
    assert named.bpm == pytest.approx(91.0, rel=2e-3)


def test_a_pickup_lies_before_bar_one() -> None:
    bpm = 104.0
    eighths = 0.1 + np.arange(-2, 64) * 30.0 / bpm + 60.0 / bpm
    times = rock(8, eighths[2:])
    times["snare"] = np.concatenate([eighths[:2], times["snare"]])
    heard = hear(as_source(beat(times, float(eighths[-1]) + 0.3)), RATE, Wish(Grid.steady("104", FOUR, 8, RATE)))
    assert heard.beat_map is not None
    assert float(heard.beat_map.beats_at(0.1)) == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize("meter", [SEVEN, SIX])
def test_odd_and_compound_bars(meter: Meter) -> None:
    grid = Grid.steady("118", meter, 8, RATE)
    pulses = np.arange(meter.pulses * 8)
    times = 0.2 + pulses * 30.0 / 112.0
    starts = {"7/8": (2, 4), "6/8": (3,)}[str(meter)]
    drums = {
        "kick": times[pulses % meter.pulses == 0],
        "snare": times[np.isin(pulses % meter.pulses, starts)],
        "hat": times,
    }
    heard = hear(as_source(beat(drums, float(times[-1]) + 0.3)), RATE, Wish(grid))
    assert heard.beat_map is not None
    assert heard.beat_map.seconds_at([0.0, float(meter.bar_beats)]) == pytest.approx(
        [0.2, 0.2 + meter.pulses * 30.0 / 112.0], abs=0.002
    )


@pytest.mark.parametrize("name", ["silence", "click", "noise", "drone", "frame", "strewn"])
def test_what_has_no_pulse_is_not_given_one(name: str) -> None:
    random = np.random.default_rng(4)
    sound = {
        "silence": np.zeros((2, 5 * RATE)),
        "click": np.eye(1, 3 * RATE, RATE),
        "noise": 0.1 * random.standard_normal((2, 15 * RATE)),
        "drone": 0.3 * np.sin(np.arange(40 * RATE) * 0.03)[None],
        "frame": np.ones((1, 1)),
        "strewn": beat({"snare": np.sort(random.random(40) * 19)}, 20.0),
    }[name]
    heard = hear(as_source(sound.astype(np.float32)), RATE, Wish(Grid.steady("120", FOUR, 4, RATE)))
    assert heard.pulse is Pulse.NONE
    assert heard.beat_map is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers(bad: float) -> None:
    sound = np.zeros((1, RATE), np.float32)
    sound[0, 777] = bad
    with pytest.raises(AlignError, match="not numbers"):
        hear(as_source(sound), RATE, Wish(Grid.steady("120", FOUR, 4, RATE)))


def test_onsets_of_sounds_that_were_never_heard_are_placed_within_a_millisecond_or_so() -> None:
    random = np.random.default_rng(5)
    times = np.cumsum(0.12 + 0.2 * random.random(60))
    source = as_source(beat({"snare": times[::2], "hat": times[1::2]}, float(times[-1]) + 0.5))
    found = spectra(source, RATE, InMemory())
    onsets = find_onsets(found, features(found))
    off = np.array([np.abs(onsets.seconds - moment).min() for moment in times])
    assert np.quantile(off, 0.5) < 0.0008
    assert np.quantile(off, 0.9) < 0.0015
    assert len(onsets) < 66


@pytest.mark.parametrize("rate", [48_000, 22_050, 8_000])
def test_spectra_do_not_depend_on_where_blocks_end(monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    from studio.align.hear import spectra as room

    source = as_source(beat(rock(4, np.arange(32) * 0.25), 8.0))
    whole = spectra(source, rate, InMemory())
    monkeypatch.setattr(room, "_BLOCK_SECONDS", 3)
    pieces = spectra(source, rate, InMemory())
    for name in ("bands", "pitches", "fine"):
        first, second = (one.read(0, len(one)) for one in (getattr(whole, name), getattr(pieces, name)))
        assert np.allclose(first, second, atol=1e-5), name
    for name in ("power", "loudest"):
        assert np.allclose(getattr(whole, name), getattr(pieces, name), atol=1e-5), name


@pytest.mark.parametrize("text", ["4/4", "3/4", "6/8", "7/8", "2/2", "5/8", "12/8", "7/16", "1/4", "15/16"])
def test_every_meter_has_a_shape(text: str) -> None:
    meter = Meter.parse(text)
    shape = BarShape.of(meter)
    assert shape.beats == meter.bar_beats
    assert shape.units >= 1
    assert traits(shape).shape == (METER_TRAITS,)
