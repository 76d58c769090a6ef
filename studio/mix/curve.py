"""Gain over a song at control rate: one node every `hop` frames (1.25 ms at 48 kHz), linear between nodes.

A curve is what a look-ahead limiter does, made visible: it is found from the peak of every hop, can be looked at as
a whole, and multiplies any number of sounds alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.peaks import block_peaks
from studio.mix.arrays import Audio, check_rate, from_db, to_db

ATTACK_S, RELEASE_DB_PER_S = 0.006, 60.0
MOST_GIVEN_WAY_DB = 30.0
INAUDIBLE = 1e-6


@dataclass(frozen=True)
class Curve:
    """Gain over time: `nodes[k]` at frame `k * hop`, linear between; its first and last value hold beyond its ends."""

    nodes: NDArray[np.float32]
    hop: int

    def gains(self, start: int, frames: int) -> NDArray[np.float32]:
        """The gain of each of `frames` frames from `start`, shape (frames,); the same bits in blocks of any size."""
        nodes = self.window(start, frames).nodes
        ramp = np.arange(self.hop, dtype=np.float32) / np.float32(self.hop)
        line = (nodes[:-1, None] + np.diff(nodes)[:, None] * ramp).reshape(-1)
        offset = start % self.hop
        return line[offset : offset + frames]

    def window(self, start: int, frames: int) -> Curve:
        """The nodes for `frames` frames from `start`: its frame `start % hop` is this curve's frame `start`."""
        first, last = start // self.hop, (start + frames) // self.hop + 1
        return Curve(self.nodes[np.clip(np.arange(first, last + 1), 0, len(self.nodes) - 1)], self.hop)

    @property
    def reduction_db(self) -> float:
        """The most that the curve takes away, in dB (0 or more)."""
        return -to_db(float(self.nodes.min()))


def curve_hop(rate: int) -> int:
    """Frames between two nodes: 735 or 800 nodes a second, so that the usual rates divide evenly."""
    check_rate(rate)
    return rate // (735 if rate % 735 == 0 else 800)


def limiting_nodes(peaks: NDArray[np.float32], ceiling: float, nodes_per_s: float) -> NDArray[np.float32]:
    """The smooth nodes (one more than `peaks`) that bring the peak of every hop to `ceiling` (a ratio) or below.

    In decibels: a release line falls from each peak, a maximum filter looks ahead by the attack, and a mean of the
    same width rounds the corners; a mean of reductions that are all deep enough is deep enough. A hop lies between
    two nodes, so both take the deeper reduction of their neighbours.
    """
    over = np.zeros(len(peaks))
    high = np.flatnonzero(peaks > ceiling)
    over[high] = 20 * np.log10(peaks[high] / ceiling)
    at_nodes = np.maximum(np.append(over, 0.0), np.append(0.0, over))
    line = RELEASE_DB_PER_S / nodes_per_s * np.arange(len(at_nodes))
    released = np.maximum(np.maximum.accumulate(at_nodes + line) - line, at_nodes)
    width = attack_nodes(nodes_per_s)
    held = np.max(_neighbours(released, width), axis=0)
    smooth = np.mean(_neighbours(held, width), axis=0)
    return np.asarray(10 ** (-smooth / 20), dtype=np.float32)


def _neighbours(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The `width` (odd) values around each, shape (width, n); the first and the last go on beyond the ends."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, width // 2, mode="edge"), width).T


def attack_nodes(nodes_per_s: float) -> int:
    """The odd number of nodes over which a reduction comes in."""
    return 2 * max(1, round(ATTACK_S * nodes_per_s / 2)) + 1


def highest_in_hops(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The highest gain inside each hop: one fewer than `nodes`."""
    return np.maximum(nodes[:-1], nodes[1:])


def giving_way(sound: Audio, company: Sequence[Audio], ceiling: float, rate: int) -> Curve | None:
    """The curve by which `sound` must give way for its sum with each of `company` to keep below `ceiling` (a ratio).

    `sound` is float32 (1 or 2, n), each of `company` (2, n); the curve counts from their first frame. None where
    nothing needs to be done. Where company alone is louder than that, a sound that adds to it is taken down by
    MOST_GIVEN_WAY_DB, beyond which nothing is gained.
    """
    hop = curve_hop(rate)
    least = from_db(-MOST_GIVEN_WAY_DB)
    lost = np.zeros(-(-sound.shape[1] // hop), np.float32)
    for others in company:
        mine = np.broadcast_to(sound, others.shape)
        total = mine + others
        # Only a sound that makes the sum larger, and can be heard, can make it smaller by giving way.
        over = (np.abs(total) > ceiling) & (np.abs(mine) > INAUDIBLE) & (mine * total > 0)
        if over.any():
            share = np.ones(others.shape, np.float32)
            room = np.copysign(np.float32(ceiling), total[over]) - others[over]
            share[over] = np.clip(room / mine[over], least, 1.0)
            lost = np.maximum(lost, block_peaks(1.0 - share, hop))
    if not lost.any():
        return None
    needed = np.reciprocal(np.float32(1.0) - lost)
    return Curve(limiting_nodes(needed, 1.0, rate / hop), hop)
