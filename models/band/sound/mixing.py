"""Putting notes into a stem: same-pitch retriggers, choke groups, fades and the final sum."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.band.sound.voice import Hit

CHOKE_SECONDS = 0.008
_CHUNK = 1 << 14  # frames added at a time: they stay in the cache


def held_frames(hits: Sequence[Hit]) -> list[int]:
    """Return how long each hit (in playing order) is held: a new hit on a key lets go of the one before."""
    held = [hit.frames for hit in hits]
    following: dict[int, int] = {}
    for number in range(len(hits) - 1, -1, -1):
        hit = hits[number]
        if hit.key in following:
            held[number] = max(1, min(held[number], following[hit.key] - hit.frame))
        following[hit.key] = hit.frame
    return held


def choke_frames(onsets: Iterable[tuple[int, Hashable]]) -> dict[tuple[int, Hashable], int]:
    """Return, for each (frame, group) that is silenced, the frame at which the next hit of its group does it.

    Hits of a group at one and the same frame do not silence each other.
    """
    by_group: dict[Hashable, list[int]] = {}
    for frame, group in onsets:
        by_group.setdefault(group, []).append(frame)
    stops: dict[tuple[int, Hashable], int] = {}
    for group, frames in by_group.items():
        moments = sorted(set(frames))
        for frame, stop in pairwise(moments):
            stops[frame, group] = stop
    return stops


def choked(segment: NDArray[np.float32], stop: int, rate: int) -> NDArray[np.float32]:
    """Return `segment` (..., frames) with a raised-cosine fade of `CHOKE_SECONDS` from frame `stop` on."""
    fade = max(2, int(CHOKE_SECONDS * rate))
    segment = segment[..., : stop + fade]
    tail = segment[..., stop:]
    steps = np.arange(1, tail.shape[-1] + 1)
    tail *= (0.5 + 0.5 * np.cos(np.pi * steps / fade)).astype(np.float32)
    return segment


def add(out: NDArray[np.float32], frame: int, segment: NDArray[np.float32], left: float, right: float) -> None:
    """Add a mono (frames,) or stereo (2, frames) segment to `out` (2, frames) at `frame`; clip at its end."""
    room = out.shape[1] - frame
    if room <= 0:
        return
    segment = segment[..., :room]
    stop = frame + segment.shape[-1]
    sides = segment if segment.ndim == 2 else (segment, segment)
    for first in range(0, stop - frame, _CHUNK):
        part = slice(first, min(first + _CHUNK, stop - frame))
        place = slice(frame + part.start, frame + part.stop)
        if segment.ndim == 1 and left == right:
            scaled = segment[part] * np.float32(left)
            out[0, place] += scaled
            out[1, place] += scaled
            continue
        for channel, share in ((0, left), (1, right)):
            if share:
                out[channel, place] += sides[channel][part] * np.float32(share)
