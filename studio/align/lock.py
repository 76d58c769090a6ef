"""Puts a sound on the bars of a grid: hear, fit, move, join, level, and prove it. What every front end calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from studio.align.fit import EARLY_S, Plan, attacks_of, fit
from studio.align.hear import hear
from studio.align.laying import lay
from studio.align.level import Levels, level
from studio.align.prove import prove
from studio.align.report import Report
from studio.align.rows import InMemory, Room
from studio.align.seam import Seamed, assemble
from studio.align.start import without_hiss
from studio.align.values import AlignError, Audio, Cancelled, Heard, Source, Wish
from studio.mix.arrays import MAX_RATE, MIN_RATE
from studio.mix.errors import MixError
from studio.mix.sources import as_source

Say = Callable[[float, str], None]
Cancel = Callable[[], bool]
Step = Callable[[float], None]

HEARD, MOVED, JOINED, LEVELLED = 0.35, 0.65, 0.70, 0.80
"""How much of the work is done behind each stage; the rest is for proving it."""
START_S = 0.005
"""An attack this near to the first frame is spared by the fade there."""


@dataclass(frozen=True)
class Aligned:
    """A sound on its bars. It is read from where it is kept: source and room must stay open as long."""

    sound: Source
    rate: int
    plan: Plan
    heard: Heard
    seams: Seamed
    levels: Levels
    report: Report

    @property
    def frames(self) -> int:
        """Exactly the bars' and, before them, the pickup's."""
        return self.sound.frames

    @property
    def channels(self) -> int:
        """As many as the source has."""
        return self.sound.channels

    @property
    def pickup_frames(self) -> int:
        """How far bar 1 lies behind the first frame."""
        return self.plan.pickup_frames

    def read(self, start: int, frames: int) -> Audio:
        """Frames `start` to `start + frames`, all inside; float32 (channels, frames), not to be written."""
        return self.sound.read(start, frames)


def silent(done: float, words: str) -> None:
    """A `Say` that says nothing."""


def never() -> bool:
    """The `Cancel` of work that cannot be taken back."""
    return False


def lock(
    sound: Source | Audio,
    rate: int,
    wish: Wish,
    *,
    say: Say = silent,
    cancel: Cancel = never,
    room: Room | None = None,
) -> Aligned:
    """Put a sound on the bars that are wished for.

    Args:
        sound: float32, 1 or 2 channels, at the grid's rate; read several times over, in blocks.
        rate: Hz, 8 to 384 kHz.
        say: told how much is done (0..1), and what.
        cancel: asked between blocks.
        room: where sound that was moved waits, and what is heard; None is memory, for which it must be short enough.

    Raises:
        AlignError: a sound that cannot be read or stretched as asked.
        Cancelled: `cancel` said so.
    """
    source = _checked(sound, rate, wish)
    work, room = _Work(say, cancel), room or InMemory()
    heard = hear(_Watched(source, work.stage(0.0, HEARD, "listening")), rate, wish, room)
    heard = replace(heard, onsets=without_hiss(heard.onsets, source, rate))
    plan = fit(heard, source.frames, wish)
    attacks = attacks_of(heard.onsets) * rate
    laid, method = lay(plan, source, rate, attacks, heard.material, room, work.stage(HEARD, MOVED, "moving"))
    seams = assemble(plan, laid, attacks, rate, loop=wish.loop, step=work.stage(MOVED, JOINED, "joining"))
    step = work.stage(JOINED, LEVELLED, "levelling")
    # A file that is as long as its bars was cut as it is wanted.
    as_it_is = method == "none" and plan.frames == source.frames
    at_start = plan.pieces[0].warp.target_at(attacks) + plan.pickup_frames
    struck = bool(((at_start > -EARLY_S * rate) & (at_start < START_S * rate)).any())
    result, levels = level(
        seams.voices, rate, wish.lufs, loop=wish.loop, edges=not as_it_is, attack=struck, step=step
    )  # fmt: skip
    watched = _Watched(result, work.stage(LEVELLED, 1.0, "measuring"))
    report = prove(watched, rate, plan, heard, method, seams, levels, room)
    say(1.0, "measuring")
    return Aligned(result, rate, plan, heard, seams, levels, report)


def _checked(sound: Source | Audio, rate: int, wish: Wish) -> Source:
    try:
        source = as_source(sound)
    except MixError as error:
        raise AlignError(str(error)) from error
    if source.frames < 1:
        raise AlignError("the sound is empty; it needs a frame at least")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AlignError(f"the sound is at {rate} Hz; resample it to a rate from {MIN_RATE} to {MAX_RATE}")
    if rate != wish.grid.rate:
        raise AlignError(f"the sound is at {rate} Hz and the grid at {wish.grid.rate}; resample it first")
    return source


class _Work:
    """Progress over all stages; every step of one is a place to stop."""

    def __init__(self, say: Say, cancel: Cancel) -> None:
        self._say, self._cancel = say, cancel

    def stage(self, begin: float, end: float, words: str) -> Step:
        """What a stage tells how much of it is done, 0..1. It raises Cancelled."""

        def step(done: float) -> None:
            if self._cancel():
                raise Cancelled("cancelled")
            self._say(begin + (end - begin) * min(1.0, done), words)

        return step


class _Watched:
    """A source that is read once and tells how much of it was."""

    def __init__(self, source: Source, step: Step) -> None:
        self.frames, self.channels = source.frames, source.channels
        self._source, self._step, self._read = source, step, 0

    def read(self, start: int, frames: int) -> Audio:
        self._read += frames
        self._step(self._read / self.frames)
        return self._source.read(start, frames)
