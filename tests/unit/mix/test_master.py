"""The finished levels: what the solver promises is what the finished stems measure."""

from __future__ import annotations

import warnings

import numpy as np
import pyloudnorm
import pytest

from studio.jobs.hands import Hands
from studio.mix import lanes
from studio.mix.arrays import Audio, from_db, to_db
from studio.mix.curve import Curve, attack_nodes
from studio.mix.errors import MixError
from studio.mix.loudness import integrated_loudness
from studio.mix.master import CEILING_DBTP, MOST_REDUCTION_DB, Master, PlacedTake, solve_master
from studio.mix.mixer import MAX_GAIN_DB, MIN_GAIN_DB
from studio.mix.truepeak import true_peak_dbtp
from tests.support import works
from tests.unit.mix.sounds import BALANCE, RATE, finished, heard_alike, hits, noise, pink, sine, song

Stems = dict[str, list[PlacedTake]]


def clicks(frames: int, seed: int = 1) -> Audio:
    """Sparse single-frame clicks over a whisper: a crest no limiter of 9 dB can flatten."""
    audio = noise(frames, 0.001, seed)
    audio[:, ::9_600] += np.float32(0.9)
    return audio


def check_peaks(stems: Stems, master: Master, frames: int) -> dict[str, Audio]:
    """No sound above the ceiling in its samples, nor by more than 0.1 dB between them; a bounded, clickless curve."""
    audio = finished(stems, master, frames)
    for name, sound in heard_alike(audio).items():
        assert to_db(float(np.abs(sound).max())) <= CEILING_DBTP + 1e-4, name
        assert true_peak_dbtp(sound) <= CEILING_DBTP + 0.1, name
        # Far below the ceiling nobody looks between the samples.
        assert true_peak_dbtp(sound) <= max(master.peak_dbtp, CEILING_DBTP - 3.0) + 0.1, name
    assert master.peak_dbtp <= CEILING_DBTP + 1e-4
    check_curve(master.curve)
    return audio


def check_curve(curve: Curve) -> None:
    assert curve.nodes.dtype == np.float32
    assert curve.reduction_db <= MOST_REDUCTION_DB + 1e-3
    assert float(curve.nodes.max()) <= 1.0
    steps = np.diff(20 * np.log10(curve.nodes.astype(np.float64)))
    # 9 dB within the attack of 5 nodes: 1.8 dB a node, 1.44 dB a millisecond.
    assert float(np.abs(steps).max(initial=0.0)) <= MOST_REDUCTION_DB / attack_nodes(800.0) + 1e-3


def judged_lufs(audio: Audio, rate: int) -> float:
    return float(pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio.T.astype(np.float64)))


@pytest.mark.parametrize("rate", [44_100, 48_000, 88_200, 96_000, 37_123])
def test_a_song_reaches_its_loudness_below_its_peak(rate: int) -> None:
    frames = 6 * rate + 123
    stems = song(frames, rate)
    master = solve_master(stems, frames, rate, BALANCE)
    audio = check_peaks(stems, master, frames)
    mix = heard_alike(audio)["mix"]
    assert judged_lufs(mix, rate) == pytest.approx(-14.0, abs=0.3)
    assert integrated_loudness(mix, rate) == pytest.approx(master.lufs, abs=0.05)
    assert len(master.curve.nodes) == -(-frames // master.curve.hop) + 1
    loudness = {role: integrated_loudness(stem, rate) for role, stem in audio.items()}
    for role in stems:
        # Drums lose more under the curve than what sustains; hats lose a little to the rough measure.
        assert loudness[role] - loudness["bass"] == pytest.approx(BALANCE[role] - BALANCE["bass"], abs=2.0), role


def material(kind: str, frames: int) -> dict[str, Audio]:
    """Different music: loud and soft, dense and full of holes, mono and wide."""
    pauses = (np.arange(frames) // RATE % 2 == 0).astype(np.float32)
    sounds = {
        "drums only": {"drums": hits(frames, 0.9)},
        "busy drums": {"drums": hits(frames, 0.9, every_s=0.15)},
        "pad": {"harmony": pink(frames, 0.1), "bass": sine(41.2, frames, 0.3)},
        "pauses": {"lead": sine(880, frames, 0.1) * pauses, "bass": sine(55, frames, 0.5) * pauses},
        "mono": {"bass": sine(55, frames, 0.2)[:1], "lead": pink(frames, 0.2)[:1]},
        "very quiet": {"harmony": pink(frames, 0.002), "lead": sine(500, frames, 0.002)},
        "far too loud": {"harmony": pink(frames, 9.0), "lead": sine(500, frames, 30.0)},
        "bright": {"fx": noise(frames, 0.1), "drums": hits(frames, 0.9), "lead": sine(9_000, frames, 0.1)},
    }
    return sounds[kind]


@pytest.mark.parametrize(
    "kind", ["drums only", "busy drums", "pad", "pauses", "mono", "very quiet", "far too loud", "bright"]
)
def test_every_kind_of_music_is_on_target(kind: str) -> None:
    frames = 6 * RATE
    stems = {role: [PlacedTake(audio.astype(np.float32), 0)] for role, audio in material(kind, frames).items()}
    master = solve_master(stems, frames, RATE, BALANCE)
    audio = check_peaks(stems, master, frames)
    assert judged_lufs(heard_alike(audio)["mix"], RATE) == pytest.approx(-14.0, abs=0.3)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000, 12_345])
