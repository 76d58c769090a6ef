"""Fast convolution of long sounds with a long response, piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

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
        self.gains *= np.float32(2 * half)  # see `Convolver.push`


class Convolver:
    """Convolves one sound with a response, in pieces of `size` frames; what goes beyond the last piece is dropped.

    Uniformly partitioned overlap-save (Stockham 1966; Wefers, "Partitioned convolution algorithms for real-time
    auralization", 2015, section 5): blocks are short enough for the cache, and several are transformed in one call.
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        half, parts = response.half, len(response.gains)
        self.size = _ROWS * half
        self._x = np.zeros((_ROWS + 1) * half, np.float32)  # a block before the piece, and the piece
        self._blocks = np.lib.stride_tricks.sliding_window_view(self._x, 2 * half)[::half]
        self._spectra = np.zeros((parts - 1 + _ROWS, half + 1), np.complex64)  # of what is still heard, and the piece
        self._total = np.empty((_ROWS, half + 1), np.complex64)
        self._products = np.empty((_ROWS, _BINS), np.complex64)
        self._out = np.empty((_ROWS, 2 * half), np.float32)

    def push(self, piece: Floats, out: Floats) -> None:
        """Convolve the next piece (frames,) into `out`; only the last one may be shorter than `size`."""
        half, past = self._response.half, len(self._response.gains) - 1
        self._x[:half] = self._x[-half:]
        self._x[half : half + len(piece)] = piece
        self._x[half + len(piece) :] = 0.0
        sounds = self._x.reshape(-1, half).any(axis=1)
        live = int(np.max(np.flatnonzero(sounds), initial=-1)) + 1  # the blocks from here on hear nothing
        if not live and not self._spectra[_ROWS:].any():  # nor does anything ring any more
            self._spectra[:] = 0.0
            out[:] = 0.0
            return
        self._spectra[:past] = self._spectra[_ROWS:]
        heard, silent = self._spectra[past : past + live], self._spectra[past + live :]
        # numpy transforms in float32 only where it also divides by the size; the gains make up for it.
        np.fft.rfft(self._blocks[:live], axis=1, norm="forward", out=heard)  # type: ignore[arg-type]
        silent[:] = 0.0
        self._multiply()
        np.fft.irfft(self._total, 2 * half, axis=1, out=self._out)  # type: ignore[arg-type]
        for row in range(-(-len(piece) // half)):
            part = out[row * half : (row + 1) * half]
            part[:] = self._out[row, half : half + len(part)]

    def _multiply(self) -> None:
        """Sum up the products of the partitions with the spectra of the blocks that they answer."""
        gains, spectra, total = self._response.gains, self._spectra, self._total
        past = len(gains) - 1
        for low in range(0, total.shape[1], _BINS):
            high = min(low + _BINS, total.shape[1])
            np.multiply(gains[0, low:high], spectra[past:, low:high], out=total[:, low:high])
            for late in range(1, past + 1):
                last = min(high, self._response.heard[late])
                if last > low:
                    products = self._products[:, : last - low]
                    np.multiply(gains[late, low:last], spectra[past - late : -late, low:last], out=products)
                    total[:, low:last] += products
