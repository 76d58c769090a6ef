"""A bar's structure: where in it sounds are likely to begin, in any meter."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from studio.song.meter import Meter

BINS = 48
"""Places looked at in one unit of a bar."""
LEVELS = ("downbeat", "strong", "beat", "half", "quarter", "triplet", "elsewhere")


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

    def levels(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """For each of `units * BINS` places the level (an index of LEVELS) of the nearest metrical position, and how
        near it is: 1 at it, falling to 0 within a sixteenth of a unit (then the level is "elsewhere")."""
        at = np.arange(self.units * BINS) / BINS
        level = np.full(len(at), LEVELS.index("elsewhere"))
        near = np.ones(len(at), np.float32)
        reach = 1.0 / 14
        for position, name in reversed(self._positions()):  # the stronger ones are written last
            distance = np.abs((at - position + self.units / 2) % self.units - self.units / 2)
            inside = distance < reach
            level[inside] = LEVELS.index(name)
            near[inside] = 1.0 - distance[inside] / reach
        return level, near

    def _positions(self) -> list[tuple[float, str]]:
        """Positions in units, the strongest first."""
        beats = [float(start) for start in self.starts]
        middle = self.units / 2 if len(beats) % 2 == 0 and len(beats) > 2 and self.units / 2 in beats else None
        found = [(at, "downbeat" if at == 0 else "strong" if at == middle else "beat") for at in beats]
        ends = [*beats[1:], float(self.units)]
        if self.meter.compound:
            pulses = [start + k / 3 for start in beats for k in (1, 2)]
            return [*found, *((at, "half") for at in pulses), *((at + 1 / 6, "quarter") for at in [*beats, *pulses])]
        if len(set(self.meter.felt_beats())) > 1:  # 7/8: pulses are units
            inner = [float(k) for k in range(self.units) if float(k) not in beats]
            return [*found, *((at, "half") for at in inner), *((k + 0.5, "quarter") for k in range(self.units))]
        for start, end in zip(beats, ends, strict=True):
            length = end - start
            found.append((start + length / 2, "half"))
            found += [(start + length / 4, "quarter"), (start + 3 * length / 4, "quarter")]
            found += [(start + length / 3, "triplet"), (start + 2 * length / 3, "triplet")]
        return sorted(found, key=lambda position: LEVELS.index(position[1]))
