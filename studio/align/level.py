"""Level of a finished sound: DC out, loudness by one gain, peaks under the ceiling, edges at zero.

Nothing is done that is not needed: what has no DC, is as loud as wanted and peaks below the ceiling passes untouched,
sample for sample. All of it is measured in one pass over the sound and applied as the result is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studio.align.values import Audio, Floats, Source
from studio.mix.arrays import blocks, from_db, to_db
from studio.mix.curve import Curve, curve_hop, limiting_nodes
from studio.mix.loudness import LoudnessMeter
from studio.mix.truepeak import REACH, TruePeakMeter, gap_peaks

CEILING_DBTP = -1.0
MARGIN_DB = 0.005
"""Rounding and the limiter's bent waveform stay within this."""
MOST_LIMITING_DB = 6.0
"""Where more would be needed to be as loud as wanted, the peaks come first and the sound stays softer."""
NEAR_LU = 0.1
"""As near as a limited sound is brought to the loudness that is wanted."""
LEAST_DC, LARGE_DC, QUIET_SHARE = 0.002, 0.02, 0.02
"""Full scale (-54 dB, -34 dB): means that are DC where quiet hops show it, and where there are too few of them."""
DC_HOP_S, DC_HOPS = 0.05, 5
"""DC is what half of all hops of 50 ms have at least; it is followed as slowly as five of them go by."""
FEWEST_HOPS = 20
QUIET = 10 ** (-80 / 20)
"""Full scale: a clip whose edge lies below needs no fade."""
FADE_IN_S, ATTACK_FADE_S, FADE_OUT_S = 0.0015, 0.00025, 0.002

Step = Callable[[float], None]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Levels:
    """What was found and done."""

    lufs_before: float
    lufs: float
    """Loudness of the result; minus infinity for silence."""
    true_peak_dbtp: float
    """Of the result."""
    gain_db: float = 0.0
    limited_db: float = 0.0
    """The most by which a peak was turned down."""
    dc: tuple[float, ...] = ()
    """The mean that was taken out of each channel; empty where none was."""
    fade_in: int = 0
    fade_out: int = 0
    """Frames."""
    note: str = ""
    """What a user should know about it, in one sentence."""


