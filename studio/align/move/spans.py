"""Cuts a warp at the attacks: each is copied as it is to where the warp puts it, what lies between gives way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from studio.align.values import Floats, Warp

PRE_SECONDS = 0.004
"""A span begins this long before its attack: an onset may be found a little late."""
HOLD_SECONDS = 0.04
"""So much after an attack is copied as it is."""
_HOLD_SHARE = 0.6  # of the way to the next attack, where that is near
_APART_SECONDS = 0.012  # attacks that are nearer belong together
_KNOT_SECONDS = 0.03  # a knot of the warp this near to a span's ends is left out


@dataclass(frozen=True, slots=True)
class Span:
    """From just before one attack to just before the next: source frames `source` to `source_stop` go to the target's
    `target` to `target_stop`, the first `hold` of them one by one, the rest along a line through `knots`."""

    source: int
    target: int
    hold: int
    source_stop: int
    target_stop: int
    knots: tuple[tuple[float, float], ...] = ()
    """Target and source frames of bends after the hold, strictly rising in both."""

    @property
    def offset(self) -> int:
        """What is added to a target frame to find its source frame, at the beginning."""
        return self.source - self.target

    @property
    def last_offset(self) -> int:
        """The same at the end."""
        return self.source_stop - self.target_stop

    def source_at(self, target: ArrayLike) -> Floats:
        """Target frames to source frames, unrounded; before and after the span one by one."""
        at = np.asarray(target, np.float64)
        begin = self.target + self.hold
        bends = [(begin, begin + self.offset), *self.knots, (self.target_stop, self.source_stop)]
        x, y = np.array(bends, np.float64).T
        inside = np.interp(at, x, y)
        return np.where(at < x[0], at + self.offset, np.where(at > x[-1], at + self.last_offset, inside))


def cut(warp: Warp, onsets: Floats, frames: int, rate: int) -> list[Span]:
    """Return the spans of a source of `frames` frames, in order, from its first frame to its end.

    onsets: attacks in source frames, rising; those outside of the source do not count.
    """
    attacks = _attacks(warp, onsets, frames, rate)
    pre, most = round(PRE_SECONDS * rate), round(HOLD_SECONDS * rate)
    source, target = attacks[0]
    starts = [(0, target - source), *((s - pre, t - pre) for s, t in attacks[1:])]
    end = round(float(warp.target_at(frames)))
    if min(frames - source, end - target) < round(_APART_SECONDS * rate):
        end = target + frames - source
    margin = _KNOT_SECONDS * rate
    spans = []
    for number, ((s0, t0), (s1, t1)) in enumerate(pairwise([*starts, (frames, end)])):
        before = attacks[number][0] - s0
        hold = before + min(most, int(_HOLD_SHARE * (min(s1 - s0, t1 - t0) - before)))
        hold = max(0, min(hold, s1 - s0, t1 - t0))
        first = np.searchsorted(warp.target, t0 + hold + margin)
        inner = zip(warp.target[first:].tolist(), warp.source[first:].tolist(), strict=True)
        knots = []
        for t, s in inner:
            if t >= t1 - margin or s >= s1 - margin:
                break
            if s > s0 + hold + margin:
                knots.append((t, s))
        spans.append(Span(s0, t0, hold, s1, t1, tuple(knots)))
    return spans


def _attacks(warp: Warp, onsets: Floats, frames: int, rate: int) -> list[tuple[int, int]]:
    """Source and target frames of the attacks that get a span; the first is the source's own beginning if need be."""
    inside = np.rint(onsets[(onsets >= 0) & (onsets < frames)]).astype(int)
    places = np.rint(warp.target_at(inside.astype(np.float64))).astype(int)
    apart = round(_APART_SECONDS * rate)
    if len(inside) == 0 or inside[0] >= apart:
        kept = [(0, round(float(warp.target_at(0))))]
    else:
        kept = []
    for source, target in zip(inside.tolist(), places.tolist(), strict=True):
        if not kept or (source - kept[-1][0] >= apart and target - kept[-1][1] >= apart):
            kept.append((source, target))
    return kept
