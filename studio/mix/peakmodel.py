"""A coarse picture of where a mix peaks and which stems make the peak, to try ceilings without rendering.

For every hop of about 5 ms it keeps each stem's own peak and, at the frame where the mix is highest, each
stem's sample. The limiter is imitated on the hops (need, hold, release), so that the effect of a ceiling is
known in a millisecond; `studio.mix.levels` corrects the prediction by what it then measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import BLOCK, Audio
from studio.mix.limiter import HOLD_S, LOOK_AHEAD_S, RELEASE_DB_PER_S

#: Frames in a hop. Blocks hold a whole number of them, so that no hop straddles two blocks.
HOP = BLOCK // 256
#: The step by which ceilings are lowered, and the most one may lie below its stem's peak: beyond that, sound
#: falls apart.
STEP_DB, MAX_DRIVE_DB = 0.5, 24.0


class PeakModel:
    """Peaks of a set of stems, filled block by block and then asked.

    Gains and ceilings are amplitudes, one for each stem in the order of the blocks; a ceiling applies after
    the gain, and infinity switches it off.
    """

    def __init__(self, rate: int) -> None:
        self._hop_s = HOP / rate
        self._peak_blocks: list[NDArray[np.float32]] = []
        self._sample_blocks: list[NDArray[np.float32]] = []

    def add_block(self, stems: Sequence[Audio], total: Audio) -> None:
        """Take in the same block of every stem, float32 (2, n), and of their sum.

        All blocks but the last must be a multiple of `HOP` frames long.
        """
        hops = -(-total.shape[1] // HOP)
        padded = [_in_hops(audio, hops) for audio in (*stems, total)]
        where = np.abs(padded[-1]).argmax(axis=2)[:, :, None]
        self._peak_blocks.append(np.stack([_hop_peaks(audio) for audio in padded[:-1]]))
        samples = [np.take_along_axis(audio, where, axis=2)[:, :, 0] for audio in padded[:-1]]
        self._sample_blocks.append(np.stack(samples))

    def predict(self, gains: Sequence[float], ceilings: Sequence[float]) -> float:
        """Return the peak (amplitude) of the mix, or of its loudest stem if that is higher."""
        trial = _Trial(self, gains)
        for index, ceiling in enumerate(ceilings):
            trial.lay(index, ceiling)
        return trial.highest()

    def tops(self, gains: Sequence[float]) -> list[float]:
        """Return the highest sample of each stem."""
        peaks, _ = self.tables()
        return [float(top) * gain for top, gain in zip(peaks.max(axis=1, initial=0.0), gains, strict=True)]

    def highest_spans(self, gains: Sequence[float], hops: int, count: int) -> list[int]:
        """Return the `count` stretches of `hops` hops with the highest mix peaks, as indices in order."""
        _, samples = self.tables()
        total = np.abs(np.einsum("s,sch->ch", np.asarray(gains, dtype=np.float32), samples)).max(axis=0)
        spans = -(-len(total) // hops)
        tops = np.pad(total, (0, spans * hops - len(total))).reshape(spans, hops).max(axis=1)
        return sorted(int(span) for span in np.argsort(-tops, kind="stable")[:count])

    def ceilings(self, gains: Sequence[float], top: float) -> list[float]:
        """Return ceilings that keep the predicted peak at or below `top`, at the least harm to the stems.

        The harm to a stem is the mean square of its gain reduction in dB, each moment weighted by its energy,
        as loudness is. One step at a time, that ceiling is lowered which removes most of the excess for the
        harm it adds, so the loss is shared and short peaks go first. A stem that is never in the way
        gets `top`; where nothing helps any more, the lowest ceilings tried are returned.
        """
        trial = _Trial(self, gains)
        for index in range(len(gains)):
            trial.lay(index, max(top, trial.lowest(index)))
        while (excess := trial.excess(top)) > 0.0:
            offers = [trial.offer(index, top, excess) for index in range(len(gains))]
            best = max(range(len(gains)), key=lambda index: offers[index][0])
            value, ceiling = offers[best]
            if value <= 0.0:
                break
            trial.lay(best, ceiling)
        return trial.laid

    def tables(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the stems' peaks (stems, hops) and their samples at the mix's peaks (stems, 2, hops)."""
        return np.concatenate(self._peak_blocks, axis=1), np.concatenate(self._sample_blocks, axis=2)

    @property
    def hop_s(self) -> float:
        """The length of a hop in seconds."""
        return self._hop_s


