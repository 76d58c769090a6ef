"""From a take to a clip: what happens to the sound that rings past the cell's last frame.

`wrap`  the clip is a loop: the tail is added to its own start, so the last sample leads on into the first.
`ring`  the clip stands in an arrangement: the tail is kept behind the clip's frames until it is inaudible.
`cut`   the tail is dropped behind a short fade.

`ring` and `cut` begin and end at exactly zero. Onsets never move.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio.mix.arrays import Audio, blocks, check_audio, check_rate, from_db
from studio.mix.errors import MixError

TailMode = Literal["wrap", "ring", "cut"]
TAIL_MODES: tuple[TailMode, ...] = ("wrap", "ring", "cut")

#: Below this a ringing tail counts as over (dBFS).
INAUDIBLE_DB = -80.0
#: A clip whose first sample lies below this (dBFS) starts without a step and is not faded in.
QUIET_START_DB = -80.0
FADE_IN_FRAMES = 32
FADE_OUT_S = 0.008


def clip_from_take(take: Audio, frames: int, mode: TailMode, rate: int) -> Audio:
    """Put a take on the grid: float32 (channels, n) of exactly `frames` for `wrap` and `cut`, at least that for `ring`.

    Args:
        take: float32 (1 or 2 channels, n), starting at the cell's first frame; `n` may be smaller than
            `frames` (silence follows) or larger (a tail).
        frames: the cell's exact length, at least 1.
        mode: see the module's text.
        rate: Hz.

    Raises:
        MixError: no frames, an unknown mode, audio of another shape or type.
    """
    check_audio(take)
    check_rate(rate)
    if frames < 1:
        raise MixError(f"a clip lasts at least 1 frame, not {frames}")
    if mode == "wrap":
        return _wrap(take, frames)
    if mode == "ring":
        return _ring(take, frames, rate)
    if mode == "cut":
        return _cut(take, frames, rate)
    raise MixError(f"tails can be {', '.join(TAIL_MODES)}, not {mode!r}")


def _fitted(take: Audio, frames: int) -> Audio:
    """A copy of the take's first `frames`, silence appended where it is shorter."""
    if take.shape[1] >= frames:
        return take[:, :frames].copy()
    out = np.zeros((take.shape[0], frames), dtype=np.float32)
    out[:, : take.shape[1]] = take
    return out


def _settled(take: Audio) -> Audio:
    """The take, led to zero within its last 64 frames where it stops sounding in the middle of a swing."""
    frames = min(2 * FADE_IN_FRAMES, take.shape[1])
    if not frames or float(np.abs(take[:, -1]).max()) <= from_db(QUIET_START_DB):
        return take
    out = take.copy()
    out[:, -frames:] *= _fade_out(frames)
    return out


def _wrap(take: Audio, frames: int) -> Audio:
    # A take that fills the clip exactly is a loop already; any other one stops sounding somewhere inside it.
    source = take if take.shape[1] == frames else _settled(take)
    out = _fitted(source, frames)
    for start in range(frames, source.shape[1], frames):
        piece = source[:, start : start + frames]
        out[:, : piece.shape[1]] += piece
    return out


def _ring(take: Audio, frames: int, rate: int) -> Audio:
    fade = _fade_frames(rate)
    end = max(frames, min(_last_audible(take) + 1 + fade, take.shape[1]))
    return _faded(take, end, fade)


def _cut(take: Audio, frames: int, rate: int) -> Audio:
    return _faded(take, frames, _fade_frames(rate))


def _faded(take: Audio, frames: int, fade: int) -> Audio:
    """The take's first `frames`, starting and ending at zero."""
    out = _fitted(_settled(take) if take.shape[1] < frames else take, frames)
    _soften_start(out)
    fade = min(fade, frames)
    out[:, frames - fade :] *= _fade_out(fade)
    return out


def _fade_frames(rate: int) -> int:
    return max(2, round(FADE_OUT_S * rate))


def _fade_out(frames: int) -> NDArray[np.float32]:
    """A half cosine from (nearly) 1 to exactly 0, flat at both ends."""
    steps = np.arange(1, frames + 1) / frames
    fade = (0.5 + 0.5 * np.cos(math.pi * steps)).astype(np.float32)
    fade[-1:] = 0.0
    return fade


def _soften_start(audio: Audio) -> None:
    """Lead a first sample that is not quiet in from zero, in place, within 32 frames (0.7 ms at 48 kHz)."""
    if float(np.abs(audio[:, 0]).max()) > from_db(QUIET_START_DB):
        # All of a very short clip may lie within the fade; leave its last frame to the fade-out.
        frames = min(FADE_IN_FRAMES, audio.shape[1])
        ramp = 0.5 - 0.5 * np.cos(math.pi * np.arange(frames) / frames)
        audio[:, :frames] *= ramp.astype(np.float32)
    audio[:, 0] = 0.0


def _last_audible(take: Audio) -> int:
    """The last frame at or above the inaudible level, -1 if there is none."""
    threshold = from_db(INAUDIBLE_DB)
    for start, stop in reversed(list(blocks(take.shape[1]))):
        loud = np.flatnonzero(np.abs(take[:, start:stop]).max(axis=0) >= threshold)
        if len(loud):
            return start + int(loud[-1])
    return -1
