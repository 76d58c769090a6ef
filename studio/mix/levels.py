"""Finds the static gain and ceiling of every stem so that the plain sum of the stems is a finished mix.

There is no limiter on the mix, because stems must sum to it. So the peaks are tamed where they come from:

1. Each stem is measured (LUFS) and given the gain that puts it at its wanted place in the balance.
2. What matters then is the distance from the mix's loudness to its peak. Where it is too large, the stems
   that make the peaks get ceilings, those first that suffer least: nearly always the drums (`PeakModel`).
3. The stems are really limited, summed and measured, and the ceilings are corrected by the measurement, a few
   times at most. Loudness a stem lost to its limiter is given back, within bounds.
4. One last gain for all stems puts the mix at the wanted loudness. Scaling is exact, so what is promised of
   the peak has been measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import BLOCK, Audio, check_audio, check_rate, from_db, to_db
from studio.mix.errors import MixError
from studio.mix.limiter import MAX_CEILING_DB, MIN_CEILING_DB
from studio.mix.loudness import HOPS_PER_BLOCK, SILENCE, LoudnessMeter, gated_loudness
from studio.mix.mixer import MAX_GAIN_DB, MIN_GAIN_DB, Mixer, Placed, Track
from studio.mix.peakmodel import HOP, PeakModel
from studio.mix.stem import PlacedTake, StemLevel, limited_parts
from studio.mix.truepeak import TruePeakMeter

TARGET_LUFS = -14.0
#: No stem and no mix may exceed -1 dBTP. A tenth and a half is kept back for other true-peak meters, whose
#: interpolators differ by about that much.
PEAK_LIMIT_DBTP = -1.15
#: The loudness given up at most (LU) rather than limiting the stems harder.
LOUDNESS_SLACK = 0.35
#: How far a stem may stray from the balance (LU) because of its limiter before its gain is corrected.
BALANCE_SLACK = 1.0
#: The most (dB) given back to a limited stem; more would only be limited away again.
MAX_COMPENSATION_DB = 3.0
#: Corrections tried at most, on the excerpt and again on the whole song.
MAX_PASSES = 3
#: The excerpt of a long song: so many stretches of so many seconds.
EXCERPTS, EXCERPT_S = 6, 4.0
#: Loudness (dB) lost for each dB of crest taken away, as a first guess; drums lose that little.
LOSS_PER_DB = 0.1
#: Stem peaks this far (dB) below the limit need no exact measurement.
PEAK_MARGIN_DB = 3.0
_OFF = float("inf")


@dataclass(frozen=True, slots=True)
class Levels:
    """What the solver found.

    Attributes:
        stems: the static values by role, in the order of the input.
        lufs: integrated loudness of the sum of the stems; minus infinity for silence.
        peak_dbtp: true peak of the sum of the stems.
        stem_peaks_dbtp: true peak of each stem; one far below -1 dBTP is its highest sample instead.
        stem_lufs: each stem's loudness in the mix; minus infinity for silence.
        passes: how often the whole song was rendered.
    """

    stems: Mapping[str, StemLevel]
    lufs: float
    peak_dbtp: float
    stem_peaks_dbtp: Mapping[str, float]
    stem_lufs: Mapping[str, float]
    passes: int


def solve_levels(
    stems: Mapping[str, Sequence[PlacedTake]],
    frames: int,
    rate: int,
    balance: Mapping[str, float],
    target_lufs: float = TARGET_LUFS,
) -> Levels:
    """Find the levels of a song's stems.

    Args:
        stems: the raw takes of each role.
        frames: the song's length; what rings past it does not count.
        rate: Hz.
        balance: wanted loudness of each role in LU relative to the others (only differences matter).
        target_lufs: the wanted loudness of the mix.

    Returns:
        Levels whose mix lies within 0.5 LU of the target and, with every stem, below -1 dBTP. Peaks are
        kept before loudness: a mix that cannot be both stays quieter, and `Levels.lufs` says so. A silent
        stem gets gain 0 dB; a song of silence gets that for all stems.

    Raises:
        MixError: no frames, a role without a balance, a balance or target that is not finite, bad audio.
    """
    _check(stems, frames, rate, balance, target_lufs)
    solver = _Solver(stems, frames, rate, balance)
    if not solver.audible:
        return solver.levels_of_silence()
    best = solver.search(PEAK_LIMIT_DBTP - target_lufs)
    master = min(target_lufs - best.lufs, PEAK_LIMIT_DBTP - best.highest)
    return solver.levels(best, master)


def _check(
    stems: Mapping[str, Sequence[PlacedTake]],
    frames: int,
    rate: int,
    balance: Mapping[str, float],
    target_lufs: float,
) -> None:
    check_rate(rate)
    if frames < 1:
        raise MixError(f"a song lasts at least 1 frame, not {frames}")
    for role, takes in stems.items():
        if not math.isfinite(balance.get(role, math.nan)):
            raise MixError(f"the balance names no finite loudness for {role!r}; give one in LU")
        for take in takes:
            check_audio(take.audio)
    if not math.isfinite(target_lufs):
        raise MixError(f"the loudness of a mix must be finite, not {target_lufs}; -14 LUFS is usual")


@dataclass(slots=True)
class _Pass:
    """One rendering of the balanced mix (before the master gain), measured; levels in dB, ratios as named."""

    gains_db: dict[str, float]
    ceilings_db: dict[str, float]
    limited: set[str] = field(default_factory=set)
    lufs: float = SILENCE
    peak: float = SILENCE
    stem_peaks: dict[str, float] = field(default_factory=dict)
    stem_lufs: dict[str, float] = field(default_factory=dict)

    @property
    def highest(self) -> float:
        """The highest true peak among the mix and the stems."""
        return max([self.peak, *self.stem_peaks.values()])

    @property
    def crest(self) -> float:
        """The distance from the loudness up to the highest peak, in dB."""
        return self.highest - self.lufs


class _Solver:
    def __init__(
        self,
        stems: Mapping[str, Sequence[PlacedTake]],
        frames: int,
        rate: int,
        balance: Mapping[str, float],
    ) -> None:
        self._stems = stems
        self._frames = frames
        self._rate = rate
        self._passes = 0
        self._song = [(start, min(start + BLOCK, frames)) for start in range(0, frames, BLOCK)]
        meters = {role: self._metered(takes) for role, takes in stems.items()}
        self._raw_lufs = {role: meter.integrated() for role, meter in meters.items()}
        self.audible = [role for role, lufs in self._raw_lufs.items() if lufs > SILENCE]
        self._wanted_lufs = {role: balance[role] for role in self.audible}
        self._raw_gains = {role: balance[role] - self._raw_lufs[role] for role in self.audible}
        hops = [meters[role].hop_energies() * 10.0 ** (self._raw_gains[role] / 10.0) for role in self.audible]
        self._estimate = self._estimated_lufs(hops)

    def _metered(self, takes: Sequence[PlacedTake]) -> LoudnessMeter:
        meter = LoudnessMeter(self._rate)
        parts = tuple(Placed(take.audio, take.start) for take in takes)
        for block in Mixer([Track("stem", parts)], self._rate).blocks(self._frames):
            meter.push(block)
        return meter

    def _estimated_lufs(self, hop_energies: Sequence[NDArray[np.float64]]) -> float:
        """The mix's loudness if its stems are unrelated, from their energies."""
        if not hop_energies or len(hop_energies[0]) < HOPS_PER_BLOCK:
            powers = [10.0 ** (lufs / 10.0) for lufs in self._wanted_lufs.values()]
            return 10.0 * math.log10(sum(powers)) if powers else SILENCE
        return gated_loudness(np.sum(hop_energies, axis=0) / round(self._rate / 10))

    def search(self, wanted: float) -> _Pass:
        """Return a pass over the whole song whose crest is at most `wanted` dB, or the nearest found.

        A long song's ceilings are first sought on the few stretches where it peaks.
        """
        model = self._model()
        start = _Pass(dict(self._raw_gains), dict.fromkeys(self.audible, _OFF))
        excerpt = self._excerpt(model)
        if len(excerpt) < len(self._song):
            # The excerpt is louder than the song; its loudness serves to see what limiting costs.
            start.limited = set(self.audible)
            first = self._measure(start, wanted, excerpt)
            offsets = {r: self._wanted_lufs[r] - lufs for r, lufs in first.stem_lufs.items() if lufs > SILENCE}
            found = self._descend(model, first, wanted, excerpt, (self._estimate - first.lufs, offsets))
            start = _Pass(found.gains_db, found.ceilings_db, found.limited)
        measured = self._measure(start, wanted, self._song)
        return self._descend(model, measured, wanted, self._song, (0.0, dict.fromkeys(self.audible, 0.0)))

    def _model(self) -> PeakModel:
        model = PeakModel(self._rate)
        parts = [tuple(Placed(take.audio, take.start) for take in self._stems[role]) for role in self.audible]
        mixers = [Mixer([Track("stem", part)], self._rate) for part in parts]
        gains = [np.float32(from_db(self._raw_gains[role])) for role in self.audible]
        for start, stop in self._song:
            pieces = [mixer.mix(start, stop - start) for mixer in mixers]
            total = pieces[0] * gains[0]
            for piece, gain in zip(pieces[1:], gains[1:], strict=True):
                total += piece * gain
            model.add_block(pieces, total)
        return model

    def _excerpt(self, model: PeakModel) -> list[tuple[int, int]]:
        blocks = max(1, round(EXCERPT_S * self._rate / BLOCK))
        if len(self._song) <= 2 * EXCERPTS * blocks:
            return self._song
        gains = [from_db(self._raw_gains[role]) for role in self.audible]
        spans = model.highest_spans(gains, blocks * BLOCK // HOP, EXCERPTS)
        return [piece for span in spans for piece in self._song[span * blocks : (span + 1) * blocks]]

    def _descend(
        self,
        model: PeakModel,
        first: _Pass,
        wanted: float,
        pieces: Sequence[tuple[int, int]],
        offsets: tuple[float, Mapping[str, float]],
    ) -> _Pass:
        """Lower ceilings from where `first` stands until the crest over `pieces` is at most `wanted` dB.

        `offsets` lead from the loudness of the pieces to that of the whole song: for the mix, and for each
        stem that sounds in the pieces.
        """
        current = best = _shifted(first, *offsets)
        for _ in range(MAX_PASSES):
            if self._fits(current, wanted):
                break
            # Hops outside the pieces may be predicted higher than anything inside them was measured.
            bias = max(0.0, current.highest - to_db(model.predict(*self._amplitudes(current))))
            gains = {role: gain + self._compensation(role, current) for role, gain in current.gains_db.items()}
            top = wanted + current.lufs - bias - _loss_to_come(first, current, wanted)
            amplitudes = [from_db(gain) for gain in gains.values()]
            tops, ceilings = model.tops(amplitudes), model.ceilings(amplitudes, from_db(top))
            laid = {role: to_db(ceiling) for role, ceiling in zip(self.audible, ceilings, strict=True)}
            limited = {role for role, top in zip(self.audible, tops, strict=True) if laid[role] < to_db(top)}
            current = _shifted(self._measure(_Pass(gains, laid, limited), wanted, pieces), *offsets)
            if current.crest >= best.crest and not self._fits(current, wanted):
                # Lower ceilings now cost as much loudness as they take off the peak.
                break
            best = current
        return best

    def _fits(self, measured: _Pass, wanted: float) -> bool:
        if measured.crest > wanted + LOUDNESS_SLACK:
            return False
        return all(self._compensation(role, measured) <= BALANCE_SLACK for role in self.audible)

    def _compensation(self, role: str, measured: _Pass) -> float:
        """The gain (dB) still to be given back to a stem that lost loudness to its limiter."""
        if len(self.audible) == 1 or role not in measured.stem_lufs:
            return 0.0
        given = measured.gains_db[role] - self._raw_gains[role]
        return min(self._wanted_lufs[role] - measured.stem_lufs[role], MAX_COMPENSATION_DB - given)

    def _amplitudes(self, measured: _Pass) -> tuple[list[float], list[float]]:
        gains = [from_db(measured.gains_db[role]) for role in self.audible]
        return gains, [from_db(measured.ceilings_db[role]) for role in self.audible]

    def _measure(self, trial: _Pass, wanted: float, pieces: Sequence[tuple[int, int]]) -> _Pass:
        """Render the pieces of the trial block by block and fill in its measurements."""
        self._passes += len(pieces) == len(self._song)
        mix_meter, mix_peak = LoudnessMeter(self._rate), TruePeakMeter()
        floor = from_db(self._estimate + wanted - PEAK_MARGIN_DB)
        lanes = [_Lane(self._stems[role], self._rate, trial, role, floor) for role in self.audible]
        for start, stop in pieces:
            total = np.zeros((2, stop - start))
            for piece in (lane.render(start, stop - start) for lane in lanes):
                total += piece
            mixed = total.astype(np.float32)
            mix_meter.push(mixed)
            mix_peak.push(mixed)
        trial.lufs, trial.peak = mix_meter.integrated(), to_db(mix_peak.peak())
        for role, lane in zip(self.audible, lanes, strict=True):
            trial.stem_peaks[role] = to_db(lane.peak.peak())
            if lane.meter is not None:
                trial.stem_lufs[role] = lane.meter.integrated()
            elif len(pieces) == len(self._song):
                trial.stem_lufs[role] = self._raw_lufs[role] + trial.gains_db[role]
        return trial

    def levels(self, measured: _Pass, master_db: float) -> Levels:
        """The levels of a measured pass after the master gain."""
        stems = {}
        for role in self._stems:
            if role not in measured.gains_db:
                stems[role] = StemLevel(0.0, PEAK_LIMIT_DBTP)
                continue
            gain = _clamp(measured.gains_db[role] + master_db, MIN_GAIN_DB, MAX_GAIN_DB)
            # A stem that meets no ceiling gets one that only a hotter take of a later rendering would meet.
            top = min(measured.ceilings_db[role] + master_db, -1.0)
            stems[role] = StemLevel(gain, _clamp(top - gain, MIN_CEILING_DB, MAX_CEILING_DB))
        return Levels(
            stems=stems,
            lufs=measured.lufs + master_db,
            peak_dbtp=measured.peak + master_db,
            stem_peaks_dbtp={r: measured.stem_peaks.get(r, SILENCE) + master_db for r in self._stems},
            stem_lufs={r: measured.stem_lufs.get(r, SILENCE) + master_db for r in self._stems},
            passes=self._passes,
        )

    def levels_of_silence(self) -> Levels:
        """The levels of a song in which nothing can be heard."""
        return self.levels(_Pass({}, {}), 0.0)


class _Lane:
    """One stem of a trial: its mixer, and the meters it needs."""

    def __init__(self, takes: Sequence[PlacedTake], rate: int, trial: _Pass, role: str, floor: float) -> None:
        gain = trial.gains_db[role]
        ceiling = trial.ceilings_db[role] - gain
        track = Track(
            role,
            limited_parts(takes, rate, ceiling),
            gain_db=_clamp(gain, MIN_GAIN_DB, MAX_GAIN_DB),
        )
        self._mixer = Mixer([track], rate)
        self.meter = LoudnessMeter(rate) if role in trial.limited else None
        self.peak = TruePeakMeter(floor=floor)

    def render(self, start: int, frames: int) -> Audio:
        piece = self._mixer.mix(start, frames)
        if self.meter is not None:
            self.meter.push(piece)
        self.peak.push(piece)
        return piece


def _loss_to_come(first: _Pass, current: _Pass, wanted: float) -> float:
    """How much loudness (dB) the rest of the way will cost, judged by the way so far."""
    gone, rest = first.crest - current.crest, max(0.0, current.crest - wanted)
    slope = (first.lufs - current.lufs) / gone if gone > 0.0 else LOSS_PER_DB
    return _clamp(slope, LOSS_PER_DB, 1.0) * rest + 0.02


def _shifted(measured: _Pass, mix_offset: float, stem_offsets: Mapping[str, float]) -> _Pass:
    """The pass with its loudness moved from that of an excerpt to that of the song."""
    stems = measured.stem_lufs
    return replace(
        measured,
        lufs=measured.lufs + mix_offset,
        stem_lufs={role: stems[role] + offset for role, offset in stem_offsets.items() if role in stems},
    )


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
