"""Whether a sound repeats with the bars it is said to have, or with those of a tempo in a simple ratio to theirs.

Straight sixteenths that are counted at three quarters of their tempo fall on triplets to the millisecond. Their accents
tell: these come again after four thirds of the supposed bar, and not after a bar.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from studio.align.grid import Grid
from studio.align.values import Floats, Onsets

RATIOS = (Fraction(4, 3), Fraction(3, 2), Fraction(3, 4), Fraction(2, 3))
PLACES = 12
"""Places looked at in a beat: thirds and quarters of it are among them."""
BETTER = 0.04
"""By how much a rival's correlation must be the higher one."""
CONVINCING = 0.6
SHARP = 0.4


def rival(onsets: Onsets, frames: Floats, grid: Grid) -> Fraction | None:
    """How long, in bars, what the accents repeat with is, where that is not one bar or two but one of RATIOS.

    frames: where the onsets lie on the grid. None too where the sound is too short to tell or the meter changes.
    """
    if len(onsets) < PLACES or len(set(grid.meters)) > 1:
        return None
    bar = round(PLACES * grid.meter.bar_beats)
    accents = _accents(onsets, frames, grid)

    def alike(bars: Fraction | int) -> float:
        """The correlation of the accents with themselves so much later; -1 where that is no place or too far off."""
        lag = bars * bar
        return _alike(accents, int(lag)) if lag == int(lag) and len(accents) - lag >= bar else -1.0

    found = []
    for ratio in RATIOS:
        # Two bars are three times two thirds of one: what repeats with the latter does so with the former.
        own = max(alike(bars) for bars in (1, 2) if (bars / ratio).denominator > 1)
        if own > -1.0 and alike(ratio) > max(own + BETTER, CONVINCING):
            found.append((round(alike(ratio), 1), -ratio))
    return -max(found)[1] if found else None


def _accents(onsets: Onsets, frames: Floats, grid: Grid) -> Floats:
    """How strong the onsets are at each place, about their mean, a little blurred: players are not machines."""
    places = np.rint(grid.beat_at(frames) * PLACES).astype(np.intp)
    places -= places.min()
    accents = np.zeros(int(places.max()) + 1)
    np.maximum.at(accents, places, onsets.strength * np.minimum(1.0, onsets.sharpness / SHARP))
    blurred = np.convolve(accents, (0.5, 1.0, 0.5), "same")
    return np.asarray(blurred - blurred.mean())


def _alike(accents: Floats, lag: int) -> float:
    """The correlation of the accents with themselves, `lag` places later."""
    before, after = accents[:-lag], accents[lag:]
    size = float(np.sqrt((before**2).sum() * (after**2).sum()))
    return float((before * after).sum()) / size if size > 0 else 0.0
