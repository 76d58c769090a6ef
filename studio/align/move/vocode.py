"""Moves sound in the frequency domain: a phase vocoder for all that has a pitch.

Each frame is a spectrum of the source as it is, turned in phase so that it goes on from the frame before: the advance
of a hop is read from the source itself (Laroche & Dolson 1999), one turn for each peak and what belongs to it, and the
same in every channel. So pitch is exact, partials stay whole and the stereo image stands still.

The sound is cut at the attacks. What begins there keeps the source's own phases and so comes out as it was; only what
sounds on through an attack (Röbel 2003) has its phases led across the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.align.ahead import ahead
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
_BATCH = 1 << 15  # frames of the target that are worked on at a time
_ROOM = 1 << 16

Spectra = NDArray[np.complex64]
Places = NDArray[np.intp]


def vocode(reader: Reader, rate: int, spans: Sequence[Span], start: int, stop: int) -> Iterator[Audio]:
    """Yield target frames `start` to `stop`, float32 (channels, n) of any n. The spans are in order and meet."""
    analyser = _Analyser(reader, rate)
    size = analyser.size
    reach = 2 * size
    near = [span for span in spans if span.target_stop > start - reach and span.target < stop + reach]
    vocoder = _Vocoder(analyser.hop, rate)
    out = _Sum(reader.channels, start - size)
    done = start
    for batch in ahead(analyser.analysed, analyser.orders(near, start, stop)):
        at, audio = vocoder.turned(batch)
        out.add(at, audio)
        # The next span's frames reach back across the cut by a frame.
        whole = stop if batch.span is near[-1] else batch.span.target_stop - reach
        ready = min(int(batch.centers[-1]) - size // 2, whole)
        if ready - done >= size:
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
    """Overlapping pieces added up; what was taken is forgotten."""

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


@dataclass(frozen=True)
class _Advance:
    """How the turn of one frame follows from that of the frame before."""

    around: Places
    """(3, peaks): bins of each peak of the frame, with its neighbours."""
    by: Spectra
    """(3, peaks): the frame before by the conjugate of what the source has a hop earlier, all channels together."""
    owner: Places
    """(bins,): to which of the peaks each bin belongs."""


@dataclass(frozen=True)
class _Beginning:
    """What a span's first attack leaves of the turn: where `new`, nothing."""

    new: NDArray[np.bool_]
    """(bins,)"""
    alone: bool
    """Whether nothing sounds on from the span before."""


@dataclass(frozen=True)
class _Order:
    """Frames of a span that are worked on at a time."""

    span: Span
    centers: Places
    """In the target."""
    begins: bool
    """Whether they are its first."""


@dataclass(frozen=True)
class _Batch:
    """All that is known of some frames before any is turned."""

    span: Span
    centers: Places
    own: Spectra
    """(frames, channels, bins): of the span's own sound."""
    advances: list[_Advance | None]
    """For each; None where the sound goes one by one, and no phase has to be turned further."""
    beginning: _Beginning | None
    """Of the span, with its first frames."""


