"""Recursive filters as matrix products: second-order sections in series, run over sound piece by piece.

A filter's recursion goes from frame to frame, which numpy cannot do at speed. Here the sound is cut into blocks:
what a block makes of its own frames, what it leaves behind, and what the state before it adds are matrix products
(Burrus, "Block realization of digital filters", IEEE Trans. Audio Electroacoust. 20, 1972). From block to block the
states are such a recursion again; it is cut into groups of blocks in the same way, and so on. That takes a third to
half of the time of a loop in C, and next to no digits are lost. In single precision, which takes half of that time
again, the states are still carried in double precision: what is lost lies 130 dB below the sound.

All products are so small that the BLAS library keeps them on one thread, and of shapes that do not depend on how long
the sound is: of two sounds that begin alike, the results begin with the same bits.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Numbers = NDArray[np.floating[Any]]
Sound = NDArray[np.floating[Any]]

CHUNK = 1 << 16
"""Frames worked on at a time: what is made on the way stays in the cache."""
_BLOCK = 32  # frames
_ROWS = 256  # blocks in a product
_WIDTH = 32  # numbers in the states of a group
_SECTIONS = 4  # run at once; longer cascades are run in turns
_NOTHING = 1e-30  # what is smaller is zero: processors are many times slower on subnormal numbers
_DEAD = 1e-12  # a state below this (-240 dB) rings no more


class Cascade:
    """Second-order sections in series, from rest. Each `run` goes on where the last one ended."""

    def __init__(self, sections: Doubles, channels: int, *, single: bool = False) -> None:
        """`sections`: rows of b0 b1 b2 1 a1 a2, as scipy's `sosfilt` takes them; all poles inside the unit circle.

        `single`: in single precision.
        """
        rows = np.ascontiguousarray(sections, np.float64).reshape(-1, 6)
        self._systems = [_system(rows[k : k + _SECTIONS].tobytes(), single) for k in range(0, len(rows), _SECTIONS)]
        self._states = [np.zeros((channels, system.order)) for system in self._systems]
        blocks, kind = CHUNK // _BLOCK, np.float32 if single else np.float64
        self._rooms: list[Numbers] = [
            np.empty((channels, blocks, _BLOCK + system.order), kind) for system in self._systems
        ]
        self._out: Numbers = np.empty((channels, blocks, _BLOCK), kind)

    def run(self, x: Sound, out: Sound) -> None:
        """Filter the next frames (channels, frames) into `out`, which may be `x` itself.

        Silence is passed over where nothing rings any more.
        """
        for start in range(0, x.shape[1], CHUNK):
            piece: Sound = x[:, start : start + CHUNK]
            if self._rests() and not piece.any():
                out[:, start : start + CHUNK] = 0.0
                continue
            for number, system in enumerate(self._systems):
                self._states[number] = system.run(piece, self._states[number], self._rooms[number], self._out)
                piece = self._out.reshape(len(x), CHUNK)[:, : piece.shape[1]]
            out[:, start : start + CHUNK] = piece

    def _rests(self) -> bool:
        """Tell whether nothing rings any more, and forget what is below that."""
        rests = all(np.abs(state).max() < _DEAD for state in self._states)
        if rests:
            for state in self._states:
                state[:] = 0.0
        return rests


def run(sections: Doubles, x: Sound) -> Doubles:
    """`x` (channels, frames) through second-order sections from rest; see `Cascade`."""
    out = np.empty(x.shape)
    Cascade(sections, len(x)).run(x, out)
    return out


class _Level(NamedTuple):
    """Kicks (what blocks leave behind) in groups: how states come of a group's kicks and of the state before it."""

    rows: int  #: groups in a product
    made: Doubles  #: a group's kicks in a row -> the state before each of them, from rest; then the state after all
    onward: Doubles  #: the state before the group -> its share in the state before each kick