class Levelled:
    """A sound under what its levels ask for, as a source."""

    def __init__(
        self, sound: Source, dc: Drift | None, gain: float, curve: Curve | None, fades: tuple[int, int]
    ) -> None:
        self.frames, self.channels = sound.frames, sound.channels
        self._sound, self._dc, self._gain, self._curve = sound, dc, np.float32(gain), curve
        self._fades = fades

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside the sound; float32 (channels, frames)."""
        audio = self._sound.read(start, frames)
        if self._dc is not None:
            audio = audio - self._dc.values(start, frames)
        if self._gain != 1.0:
            audio = audio * self._gain
        if self._curve is not None:
            audio = audio * self._curve.gains(start, frames)
        fade_in, fade_out = self._fades
        if start < fade_in:
            audio = audio.copy()
            ramp = _ramp(fade_in)[start : start + frames]
            audio[:, : len(ramp)] *= ramp
        if start + frames > self.frames - fade_out:
            audio = audio.copy()
            begin = max(start, self.frames - fade_out)
            ramp = _ramp(fade_out)[::-1][begin - (self.frames - fade_out) :][: start + frames - begin]
            audio[:, begin - start :] *= ramp
        return audio


def level(
    sound: Source, rate: int, lufs: float | None, *, loop: bool, edges: bool, attack: bool, step: Step
) -> tuple[Source, Levels]:
    """Bring a sound to its level; `sound` itself comes back where nothing is to be done.

    Args:
        sound: 1 or 2 channels at `rate` Hz.
        lufs: the loudness that is wanted; None leaves it alone.
        loop: whether the end goes on at the start.
        edges: whether its ends may be led to zero.
        attack: whether the very start is an attack, which a fade must spare.
        step: told how much of it (0..1) is done; may raise to stop.
    """
    hop = _dc_hop(sound.frames, rate)
    hops, found = _measure(sound, rate, hop, step)
    dc = _drift(hops, loop)
    if dc is not None:
        found = _measure(Levelled(sound, dc, 1.0, None, (0, 0)), rate, hop, step)[1]
        found = replace(found, dc=tuple(float(value) for value in dc.mean))
    fades = (0, 0) if loop or not edges else _fades(Levelled(sound, dc, 1.0, None, (0, 0)), rate, attack)
    wanted_db = 0.0 if lufs is None or math.isinf(found.lufs) else lufs - found.lufs
    room_db = CEILING_DBTP - found.true_peak_dbtp
    if wanted_db > room_db and lufs is not None:
        bare = Levelled(sound, dc, 1.0, None, (0, 0))
        source, levels = _limited(bare, found, rate, lufs, room_db, loop=loop, fades=fades, step=step)
        return source, levels
    gain_db = min(wanted_db, room_db - MARGIN_DB) if wanted_db > room_db else wanted_db
    note = f"turned down by {-gain_db:.1f} dB for its peaks" if gain_db < 0.0 and lufs is None else ""
    levels = replace(
        found, lufs=found.lufs + gain_db, true_peak_dbtp=found.true_peak_dbtp + gain_db, gain_db=gain_db,
        fade_in=fades[0], fade_out=fades[1], note=note,
    )  # fmt: skip
    if dc is None and not gain_db and fades == (0, 0):
        return sound, levels
    return Levelled(sound, dc, from_db(gain_db), None, fades), levels


def _measure(sound: Source, rate: int, hop: int, step: Step) -> tuple[Hops, Levels]:
    """What every hop has in the mean, loudness and true peak."""
    loudness, peak = LoudnessMeter(rate, sound.channels), TruePeakMeter(sound.channels)
    sums = np.zeros((2, sound.channels, -(-sound.frames // hop)))
    for start, stop in blocks(sound.frames):
        audio = sound.read(start, stop - start)
        loudness.push(audio)
        peak.push(audio)
        edges = np.arange(start // hop, (stop - 1) // hop + 1)
        inside = np.maximum(edges * hop - start, 0)
        for row, values in zip(sums, (audio, np.square(audio)), strict=True):
            row[:, edges] += np.add.reduceat(values, inside, axis=1, dtype=np.float64)
        step(stop / sound.frames)
    means, squares = sums / np.minimum(hop, sound.frames - hop * np.arange(sums.shape[2]))
    lufs = loudness.integrated()
    return Hops(hop, means, np.sqrt(np.maximum(squares - means**2, 0.0))), Levels(lufs, lufs, to_db(peak.peak()))


# -- DC ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hops:
    """Mean and standard deviation of each hop of `frames` frames, (channels, hops)."""

    frames: int
    means: Floats
    spreads: Floats


class Drift:
    """A slowly varying mean: one node in the middle of every hop, straight lines between."""

    def __init__(self, nodes: Floats, hop: int, loop: bool) -> None:
        self.mean = nodes.mean(axis=1)
        padded = _closed(nodes, loop)
        self._nodes = _closed((padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4, loop)
        self._hop = hop

    def values(self, start: int, frames: int) -> Audio:
        """The mean at each of `frames` frames from `start`, float32 (channels, frames)."""
        at = (np.arange(start, start + frames) + 0.5) / self._hop + 0.5
        places = np.arange(self._nodes.shape[1])
        return np.stack([np.interp(at, places, channel) for channel in self._nodes]).astype(np.float32)


def _closed(nodes: Floats, loop: bool) -> Floats:
    """One more node at either end: that of the other end in a loop, else the same again."""
    ends = (nodes[:, -1:], nodes[:, :1]) if loop else (nodes[:, :1], nodes[:, -1:])
    return np.concatenate((ends[0], nodes, ends[1]), axis=1)


def _dc_hop(frames: int, rate: int) -> int:
    return max(1, min(round(DC_HOP_S * rate), frames // FEWEST_HOPS))


def _drift(hops: Hops, loop: bool) -> Drift | None:
    """The DC of a sound, None where there is none: a mean that stays also where there is little sound, or a large one.

    A drum has a mean where it is struck, and a synthesizer's pulse has one as long as it sounds; both are music.
    """
    usual, mean = np.median(hops.means, axis=1), hops.means.mean(axis=1)
    count = hops.means.shape[1]
    same = hops.means * np.sign(usual)[:, None]
    quiet = (hops.spreads < same).mean(axis=1) >= QUIET_SHARE
    chance = hops.means.std(axis=1) / np.sqrt(count)
    has = np.abs(usual) >= np.maximum(np.where(quiet, LEAST_DC, LARGE_DC), 5.0 * chance)
    has &= (mean * usual > 0.5 * usual**2) & (mean * usual < 2.0 * usual**2)
    if not has.any() or count < FEWEST_HOPS:
        return None
    slow = hops.means[:, : count // DC_HOPS * DC_HOPS].reshape(len(has), -1, DC_HOPS).mean(axis=2)
    return Drift(np.where(has[:, None], slow, 0.0), DC_HOPS * hops.frames, loop)


# -- peaks -------------------------------------------------------------------------------------------------------


def _limited(
    sound: Source,
    found: Levels,
    rate: int,
    lufs: float,
    room_db: float,
    *,
    loop: bool,
    fades: tuple[int, int],
    step: Step,
) -> tuple[Source, Levels]:
    """The sound at the loudness that is wanted, its peaks turned down by a look-ahead curve where they must be."""
    hop = curve_hop(rate)
    peaks = _hop_peaks(sound, hop, step)
    most_db = room_db + MOST_LIMITING_DB
    gain_db = min(lufs - found.lufs, most_db)
    for _ in range(3):
        curve = _limiter(peaks, gain_db, rate, hop, loop)
        result = Levelled(sound, None, from_db(gain_db), curve, fades)
        after = _measure(result, rate, rate, step)[1]
        missing = lufs - after.lufs
        if abs(missing) <= NEAR_LU or (missing > 0 and gain_db >= most_db):
            break
        gain_db = min(gain_db + missing, most_db)
    over_db = max(0.0, after.true_peak_dbtp - CEILING_DBTP)
    if over_db:
        over_db += MARGIN_DB
        result = Levelled(sound, None, from_db(gain_db - over_db), curve, fades)
    reached = after.lufs - over_db
    note = f"its peaks hold it at {reached:.1f} LUFS" if lufs - reached > 2 * NEAR_LU else ""
    return result, replace(
        found, lufs=reached, true_peak_dbtp=after.true_peak_dbtp - over_db, gain_db=gain_db - over_db,
        limited_db=curve.reduction_db, fade_in=fades[0], fade_out=fades[1], note=note,
    )  # fmt: skip


def _hop_peaks(sound: Source, hop: int, step: Step) -> Singles:
    """The true peak of every hop, over the channels."""
    peaks = np.zeros(-(-sound.frames // hop), np.float32)
    size = (1 << 16) // hop * hop
    for start, stop in blocks(sound.frames, size):
        low, high = max(0, start - REACH), min(sound.frames, stop + REACH)
        around = np.pad(sound.read(low, high - low), ((0, 0), (low - start + REACH, stop + REACH - high)))
        gaps = gap_peaks(around, 0.0)
        highest = np.maximum(np.abs(around[:, REACH:-REACH]).max(axis=0), np.maximum(gaps[:-1], gaps[1:]))
        padded = np.pad(highest, (0, -len(highest) % hop)).reshape(-1, hop)
        peaks[start // hop : start // hop + len(padded)] = padded.max(axis=1)
        step(stop / sound.frames)
    return peaks


def _limiter(peaks: Singles, gain_db: float, rate: int, hop: int, loop: bool) -> Curve:
    ceiling = from_db(CEILING_DBTP - MARGIN_DB - gain_db)
    around = min(len(peaks), 2 * rate // hop) if loop else 0
    long = np.concatenate((peaks[len(peaks) - around :], peaks, peaks[:around])).astype(np.float32)
    nodes = limiting_nodes(long, ceiling, rate / hop)
    return Curve(nodes[around : around + len(peaks) + 1], hop)


# -- edges -------------------------------------------------------------------------------------------------------


def _fades(sound: Source, rate: int, attack: bool) -> tuple[int, int]:
    """Frames in which a clip is led in and out: 0 where it begins or ends at zero anyway."""
    if not sound.frames:
        return 0, 0
    most = sound.frames // 2
    fade_in = fade_out = 0
    if float(np.abs(sound.read(0, 1)).max()) > QUIET:
        fade_in = max(1, min(most, math.floor((ATTACK_FADE_S if attack else FADE_IN_S) * rate)))
    if float(np.abs(sound.read(sound.frames - 1, 1)).max()) > QUIET:
        fade_out = max(1, min(most, round(FADE_OUT_S * rate)))
    return fade_in, fade_out


def _ramp(frames: int) -> Audio:
    """A raised cosine from exactly 0 towards 1, float32 (frames,)."""
    return np.asarray(np.sin(np.pi / 2 * np.arange(frames) / max(frames, 1)) ** 2, np.float32)
