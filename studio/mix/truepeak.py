"""True peak: the highest level between the samples too (ITU-R BS.1770-4 Annex 2), by 4x oversampling.

Three points are interpolated in every gap between two samples with a Kaiser-windowed sinc of 24 taps (twice
the length of the Recommendation's own example, hence closer to the real waveform above 15 kHz). A
window of samples that cannot reach the level asked for is skipped: no interpolated value exceeds the largest
sample near it times `OVERSHOOT`, so skipping loses nothing.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from dsp.peaks import block_peaks
from studio.mix.arrays import Audio, blocks, check_audio, to_db

#: Samples on either side of a gap that take part in its interpolation.
REACH = 12
#: Gaps interpolated by one row of the matrix product.
WINDOW = 32
_PHASES = 3
#: Windows in one matrix product. Larger products would be spread over threads by the BLAS library, which for
#: these sizes only costs time, and very much so on a busy machine.
_BATCH = 48
_KAISER_BETA = 5.0


def _interpolator() -> NDArray[np.float32]:
    """Taps for 1/4, 1/2 and 3/4 of the way into a gap, shape (3, 24)."""
    fractions = np.arange(1, _PHASES + 1)[:, None] / (_PHASES + 1)
    distance = np.arange(-REACH + 1, REACH + 1)[None, :] - fractions
    window = np.i0(_KAISER_BETA * np.sqrt(1.0 - (distance / REACH) ** 2)) / np.i0(_KAISER_BETA)
    taps = np.sinc(distance) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)


def _toeplitz(taps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The interpolator for a whole window as one matrix, shape (WINDOW + 23, 3 * WINDOW)."""
    matrix = np.zeros((WINDOW + 2 * REACH - 1, _PHASES, WINDOW), dtype=np.float32)
    for gap in range(WINDOW):
        matrix[gap : gap + 2 * REACH, :, gap] = taps.T
    return matrix.reshape(len(matrix), -1)


_TAPS = _interpolator()
_MATRIX = _toeplitz(_TAPS)
#: The most by which an interpolated value can exceed the largest sample it is made from.
OVERSHOOT = float(np.abs(_TAPS).sum(axis=1).max())


def padded_block(audio: Audio, start: int, stop: int) -> Audio:
    """Return frames `start - REACH` to `stop + REACH` of `audio`, with silence outside it."""
    before, after = max(0, start - REACH), min(audio.shape[1], stop + REACH)
    out = np.zeros((audio.shape[0], stop - start + 2 * REACH), dtype=np.float32)
    out[:, before - start + REACH : after - start + REACH] = audio[:, before:after]
    return out


def gap_peaks(padded: Audio, floor: float) -> NDArray[np.float32]:
    """Return the largest magnitude in each gap between neighbouring frames, over the channels.

    Args:
        padded: (channels, n + 2 * REACH) float32: n frames and `REACH` more on either side of them.
        floor: gaps that cannot exceed this level are not interpolated and come back as 0.

    Returns:
        float32 of n + 1: gap `i` lies before frame `i`, the last one after the last frame.
    """
    gaps = padded.shape[1] - 2 * REACH + 1
    rows = -(-gaps // WINDOW)
    width = WINDOW + 2 * REACH - 1
    # Gap i lies between padded samples REACH - 1 + i and REACH + i; its first tap falls on padded sample i.
    room = np.zeros((padded.shape[0], rows * WINDOW + 2 * WINDOW), dtype=np.float32)
    room[:, : padded.shape[1]] = padded
    strips = block_peaks(room, WINDOW)
    near = np.maximum(np.maximum(strips[:rows], strips[1 : rows + 1]), strips[2 : rows + 2])[:rows]
    wanted = np.flatnonzero(near * OVERSHOOT > floor)
    out = np.zeros((rows, WINDOW), dtype=np.float32)
    if len(wanted):
        for windows in np.lib.stride_tricks.sliding_window_view(room, width, axis=1)[:, ::WINDOW]:
            chosen = windows[:rows] if len(wanted) == rows else windows[wanted]
            points = _interpolated(chosen)
            peaks = reduce(np.maximum, (points[:, phase] for phase in range(_PHASES)))
            out[wanted] = np.maximum(out[wanted], peaks)
    return out.reshape(-1)[:gaps]


def _interpolated(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the magnitude of the points of every window, shape (windows, 3, WINDOW)."""
    batches = -(-len(windows) // _BATCH)
    rows = np.empty((batches, _BATCH, windows.shape[1]), dtype=np.float32)
    flat = rows.reshape(-1, windows.shape[1])
    flat[: len(windows)] = windows
    flat[len(windows) :] = 0.0
    points = rows @ _MATRIX
    return np.abs(points, out=points).reshape(-1, _PHASES, WINDOW)[: len(windows)]


class TruePeakMeter:
    """Measures the true peak of audio pushed in pieces of any size."""

    def __init__(self, channels: int = 2, known: float = 0.0) -> None:
        """`known`: a level that the audio is known to reach; what lies below needs no measuring."""
        self._tail: Audio = np.zeros((channels, 2 * REACH), dtype=np.float32)
        self._peak = known

    def push(self, audio: Audio) -> None:
        """Measure the next piece, float32 (channels, frames)."""
        for start, stop in blocks(audio.shape[1]):
            piece = audio[:, start:stop]
            self._peak = max(self._peak, float(piece.max()), -float(piece.min()))
            self._scan(np.concatenate((self._tail, piece), axis=1))

    def _scan(self, padded: Audio) -> None:
        self._peak = max(self._peak, float(gap_peaks(padded, self._peak).max()))
        self._tail = padded[:, -2 * REACH :].copy()

    def peak(self) -> float:
        """Return the true peak so far as an amplitude ratio (1.0 is full scale), the ringing-out included."""
        ending = np.concatenate((self._tail, np.zeros((self._tail.shape[0], REACH), np.float32)), axis=1)
        return max(self._peak, float(gap_peaks(ending, self._peak).max()))


def true_peak(audio: Audio) -> float:
    """Return the true peak of `audio` (float32, (1 or 2 channels, frames)) as an amplitude ratio."""
    check_audio(audio)
    meter = TruePeakMeter(audio.shape[0], max(float(audio.max()), -float(audio.min())) if audio.size else 0.0)
    meter.push(audio)
    return meter.peak()


def true_peak_dbtp(audio: Audio) -> float:
    """Return the true peak in dBTP; minus infinity for silence or no frames."""
    return to_db(true_peak(audio))