class _Trial:
    """The model at given gains, with the ceilings laid so far."""

    def __init__(self, model: PeakModel, gains: Sequence[float]) -> None:
        peaks, samples = model.tables()
        scale = np.asarray(gains, dtype=np.float32)
        self._peaks = peaks * scale[:, None]
        self._samples = samples * scale[:, None, None]
        self._fall = RELEASE_DB_PER_S * model.hop_s
        self._past = max(1, round((HOLD_S + LOOK_AHEAD_S) / model.hop_s))
        self._tops = [float(peak) for peak in self._peaks.max(axis=1, initial=0.0)]
        energies = np.square(self._peaks)
        self._weights = energies / np.maximum(energies.sum(axis=1, dtype=np.float64), 1e-30)[:, None]
        self.laid = [float("inf")] * len(gains)
        self._harm = [0.0] * len(gains)
        self._parts = [samples.copy() for samples in self._samples]
        self._total = self._samples.sum(axis=0)

    def lay(self, index: int, ceiling: float) -> None:
        """Set a stem's ceiling."""
        part, self._harm[index] = self._limited(index, ceiling)
        self._total += part - self._parts[index]
        self._parts[index] = part
        self.laid[index] = ceiling

    def lowest(self, index: int) -> float:
        """The lowest ceiling a stem may get."""
        return self._tops[index] * 10.0 ** (-MAX_DRIVE_DB / 20.0)

    def highest(self) -> float:
        """The predicted peak of the mix, or of the loudest stem."""
        stems = [min(top, ceiling) for top, ceiling in zip(self._tops, self.laid, strict=True)]
        return max([float(np.abs(self._total).max(initial=0.0)), *stems])

    def excess(self, top: float) -> float:
        """The sum of all that stands above `top`."""
        return _excess(self._total, top)

    def offer(self, index: int, top: float, excess: float) -> tuple[float, float]:
        """Return the excess removed per harm done by this stem's next step, and the ceiling it needs."""
        hot = (np.abs(self._total) > top).any(axis=0)
        highest = float(self._peaks[index][hot].max(initial=0.0))
        ceiling = min(self.laid[index], highest) * 10.0 ** (-STEP_DB / 20.0)
        if ceiling < self.lowest(index):
            return 0.0, ceiling
        part, harm = self._limited(index, ceiling)
        removed = excess - _excess(self._total - self._parts[index] + part, top)
        return removed / (harm - self._harm[index] + 1e-9), ceiling

    def _limited(self, index: int, ceiling: float) -> tuple[NDArray[np.float32], float]:
        """The stem's samples under a ceiling, and the harm done."""
        if self._tops[index] <= ceiling:
            return self._samples[index], 0.0
        from scipy.ndimage import maximum_filter1d

        need = 20.0 * np.log10(np.maximum(self._peaks[index] / ceiling, 1.0))
        # A peak bears on the hop before it and on `past` hops after it, as it does in the limiter.
        wide = maximum_filter1d(need, self._past + 2, origin=(self._past - 1) // 2, mode="constant")
        ramp = self._fall * np.arange(len(wide))
        reduction = np.maximum(np.maximum.accumulate(wide + ramp) - ramp, 0.0)
        # Not np.dot: BLAS would start threads for it, which costs more than the sum.
        harm = float((reduction * reduction * self._weights[index]).sum())
        return (self._samples[index] * 10.0 ** (reduction / -20.0)).astype(np.float32), harm


def _excess(total: NDArray[np.float32], top: float) -> float:
    over = np.abs(total) - np.float32(top)
    return float(over[over > 0.0].sum(dtype=np.float64))


def _hop_peaks(audio: Audio) -> NDArray[np.float32]:
    return np.asarray(np.maximum(audio.max(axis=2), -audio.min(axis=2)).max(axis=0), dtype=np.float32)


def _in_hops(audio: Audio, hops: int) -> Audio:
    missing = hops * HOP - audio.shape[1]
    whole = np.pad(audio, ((0, 0), (0, missing))) if missing else audio
    return whole.reshape(whole.shape[0], hops, HOP)
