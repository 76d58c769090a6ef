"""Where sections lie, worked out from the options alone: fractions for beats, 50 decimal digits for ramps."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction


def section_frames(
    sections: str, meter: str, tempo: str, rate: int, pickup: Fraction = Fraction(0)
) -> list[tuple[str, int, str, int, int, int]]:
    """(kind, bars, meter, start bar, first frame, frames) of every section of `--sections`.

    A section in a meter of its own keeps it to its end; a ramp runs to the next point or the song's end.
    """
    rows: list[tuple[str, int, str]] = []
    for word in sections.split():
        kind, _, rest = word.partition(":")
        bars, _, own = rest.partition("@")
        rows.append((kind, int(bars), own or meter))
    lines = [pickup]  # the bar lines in beats
    firsts = []
    for _, bars, own in rows:
        firsts.append(len(lines))
        pulses, unit = map(int, own.split("/"))
        lines += [lines[-1] + Fraction(4 * pulses, unit) * (k + 1) for k in range(bars)]
    bounds = [Fraction(0), *(lines[first - 1] for first in firsts[1:]), lines[-1]]
    frames = [_frame(beat, lines, tempo, rate) for beat in bounds]
    return [
        (kind, bars, own, first, frames[k], frames[k + 1] - frames[k])
        for k, ((kind, bars, own), first) in enumerate(zip(rows, firsts, strict=True))
    ]


def _frame(beat: Fraction, lines: list[Fraction], tempo: str, rate: int) -> int:
    """The nearest frame, halves up."""
    return (_seconds(beat, lines, tempo) * rate + Fraction(1, 2)).__floor__()


def _seconds(beat: Fraction, lines: list[Fraction], tempo: str) -> Fraction:
    points = []
    for word in tempo.split():
        bar, _, speed = word.partition("=")
        low, _, high = speed.partition("..")
        points.append((lines[int(bar) - 1], Fraction(low), Fraction(high or low)))
    total = 60 * min(beat, points[0][0]) / points[0][1]  # a pickup
    for k, (start, begin, goal) in enumerate(points):
        end = points[k + 1][0] if k + 1 < len(points) else lines[-1]
        inside = max(min(beat, end) - start, Fraction(0))
        if begin == goal:
            total += 60 * inside / begin
        else:
            slope = (goal - begin) / (end - start)
            total += 60 / slope * _ln(1 + slope * inside / begin)
    return total


def _ln(value: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 50
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).ln())
