"""Integrated loudness in LUFS (ITU-R BS.1770-4; EBU R 128), measured as the audio streams by.

The audio is K-weighted by two biquads, its energy is kept for every 100 ms hop, and four hops make one
400 ms gating block (75 % overlap, BS.1770-4 Annex 1). Nothing but these energies is kept, so a meter over a
whole song needs a few kilobytes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dsp.filters import CHUNK, Cascade
from studio.mix.arrays import Audio, blocks, check_audio, check_rate
from studio.mix.errors import MixError

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
HOPS_PER_BLOCK = 4
SILENCE = float("-inf")


def k_weighting(rate: int) -> NDArray[np.float64]:
    """Return the K-weighting filter at `rate` Hz as second-order sections, shape (2, 6).

    BS.1770-4 tabulates it for 48 kHz only. For the other rates the analogue prototypes behind the table are
    transformed again; their corner frequencies and Qs are those derived by B. De Man, "Evaluation of
    Implementations of the EBU R128 Loudness Measurement", AES 145 (2018).
    """
    check_rate(rate)
    return np.array([_head_shelf(rate), _low_cut(rate)])


def _head_shelf(rate: int) -> list[float]:
    corner, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * corner / rate)
    high = 10.0 ** (gain_db / 20.0)
    band = high**0.4996667741545416
    norm = 1.0 + k / q + k * k
    return [
        (high + band * k / q + k * k) / norm,
        2.0 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1.0,
        2.0 * (k * k - 1.0) / norm,
        (1.0 - k / q + k * k) / norm,
    ]


def _low_cut(rate: int) -> list[float]:
    corner, q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * corner / rate)
    norm = 1.0 + k / q + k * k
    # The numerator is left unscaled, as in the table of BS.1770-4.
    return [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm]


def hop_energies(audio: Audio, rate: int, hop: int) -> NDArray[np.float64]:
    """Return the K-weighted energy of each `hop` frames, summed over the channels; the last hop may be shorter.

    Good to 0.001 dB. Sound that is not finite has energies that are not.
    """
    weighting = Cascade(k_weighting(rate), len(audio), single=True)
    size = max(1, CHUNK // hop) * hop
    found = [np.zeros(0)]  # in float64, as all that is joined to it
    for start in range(0, audio.shape[1], size):
        piece = audio[:, start : start + size]
        weighted: Audio = np.empty(piece.shape, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            weighting.run(piece, weighted)
        whole = weighted.shape[1] // hop * hop
        head, rest = weighted[:, :whole].reshape(len(audio), -1, hop), weighted[:, whole:]
        found.append(np.einsum("chn,chn->h", head, head))
        if rest.size:
            found.append(np.einsum("cn,cn->", rest, rest)[None])
    return np.concatenate(found)


class LoudnessMeter:
    """Measures integrated loudness of audio pushed in pieces of any size."""

    def __init__(self, rate: int, channels: int = 2) -> None:
        if channels not in (1, 2):
            raise MixError(f"loudness is measured on 1 or 2 channels, not {channels}")
        self._weighting = Cascade(k_weighting(rate), channels)
        self._hop = round(rate / 10)
        self._hops: list[NDArray[np.float64]] = []
        self._open_energy = 0.0
        self._open_frames = 0

    def push(self, audio: Audio) -> None:
        """Measure the next piece, shape (channels, frames)."""
        for start, stop in blocks(audio.shape[1]):
            weighted = np.empty((len(audio), stop - start))
            self._weighting.run(audio[:, start:stop], weighted)
            self._add(np.einsum("cn,cn->n", weighted, weighted))

    def _add(self, power: NDArray[np.float64]) -> None:
        frames = len(power)
        first = self._hop - self._open_frames
        if frames < first:
            self._open_energy += float(power.sum())
            self._open_frames += frames
            return
        edges = np.arange(first, frames, self._hop)
        sums = np.add.reduceat(power, np.concatenate(([0], edges)))
        sums[0] += self._open_energy
        last = int(edges[-1]) if len(edges) else 0
        if len(edges) and frames - last < self._hop:
            self._open_energy, self._open_frames = float(sums[-1]), frames - last
            sums = sums[:-1]
        else:
            self._open_energy, self._open_frames = 0.0, 0
        self._hops.append(sums)

    def hop_energies(self) -> NDArray[np.float64]:
        """Return the K-weighted energy (sum of squares over both channels) of every whole 100 ms hop."""
        return np.concatenate(self._hops) if self._hops else np.zeros(0)

    def integrated(self) -> float:
        """Return the integrated loudness in LUFS of all that was pushed; minus infinity for silence.

        Audio shorter than one gating block (400 ms) has no gated loudness in BS.1770; here its plain
        K-weighted loudness over its own length is returned, still minus infinity below -70 LUFS.
        """
        hops = self.hop_energies()
        if len(hops) >= HOPS_PER_BLOCK:
            return gated_loudness(hops / self._hop)
        frames = len(hops) * self._hop + self._open_frames
        if frames == 0:
            return SILENCE
        loudness = power_to_lufs((float(hops.sum()) + self._open_energy) / frames)
        return loudness if loudness >= ABSOLUTE_GATE_LUFS else SILENCE


def gated_loudness(hop_powers: NDArray[np.float64]) -> float:
    """Return the two-stage gated loudness (BS.1770-4 Annex 1, equations 3-7).

    `hop_powers`: K-weighted mean square of each 100 ms hop, summed over the channels; at least four.
    """
    sums = np.concatenate(([0.0], np.cumsum(hop_powers)))
    powers = (sums[HOPS_PER_BLOCK:] - sums[:-HOPS_PER_BLOCK]) / HOPS_PER_BLOCK
    powers = powers[powers >= lufs_to_power(ABSOLUTE_GATE_LUFS)]
    if not len(powers):
        return SILENCE
    relative_gate = float(powers.mean()) * 10.0 ** (RELATIVE_GATE_LU / 10.0)
    return power_to_lufs(float(powers[powers >= relative_gate].mean()))


def power_to_lufs(power: float) -> float:
    """K-weighted mean square (summed over channels) to LUFS; 0 gives minus infinity."""
    return -0.691 + 10.0 * math.log10(power) if power > 0.0 else SILENCE


def lufs_to_power(lufs: float) -> float:
    """The inverse of `power_to_lufs`."""
    return float(10.0 ** ((lufs + 0.691) / 10.0))


def integrated_loudness(audio: Audio, rate: int) -> float:
    """Return the integrated loudness in LUFS of `audio`, float32 (1 or 2 channels, frames), at `rate` Hz.

    Silence, and audio of no frames, gives minus infinity; see `LoudnessMeter.integrated` for short audio.
    """
    check_audio(audio)
    meter = LoudnessMeter(rate, audio.shape[0])
    meter.push(audio)
    return meter.integrated()
