"""Moves the pieces of a plan onto the target's time, into a store where they can be read at any place."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from studio.align.fit import Piece, Plan
from studio.align.grid import EDGE_S
from studio.align.move import choose_method, render
from studio.align.move.render import whole_shift
from studio.align.rows import Room, Rows
from studio.align.seam import CONTEXT_S, REACH_S, Laid, seam_score
from studio.align.values import Audio, Floats, Material, Source, Warp

AROUND_S = REACH_S + 0.020
"""How much real sound is moved on either side of a piece, for its joins."""


class Moved:
    """Moved sound that waits until it is read."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @property
    def frames(self) -> int:
        """How much there is of it."""
        return len(self._rows)

    def append(self, audio: Audio) -> None:
        """Add float32 (channels, frames)."""
        self._rows.append(audio.T)

    def read(self, start: int, frames: int) -> Audio:
        """As of any source."""
        return np.ascontiguousarray(self._rows.read(start, start + frames).T)


class Kept:
    """A run of frames of something that is read from `offset` on, as frames `first` to `last` of the target."""

    def __init__(self, store: Moved | Source, channels: int, offset: int, first: int, last: int) -> None:
        self.channels, self.first, self.last = channels, first, max(first, last)
        self._store, self._offset = store, offset

    def read(self, start: int, stop: int) -> Audio:
        """As of any laid sound."""
        low, high = max(start, self.first), min(stop, self.last)
        if low >= high:
            return np.zeros((self.channels, stop - start), np.float32)
        inside = self._store.read(self._offset + low - self.first, high - low)
        if (low, high) == (start, stop):
            return inside
        return np.pad(inside, ((0, 0), (low - start, stop - high)))


class Endless:
    """A loop that leads on into itself, with `reach` frames of it before its start and behind its end."""

    def __init__(self, source: Source, reach: int) -> None:
        self.channels, self.frames = source.channels, source.frames + 2 * reach
        self._source, self._reach = source, reach

    def read(self, start: int, frames: int) -> Audio:
        """As of any source."""
        period = self._source.frames
        at, left, pieces = (start - self._reach) % period, frames, []
        while left:
            count = min(left, period - at)
            pieces.append(self._source.read(at, count))
            at, left = 0, left - count
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


def leads_on(source: Source, rate: int, attacks: Floats) -> bool:
    """Whether a file's end goes on at its start so that it cannot be heard."""
    reach = min(round(CONTEXT_S * rate), source.frames)
    end = source.frames - reach
    around = np.concatenate((source.read(end, reach), source.read(0, reach)), axis=1)
    marks = np.concatenate((attacks[attacks >= end] - end, attacks[attacks < reach] + reach))
    return seam_score(around, [(reach, reach)], marks, rate).value < 1.0


def lay(
    plan: Plan,
    source: Source,
    rate: int,
    attacks: Floats,
    material: Material,
    room: Room,
    step: Callable[[float], None],
) -> tuple[list[Laid], str]:
    """Move every piece, with real sound around it for its joins.

    A piece that is only shifted is read from the source itself. Also returned: how they were moved, "none" (not at
    all), "shift", or the name of the method.
    attacks: in frames of the source, rising; step: told how much is done (0..1), may raise to stop.
    """
    shifts = [whole_shift(piece.warp) for piece in plan.pieces]
    method = choose_method(source, rate, attacks, material) if None in shifts else None
    around = round(AROUND_S * rate)
    whole = [_fills(piece, source.frames, rate) for piece in plan.pieces]
    endless = method is not None and any(whole) and leads_on(source, rate, attacks)
    laid: list[Laid] = []
    store = Moved(room.rows(source.channels))
    for piece, by, fills in zip(plan.pieces, shifts, whole, strict=True):
        if by is not None:
            laid.append(Kept(source, source.channels, 0, by, by + source.frames))
            continue
        sound, warp, struck = source, piece.warp, attacks
        if fills and endless:
            sound, warp, struck = _around(source, warp, attacks, 2 * around)
        ends = warp.target_at(np.array([0.0, sound.frames]))
        first = max(piece.start - piece.lead - around, math.floor(ends[0]))
        last = max(first, min(piece.stop + max(piece.ring, around), math.ceil(ends[1])))
        kept = store.frames
        laid.append(Kept(store, source.channels, kept, first, last))
        for audio in render(sound, rate, warp, first, last, struck, material, method):
            store.append(audio)
            step((piece.start + min(store.frames - kept, piece.stop - piece.start)) / plan.grid.frames)
    if method is not None:
        return laid, method.value
    return laid, "shift" if any(shifts) else "none"


def _fills(piece: Piece, frames: int, rate: int) -> bool:
    """Whether a file begins and ends where its piece does."""
    ends = piece.warp.target_at(np.array([0.0, frames]))
    return bool(np.all(np.abs(ends - (piece.start, piece.stop)) <= EDGE_S * rate))


def _around(source: Source, warp: Warp, attacks: Floats, reach: int) -> tuple[Source, Warp, Floats]:
    """An endless source with the warp and the attacks that belong to it."""
    sound = Endless(source, reach)
    turns = np.concatenate([attacks + turn * source.frames for turn in (-1, 0, 1)]) + reach
    return sound, Warp(warp.source + reach, warp.target), turns[(turns >= 0) & (turns < sound.frames)]
