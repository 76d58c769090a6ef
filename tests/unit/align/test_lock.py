"""The whole way of a sound: what is aligned already comes back as it is, bad input is refused, work can be stopped."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from studio.align import rows
from studio.align.grid import Grid
from studio.align.lock import Aligned, lock
from studio.align.report import Verdict
from studio.align.rows import InMemory, Rows
from studio.align.values import AlignError, Audio, Cancelled, Floats, Wish
from studio.mix.tails import clip_from_take
from studio.mix.truepeak import true_peak_dbtp
from studio.scratch import Scratch
from studio.song import Meter
from tests.unit.align.bars import RATE, Watched, noise, pad, struck, whole

FOUR = Meter(4, 4)


def grid(bars: int = 4, bpm: str = "120", meter: Meter = FOUR) -> Grid:
    return Grid.steady(bpm, meter, bars, RATE)


def beaten(
    bars: float, bpm: float = 120.0, zero: float = 0.0, tail: float = 0.0, pickup: Sequence[float] = ()
) -> Audio:
    """A strong stroke on the first of each four beats, weaker ones on the others and between."""
    beats = np.concatenate((-np.asarray(pickup, float), np.arange(0, 4 * bars - 0.01, 0.5)))
    frames = round((zero + 4 * bars * 60 / bpm + tail) * RATE)
    out = np.zeros((2, frames), np.float32)
    for seed, (every, gain) in enumerate(((4.0, 0.9), (1.0, 0.35), (0.5, 0.2))):
        chosen = beats[np.abs(beats / every - np.rint(beats / every)) < 1e-9]
        decay = 0.1 if every == 4.0 else 0.02
        out += gain * struck(frames, zero + chosen * 60 / bpm, decay, seed)
    return 0.6 * out


def swells(on: Grid, bars: Sequence[int] | Floats, attack: float) -> Audio:
    """A chord of saws for each of the grid's bars that are given; each takes so many seconds to be at its loudest."""
    time = np.arange(on.frames) / RATE
    lines = on.frame_at([float(start) for start in on.bar_starts]) / RATE
    out = np.zeros(on.frames)
    for number in np.asarray(bars, int).tolist():
        level = np.clip((time - lines[number]) / attack, 0.0, 1.0) * (time >= lines[number])
        level *= np.clip((lines[number + 1] + 0.3 - time) / 0.3, 0.0, 1.0)
        for semitone in ((-3, 1, 4), (-5, -1, 2), (-7, -3, 0), (-8, -4, -1))[number % 4]:
            hz = 261.63 * 2.0 ** (semitone / 12)
            out += level * sum(np.sin(2 * np.pi * hz * k * time + k) / k for k in (1, 2, 3))
    return (0.08 * np.stack([out, out])).astype(np.float32)


def locked(audio: Audio, wish: Wish) -> tuple[Aligned, Audio]:
    aligned = lock(audio, RATE, wish)
    return aligned, whole(aligned)


# -- what is aligned already -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bpm", ["120", "97.31"])
def test_what_is_aligned_already_comes_back_bit_for_bit(bpm: str, channels: int, loop: bool) -> None:
    on = grid(4, bpm)
    sound = np.ascontiguousarray(beaten(4, float(bpm))[:channels, : on.frames])
    aligned, y = locked(sound, Wish(on, loop=loop, fill=True))
    assert y.tobytes() == sound.tobytes()
    assert aligned.report.verdict is Verdict.LOCKED
    assert aligned.report.moved is not None
    assert aligned.report.moved.method == "none"
    assert aligned.pickup_frames == 0


@pytest.mark.parametrize("attack", [0.02, 0.3, 0.6])
@pytest.mark.parametrize("bpm", ["90", "76.5"])
def test_swells_that_are_as_long_as_their_bars_are_left_as_they_are(bpm: str, attack: float) -> None:
    on = grid(4, bpm)
    sound = swells(on, np.arange(4), attack)
    aligned, y = locked(sound, Wish(on, fill=True))
    assert y.tobytes() == sound.tobytes()
    assert aligned.report.verdict is not Verdict.LOCKED


@pytest.mark.parametrize("late", [0.5, 1.0])
def test_being_as_long_as_its_bars_does_not_put_a_sound_on_them(late: float) -> None:
    """As of takes, which are as long as they were asked for and have any tempo."""
    on = grid(4, "120")
    sound = np.ascontiguousarray(beaten(5, 112.0, late)[:, : on.frames])
    aligned, _ = locked(sound, Wish(on, fill=True))
    assert aligned.heard.bpm == pytest.approx(112.0, abs=0.05)
    errors = aligned.report.after.errors
    assert errors is not None
    assert errors.p95_ms < 3.0


