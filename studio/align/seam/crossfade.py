"""Crossfades: where two sounds are most alike, with gains that keep the power; and sounds that go on beyond their end.

With amplitudes a + b = 1 both gains are divided by sqrt(a² + b² + 2abr), which is equal gain for sounds that are alike
(r = 1) and equal power for unrelated ones (r = 0): M. Fink, M. Holters, U. Zölzer, "Signal-matched power-complementary
cross-fading and dry-wet mixing", DAFx 2016. Sounds that oppose each other are turned into phase in two steps.
"""

from __future__ import annotations

import numpy as np

from dsp.means import running_mean
from studio.align.seam.voices import Laid, Patch, rise
from studio.align.values import Audio, Floats

REACH_S = 0.050
"""How far from a bar line a join is looked for."""
LENGTHS_S = (0.005, 0.010, 0.020, 0.040, 0.080)
SHORTEST_S = LENGTHS_S[0]
LONG = 1.0
"""How much a long crossfade counts against sides that are alike."""
LATE = 0.05
"""How much a late one does."""
STEP_S = 0.001
LOUD_S = 0.020
"""Over how much loudness is taken: longer than a cycle of a bass."""
OPPOSED, AGREES = -0.1, 0.5
"""Correlations: from where on sides are turned into phase, and what has to be reached by it."""
LEAST_CORRELATION = -0.5
"""Gains for sides that oppose each other more would grow without end."""
TURN_S = 0.010
"""The most by which a sound is moved to turn it into phase."""
OVERLAP_S = 0.010
"""Over how much a sound is led into what goes on for it."""


