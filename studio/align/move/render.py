"""Renders a source through a warp, changing as little as can be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from studio.align.move.choose import Method, choose_method
from studio.align.move.reading import Reader
from studio.align.move.spans import cut
from studio.align.move.splice import splice
from studio.align.move.vocode import vocode
from studio.align.values import AlignError, Audio, Floats, Material, Source, Warp

LEAST_RATIO, MOST_RATIO = 0.25, 4.0
_BLOCK = 1 << 15


def render(
    source: Source,
    rate: int,
    warp: Warp,
    start: int,
    stop: int,
    onsets: Floats,
    material: Material,
    method: Method | None = None,
) -> Iterator[Audio]:
    """Yield target frames `start` to `stop` in blocks, float32 (channels, n); silence where the source does not reach.

    A warp that is a shift copies the samples as they are. Else each attack is copied to where the warp has it, to the
    nearest frame, and what lies between is stretched.
    onsets: the attacks in source frames, rising. method: as chosen by `choose_method` where it is None.
    Raises AlignError for a warp that stretches to less than a quarter or more than four times the length.
    """
    reader = Reader(source)
    shift = whole_shift(warp)
    if shift is not None:
        for at in range(start, stop, _BLOCK):
            yield reader.read(at - shift, min(_BLOCK, stop - at))
        return
    _check(warp)
    spans = cut(warp, onsets, source.frames, rate)
    first = min(max(start, spans[0].target), stop)
    last = max(min(stop, spans[-1].target_stop), first)
    yield from _silence(source.channels, first - start)
    if first < last:
        chosen = method or choose_method(source, rate, onsets, material)
        way = splice if chosen is Method.SPLICE else vocode
        yield from way(reader, rate, spans, first, last)
    yield from _silence(source.channels, stop - last)


def whole_shift(warp: Warp) -> int | None:
    """Return the frames by which a warp shifts, or None where its distances differ by half a frame or more."""
    distance = warp.target - warp.source
    return round(float(np.median(distance))) if float(np.ptp(distance)) < 0.5 else None


def stretch_ratios(warp: Warp) -> Floats:
    """Return for each piece of a warp, between two knots, how many times as long it becomes; ones for a shift."""
    if whole_shift(warp) is not None:
        return np.ones(len(warp.source) - 1)
    return np.asarray(np.diff(warp.target) / np.diff(warp.source))


def _check(warp: Warp) -> None:
    ratios = stretch_ratios(warp)
    for ratio in (float(ratios.min()), float(ratios.max())):
        if not LEAST_RATIO <= ratio <= MOST_RATIO:
            raise AlignError(
                f"the sound would have to become {ratio:.3g} times as long; sound is stretched to between"
                f" {LEAST_RATIO:g} and {MOST_RATIO:g} times its length: give a tempo nearer to its own, or its double"
                f" or half"
            )


def _silence(channels: int, frames: int) -> Iterator[Audio]:
    for at in range(0, frames, _BLOCK):
        yield np.zeros((channels, min(_BLOCK, frames - at)), np.float32)