class _System:
    """Up to `_SECTIONS` sections as one. States are row vectors."""

    def __init__(self, sections: Doubles, single: bool) -> None:
        a, b, c, d = _state_space(sections)
        self.order = len(b)
        self._powers = _powers(a, _BLOCK)
        kicks = b @ self._powers  # what an impulse leaves behind, frame by frame
        response = np.append(d, kicks[: _BLOCK - 1] @ c)
        late = np.arange(_BLOCK) - np.arange(_BLOCK)[:, None]
        through = np.where(late >= 0, response[late], 0.0)
        kind = np.float32 if single else np.float64
        self._kicks: Numbers = _cleared(kicks[_BLOCK - 1 :: -1]).astype(kind)
        self._outputs: Numbers = _cleared(np.concatenate([through, (self._powers[:_BLOCK] @ c).T])).astype(kind)
        self._levels = _levels(self._powers[_BLOCK])

    def run(self, x: Sound, state: Doubles, room: Numbers, out: Numbers) -> Doubles:
        """Filter 1 to CHUNK frames of `x` (channels, frames) into `out` from `state`; return the state after them.

        `out` and the working `room` are (channels, CHUNK / _BLOCK, _BLOCK and _BLOCK + order).
        """
        channels, frames = x.shape
        whole, blocks = frames // _BLOCK, -(-frames // (_BLOCK * _ROWS)) * _ROWS
        room[:, :whole, :_BLOCK] = x[:, : whole * _BLOCK].reshape(channels, whole, _BLOCK)
        if whole < blocks:
            room[:, whole:blocks, :_BLOCK] = 0.0
            room[:, whole, : frames - whole * _BLOCK] = x[:, whole * _BLOCK :]
        rows = room[:, :blocks].reshape(channels, -1, _ROWS, _BLOCK + self.order)
        kicks = rows[..., :_BLOCK] @ self._kicks
        states = self._before(kicks.reshape(channels, blocks, self.order), state)
        room[:, :blocks, _BLOCK:] = states
        np.matmul(rows, self._outputs, out=out[:, :blocks].reshape(channels, -1, _ROWS, _BLOCK))
        last = (frames - 1) // _BLOCK
        rest = frames - last * _BLOCK
        return _cleared(states[:, last] @ self._powers[rest] + room[:, last, :rest] @ self._kicks[_BLOCK - rest :])

    def _before(self, kicks: Numbers, state: Doubles, number: int = 0) -> Doubles:
        """The state before each kick, both (channels, kicks, order), from `state` before the first one."""
        level = self._levels[number]
        channels, size = len(kicks), len(level.made)
        made = kicks.reshape(channels, -1, level.rows, size) @ level.made
        starts = state[:, None]
        if number + 1 < len(self._levels):
            ends = made[..., size:].reshape(channels, -1, self.order)
            above = self._levels[number + 1]
            missing = above.rows * len(above.made) // self.order - ends.shape[1]
            if missing:
                ends = np.concatenate([ends, np.zeros((channels, missing, self.order))], axis=1)
            starts = self._before(ends, state, number + 1)[:, : ends.shape[1] - missing]
        before = starts.reshape(channels, -1, level.rows, self.order) @ level.onward
        before += made[..., :size]
        return before.reshape(kicks.shape)


@lru_cache(maxsize=256)
def _system(sections: bytes, single: bool) -> _System:
    return _System(np.frombuffer(sections).reshape(-1, 6), single)


def _state_space(sections: Doubles) -> tuple[Doubles, Doubles, Doubles, float]:
    """Sections in series as a, b, c, d: next state = state @ a + input * b, output = state @ c + input * d.

    A section's poles sigma +- j omega are in [[sigma, s], [-omega^2 / s, sigma]], with s how far they lie from 1: a
    low corner then needs no large states that nearly cancel. Small numbers are written as the sums of coefficients
    that lose no digits.
    """
    orders = [2 if row[2] or row[5] else 1 for row in sections]
    ends = np.cumsum(orders)
    basis = np.eye(int(ends[-1]) + 1)
    signal, moved = basis[-1], []
    for (b0, b1, b2, _, a1, a2), order, end in zip(sections, orders, ends, strict=True):
        if order == 1:
            state = basis[end - 1]
            moved.append(signal - a1 * state)
            signal = b0 * signal + (b1 - a1 * b0) * state
            continue
        first, second = basis[end - 2 : end]
        short, square = 1.0 + a1 / 2, 1.0 + a1 + a2  # 1 - sigma, and the product of both poles' distances from 1
        s = math.sqrt(max(abs(square), 1e-12))
        moved.append((1.0 - short) * first + s * second)
        moved.append((short * short - square) / s * first + (1.0 - short) * second + signal)
        kick = b1 + 2.0 * b0 - 2.0 * b0 * short
        signal = b0 * signal + (b0 + b1 + b2 - b0 * square - short * kick) / s * first + kick * second
    step = np.array(moved).T
    return step[:-1], step[-1], signal[:-1], float(signal[-1])


def _levels(turn: Doubles) -> list[_Level]:
    """The levels for the blocks of a chunk; `turn` is what a block does to the state before it."""
    levels = []
    order, count, rows = len(turn), CHUNK // _BLOCK, _ROWS
    width = _WIDTH
    while count > 1:
        group = min(1 << (width // order).bit_length() - 1, count)
        powers = _powers(turn, group)
        late = np.arange(group + 1) - np.arange(group)[:, None] - 1  # blocks after each kick
        made = np.where(late[..., None, None] >= 0, powers[late], 0.0).transpose(0, 2, 1, 3)
        onward = powers[:group].transpose(1, 0, 2).reshape(order, -1)
        levels.append(_Level(rows // group, _cleared(made.reshape(group * order, -1)), _cleared(onward)))
        turn, count = powers[group], count // group
        rows, width = count, 2 * _WIDTH  # far fewer: larger products save a level
    return levels


def _powers(a: Doubles, highest: int) -> Doubles:
    """`a` to the powers 0 to `highest`: (highest + 1, n, n)."""
    powers: Doubles = np.eye(len(a))[None]
    while len(powers) <= highest:
        powers = np.concatenate([powers, powers @ (powers[-1] @ a)])
    return powers[: highest + 1]


def _cleared(numbers: Doubles) -> Doubles:
    return np.where(np.abs(numbers) < _NOTHING, 0.0, numbers)
