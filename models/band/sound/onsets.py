"""Where a recorded sample begins to be heard, so that notes start exactly on their frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HEAD_SECONDS = 0.25
_CLEAR, _FAINT, _SILENT = 0.1, 0.01, 0.003  # -20, -40 and -50 dB of the head's peak
_RUN_UP_SECONDS = 0.0008


def lead_frames(data: NDArray[np.float32], rate: float, sharp: bool) -> int:
    """Return the frames to leave out at the start of mono `data` (`rate` frames a second as it is played).

    sharp (struck, plucked): up to where it passes -40 dB of its peak, or 0.8 ms before -20 dB where that is
    later, so that hiss or a key's noise before the attack does not count. Otherwise only what lies under
    -50 dB.
    """
    head = np.abs(data[: max(1, int(_HEAD_SECONDS * rate))])
    peak = float(head.max()) if len(head) else 0.0
    if peak <= 0.0:
        return 0
    if not sharp:
        return int(np.argmax(head >= _SILENT * peak))
    clear = int(np.argmax(head >= _CLEAR * peak))
    return max(int(np.argmax(head >= _FAINT * peak)), clear - int(_RUN_UP_SECONDS * rate))
