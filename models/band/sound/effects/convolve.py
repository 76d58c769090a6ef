"""Fast convolution of long sounds with a long response, piece by piece."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]

_MOST = 1 << 14  # frames a partition
_ROWS = 8  # blocks transformed together: the FFT works on several at once, and they stay in the cache
_BINS = 1 << 12  # multiplied at a time, for the same reason
_INAUDIBLE_DB = -100.0


class Response:
    """A response (taps,) float32, made ready to be convolved with many sounds.

    Of each partition the treble that lies 100 dB below the whole response is left out: a room's dies away early.
    """

    def __init__(self, taps: Floats) -> None:
        self.half = half = min(_MOST, 1 << int(np.ceil(np.log2(max(len(taps), 256)))))
        parts = -(-len(taps) // half)
        padded = np.zeros((parts, half), np.float32)
        padded.reshape(-1)[: len(taps)] = taps
        self.gains = np.fft.rfft(padded, 2 * half, axis=1).astype(np.complex64)
        energy = np.square(np.abs(self.gains), dtype=np.float64)
        above = np.cumsum(energy[:, ::-1], axis=1)[:, ::-1]
        self.heard = np.count_nonzero(above > energy.sum() * 10 ** (_INAUDIBLE_DB / 10), axis=1).tolist()
        self.gains *= np.float32(2 * half)  # see `Convolver.run`


class Convolver:
    """Convolves several sounds at once, each with its response, in pieces of `size` frames.

    A piece is written to where `feed` says, and comes out of `run`; what rings on after the last one is dropped.

    Uniformly partitioned overlap-save (Stockham 1966; Wefers, "Partitioned convolution algorithms for real-time
    auralization", 2015, section 5): blocks are short enough for the cache, and several are transformed in one call.
    """

    def __init__(self, responses: Sequence[Response]) -> None:
        """All `responses` are as long."""
        self.half = responses[0].half
        self.size = _ROWS * self.half
        self._x = np.empty((len(responses), (_ROWS + 1) * self.half), np.float32)  # a block before the piece, the piece
        self._room = np.empty((len(responses), 0, self.half + 1), np.complex64)
        self._total = np.empty((_ROWS, self.half + 1), np.complex64)
        self._products = np.empty((_ROWS, _BINS), np.complex64)
        self._wave = np.empty((_ROWS, 2 * self.half), np.float32)
        self.start(responses)

    def start(self, responses: Sequence[Response]) -> None:
        """Begin as many new sounds, in silence, with responses in partitions of the same size."""
        self._responses = responses
        rows = len(responses[0].gains) - 1 + _ROWS  # the spectra that are still heard, and the piece's
        if self._room.shape[1] < rows:
            self._room = np.empty((len(responses), rows, self.half + 1), np.complex64)
        self._spectra = self._room[:, :rows]
        self._spectra[:] = 0.0
        self._x[:] = 0.0

    def feed(self, side: int, frames: int) -> Floats:
        """The place (frames,) for the next piece of a sound; only the last piece may be shorter than `size`."""
        x = self._x[side]
        x[: self.half] = x[-self.half :]
        x[self.half + frames :] = 0.0
        return x[self.half : self.half + frames]

    def run(self, side: int, out: Floats) -> None:
        """Add the piece of a sound, convolved, to `out`, which is as long."""
        x, spectra, half, past = self._x[side], self._spectra[side], self.half, self._spectra.shape[1] - _ROWS
        rows = -(-len(out) // half)
        sounding = np.flatnonzero(x.reshape(-1, half).any(axis=1)[: rows + 1])
        live = min(int(sounding[-1]) + 1, rows) if len(sounding) else 0  # blocks from there on are silent
        if not live and not spectra[_ROWS:].any():  # nor does anything ring any more
            spectra[:] = 0.0
            return
        spectra[:past] = spectra[_ROWS:]
        spectra[past + live :] = 0.0
        blocks = np.lib.stride_tricks.sliding_window_view(x, 2 * half)[::half]
        # numpy transforms in float32 only where it also divides by the size; the gains make up for it.
        np.fft.rfft(blocks[:live], axis=1, norm="forward", out=spectra[past : past + live])
        total, wave = self._total[:rows], self._wave[:rows]
        self._multiply(self._responses[side], spectra[: past + rows], total)
        np.fft.irfft(total, 2 * half, axis=1, out=wave)  # type: ignore[arg-type]
        for row in range(rows):
            part = out[row * half : (row + 1) * half]
            part += wave[row, half : half + len(part)]

    def _multiply(self, response: Response, spectra: Spectra, total: Spectra) -> None:
        """Sum up the products of the partitions with the spectra of the blocks that they answer."""
        gains, past = response.gains, len(response.gains) - 1
        for low in range(0, total.shape[1], _BINS):
            high = min(low + _BINS, total.shape[1])
            np.multiply(gains[0, low:high], spectra[past:, low:high], out=total[:, low:high])
            for late in range(1, past + 1):
                last = min(high, response.heard[late])
                if last > low:
                    products = self._products[: len(total), : last - low]
                    np.multiply(gains[late, low:last], spectra[past - late : -late, low:last], out=products)
                    total[:, low:last] += products


_kept = threading.local()


def convolver(responses: tuple[Response, Response]) -> Convolver:
    """A convolver for a pair of responses, in the memory of this thread's last one: to be given new memory every time
    takes a tenth of the time of it all."""
    held: Convolver | None = getattr(_kept, "convolver", None)
    if held is None or held.half != responses[0].half:
        held = _kept.convolver = Convolver(responses)
    else:
        held.start(responses)
    return held
