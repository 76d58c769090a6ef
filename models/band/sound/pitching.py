"""Sample data at another pitch and rate, without audible aliasing, and filters that move.

Constant transposition goes through soxr (band-limited at any ratio; linear phase, its delay compensated).
Vibrato and pitch envelopes then bend that result with a windowed-sinc table: their range is a small part of
an octave.
"""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dsp.filters import Cascade

MIN_RATIO, MAX_RATIO = 1 / 64, 64.0
_TAPS = 24
_PHASES = 512
_BLOCKS_A_SECOND = 750  # filters move in steps of 64 frames at 48 kHz, as in FluidSynth


def unrolled(data: NDArray[np.float32], loop: tuple[int, int] | None, count: int) -> NDArray[np.float32]:
    """Return the first `count` frames of a sample that repeats `loop` (half-open); fewer without one."""
    if loop is None or count <= loop[1]:
        return data[: min(count, loop[1] if loop else count)]
    start, end = loop
    turns = -(-(count - end) // (end - start))
    return np.concatenate([data[:end], np.tile(data[start:end], turns)])[:count]


def transposed(data: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """Return mono `data` read `ratio` source frames an output frame (above 1: higher pitch)."""
    import soxr

    if len(data) == 0 or abs(ratio - 1.0) < 1e-9:
        return data
    # Silence behind the end gives the filter's tail room; it is cut off again.
    padded = np.concatenate([data, np.zeros(int(64 * max(1.0, ratio)), np.float32)])
    out = soxr.resample(padded, ratio, 1.0, quality="MQ")  # 16 bits: the samples have no more
    return cast("NDArray[np.float32]", out[: max(1, int(np.ceil(len(data) / ratio)))])


def bent(data: NDArray[np.float32], cents: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return `data` read at a speed that varies by `cents`, one value a frame, until either ends."""
    position = np.concatenate([[0.0], np.cumsum(2.0 ** (cents[:-1] / 1200.0))])
    position = position[position < len(data) - 1]
    whole = position.astype(np.int64)
    phase = np.rint((position - whole) * _PHASES).astype(np.int64)
    table = _sinc_table()
    padded = np.concatenate([np.zeros(_TAPS // 2 - 1, np.float32), data, np.zeros(_TAPS, np.float32)])
    out = np.zeros(len(position), np.float32)
    for tap in range(_TAPS):
        out += padded[whole + tap] * table[phase, tap]
    return out


@cache
def _sinc_table() -> NDArray[np.float32]:
    """Windowed sinc (Kaiser, beta 9), one row a fractional position: (phases + 1, taps)."""
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    x = np.arange(_TAPS)[None, :] - (_TAPS // 2 - 1) - fraction
    window = np.i0(9.0 * np.sqrt(np.clip(1.0 - (x / (_TAPS / 2)) ** 2, 0.0, 1.0))) / np.i0(9.0)
    table = np.sinc(x) * window
    return (table / table.sum(axis=1, keepdims=True)).astype(np.float32)


def lowpassed(
    data: NDArray[np.float32], hertz: NDArray[np.float64], resonance_db: float, rate: int
) -> NDArray[np.float32]:
    """Low-pass mono `data`; `hertz` is one cutoff, or one a control block (see `control_times`).

    Second-order section of SF2's filter as FluidSynth builds it: Q = resonance - 3.01 dB, gain 1/sqrt(Q).
    """
    cutoff = np.clip(hertz, 5.0, 0.45 * rate)
    omega = 2.0 * np.pi * cutoff / rate
    q = 10.0 ** ((resonance_db - 3.01) / 20.0)
    alpha, cosine = np.sin(omega) / (2.0 * q), np.cos(omega)
    side = (1.0 - cosine) / 2.0 / np.sqrt(q) / (1.0 + alpha)
    a1, a2 = -2.0 * cosine / (1.0 + alpha), (1.0 - alpha) / (1.0 + alpha)
    block = control_block(rate)
    moves = np.flatnonzero(np.abs(np.diff(cutoff)) > 1e-4 * cutoff[:-1])
    moving = int(moves[-1]) + 1 if len(moves) else 0  # blocks before the cutoff stands still
    moving = min(moving, (len(data) - 1) // block) if len(data) else 0
    out = np.empty_like(data)
    if not moving:
        section = np.array([[side[0], 2.0 * side[0], side[0], 1.0, a1[0], a2[0]]])
        Cascade(section, 1, single=True).run(data[None], out[None])
        return out
    at = moving * block
    out[:at], state = _moving(data[:at].reshape(moving, block), side[:moving], a1[:moving], a2[:moving])
    fed = side[moving] * np.convolve(data[at:], [1.0, 2.0, 1.0])[: len(data) - at]
    fed[:2] += state[: len(fed)]  # what has been heard before rings on as if it were two frames more
    Cascade(np.array([[1.0, 0.0, 0.0, 1.0, a1[moving], a2[moving]]]), 1, single=True).run(fed[None], out[None, at:])
    return out


def _moving(
    blocks: NDArray[np.float32], side: NDArray[np.float64], a1: NDArray[np.float64], a2: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Blocks (n, frames) through a low-pass (b = side, 2 side, side) with coefficients of its own for each of them,
    and its last state.

    All blocks are filtered side by side from rest, frame by frame; then their states are carried from block to block,
    and what rings on from there is added. One call of `lfilter` a block takes ten times as long.
    """
    x = blocks.T.astype(np.float64)
    count, frames = blocks.shape
    out = np.empty((frames, count))
    one, two = np.zeros(count), np.zeros(count)  # the state (direct form II transposed)
    for frame in range(frames):
        fed = side * x[frame]
        y = np.add(fed, one, out=out[frame])
        one = 2.0 * fed - a1 * y + two
        two = fed - a2 * y
    through = np.linalg.matrix_power(
        np.array([[-a1, np.ones(count)], [-a2, np.zeros(count)]]).transpose(2, 0, 1), frames
    )
    first, second = np.empty(count), np.empty(count)
    state = (0.0, 0.0)
    steps = zip(one.tolist(), two.tolist(), through.reshape(count, 4).tolist(), strict=True)
    for number, (kick_one, kick_two, (m00, m01, m10, m11)) in enumerate(steps):
        first[number], second[number] = state
        state = m00 * state[0] + m01 * state[1] + kick_one, m10 * state[0] + m11 * state[1] + kick_two
    for frame in range(frames):
        out[frame] += first
        first, second = second - a1 * first, -a2 * first
    return out.T.reshape(-1), np.array(state)


def control_block(rate: int) -> int:
    """Return the frames between two steps of a moving filter."""
    return max(16, round(rate / _BLOCKS_A_SECOND))


def control_times(count: int, rate: int) -> NDArray[np.float64]:
    """Return the time in seconds of each control block that `count` frames need."""
    block = control_block(rate)
    return np.arange(-(-count // block), dtype=np.float64) * np.float64(block / rate)
