"""What bar lock says about a sound: figures, a verdict, and the reason for it.

A report is a plain value; `as_json` is its form on disk and on the command line, with a schema and a version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from studio.align.key import KeyHeard
from studio.align.known import REACH_S, KnownFit
from studio.align.measure import Errors, GridFit
from studio.align.purity import Purity
from studio.align.values import Heard, Material, Pulse

SCHEMA, VERSION = "stemwright/bar-lock", 1

LOCKED_P95_MS = 13.0
"""As measured: attacks are placed to some milliseconds, and beyond 15 ms nothing may be called locked."""
LOCKED_WORST_MS = 12.0
"""The median of the worst stretch: a sound that leaves the grid for a while is not locked."""
LOCKED_DRIFT_MS = 15.0
LEAST_TEMPO_CONFIDENCE = 0.6
LEAST_DOWNBEAT_CONFIDENCE = 0.6
FEWEST_ATTACKS = 8.0
"""Sharp onsets that have to agree, weak ones counting in part."""
KNOWN_CHANCE = 0.01
"""For takes whose notes are known: attacks would be as near to them by chance no more often than this."""


class Verdict(StrEnum):
    LOCKED = "locked"
    """On the grid, and proven to be."""
    LOOSE = "loose"
    """Laid on the grid, but it cannot be proven, or is not so."""
    FREE = "free"
    """There is no pulse that could be on a grid."""


@dataclass(frozen=True)
class Moved:
    """What was done to a sound to bring it to the grid."""

    method: str
    """"none" (not a sample was changed by it), "shift", or the way it was stretched."""
    shift_ms: float = 0.0
    """How far its downbeat was moved, later where positive."""
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Least, most and mean ratio of length: 1.02 is 2 % longer, so slower."""
    pickup_beats: Fraction = Fraction(0)
    """What lies before bar 1."""
    bars: int = 0
    """How many bars came out, and `own_bars` how many of them the sound has itself."""
    own_bars: int = 0


@dataclass(frozen=True)
class Level:
    """How loud a result is."""

    lufs: float
    """Minus infinity for silence."""
    true_peak_dbtp: float | None = None
    dc: float | None = None
    """The largest mean of a channel, full scale 1."""


