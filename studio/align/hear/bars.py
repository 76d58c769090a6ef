"""A bar's structure: where in it sounds are likely to begin, in any meter."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from studio.song.meter import Meter

BINS = 48
"""Places looked at in one unit of a bar."""
LEVELS = ("downbeat", "strong", "beat", "half", "quarter", "elsewhere")
SWINGS = (0.5, 0.58, 2 / 3)
"""Where the second half of a felt beat begins: straight, swung, as a triplet."""


@dataclass(frozen=True)
class BarShape:
    """A bar as equal units, at whose ends the tempo may change."""

    meter: Meter
    unit: Fraction
    """Quarter-note beats of a unit."""
    units: int
    starts: tuple[int, ...]
    """The units with which felt beats begin."""

    @classmethod
    def of(cls, meter: Meter) -> BarShape:
        """Felt beats as units where they are alike (also the dotted ones of 6/8), else pulses."""
        felt = meter.felt_beats()
        if len(set(felt)) == 1:
            return cls(meter, felt[0], len(felt), tuple(range(len(felt))))
        unit = Fraction(4, meter.unit)
        starts = [int(sum(felt[:k]) / unit) for k in range(len(felt))]
        return cls(meter, unit, meter.pulses, tuple(starts))

    @property
    def beats(self) -> Fraction:
        """The bar in quarter notes."""
        return self.unit * self.units

    def levels(self, swing: float, reach: float) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """For each of `units * BINS` places the level (an index of LEVELS) of the metrical position near it, and how
        near it is: 1 at it, falling to 0 within `reach` units (then the level is "elsewhere").

        swing: where the second half of a felt beat begins; meters felt in threes or unequal beats have none.
        """
        at = np.arange(self.units * BINS) / BINS
        level = np.full(len(at), LEVELS.index("elsewhere"))
        near = np.ones(len(at), np.float32)
        for position, name in reversed(self._positions(swing)):  # at the same distance the stronger one counts
            distance = np.abs((at - position + self.units / 2) % self.units - self.units / 2)
            closeness = 1.0 - distance / reach
            inside = (closeness > 0.0) & ((level == LEVELS.index("elsewhere")) | (closeness >= near))
            level[inside] = LEVELS.index(name)
            near[inside] = closeness[inside]
        return level, near

    @property
    def divisions(self) -> int:
        """Places in a unit at which a bar may turn out to begin: sixteenths, or the pulses of 6/8."""
        return 4 if self.simple else 3 if self.meter.compound else 2

    @property
    def swings(self) -> tuple[float, ...]:
        """The swings that the bar can have."""
        return SWINGS if self.simple else SWINGS[:1]

    @property
    def simple(self) -> bool:
        """Whether beats are alike and halved."""
        return not self.meter.compound and len(set(self.meter.felt_beats())) == 1

    def _positions(self, swing: float) -> list[tuple[float, str]]:
        """Positions in units, the strongest first."""
        beats = [float(start) for start in self.starts]
        middle = self.units / 2 if len(beats) % 2 == 0 and len(beats) > 2 and self.units / 2 in beats else None
        found = [(at, "downbeat" if at == 0 else "strong" if at == middle else "beat") for at in beats]
        if self.meter.compound:
            pulses = [start + k / 3 for start in beats for k in (1, 2)]
            return [*found, *((at, "half") for at in pulses), *((at + 1 / 6, "quarter") for at in [*beats, *pulses])]
        if not self.simple:  # 7/8: pulses are units
            inner = [float(k) for k in range(self.units) if float(k) not in beats]
            return [*found, *((at, "half") for at in inner), *((k + 0.5, "quarter") for k in range(self.units))]
        for start in beats:
            found.append((start + swing, "half"))
            found += [(start + swing / 2, "quarter"), (start + (1 + swing) / 2, "quarter")]
        return sorted(found, key=lambda position: LEVELS.index(position[1]))
