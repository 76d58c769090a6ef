"""Sound to notes, by the network of R. Bittner et al., "A lightweight instrument-agnostic model for polyphonic note
transcription and multipitch estimation" (ICASSP 2022), which is bundled; onnxruntime runs it.

What the network says of every hundredth of a second is made into notes here: its windows are laid so that frames stay
exact however long the sound is, and onsets lie between frames where their neighbours say so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
import soxr
from numpy.typing import NDArray

from models.api import Audio, Cancel, Cancelled, never_cancelled
from models.api.tools import HeardNote

RATE, HOP = 22_050, 256
FRAMES, SAMPLES = 172, 43_844
"""Of a window."""
EDGE = 15
"""Frames at either end of a window that the network knows too little about."""
KEPT = FRAMES - 2 * EDGE - 1
LOWEST = 21
"""The MIDI pitch of the first of 88 columns."""
ONSET, SOUNDING = 0.5, 0.3
"""From which likelihood on a note begins, and sounds."""
GAP = 11
"""Frames for which a note may be hardly heard and still go on."""
BEFORE, AGAIN = 4, 0.75
"""A note that has sounded for so many frames begins again from this likelihood on: vibrato stirs too."""
PARTIALS, PARTIAL, AT_ONCE_S = (12, 19, 24, 28, 31, 36), 0.7, 0.06
"""Semitones from a note to its partials, and the share of its clearness below which they are no notes themselves."""
LEAST_S = 0.06
ALONE_S = 0.12
"""The shortest note, and the shortest one whose beginning was not heard."""
_SESSIONS: list[onnxruntime.InferenceSession] = []

Singles = NDArray[np.float32]


class BasicPitch:
    """The bundled network."""

    def __init__(self, folder: Path | None = None, device: str = "cpu", dtype: str = "float32") -> None:
        """It has its own weights, and is so small that it always works on the CPU in float32."""
        if not _SESSIONS:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            stored = (resources.files("models.analysis") / "data" / "nmp.onnx").read_bytes()
            _SESSIONS.append(onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"]))
        self._session = _SESSIONS[0]

    def notes(
        self,
        audio: Audio,
        rate: int,
        step: Callable[[int, int], None] = lambda done, total: None,
        cancel: Cancel = never_cancelled,
    ) -> list[HeardNote]:
        """The notes of float32 (channels, frames) at `rate` Hz, in rising order of their beginnings.

        step: told after each window how many of how many are done; cancel: asked before each. Raises Cancelled.
        """
        mono = audio.mean(axis=0)
        if rate != RATE:
            mono = soxr.resample(mono, rate, RATE)
        onsets, sounding = self._activations(np.asarray(mono, np.float32), step, cancel)
        return notes_of(onsets, sounding)

    def _activations(self, mono: Singles, step: Callable[[int, int], None], cancel: Cancel) -> tuple[Singles, Singles]:
        """(frames, 88) each: how likely a note of each pitch begins, and sounds."""
        count = len(mono) // HOP + 1
        windows = -(-count // KEPT)
        padded = np.zeros((windows - 1) * KEPT * HOP + SAMPLES + EDGE * HOP, np.float32)
        padded[EDGE * HOP : EDGE * HOP + len(mono)] = mono[: len(padded) - EDGE * HOP]
        begins, sounds = [], []
        for number in range(windows):
            if cancel():
                raise Cancelled("cancelled")
            window = padded[number * KEPT * HOP :][:SAMPLES]
            note, onset = self._session.run(
                ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
                {"serving_default_input_2:0": window[None, :, None]},
            )
            begins.append(onset[0, EDGE : EDGE + KEPT])
            sounds.append(note[0, EDGE : EDGE + KEPT])
            step(number + 1, windows)
        return np.concatenate(begins)[:count], np.concatenate(sounds)[:count]


def notes_of(onsets: Singles, sounding: Singles) -> list[HeardNote]:
    """Notes from (frames, 88) likelihoods of beginning and of sounding.

    A note goes from where it begins until it is not heard any more or begins again; later ones first, so that what
    belongs to one is not taken by the one before. What is left and sounds for long enough is a note whose beginning
    was not heard.
    """
    left = sounding.copy()
    found: list[HeardNote] = []
    peaks = np.zeros(onsets.shape, bool)
    peaks[1:-1] = (onsets[1:-1] >= ONSET) & (onsets[1:-1] > onsets[:-2]) & (onsets[1:-1] >= onsets[2:])
    frames, columns = np.nonzero(peaks)
    for frame, column in zip(frames[::-1].tolist(), columns[::-1].tolist(), strict=True):
        before = sounding[max(0, frame - BEFORE) : max(0, frame - 1), column]
        if len(before) and before.min() >= SOUNDING and onsets[frame, column] < AGAIN:
            continue
        end = _end(left[:, column], frame)
        if (end - frame) * HOP >= LEAST_S * RATE:
            found.append(_note(frame + _between(onsets[:, column], frame), end, column, sounding[frame:end, column]))
            _taken(left, frame, end, column)
    for column in range(left.shape[1]):
        loud = np.flatnonzero(np.diff(np.concatenate(([0], (left[:, column] >= SOUNDING).view(np.int8), [0]))))
        for begin, end in zip(loud[::2].tolist(), loud[1::2].tolist(), strict=True):
            if (end - begin) * HOP >= ALONE_S * RATE and left[begin:end, column].min() >= SOUNDING:
                found.append(_note(begin, end, column, sounding[begin:end, column]))
                _taken(left, begin, end, column)
    return _without_partials(sorted(found))


def _without_partials(notes: list[HeardNote]) -> list[HeardNote]:
    """Notes less those that are but partials of a much clearer one which began at once with them, or before."""
    kept, sounding, starts = [], list[HeardNote](), [note.start for note in notes]
    for number, note in enumerate(notes):
        sounding = [other for other in sounding if other.end > note.start]
        after = bisect_left(starts, note.start + AT_ONCE_S)
        near = [other for other in (*sounding, *notes[number + 1 : after]) if abs(other.pitch - note.pitch) in PARTIALS]
        if not any(note.strength < PARTIAL * other.strength for other in near):
            kept.append(note)
        sounding.append(note)
    return kept


def _end(sounds: Singles, begin: int) -> int:
    """The frame after the last that belongs to a note that begins at one."""
    quiet = sounds[begin + 1 :] < SOUNDING
    if not quiet.any():
        return len(sounds)
    run = np.convolve(quiet, np.ones(GAP), "full")[: len(quiet)] >= GAP
    over = int(run.argmax()) + 1 - GAP if run.any() else len(quiet)
    loud = np.flatnonzero(~quiet[: max(over, 0)])
    return begin + 2 + int(loud[-1]) if len(loud) else begin + 1


def _taken(left: Singles, begin: int, end: int, column: int) -> None:
    """What a note explains, in its own column and, as it leaks there, in those beside it."""
    left[begin:end, max(0, column - 1) : column + 2] = 0.0


def _between(values: Singles, frame: int) -> float:
    """By how much a peak lies off its frame, -1/2 to 1/2: the top of a parabola through three values."""
    before, here, after = (float(value) for value in values[frame - 1 : frame + 2])
    bend = before - 2.0 * here + after
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _note(begin: float, end: int, column: int, likely: Singles) -> HeardNote:
    start = begin * HOP / RATE
    return HeardNote(start, max(start + 1e-3, end * HOP / RATE), LOWEST + column, float(likely.mean()))
