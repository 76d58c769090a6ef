"""What a user would do instead of bar lock.

Both peers are given every benefit of the doubt: the tempo is fitted to all beats rather than taken from a table, half
and double time are resolved towards the target, labels are right to the nearest whole BPM.
"""

from __future__ import annotations

import numpy as np

from studio.align.values import Audio, Floats
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.score import Answer

FIRST_SOUND_DB = -30.0
"""Under the peak: where trimming finds the first sound. Noise floors lie below it."""


def librosa_beats(case: Case) -> Answer:
    """librosa's beats (D. Ellis, "Beat tracking by dynamic programming", 2007), started at the target tempo; then one
    `time_stretch` to it, and a shift that puts the first beat on bar 1."""
    import librosa

    mono = case.audio.mean(axis=0)
    _, beats = librosa.beat.beat_track(y=mono, sr=case.rate, start_bpm=case.grid.bpm, units="time")
    if len(beats) < 2:
        return nominal_ratio(case)
    pace, first = np.polyfit(np.arange(len(beats)), beats, 1)
    bpm = 60.0 / pace
    bpm *= min((0.5, 1.0, 2.0), key=lambda factor: abs(np.log2(bpm * factor / case.grid.bpm)))
    return _stretched(case, case.grid.bpm / bpm, float(max(first, 0.0)))


def nominal_ratio(case: Case) -> Answer:
    """The ratio that the label's tempo gives, in one `time_stretch`, and a trim to the first sound."""
    level = np.abs(case.audio).max(axis=0)
    first = int(np.argmax(level > level.max() * 10 ** (FIRST_SOUND_DB / 20)))
    return _stretched(case, case.grid.bpm / case.nominal_bpm, first / case.rate)


def _stretched(case: Case, rate: float, first: float) -> Answer:
    """The sound `rate` times as fast, with what lies at `first` seconds on bar 1, as long as the grid's bars."""
    import librosa
    import soxr

    audio = case.audio[:, round(first * case.rate) :]
    if abs(rate - 1.0) > 1e-6:
        audio = librosa.effects.time_stretch(audio, rate=rate)
    if case.rate != case.grid.rate:
        audio = soxr.resample(audio.T, case.rate, case.grid.rate).T
    audio = np.asarray(audio[:, : case.grid.frames], np.float32)

    def target_at(seconds: Floats) -> Floats:
        return np.asarray((seconds - first) / rate * case.grid.rate)

    return Answer(_full(audio, case.grid.frames), 0, target_at)


def _full(audio: Audio, frames: int) -> Audio:
    """The audio with silence up to the grid's end: what a user's bars would hold."""
    return np.pad(audio, ((0, 0), (0, max(0, frames - audio.shape[1]))))
