"""Whether a join stands out: spectral flux and the steps between samples there, against their own distribution inside
the clip. Below 1 it does not.

Flux is how much the spectrum rises within some 10 ms, as a share of what there is (S. Dixon, "Onset detection
revisited", DAFx 2006), on compressed magnitudes. Steps are first and second differences of the waveform against their
own level around: a click is a step that its surroundings do not explain. Each is the largest one within a stretch, at
the join and in as long stretches elsewhere, of which a high quantile is what the clip does by itself. Where an attack
belongs at the join it is compared with stretches that have an attack too, elsewhere with stretches that have none; and
what a sound does by itself where it begins, it may do in the join.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.means import running_mean
from studio.align.values import Audio, Floats

CONTEXT_S = 3.0
"""How far around the join the clip is looked at."""
HIGH = 0.98
"""The quantile."""
MARGIN = 1.1
"""What lies less above the quantile stands out no more than a stretch taken anywhere."""
FEWEST = 4
"""Stretches that make a distribution."""
WINDOW_S, HOPS = 0.020, 4
PLAIN_FLUX, PLAIN_STEP = 0.12, 5.0
"""What never stands out: a rise by 1 dB, and the largest step of some milliseconds of noise."""
FLOOR = 0.1
"""Of the clip's mean magnitude: what rises from below this is not heard to."""
LEVEL_S = 0.010
"""Steps are measured against their level this far to both sides."""
BLOCK_S = 0.001

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class SeamScore:
    """How much a join stands out: the value there over a high quantile of those inside the clip."""

    flux: float
    step: float

    @property
    def value(self) -> float:
        """The larger one; below 1 the join does not stand out."""
        return max(self.flux, self.step)


def seam_score(audio: Audio, spans: Spans, attacks: Floats, rate: int, alone: Audio | None = None) -> SeamScore:
    """Score a join.

    Args:
        audio: float32 (channels, n): the sound around it, some seconds where there are.
        spans: the frames in it between which something was joined, apart by as much as one likes.
        attacks: the frames in it where sounds are known to begin, in any order.
        rate: Hz.
        alone: the piece that begins at the join by itself, in the same frames, where that beginning is its own.
    """
    window = 1 << round(np.log2(WINDOW_S * rate))
    block = max(1, round(BLOCK_S * rate))
    flux = _Trace(lambda sound: _flux(sound, window), window // HOPS, window, PLAIN_FLUX)
    step = _Trace(lambda sound: _steps(sound, rate, block), block, block, PLAIN_STEP)
    return SeamScore(*(trace.score(audio, spans, attacks, alone) for trace in (flux, step)))


@dataclass(frozen=True)
class _Trace:
    """Something that is measured along a sound: one value every `hop` frames, each seeing `reach` frames around; what
    is below `plain` never stands out."""

    of: Callable[[Audio], Floats]
    hop: int
    reach: int
    plain: float

    def score(self, audio: Audio, spans: Spans, attacks: Floats, alone: Audio | None) -> float:
        """The largest value within any span over what the clip does by itself."""
        values = self.of(audio)
        struck = np.zeros(len(values), bool)
        marks = np.floor(attacks / self.hop).astype(np.intp)
        near = np.concatenate((marks - 1, marks, marks + 1))
        struck[near[(near >= 0) & (near < len(values))]] = True
        worst, natural = 0.0, None
        for first, last in spans:
            low = min(max(0, (first - self.reach) // self.hop), len(values) - 1)
            high = max(low + 1, min(len(values), -(-(last + self.reach) // self.hop) + 1))
            usual, peak = self._usual(values, struck, low, high), float(values[low:high].max())
            if peak >= usual and alone is not None:
                natural = self.of(alone) if natural is None else natural
                usual = max(usual, MARGIN * float(natural[low:high].max()))
            worst = max(worst, peak / usual)
        return worst

    def _usual(self, values: Floats, struck: NDArray[np.bool_], low: int, high: int) -> float:
        """What values are expected to reach from `low` to `high`."""
        count = high - low
        highest, has_attack = _stretches(values, count), _stretches(struck, count)
        away = np.ones(len(highest), bool)
        away[max(0, low - count + 1) : high] = False
        attacked = bool(struck[low:high].any())
        alike = away & (has_attack == attacked)
        if alike.sum() < FEWEST * count:
            alike = away
        # Attacks are few, and the first of a bar is often the strongest of all.
        found = float(np.quantile(highest[alike], 1.0 if attacked else HIGH)) if alike.any() else 0.0
        return MARGIN * max(self.plain, found)


def _flux(audio: Audio, window: int) -> Floats:
    """The rise up to each hop, 0..1; entry k belongs to the window centred on frame k * hop."""
    hop = window // HOPS
    padded = np.pad(audio, ((0, 0), (window // 2, window)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)[:, ::hop]
    frames = frames[:, : audio.shape[1] // hop + 1]
    power = np.zeros((frames.shape[1], window // 2 + 1), np.float32)
    for channel in frames:
        power += np.abs(np.fft.rfft(channel * np.hanning(window).astype(np.float32), axis=1)) ** 2
    loud = power**0.25
    loud += FLOOR * float(loud.mean()) + 1e-9
    result = np.zeros(len(loud))
    result[2:] = np.maximum(loud[2:] - loud[:-2], 0.0).sum(axis=1) / (loud[2:] + loud[:-2]).sum(axis=1)
    return result


def _steps(audio: Audio, rate: int, block: int) -> Floats:
    """The largest step of each block of frames, against the level of steps around."""
    result = np.zeros(-(-audio.shape[1] // block))
    for order in (1, 2):
        step = np.zeros(audio.shape[1])
        step[order:] = np.abs(np.diff(audio, order, axis=1)).max(axis=0)
        level = np.sqrt(np.maximum(running_mean(step * step, 2 * round(LEVEL_S * rate) + 1), 0.0))
        level += 1e-3 * np.sqrt(np.mean(step * step)) + 1e-6
        crest = np.pad(step / level, (0, -len(step) % block)).reshape(-1, block).max(axis=1)
        np.maximum(result, crest, out=result)
    return result


def _stretches(values: NDArray[np.float64] | NDArray[np.bool_], count: int) -> NDArray[np.float64]:
    """The largest of every `count` neighbours."""
    if count >= len(values):
        return np.asarray([values.max()], np.float64)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, count).max(axis=1), np.float64)
