"""SoundFont modulators (SF2 2.04, sections 8.2, 8.4 and 9.5), evaluated once, at note-on.

The sampler plays notes without continuous controllers, so every source other than velocity and key number
has a constant value. Of the ten default modulators only velocity to attenuation then does anything;
velocity to filter cutoff (8.4.2) is off, as in FluidSynth, because fonts are balanced on players that leave
it out; a font that wants it says so with a modulator of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ATTENUATION = 48
_FULL_SCALE_CB = 960.0
_VELOCITY = 2
_KEY = 3
_LINK = 127
#: Controllers at rest: volume and expression are left full, pan centred, everything else at zero.
_CC_AT_REST = {7: 127, 10: 64, 11: 127}


@dataclass(frozen=True, slots=True)
class Modulator:
    """One row of PMOD or IMOD. `amount` is in the units of the generator `destination`."""

    source: int
    destination: int
    amount: int
    amount_source: int
    transform: int

    def identity(self) -> tuple[int, int, int, int]:
        """Return what makes two modulators the same one (SF2 2.04, 9.5.1): all but the amount."""
        return (self.source, self.destination, self.amount_source, self.transform)

    def depends_on_velocity(self) -> bool:
        """Tell whether the value changes with velocity."""
        return self.amount != 0 and any(src & 0xFF == _VELOCITY for src in (self.source, self.amount_source))

    def value(self, key: int, velocity: int) -> float:
        """Return what is added to the destination generator for this key and velocity (0..127 each)."""
        if self.amount == 0 or self.source & 0xFF == _LINK or self.amount_source & 0xFF == _LINK:
            return 0.0
        product = source_value(self.source, key, velocity) * self.amount
        if product and self.amount_source:
            product *= source_value(self.amount_source, key, velocity)
        return abs(product) if self.transform == 2 else product


#: SF2 2.04, 8.4.1: note-on velocity to initial attenuation, negative unipolar concave, 960 cB.
VELOCITY_TO_ATTENUATION = Modulator(0x0502, ATTENUATION, 960, 0, 0)


def source_value(source: int, key: int, velocity: int) -> float:
    """Return a modulator source (SF2 2.04, 8.2) as -1..1 (bipolar) or 0..1 (unipolar); no source is 1."""
    index, controller = source & 0x7F, bool(source & 0x80)
    if index == 0 and not controller:
        return 1.0
    if controller:
        raw = _CC_AT_REST.get(index, 0) / 127
    elif index == _VELOCITY:
        raw = velocity / 127
    elif index == _KEY:
        raw = key / 127
    else:
        raw = 0.5 if index == 14 else 0.0  # the pitch wheel rests in the middle; pressure rests at zero
    if source & 0x100:
        raw = 1.0 - raw
    shape = (source >> 10) & 0x3F
    if not source & 0x200:
        return _shaped(raw, shape)
    bipolar = 2.0 * raw - 1.0
    return math.copysign(_shaped(abs(bipolar), shape), bipolar)


def _shaped(x: float, shape: int) -> float:
    """Map 0..1 to 0..1: linear, concave, convex (8.2.3, the -20/96 log(x^2) law) or switch."""
    if shape == 1:
        return 1.0 if x >= 1.0 else min(1.0, -400.0 / _FULL_SCALE_CB * math.log10(1.0 - x))
    if shape == 2:
        return 0.0 if x <= 0.0 else max(0.0, 1.0 + 400.0 / _FULL_SCALE_CB * math.log10(x))
    if shape == 3:
        return 1.0 if x >= 0.5 else 0.0
    return x