def crossfade(old: Laid, new: Laid, attacks: Floats, low: int, high: int, rate: int) -> tuple[Patch, float]:
    """The crossfade between frames `low` and `high` in which both sides are most alike, or else quietest, and their
    correlation in it. Before the patch `old` sounds, behind it `new`.

    attacks: frames that it had better not go through.
    """
    ours, theirs = old.read(low, high).astype(np.float64), new.read(low, high).astype(np.float64)
    start, length = _best(ours, theirs, attacks - low, rate)
    correlation = _correlation(ours[:, start : start + length], theirs[:, start : start + length])
    mixed = None
    if correlation < OPPOSED:
        half = min(round(LENGTHS_S[-2] * rate), (high - low) // 2)
        begin = min(start, high - low - 2 * half)
        mixed = _turned(old, theirs, low, begin, half, rate)
        start = start if mixed is None else begin
    if mixed is None:
        stop = start + length
        mixed = crossfaded(ours[:, start:stop], theirs[:, start:stop], correlation).astype(np.float32)
    first = low + start
    if isinstance(old, Continued) and old.changed < first:
        mixed, first = np.concatenate((old.read(old.changed, first), mixed), axis=1), old.changed
    return Patch(mixed, first), correlation


def _best(old: Floats, new: Floats, attacks: Floats, rate: int) -> tuple[int, int]:
    """Start and length of the best crossfade of two stretches, (channels, n) each."""
    total = old.shape[1]
    powers = [np.einsum("cn,cn->n", x, y) for x, y in ((old, old), (new, new), (old, new))]
    sums = [np.concatenate(([0.0], np.cumsum(power))) for power in powers]
    loudness = running_mean(powers[0] + powers[1], min(total, round(LOUD_S * rate)))
    loudness /= loudness.mean() + 1e-12
    longest = LENGTHS_S[-1] * rate
    best = (np.inf, 0, total)
    step = max(1, round(STEP_S * rate))
    for seconds in LENGTHS_S:
        length = min(round(seconds * rate), total)
        starts = np.arange(0, total - length + 1, step)
        ours, theirs, both = (part[starts + length] - part[starts] for part in sums)
        alike = both / np.sqrt(ours * theirs + 1e-24)
        loud = np.minimum(1.0, loudness[np.minimum(starts + length // 2, total - 1)])
        # The longer the smoother; the later the more of the music before the bar line is its own.
        cost = (1.0 - alike) * loud + LONG * (1.0 - length / longest) + LATE * (1.0 - (starts + length) / total)
        struck = np.zeros(len(starts))
        for attack in attacks[(attacks >= 0) & (attacks < total)]:
            struck[(attack > starts) & (attack < starts + length)] = 1.0
        cost += struck
        least = int(cost.argmin())
        if cost[least] < best[0]:
            best = (float(cost[least]), int(starts[least]), length)
        if length == total:
            break
    return best[1], best[2]


def _correlation(x: Floats, y: Floats) -> float:
    power = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / power if power > 1e-15 else 0.0


def crossfaded(old: Floats, new: Floats, correlation: float) -> Floats:
    """`old` giving way to `new` over their length with the power kept, for a correlation of -1..1."""
    b = rise(old.shape[1]).astype(np.float64)
    a = 1.0 - b
    keep = 1.0 / np.sqrt(a * a + b * b + 2.0 * a * b * np.clip(correlation, LEAST_CORRELATION, 1.0))
    return np.asarray(old * (a * keep) + new * (b * keep))


def _turned(sound: Laid, new: Floats, low: int, start: int, length: int, rate: int) -> Audio | None:
    """A crossfade in two steps of `length` from `low + start` on, through the sound before moved by half of what
    brings it into phase; None where nothing does."""
    most = round(TURN_S * rate)
    begin = low + start
    wide = sound.read(begin + length - most, begin + 2 * length + most).astype(np.float64)
    goal = new[:, start + length : start + 2 * length]
    lags = np.arange(-most, most + 1, max(1, rate // 24_000))
    found = np.array([_correlation(wide[:, most + lag : most + lag + length], goal) for lag in lags])
    found -= 1e-6 * np.abs(lags)  # of equal ones the nearest
    best = int(found.argmax())
    if found[best] < AGREES or begin + 2 * length + most > sound.last:
        return None
    half = int(lags[best]) // 2
    old = sound.read(begin, begin + length).astype(np.float64)
    turned = sound.read(begin + half, begin + half + 2 * length).astype(np.float64)
    first = crossfaded(old, turned[:, :length], _correlation(old, turned[:, :length]))
    second = crossfaded(turned[:, length:], goal, _correlation(turned[:, length:], goal))
    return np.concatenate((first, second), axis=1).astype(np.float32)


class Continued:
    """A sound that goes on beyond its end."""

    def __init__(self, sound: Laid, more: Patch) -> None:
        self.channels, self.first, self.last = sound.channels, sound.first, more.last
        self.changed = more.first
        """From this frame on it is not the sound itself."""
        self._sound, self._more = sound, more

    @classmethod
    def of(cls, sound: Laid, end: int, frames: int, rate: int) -> Continued:
        """`sound`, gone on with from `end` by what it did a few hundredths of a second before, where that is most
        alike (W. Verhelst and M. Roelands, "WSOLA", ICASSP 1993)."""
        have = end - sound.first
        overlap = max(1, min(round(OVERLAP_S * rate), have // 3))
        longest = max(overlap, min(round(REACH_S * rate), have - overlap))
        past = sound.read(end - longest - overlap, end).astype(np.float64)
        last = past[:, -overlap:]
        lags = np.arange(overlap, longest + 1)
        alike = [_correlation(past[:, longest - lag : longest - lag + overlap], last) for lag in lags.tolist()]
        lag = int(lags[int(np.argmax(alike))])
        head = crossfaded(last, past[:, longest - lag : longest - lag + overlap], max(alike))
        turn = np.concatenate((past[:, -lag:-overlap], head), axis=1)  # leads on into itself
        again = np.tile(turn, (1, -(-frames // lag)))[:, :frames]
        more = np.concatenate((head, again), axis=1).astype(np.float32)
        return cls(sound, Patch(more, end - overlap))

    def read(self, start: int, stop: int) -> Audio:
        """As of any laid sound, but the caller's own."""
        middle = min(max(self.changed, start), stop)
        return np.concatenate((self._sound.read(start, middle), self._more.read(middle, stop)), axis=1)