def test_the_balance_is_what_was_asked_for(rate: int) -> None:
    frames = 4 * rate
    stems = {
        "bass": [PlacedTake(sine(55, frames, 0.3, rate), 0)],
        "harmony": [PlacedTake(pink(frames, 0.05), 0)],
        "lead": [PlacedTake(sine(4_000, frames // 2, 0.2, rate), frames // 4)],
        "fx": [PlacedTake(noise(frames, 0.02), 0)],
    }
    master = solve_master(stems, frames, rate, BALANCE, target_lufs=-24.0)
    assert master.curve.reduction_db == 0.0
    loudness = {role: integrated_loudness(stem, rate) for role, stem in finished(stems, master, frames).items()}
    for role in stems:
        # The rough measure hears every second frame.
        assert loudness[role] - loudness["bass"] == pytest.approx(BALANCE[role] - BALANCE["bass"], abs=0.4), role


@pytest.mark.parametrize("audio", [clicks(5 * RATE), hits(5 * RATE, 0.9, every_s=0.5) ** 3], ids=["clicks", "spikes"])
def test_peaks_come_before_loudness(audio: Audio) -> None:
    frames = 5 * RATE
    stems = {"fx": [PlacedTake(audio, 0)]}
    master = solve_master(stems, frames, RATE, BALANCE)
    check_peaks(stems, master, frames)
    assert master.curve.reduction_db == pytest.approx(MOST_REDUCTION_DB, abs=0.01)
    assert master.peak_dbtp == pytest.approx(CEILING_DBTP, abs=0.01)
    assert master.lufs < -14.5


@pytest.mark.parametrize("place", [1000, 1001])
def test_a_lone_click(place: int) -> None:
    # On an even or an odd frame: the balance is measured on every second one.
    audio = np.zeros((2, 5 * RATE), np.float32)
    audio[:, place] = 0.5
    stems = {"fx": [PlacedTake(audio, 0)], "bass": [PlacedTake(sine(55, 5 * RATE, 0.3), 0)]}
    for wanted in ({"fx": stems["fx"]}, stems):
        check_peaks(wanted, solve_master(wanted, 5 * RATE, RATE, BALANCE), 5 * RATE)


@pytest.mark.parametrize("frames", [1, 2, 59, 61, 1000, RATE // 10, RATE // 3, RATE])
def test_very_short_songs(frames: int) -> None:
    stems = {"bass": [PlacedTake(sine(200, frames, 0.2, phase=1.0), 0)], "fx": [PlacedTake(pink(frames + 9, 0.1), 0)]}
    master = solve_master(stems, frames, RATE, BALANCE)
    audio = check_peaks(stems, master, frames)
    if frames >= RATE // 3:
        measured = integrated_loudness(heard_alike(audio)["mix"], RATE)
        assert measured == pytest.approx(-14.0, abs=0.3)


def test_a_stem_far_above_the_sum_is_held_too() -> None:
    # Two stems that nearly cancel: the mix alone would let each of them through far above full scale.
    frames = 4 * RATE
    bass = sine(60, frames, 0.5)
    stems = {
        "bass": [PlacedTake(bass, 0)],
        "lead": [PlacedTake(-bass * np.float32(0.97), 0)],
        "harmony": [PlacedTake(pink(frames, 0.02), 0)],
    }
    check_peaks(stems, solve_master(stems, frames, RATE, dict.fromkeys(stems, 0.0)), frames)


def test_stems_that_cancel_wholly_keep_their_peak() -> None:
    loud = sine(60, RATE, 4.0)
    stems = {"bass": [PlacedTake(loud, 0)], "lead": [PlacedTake(-loud, 0)]}
    master = solve_master(stems, RATE, RATE, dict.fromkeys(stems, 0.0))
    check_peaks(stems, master, RATE)
    assert master.lufs == float("-inf")


def test_silent_stems_change_nothing() -> None:
    frames = 3 * RATE
    stems = song(frames)
    alone = solve_master({"drums": stems["drums"], "bass": stems["bass"]}, frames, RATE, BALANCE)
    silence = [PlacedTake(np.zeros((2, frames), np.float32), 0)]
    master = solve_master(
        {"lead": silence, "drums": stems["drums"], "fx": [], "bass": stems["bass"]}, frames, RATE, BALANCE
    )
    assert dict(master.gains_db) == {"lead": 0.0, "fx": 0.0} | dict(alone.gains_db)
    np.testing.assert_array_equal(master.curve.nodes, alone.curve.nodes)
    assert list(master.gains_db) == ["lead", "drums", "fx", "bass"]


def test_a_song_of_silence() -> None:
    master = solve_master({"drums": [PlacedTake(np.zeros((2, 100), np.float32), 0)]}, 100, RATE, BALANCE)
    assert (master.lufs, master.peak_dbtp, master.gains_db["drums"]) == (float("-inf"), float("-inf"), 0.0)
    np.testing.assert_array_equal(master.curve.gains(0, 100), 1.0)


@pytest.mark.parametrize("spread", [1e-9, 30.0, 1e3, 1e300])
def test_extremes_of_the_balance_stay_within_the_mixers_gains(spread: float) -> None:
    frames = 2 * RATE
    stems = song(frames)
    balance = dict(zip(stems, (0.0, spread, -spread, spread / 2, 1.0), strict=True))
    master = solve_master(stems, frames, RATE, balance)
    check_peaks(stems, master, frames)
    assert all(MIN_GAIN_DB <= gain <= MAX_GAIN_DB for gain in master.gains_db.values())


@pytest.mark.parametrize("level_db", [-60.0, -90.0, -140.0])
def test_what_is_next_to_silence_is_not_raised_without_end(level_db: float) -> None:
    stems = {"fx": [PlacedTake(pink(2 * RATE, from_db(level_db)), 0)]}
    master = solve_master(stems, 2 * RATE, RATE, BALANCE)
    assert master.gains_db["fx"] <= MAX_GAIN_DB


def test_only_the_songs_frames_count() -> None:
    audio = np.concatenate((sine(200, RATE, 0.1), sine(200, RATE, 5.0)), axis=1)
    longer = solve_master({"bass": [PlacedTake(audio, 0)]}, RATE, RATE, BALANCE)
    exact = solve_master({"bass": [PlacedTake(audio[:, :RATE], 0)]}, RATE, RATE, BALANCE)
    assert longer.gains_db == exact.gains_db
    np.testing.assert_array_equal(longer.curve.nodes, exact.curve.nodes)


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_the_same_song_gives_the_same_master_however_the_work_is_spread(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 3 * RATE
    in_one_piece = solve_master(song(frames), frames, RATE, BALANCE)
    monkeypatch.setattr(lanes, "STRETCH", RATE // 2)
    monkeypatch.setattr(lanes, "RUNS_TOGETHER", 1)
    expected = solve_master(song(frames), frames, RATE, BALANCE)
    assert expected.gains_db == pytest.approx(in_one_piece.gains_db, abs=1e-6)  # in dB: the weighting begins anew
    with Hands(3, prepare=works.nothing if how == "processes" else None) as hands:
        again = solve_master(song(frames), frames, RATE, BALANCE, spread=hands.spread)
    assert again.gains_db == expected.gains_db
    assert again.curve.nodes.tobytes() == expected.curve.nodes.tobytes()
    assert (again.lufs, again.peak_dbtp) == (expected.lufs, expected.peak_dbtp)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 47_999])
def test_sound_that_is_not_finite_is_refused(bad: float, place: int) -> None:
    audio = sine(200, RATE, 0.1)
    audio[1, place] = bad
    stems = {"bass": [PlacedTake(audio, 0)], "fx": [PlacedTake(pink(RATE, 0.1), 0)]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MixError, match="not finite"):
            solve_master(stems, RATE, RATE, BALANCE)


def test_bad_input_is_refused() -> None:
    take = [PlacedTake(np.zeros((2, 10), np.float32), 0)]
    with pytest.raises(MixError, match="balance names no"):
        solve_master({"cowbell": take}, 10, RATE, BALANCE)
    with pytest.raises(MixError, match="balance names no"):
        solve_master({"fx": take}, 10, RATE, {"fx": float("inf")})
    with pytest.raises(MixError, match="at least 1 frame"):
        solve_master({"fx": take}, 0, RATE, BALANCE)
    with pytest.raises(MixError, match="sample rate"):
        solve_master({"fx": take}, 10, 100, BALANCE)
    with pytest.raises(MixError, match="finite"):
        solve_master({"fx": take}, 10, RATE, BALANCE, target_lufs=float("nan"))
    with pytest.raises(MixError, match="float32"):
        solve_master({"fx": [PlacedTake(np.zeros((2, 10)), 0)]}, 10, RATE, BALANCE)  # type: ignore[arg-type]
