"""Moves sound in the frequency domain: a phase vocoder for all that has a pitch.

Each frame is a spectrum of the source as it is, turned in phase so that it goes on from the frame before: the advance
of a hop is read from the source itself (Laroche & Dolson 1999), one turn for each peak and what belongs to it, and the
same in every channel. So pitch is exact, partials stay whole and the stereo image stands still.

The sound is cut at the attacks. What begins there keeps the source's own phases and so comes out as it was; only what
sounds on through an attack (Röbel 2003) has its phases led across the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.align.move.reading import Reader
from studio.align.move.spans import Span
from studio.align.values import Audio

FRAME_SECONDS = 0.128
"""In it partials 20 Hz apart are told from each other."""
OVERLAP = 3
"""Hops in a frame: as few as the squares of its window still add up to one with."""
LED_HERTZ = 3000.0
"""Above it everything begins anew with an attack: there its sharpness lies."""
_CUT_SECONDS = 0.003  # how soft the cut before an attack is
_NEW = 2.0  # what grows in power by more at an attack is new
_LED = 0.7  # and what is less like the prediction from before it, by correlation
_NOTHING = 1e-5  # in power
_COMPARED_SECONDS = 0.043
_BATCH = 16
_ROOM = 1 << 16

Spectra = NDArray[np.complex64]


def vocode(reader: Reader, rate: int, spans: Sequence[Span], start: int, stop: int) -> Iterator[Audio]:
    """Yield target frames `start` to `stop`, float32 (channels, n) of any n. The spans are in order and meet."""
    vocoder = _Vocoder(reader, rate)
    reach = 2 * vocoder.size
    near = [span for span in spans if span.target_stop > start - reach and span.target < stop + reach]
    out = _Sum(reader.channels, start - vocoder.size)
    done = start
    for number, span in enumerate(near):
        last = number + 1 == len(near)
        for at, audio in vocoder.frames(span, start, stop):
            out.add(at, audio)
            # The next span's frames reach back across the cut by a frame.
            ready = min(at, stop if last else span.target_stop - reach)
            if ready - done >= vocoder.size:
                yield _sides(out.take(done, ready))
                done = ready
    yield _sides(out.take(done, stop))


def _middle(audio: Audio) -> Audio:
    """Left and right as middle and side, so that what is equal in both comes out equal to the bit."""
    return audio if len(audio) == 1 else np.stack([audio[0] + audio[1], audio[0] - audio[1]])


def _sides(audio: Audio) -> Audio:
    """The inverse of `_middle`."""
    return audio if len(audio) == 1 else np.stack([audio[0] + audio[1], audio[0] - audio[1]]) * np.float32(0.5)


class _Sum:
    """Overlapping frames added up; what was taken is forgotten."""

    def __init__(self, channels: int, start: int) -> None:
        self._start = start
        self._audio = np.zeros((channels, 0), np.float32)

    def add(self, at: int, audio: Audio) -> None:
        """Add a piece that begins at frame `at`."""
        skip = max(0, self._start - at)
        begin, end = at + skip - self._start, at + audio.shape[1] - self._start
        self._reach(end)
        self._audio[:, begin:end] += audio[:, skip:]

    def take(self, start: int, stop: int) -> Audio:
        """Return frames `start` to `stop`; nothing before `stop` can be added or taken any more."""
        self._reach(stop - self._start)
        taken = self._audio[:, start - self._start : stop - self._start]
        self._audio = self._audio[:, stop - self._start :].copy()
        self._start = stop
        return taken

    def _reach(self, frames: int) -> None:
        missing = frames - self._audio.shape[1]
        if missing > 0:
            room = np.zeros((len(self._audio), missing + _ROOM), np.float32)
            self._audio = np.concatenate([self._audio, room], axis=1)


class _Vocoder:
    """Turns spans into frames to be added up, one span after the other: phases go on from each to the next."""

    def __init__(self, reader: Reader, rate: int) -> None:
        self._reader = reader
        self._rate = rate
        self._hop = 2 * scipy.fft.next_fast_len(round(FRAME_SECONDS * rate / OVERLAP / 2), real=True)
        self.size = OVERLAP * self._hop
        window = np.sin(np.pi * np.arange(self.size) / self.size) ** 2
        self._window = window.astype(np.float32)
        self._unwindow = (window / (np.square(window).sum() / self._hop)).astype(np.float32)
        soft = 2 * max(1, round(_CUT_SECONDS * rate / 2))
        self._rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(soft) + 0.5) / soft)).astype(np.float32)
        self._turn = np.ones(self.size // 2 + 1, np.complex64)
        """By which the source's spectrum is turned now, of modulus 1."""
        self._anew = False
        """Whether nothing sounds on from the span before."""

    def frames(self, span: Span, start: int, stop: int) -> Iterator[tuple[int, Audio]]:
        """Yield the frames of a span that matter for the target's `start` to `stop`: where each begins, and the
        sound from there on as (channels, size), middle and side."""
        half, soft = self.size // 2, len(self._rise)
        low = max(span.target - soft - half, start - self.size)
        high = min(span.target_stop + soft + half, stop + half)
        centers = np.arange(-(-low // self._hop), high // self._hop + 1) * self._hop
        places = np.rint(span.source_at(centers)).astype(int)
        # Elsewhere the sound goes one by one, and no phase has to be turned further.
        moves = (centers > span.target + span.hold) & (centers < span.target_stop + self._hop)
        self._begin(span)
        before: Spectra | None = None
        for first in range(0, len(centers), _BATCH):
            batch = slice(first, first + _BATCH)
            place, moving = places[batch], moves[batch]
            turns = np.empty((len(place), len(self._turn)), np.complex64)
            turns[~moving] = self._turn  # what comes before the moving ones; see below for what comes after
            whole = self._spectra(place[moving])
            earlier = self._spectra(place[moving] - self._hop)
            for number, now, past in zip(np.flatnonzero(moving).tolist(), whole, earlier, strict=True):
                if before is None:
                    at = centers[first + number] - self._hop
                    before = self._spectra(np.rint(span.source_at([at])).astype(int))[0] * self._turn
                self._turn = _turn(before, past, now)
                before = now * self._turn
                turns[number:] = self._turn
            own = self._spectra(place, span)
            audio = scipy.fft.irfft(own * turns[:, None], self.size) * self._unwindow
            for center, frame in zip(centers[batch].tolist(), audio, strict=True):
                if self._anew:  # what frames after the attack spread to before it
                    frame[:, : max(0, span.target - soft // 2 - (center - half))] = 0.0
                yield center - half, frame

    def _begin(self, span: Span) -> None:
        """Give up the turn of all that is new in a span: what has grown, or does not go on as it was led to expect."""
        if span.source <= 0:
            self._anew = True
            return
        count, soft = round(_COMPARED_SECONDS * self._rate), len(self._rise)
        window = (np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2).astype(np.float32)
        after = span.source + soft // 2
        older, old, new = (
            scipy.fft.rfft(self._reader.read(after - steps * (count + soft), count) * window, self.size)
            for steps in (2, 1, 0)
        )
        # As loud as the one before, and turned as much further: no angle needs to be known for that.
        led = old * (old * np.conj(older) / np.maximum(np.abs(old * older), 1e-30))
        power = np.square(np.abs(new)).sum(0)
        peaks, widths = _peaks(power)
        edges = np.cumsum(widths) - widths
        before = np.add.reduceat(np.square(np.abs(old)).sum(0), edges)
        now = np.add.reduceat(power, edges)
        alike = np.add.reduceat((new * np.conj(led)).real.sum(0), edges)
        begins = (now > _NEW * before) | (alike < _LED * np.sqrt(before * now))
        begins |= peaks * self._rate > LED_HERTZ * self.size
        self._turn = np.where(np.repeat(begins, widths), np.complex64(1.0), self._turn)
        self._anew = float(now[~begins].sum()) <= _NOTHING * float(now.sum())

    def _spectra(self, places: NDArray[np.int_], span: Span | None = None) -> Spectra:
        """The spectra around source frames, (places, channels, bins), of all that sounds or of a span's own sound."""
        half = self.size // 2
        if len(places) == 0:
            return np.zeros((0, self._reader.channels, half + 1), np.complex64)
        begin, end = int(places.min()) - half, int(places.max()) + half
        audio = _middle(self._reader.read(begin, end - begin))
        if span is not None and span.source > 0:
            self._cut(audio, span.source - begin, 1)
        if span is not None and span.source_stop < self._reader.frames:
            self._cut(audio, span.source_stop - begin, -1)
        frames = sliding_window_view(audio, self.size, axis=1)[:, places - half - begin]
        spectra: Spectra = scipy.fft.rfft(frames.swapaxes(0, 1) * self._window)
        return spectra

    def _cut(self, audio: Audio, at: int, side: int) -> None:
        """Fade `audio` in (side 1) or out (-1) at a place, in such a way that the two make a whole."""
        soft = len(self._rise)
        begin, end = at - soft // 2, at + soft // 2
        slope = self._rise if side > 0 else 1.0 - self._rise
        inside = slice(max(0, begin), max(0, end))
        audio[:, inside] *= slope[max(0, -begin) :][: audio[:, inside].shape[1]]
        if side > 0:
            audio[:, : max(0, begin)] = 0.0
        else:
            audio[:, max(0, end) :] = 0.0


def _turn(before: Spectra, earlier: Spectra, now: Spectra) -> Spectra:
    """The turn for each bin that leads a frame on from the one before, all (channels, bins).

    earlier: the source a hop before what is turned now.
    """
    peaks, widths = _peaks((np.square(now.real) + np.square(now.imag)).sum(0))
    led = (before * np.conj(earlier)).sum(0)
    led = led[peaks - 1] + led[peaks] + led[peaks + 1]
    size = np.abs(led)
    turn = np.ones_like(led)
    np.divide(led, size, out=turn, where=size > 1e-30)  # subnormal numbers, as decoders leave in silence, overflow
    return np.repeat(turn, widths)


def _peaks(power: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The bins that none of two neighbours on each side excels, and how many bins belong to each.

    Of two that are the same, as where a partial lies in the middle between them, the lower one is the peak.
    """
    inner = power[2:-2]
    high = (inner > power[1:-3]) & (inner >= power[3:-1]) & (inner > power[:-4]) & (inner >= power[4:])
    peaks = np.flatnonzero(high) + 2
    if len(peaks) == 0:
        peaks = np.array([len(power) // 2])
    edges = np.concatenate([[0], (peaks[1:] + peaks[:-1] + 1) // 2])
    return peaks, np.diff(edges, append=len(power))