class _Analyser:
    """Reads the source around the frames of the target."""

    def __init__(self, reader: Reader, rate: int) -> None:
        self._reader = reader
        self._rate = rate
        self.hop = _hop(rate)
        self.size = OVERLAP * self.hop
        self._window = _window(self.size).astype(np.float32)
        self._rise = _rise(rate)

    def orders(self, spans: Sequence[Span], start: int, stop: int) -> Iterator[_Order]:
        """The frames that matter for the target's `start` to `stop`."""
        half, soft = self.size // 2, len(self._rise)
        for span in spans:
            low = max(span.target - soft - half, start - self.size)
            high = min(span.target_stop + soft + half, stop + half)
            centers = np.arange(-(-low // self.hop), high // self.hop + 1) * self.hop
            some = max(1, _BATCH // self.hop)
            for first in range(0, len(centers), some):
                yield _Order(span, centers[first : first + some], first == 0)

    def analysed(self, order: _Order) -> _Batch:
        """What is known of some frames."""
        span, centers = order.span, order.centers
        places = np.rint(span.source_at(centers)).astype(np.intp)
        moving = np.flatnonzero((centers > span.target + span.hold) & (centers < span.target_stop + self.hop))
        now = places[moving]
        first = np.rint(span.source_at(centers[moving[:1]] - self.hop)).astype(np.intp)
        half = self.size // 2
        every = np.concatenate([places, first, now - self.hop])
        begin = int(every.min()) - half
        audio = _middle(self._reader.read(begin, int(every.max()) + half - begin))
        whole = self._spectra(audio, np.concatenate([first, now, now - self.hop]) - half - begin)
        before, earlier = whole[: len(now)], whole[len(first) + len(now) :]
        found = whole[len(first) : len(first) + len(now)]
        advances: list[_Advance | None] = [None] * len(centers)
        for row, advance in zip(moving.tolist(), _advances(before, earlier, found), strict=True):
            advances[row] = advance
        return _Batch(
            span, centers, self._own(span, audio, begin, places, moving, found), advances,
            self._beginning(span) if order.begins else None,
        )  # fmt: skip

    def _own(self, span: Span, audio: Audio, begin: int, places: Places, moving: Places, found: Spectra) -> Spectra:
        """Spectra of the span's own sound: `found` holds those of all that sounds, for the moving frames."""
        half, soft = self.size // 2, len(self._rise) // 2
        cut = np.ones(len(places), bool)
        low = span.source + soft if span.source > 0 else -np.inf
        high = span.source_stop - soft if span.source_stop < self._reader.frames else np.inf
        cut[moving] = (places[moving] - half < low) | (places[moving] + half > high)
        if low > 0:
            self._fade(audio, span.source - begin, 1)
        if high < np.inf:
            self._fade(audio, span.source_stop - begin, -1)
        own = np.empty((len(places), *found.shape[1:]), np.complex64)
        own[moving] = found
        own[cut] = self._spectra(audio, places[cut] - half - begin)
        return own

    def _beginning(self, span: Span) -> _Beginning:
        """What is new in a span: what has grown, or does not go on as it was led to expect."""
        bins = np.arange(self.size // 2 + 1)
        if span.source <= 0:
            return _Beginning(np.zeros(len(bins), bool), alone=True)
        count, soft = round(_COMPARED_SECONDS * self._rate), len(self._rise)
        size = int(scipy.fft.next_fast_len(count + count // 4, real=True))
        window = (np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2).astype(np.float32)
        step = count + soft
        audio = self._reader.read(span.source + soft // 2 - 2 * step, 2 * step + count)
        pieces = sliding_window_view(audio, count, axis=1)[:, ::step].swapaxes(0, 1)
        older, old, new = np.asarray(scipy.fft.rfft(pieces * window, size), np.complex64)
        # As loud as the one before, and turned as much further: no angle needs to be known for that.
        led = old * (old * np.conj(older) / np.maximum(np.abs(old * older), 1e-30))
        power = _power(new[None])
        _, peaks, owners = _peaks(power)
        edges = np.searchsorted(owners[0], np.arange(len(peaks)))
        before = np.add.reduceat(_power(old[None])[0], edges)
        now = np.add.reduceat(power[0], edges)
        alike = np.add.reduceat((new * np.conj(led)).real.sum(0), edges)
        begins = (now > _NEW * before) | (alike < _LED * np.sqrt(before * now))
        begins |= peaks * self._rate > LED_HERTZ * size
        nearest = np.minimum((2 * bins * size + self.size) // (2 * self.size), len(owners[0]) - 1)
        return _Beginning(begins[owners[0]][nearest], float(now[~begins].sum()) <= _NOTHING * float(now.sum()))

    def _spectra(self, audio: Audio, starts: Places) -> Spectra:
        """(starts, channels, bins): of windows that begin there."""
        if not len(starts):
            return np.zeros((0, len(audio), self.size // 2 + 1), np.complex64)
        frames = sliding_window_view(audio, self.size, axis=1)[:, starts]
        frames *= self._window
        return np.asarray(scipy.fft.rfft(frames, overwrite_x=True), np.complex64).swapaxes(0, 1)

    def _fade(self, audio: Audio, at: int, side: int) -> None:
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


class _Vocoder:
    """Turns what was analysed, one batch after the other: phases go on from each frame to the next."""

    def __init__(self, hop: int, rate: int) -> None:
        self._hop = hop
        self._size = OVERLAP * hop
        window = _window(self._size)
        self._unwindow = (window / (np.square(window).sum() / hop)).astype(np.float32)
        self._soft = len(_rise(rate))
        self._turn = np.ones(self._size // 2 + 1, np.complex64)
        """By which the source's spectrum is turned now, of modulus 1."""
        self._alone = False

    def turned(self, batch: _Batch) -> tuple[int, Audio]:
        """Where some frames begin in the target, and their sum."""
        if batch.beginning is not None:
            self._turn = np.where(batch.beginning.new, np.complex64(1.0), self._turn)
            self._alone = batch.beginning.alone
        turns = np.empty((len(batch.centers), len(self._turn)), np.complex64)
        for row, advance in enumerate(batch.advances):
            if advance is not None:
                self._turn = _turn(self._turn, advance)
            turns[row] = self._turn
        frames = scipy.fft.irfft(batch.own * turns[:, None], self._size) * self._unwindow
        begin = int(batch.centers[0]) - self._size // 2
        if self._alone:  # what frames after the attack spread to before it
            early = batch.span.target - self._soft // 2 - begin
            for row in range(len(frames)):
                frames[row, :, : max(0, early - row * self._hop)] = 0.0
        return begin, _overlapped(frames, self._hop)


def _hop(rate: int) -> int:
    return 2 * int(scipy.fft.next_fast_len(round(FRAME_SECONDS * rate / OVERLAP / 2), real=True))


def _window(size: int) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.pi * np.arange(size) / size) ** 2)


def _rise(rate: int) -> NDArray[np.float32]:
    """The slope of a cut."""
    soft = 2 * max(1, round(_CUT_SECONDS * rate / 2))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(soft) + 0.5) / soft), np.float32)


def _overlapped(frames: Audio, hop: int) -> Audio:
    """(frames, channels, OVERLAP * hop), a hop apart, added up: (channels, frames and a rest)."""
    count, channels, _ = frames.shape
    total = np.zeros((channels, count + OVERLAP - 1, hop), np.float32)
    parts = frames.reshape(count, channels, OVERLAP, hop).transpose(1, 2, 0, 3)
    for number in range(OVERLAP):
        total[:, number : number + count] += parts[:, number]
    return total.reshape(channels, -1)


def _turn(turn: Spectra, advance: _Advance) -> Spectra:
    """The turn for each bin that leads a frame on from the one before, which was turned by `turn`."""
    led = (advance.by * turn[advance.around]).sum(axis=0)
    size = np.abs(led)
    further = np.ones_like(led)
    np.divide(led, size, out=further, where=size > 1e-30)  # subnormal numbers, as decoders leave in silence, overflow
    return np.asarray(further[advance.owner])


def _advances(before: Spectra, earlier: Spectra, now: Spectra) -> list[_Advance]:
    """For each frame `now`, from the one before it and the source a hop earlier: all (frames, channels, bins)."""
    links = (before * np.conj(earlier)).sum(axis=1)
    rows, peaks, owners = _peaks(_power(now))
    around = peaks + np.array([[-1], [0], [1]])
    by = links[rows, around]
    ends = np.searchsorted(rows, np.arange(len(now) + 1)).tolist()
    return [
        _Advance(around[:, low:high], by[:, low:high], owner)
        for low, high, owner in zip(ends, ends[1:], owners, strict=False)
    ]


def _power(spectra: Spectra) -> NDArray[np.float32]:
    """(frames, channels, bins) to (frames, bins)."""
    return np.asarray((np.square(spectra.real) + np.square(spectra.imag)).sum(axis=1))


def _peaks(power: NDArray[np.float32]) -> tuple[Places, Places, Places]:
    """Of (frames, bins), the bins that none of two neighbours on each side excels: rows and bins of these in order,
    and (frames, bins) to which of its row's peaks each bin belongs.

    Of two that are the same, as where a partial lies in the middle between them, the lower one is the peak.
    """
    inner = power[:, 2:-2]
    high = (inner > power[:, 1:-3]) & (inner >= power[:, 3:-1]) & (inner > power[:, :-4]) & (inner >= power[:, 4:])
    high[~high.any(axis=1), power.shape[1] // 2 - 2] = True
    rows, at = np.nonzero(high)
    at += 2
    begins = np.zeros(power.shape, bool)
    again = rows[1:] == rows[:-1]
    begins[rows[1:][again], ((at[1:] + at[:-1] + 1) // 2)[again]] = True
    return rows, at, np.cumsum(begins, axis=1)