@dataclass(frozen=True)
class Report:
    """All that was found out about a sound and its place on the grid. What was not looked at is None."""

    verdict: Verdict
    reason: str
    target_bpm: float
    meter: str
    heard: Heard | None = None
    before: Errors | None = None
    after: GridFit | None = None
    known: KnownFit | None = None
    moved: Moved | None = None
    seam: float | None = None
    """How much the loop's join stands out against the clip's own distribution: below 1 it does not."""
    level: Level | None = None
    key: KeyHeard | None = None
    purity: Purity | None = None
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON values; fields that are None are left out, levels of silence are null."""
        parts: dict[str, Any] = {
            "schema": SCHEMA, "version": VERSION, "verdict": self.verdict.value, "reason": self.reason,
            "target_bpm": _rounded(self.target_bpm), "meter": self.meter,
        }  # fmt: skip
        if self.heard is not None:
            parts |= _heard(self.heard)
        parts["before"] = _errors(self.before)
        if self.after is not None:
            parts |= _grid(self.after)
        if self.known is not None:
            parts |= _known(self.known)
        if self.moved is not None:
            parts["moved"] = _moved(self.moved)
        parts["seam_score"] = None if self.seam is None else _rounded(self.seam)
        parts = {name: value for name, value in parts.items() if value is not None}
        if self.level is not None:
            parts["lufs"] = _rounded(self.level.lufs, 2)
            if self.level.true_peak_dbtp is not None:
                parts["true_peak_dbtp"] = _rounded(self.level.true_peak_dbtp, 2)
            if self.level.dc is not None:
                parts["dc"] = _rounded(self.level.dc, 6)
        if self.key is not None:
            parts["key"] = self.key.as_json()
        if self.purity is not None:
            parts["purity"] = self.purity.as_json()
        if self.warnings:
            parts["warnings"] = list(self.warnings)
        return parts

    def words(self) -> str:
        """One line for people: the verdict, why, and what happened to the tempo."""
        if self.heard is None or self.heard.bpm is None:
            return f"{self.verdict}: {self.reason}"
        was, now = f"{self.heard.bpm:.4g}", f"{self.target_bpm:.4g}"
        tempo = f"{now} BPM as it was" if was == now else f"{was} -> {now} BPM"
        return f"{self.verdict}: {self.reason}; {tempo}"


def judge(heard: Heard, after: GridFit) -> tuple[Verdict, str]:
    """The verdict on a sound that was put on the grid, and the reason in one plain sentence.

    `locked` is a claim: it is made only where nothing speaks against it.
    """
    if heard.pulse is Pulse.NONE or heard.beat_map is None:
        nothing = not len(heard.onsets)
        return Verdict.FREE, "no attacks were heard" if nothing else "no steady pulse was heard"
    errors = after.errors
    if errors is None or after.attacks < FEWEST_ATTACKS:
        return Verdict.LOOSE, _too_few(heard, after)
    if heard.tempo_confidence < LEAST_TEMPO_CONFIDENCE:
        return Verdict.LOOSE, f"the tempo is uncertain (confidence {heard.tempo_confidence:.2f}); name the felt tempo"
    if heard.downbeat_confidence < LEAST_DOWNBEAT_CONFIDENCE:
        return Verdict.LOOSE, f"where bar 1 begins is uncertain (confidence {heard.downbeat_confidence:.2f})"
    if after.rival is not None:
        return (
            Verdict.LOOSE,
            f"its accents come again after {after.rival} of a bar, not after one: its tempo is another",
        )
    if not after.clear:
        return Verdict.LOOSE, f"its {errors.count} onsets follow no grid more closely than chance would"
    if errors.p95_ms > LOCKED_P95_MS:
        return Verdict.LOOSE, f"one onset in twenty is {errors.p95_ms:.0f} ms or more off the {after.step} grid"
    if after.worst_ms > LOCKED_WORST_MS:
        return Verdict.LOOSE, f"it leaves the {after.step} grid by {after.worst_ms:.0f} ms for a while"
    if abs(after.drift_ms) > LOCKED_DRIFT_MS:
        return Verdict.LOOSE, f"it still drifts by {abs(after.drift_ms):.0f} ms from its start to its end"
    return Verdict.LOCKED, f"{_within(errors, 'onset')} of the {after.step} grid"


def judge_known(known: KnownFit) -> tuple[Verdict, str]:
    """The verdict on a take whose notes are known."""
    errors = known.errors
    if errors is None:
        return Verdict.LOOSE, "no attack stands out enough to be measured"
    if errors.p95_ms <= LOCKED_P95_MS and _by_chance(errors) <= KNOWN_CHANCE:
        return Verdict.LOCKED, f"{_within(errors, 'attack')} of its notes"
    return Verdict.LOOSE, f"too few attacks stand out to prove it ({errors.count} of {known.notes})"


def _by_chance(errors: Errors) -> float:
    """How likely as many attacks, each anywhere within REACH_S of its note, would be as near to them: half of them, or
    all, whichever says more."""
    count, half = errors.count, (errors.count + 1) // 2
    middle, furthest = (min(1.0, value / (1000.0 * REACH_S)) for value in (errors.median_ms, errors.max_ms))
    as_half = sum(math.comb(count, k) * middle**k * (1.0 - middle) ** (count - k) for k in range(half, count + 1))
    return 2.0 * min(as_half, furthest**count)


def _too_few(heard: Heard, after: GridFit) -> str:
    found = f"{after.attacks:.0f} of {FEWEST_ATTACKS:.0f}"
    if heard.material is Material.SUSTAINED:
        return f"its sounds swell: too few sharp attacks to prove it ({found})"
    return f"too few attacks to prove it ({found})"


def _within(errors: Errors, what: str) -> str:
    many = f"{errors.count} {what}{'s' if errors.count != 1 else ''}"
    if errors.count < 3:
        return f"{many} within {errors.max_ms:.1f} ms"
    return f"{many} within {errors.median_ms:.1f} ms (median) and {errors.p95_ms:.1f} ms (p95)"


def relation(bpm: float, felt_bpm: float) -> str:
    """How many beats of the grid make one felt beat: "x1", "x2", "/2", "x3", "3:2" ..."""
    ratio = Fraction(bpm / felt_bpm).limit_denominator(4)
    if ratio.denominator == 1:
        return f"x{ratio.numerator}"
    return f"/{ratio.denominator}" if ratio.numerator == 1 else f"{ratio.numerator}:{ratio.denominator}"


# -- JSON ------------------------------------------------------------------------------------------------------


def _rounded(value: float, digits: int = 3) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _errors(errors: Errors | None) -> Mapping[str, Any] | None:
    if errors is None:
        return None
    return {
        "onsets": errors.count, "median_ms": _rounded(errors.median_ms), "p95_ms": _rounded(errors.p95_ms),
        "max_ms": _rounded(errors.max_ms),
    }  # fmt: skip


def _heard(heard: Heard) -> dict[str, Any]:
    known = heard.bpm is not None and heard.felt_bpm is not None
    downbeat = None if heard.beat_map is None else float(heard.beat_map.seconds_at(0.0))
    return {
        "tempo": {
            "bpm": None if heard.bpm is None else _rounded(heard.bpm),
            "felt_bpm": None if heard.felt_bpm is None else _rounded(heard.felt_bpm),
            "relation": relation(heard.bpm, heard.felt_bpm) if known else None,  # type: ignore[arg-type]
            "confidence": _rounded(heard.tempo_confidence),
        },
        "downbeat": {
            "seconds": None if downbeat is None else _rounded(downbeat, 6),
            "confidence": _rounded(heard.downbeat_confidence),
        },
        "pulse": heard.pulse.value, "material": heard.material.value,
    }  # fmt: skip


def _grid(fit: GridFit) -> dict[str, Any]:
    return {
        "after": _errors(fit.errors),
        "grid": {
            "step": None if fit.step is None else fit.step.name,
            "swing": None if fit.step is None else fit.step.swing,
            "evidence": _rounded(fit.evidence, 1), "attacks": _rounded(fit.attacks, 1),
            "rival": None if fit.rival is None else str(fit.rival),
        },
        "bias_ms": _rounded(fit.bias_ms), "drift_ms": _rounded(fit.drift_ms), "worst_ms": _rounded(fit.worst_ms),
    }  # fmt: skip


def _known(known: KnownFit) -> dict[str, Any]:
    return {
        "after": _errors(known.errors), "notes": known.notes, "masked": known.masked,
        "bias_ms": _rounded(known.bias_ms), "drift_ms": _rounded(known.drift_ms),
    }  # fmt: skip


def _moved(moved: Moved) -> dict[str, Any]:
    least, most, mean = moved.stretch
    return {
        "method": moved.method, "shift_ms": _rounded(moved.shift_ms),
        "stretch": {"min": _rounded(least, 6), "max": _rounded(most, 6), "mean": _rounded(mean, 6)},
        "pickup_beats": str(moved.pickup_beats), "bars": moved.bars, "own_bars": moved.own_bars,
    }  # fmt: skip
