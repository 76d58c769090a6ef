"""A bar's structure, in any meter."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from studio.song.meter import Meter

BINS = 48
"""Places looked at in one unit of a bar."""


@dataclass(frozen=True)
class BarShape:
    """A bar as equal units, at whose ends the tempo may change."""

    meter: Meter
    unit: Fraction
    """Quarter-note beats of a unit."""
    units: int

    @classmethod
    def of(cls, meter: Meter) -> BarShape:
        """Felt beats as units where they are alike (also the dotted ones of 6/8), else pulses."""
        felt = meter.felt_beats()
        if len(set(felt)) == 1:
            return cls(meter, felt[0], len(felt))
        return cls(meter, Fraction(4, meter.unit), meter.pulses)

    @property
    def beats(self) -> Fraction:
        """The bar in quarter notes."""
        return self.unit * self.units

    @property
    def divisions(self) -> int:
        """Places in a unit at which a bar may turn out to begin: sixteenths, or the pulses of 6/8."""
        return 4 if self.simple else 3 if self.meter.compound else 2

    @property
    def simple(self) -> bool:
        """Whether beats are alike and halved."""
        return not self.meter.compound and len(set(self.meter.felt_beats())) == 1