def test_a_take_that_rings_gives_the_clip_that_takes_give() -> None:
    take = np.ascontiguousarray(beaten(4, tail=0.8))
    _, y = locked(take, Wish(grid(), loop=True, fill=True))
    np.testing.assert_allclose(y, clip_from_take(take, grid().frames, "wrap", RATE), atol=1e-6)


def test_only_the_peaks_are_touched_where_only_the_peaks_are_wrong() -> None:
    sound = beaten(4)
    sound *= np.float32(0.98 / np.abs(sound).max())
    aligned, y = locked(sound, Wish(grid(), fill=True))
    assert true_peak_dbtp(y) <= -1.0
    assert "peaks" in aligned.levels.note
    assert aligned.levels.note in aligned.report.warnings
    np.testing.assert_allclose(y / np.abs(y).max(), sound / np.abs(sound).max(), atol=1e-6)


# -- what has to be moved ----------------------------------------------------------------------------------------


def strokes(y: Audio, first: int = 0) -> Floats:
    """Where the strong strokes begin, in seconds from frame `first`."""
    level = np.abs(y).max(axis=0)
    loud = np.flatnonzero(level > 0.2 * level.max())
    begins = loud[np.concatenate(([True], np.diff(loud) > RATE // 5))]
    return (begins - first) / RATE


@pytest.mark.parametrize(("bpm", "zero"), [(120.0, 0.31), (111.0, 0.0), (131.0, 0.2)])
def test_a_wrong_tempo_and_a_late_start_are_put_right(bpm: float, zero: float) -> None:
    aligned, y = locked(beaten(4, bpm, zero, 0.3), Wish(grid(), fill=True))
    assert y.shape == (2, grid().frames)
    found = strokes(y)
    off = found - np.rint(found * 2) / 2
    assert float(np.abs(off).max()) < 0.006
    assert aligned.report.verdict is Verdict.LOCKED, aligned.report.reason
    assert aligned.report.before is not None
    assert aligned.report.after is not None


def test_what_is_out_of_phase_is_heard_all_the_same() -> None:
    one = beaten(4, 112.0)[:1]
    aligned, _ = locked(np.concatenate((one, -one)), Wish(grid(4), fill=True))
    assert aligned.heard.bpm == pytest.approx(112.0, abs=0.05)
    assert aligned.report.verdict is Verdict.LOCKED


def test_a_pickup_is_kept_before_bar_1_and_laid_over_the_end_of_a_loop() -> None:
    sound = beaten(4, zero=1.0, pickup=(1.0, 0.5))
    aligned, y = locked(sound, Wish(grid(), fill=True))
    assert aligned.plan.pickup_beats == Fraction(1)
    assert aligned.pickup_frames == RATE // 2
    assert y.shape[1] == RATE // 2 + grid().frames
    assert aligned.report.moved is not None
    first = -round(aligned.report.moved.shift_ms * RATE / 1000) - aligned.pickup_frames
    assert first == pytest.approx(RATE // 2, abs=0.001 * RATE)
    np.testing.assert_array_equal(y[:, 2000:-2000], sound[:, first : first + y.shape[1]][:, 2000:-2000])

    looped, z = locked(sound, Wish(grid(), loop=True, fill=True))
    assert (looped.pickup_frames, z.shape[1]) == (0, grid().frames)
    assert float(np.abs(z[:, -RATE // 2 :]).max()) > float(np.abs(sound[:, -RATE // 2 :]).max())


def test_the_same_input_gives_the_same_bits() -> None:
    sound = beaten(3, 113.0, 0.2, 0.4)
    wish = Wish(grid(8), loop=True, fill=True, lufs=-18.0)
    assert locked(sound, wish)[1].tobytes() == locked(sound, wish)[1].tobytes()


@pytest.mark.parametrize("loop", [False, True])
def test_blocks_of_any_size_give_the_same_samples(loop: bool) -> None:
    aligned, y = locked(beaten(3, 117.0, 0.1, 0.5), Wish(grid(8), loop=loop, fill=True, lufs=-20.0))
    for size in (777, 50_000):
        blocks = [aligned.read(at, min(size, aligned.frames - at)) for at in range(0, aligned.frames, size)]
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), y)


# -- what has no pulse, and what is no sound ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros((2, 3 * RATE), np.float32),
        np.zeros((1, 1), np.float32),
        np.full((2, 1), 0.5, np.float32),
        struck(2 * RATE, [0.7]),
        noise(5 * RATE, 0.05),
        pad(5 * RATE),
        noise(300, 0.1),
    ],
    ids=["silence", "a frame", "a loud frame", "a click", "noise", "a drone", "a moment"],
)
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("loop", [False, True])
def test_what_has_no_pulse_is_never_said_to_be_locked(sound: Audio, fill: bool, loop: bool) -> None:
    aligned, y = locked(sound, Wish(grid(), loop=loop, fill=fill, lufs=-18.0))
    assert aligned.report.verdict is not Verdict.LOCKED
    assert y.shape[1] == aligned.plan.grid.frames
    assert np.isfinite(y).all()
    if fill:
        assert y.shape[1] == grid().frames


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_refused(wrong: float) -> None:
    sound = beaten(4)
    sound[1, -5] = wrong
    with pytest.raises(AlignError, match="not numbers"):
        lock(sound, RATE, Wish(grid()))


def test_a_sound_that_cannot_be_worked_with_is_refused_in_one_line() -> None:
    for sound, rate in (
        (np.zeros((2, 0), np.float32), RATE),
        (np.zeros((6, 100), np.float32), RATE),
        (np.zeros((2, 100), np.float64), RATE),
        (np.zeros((2, 100), np.float32), 48_000),
        (np.zeros((2, 100), np.float32), 1000),
    ):
        with pytest.raises(AlignError) as caught:
            lock(sound, rate, Wish(grid()))
        assert "\n" not in str(caught.value)


# -- progress, stopping, memory ----------------------------------------------------------------------------------


def test_progress_goes_from_nothing_to_all_and_only_forward() -> None:
    said: list[tuple[float, str]] = []
    lock(
        beaten(3, 113.0), RATE, Wish(grid(8), loop=True, fill=True), say=lambda done, words: said.append((done, words))
    )
    shares = [done for done, _ in said]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < 0.3
    assert shares[-1] == 1.0
    assert list(dict.fromkeys(words for _, words in said)) == [
        "listening",
        "moving",
        "joining",
        "levelling",
        "measuring",
    ]


def test_it_stops_at_the_next_step_wherever_it_is() -> None:
    sound, wish = beaten(2, 113.0), Wish(grid(3), loop=True, fill=True)
    steps: list[str] = []
    lock(sound, RATE, wish, say=lambda done, words: steps.append(words))
    for stop in sorted({0, 1, *(steps.index(words) for words in steps), len(steps) - 2}):
        asked = 0

        def cancel(stop: int = stop) -> bool:
            nonlocal asked
            asked += 1
            return asked > stop

        with pytest.raises(Cancelled):
            lock(sound, RATE, wish, cancel=cancel)
        assert asked == stop + 1


class Counted(InMemory):
    """Room that knows the most bytes that ever went in or out at a time."""

    def __init__(self) -> None:
        self.most = self.total = 0

    def rows(self, width: int, dtype: DTypeLike = np.float32) -> Rows:
        held, room = super().rows(width, dtype), self

        class Watching:
            def __len__(self) -> int:
                return len(held)

            def append(self, new: NDArray[Any]) -> None:
                room.most, room.total = max(room.most, new.nbytes), room.total + new.nbytes
                held.append(new)

            def read(self, start: int, stop: int) -> NDArray[Any]:
                found = held.read(start, stop)
                room.most = max(room.most, found.nbytes)
                return found

        return Watching()


def test_a_long_sound_is_read_and_kept_in_pieces() -> None:
    source, room = Watched(beaten(24, 113.0)), Counted()
    aligned = lock(source, RATE, Wish(grid(24), fill=True), room=room)
    for at in range(0, aligned.frames, 1 << 16):
        aligned.read(at, min(1 << 16, aligned.frames - at))
    assert room.total > 4 * aligned.frames
    assert room.most < 1 << 21
    assert source.longest < 21 * RATE


def test_room_on_disk_gives_the_same_bits() -> None:
    sound, wish = beaten(3, 113.0), Wish(grid(8), fill=True)
    with Scratch() as room:
        on_disk = whole(lock(sound, RATE, wish, room=room))
    assert on_disk.tobytes() == locked(sound, wish)[1].tobytes()


def test_what_is_too_long_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_IN_MEMORY", 1 << 20)
    with pytest.raises(AlignError, match="scratch on disk"):
        lock(beaten(4, 113.0), RATE, Wish(grid(), fill=True))
