"""Which of a sound's beats go on which of the grid's: whole bars, one beat after the other, repeated or trimmed at bar
lines, each repeat with its own way through the grid's tempo."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from studio.align.grid import Grid
from studio.align.measure import SHARP
from studio.align.values import BeatMap, Floats, Heard, Material, Onsets, Warp, Wish

ATTACK = 0.1
"""Onsets of less strength are no events of their own."""
EARLY_S = 0.035
"""An attack that comes this little before a bar line is meant for it."""
EDGE = 0.4
"""Sharpness from which what a file begins with is an attack, and not the midst of something."""
CLEAR, CLEAR_BEYOND_PHRASE, PHRASE = 0.15, 0.5, 4
"""A last bar has an attack this clear beside those of other bars, most of all one that follows a phrase."""
BLURRED = 0.1
"""How clear an onset without any sharpness is, beside a sharp one."""
SLACK = Fraction(1, 8)
"""Of a bar: what may be missing at the end of a whole one, and what may follow the last without being another."""
CUT_TO_LENGTH = 1 / 32
"""Beats: a file that ends this near to a bar line was cut there on purpose."""
AT_ONCE_S = 0.010
"""A sound without a pulse that begins earlier in its file stays where it is."""
TOLERANCE_S = 0.0002
"""How far a warp's straight lines may lie from the grid's curve."""
CURVE_BEATS = 1 / 16
"""How finely the grid's tempo is followed where it changes."""
RUN_OUT_BEATS = 4.0
"""How far a warp goes on beyond its piece, for joins and for what rings."""


@dataclass(frozen=True)
class Piece:
    """Bars of the sound on bars of the grid. Frames count from the downbeat of the grid's bar 1."""

    warp: Warp
    start: int
    stop: int
    lead: int
    """Frames from the first attack of its pickup to `start`."""
    ring: int
    """Frames after `stop` in which the sound's own last bar may ring on and nothing new begins."""


@dataclass(frozen=True)
class Plan:
    """What becomes of a sound."""

    grid: Grid
    """Exactly the bars that come out."""
    pieces: tuple[Piece, ...]
    """In order; each starts where the one before stops."""
    own_bars: int
    """How many whole bars the sound has."""
    pickup_beats: Fraction
    """How many whole beats the result begins before bar 1 (at most a bar), in a loop 0."""
    pickup_frames: int

    @property
    def frames(self) -> int:
        """The length of the result, its pickup included."""
        return self.pickup_frames + self.grid.frames


def fit(heard: Heard, frames: int, wish: Wish) -> Plan:
    """Lay what was heard in a sound of `frames` frames, at the grid's rate, on the grid that is wished for.

    A wish with `fill` gets exactly the grid's bars, repeated or trimmed. Without it the bars are the sound's own, and
    the grid's last meter goes on for as long as they need.
    """
    rate = wish.grid.rate
    if heard.beat_map is None:
        return _fit_free(heard, frames, wish)
    grid = _lengthened(wish.grid, float(heard.beat_map.beats_at(frames / rate)))
    own = _whole_bars(heard, heard.beat_map, frames / rate, grid, wish.grid.bars if wish.fill else None)
    asked = replace(grid, meters=grid.meters[: wish.grid.bars if wish.fill else own])
    pickup, begin = _pickup(heard, heard.beat_map, asked)
    attacks = attacks_of(heard.onsets) * rate
    pieces = []
    for start, stop in _passes(asked, grid.bar_starts[own]):
        warp = compose(heard.beat_map, asked, start, stop)
        first, last = asked.exact_frame(start), asked.exact_frame(stop)
        whole = stop - start == grid.bar_starts[own]
        ring = _ring(warp, last, attacks, heard.last_sound * rate, rate) if whole else 0
        lead = first - math.floor(warp.target_at(begin * rate)) if pickup else 0
        pieces.append(Piece(warp, first, last, max(0, lead), ring))
    before = Fraction(0) if wish.loop else pickup
    return Plan(asked, tuple(pieces), own, before, -asked.exact_frame(-before))


def _lengthened(grid: Grid, beats: float) -> Grid:
    """The grid with more bars like its last, two of them at least beyond `beats`."""
    missing = beats - float(grid.beats)
    more = max(0, math.ceil(missing / float(grid.meters[-1].bar_beats))) + 2
    return replace(grid, meters=grid.meters + (grid.meters[-1],) * more)


def attacks_of(onsets: Onsets) -> Floats:
    """Seconds at which something begins; a file that begins in the midst of something soft is no attack."""
    return onsets.seconds[(onsets.strength >= ATTACK) & ((onsets.seconds >= EARLY_S) | (onsets.sharpness >= EDGE))]


def _whole_bars(heard: Heard, beat_map: BeatMap, seconds: float, grid: Grid, asked: int | None) -> int:
    """How many whole bars a sound has from beat 0 on, 1 at least. What only rings is no bar.

    asked: a number of bars that is taken wherever the sound leaves it open.
    """
    lines = np.array([float(start) for start in grid.bar_starts])
    slack = np.diff(lines) * float(SLACK)
    file_end = float(beat_map.beats_at(seconds))
    sound_end = min(file_end, float(beat_map.beats_at(heard.last_sound)))
    reached = int(np.searchsorted(lines[1:] - slack, file_end, side="right"))
    sounding = int(np.searchsorted(lines[1:] - slack, sound_end, side="right"))
    bar, within = _clear_attacks(heard.onsets, beat_map, lines)
    if not len(bar):
        return max(1, sounding if asked is None or not sounding <= asked <= reached else asked)
    last = int(bar[-1])
    count = last + 1
    if count > reached and not _complete(bar, within, file_end - float(lines[last])):
        count = last
    else:
        # A chord may be held for several bars: as long as those before it, where the sound goes on for so long.
        used = np.unique(bar)
        held = last + (int(np.median(np.diff(used))) if len(used) > 1 else len(lines))
        count = max(count, min(held, sounding))
    if asked is not None and count < asked <= reached:
        count = asked
    nearest = int(np.abs(lines - file_end).argmin())
    begins = abs(float(beat_map.beats_at(0.0)))
    if max(abs(float(lines[nearest]) - file_end), begins) <= CUT_TO_LENGTH:
        count = max(count, nearest)
    return max(1, count)


def _clear_attacks(onsets: Onsets, beat_map: BeatMap, lines: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The bar of each attack from bar 1 on, from 0, and how many beats into it; up to the last bar that has one which
    is clear beside those of the others: what rings and what hisses has little rises too."""
    chosen = onsets.strength >= ATTACK
    times = onsets.seconds[chosen]
    bar = np.searchsorted(lines, beat_map.beats_at(times + EARLY_S), side="right") - 1
    inside = (bar >= 0) & (bar < len(lines) - 1)
    bar, times = bar[inside], times[inside]
    clear = _clarity(onsets)[chosen][inside]
    within = beat_map.beats_at(times) - lines[bar]
    if not len(bar):
        return bar, within
    highest = np.zeros(int(bar[-1]) + 1)
    np.maximum.at(highest, bar, clear)
    usual = float(np.median(highest[highest > 0]))
    last = len(highest) - 1
    while last > 0 and highest[last] < (CLEAR_BEYOND_PHRASE if last % PHRASE == 0 else CLEAR) * usual:
        last -= 1
    return bar[bar <= last], within[bar <= last]


def _clarity(onsets: Onsets) -> Floats:
    return np.asarray(onsets.strength * (BLURRED + (1.0 - BLURRED) * np.minimum(1.0, onsets.sharpness / SHARP)))


def _complete(bar: NDArray[np.intp], within: Floats, length: float) -> bool:
    """Whether a last bar of `length` beats lacks nothing that the others have: few of them have a later attack."""
    last = int(bar[-1])
    others = np.unique(bar[bar < last])
    if not len(others) or length < 0.5 * float(within[bar < last].max()):
        return False
    later = np.unique(bar[(bar < last) & (within > length - CUT_TO_LENGTH)])
    return len(later) < 0.25 * len(others)


def _pickup(heard: Heard, beat_map: BeatMap, grid: Grid) -> tuple[Fraction, float]:
    """Beats before bar 1 that the sound begins, rounded up to whole ones, a bar at most; and when, in seconds."""
    zero = float(beat_map.seconds_at(0.0))
    clear = _clarity(heard.onsets)
    usual = float(np.median(clear[clear >= ATTACK])) if (clear >= ATTACK).any() else 0.0
    times = heard.onsets.seconds[(heard.onsets.strength >= ATTACK) & (clear >= CLEAR * usual)]
    bar = grid.meter.bar_beats
    times = times[(times < zero - EARLY_S) & (times > float(beat_map.seconds_at(-float(bar))) - EARLY_S)]
    if not len(times):
        return Fraction(0), zero
    return min(Fraction(math.ceil(-float(beat_map.beats_at(times[0] + EARLY_S)))), bar), float(times[0])


def _passes(grid: Grid, own: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Where `own` beats of sound begin and end on the grid, over and over, each stop being a bar line where one is
    within reach."""
    passes = []
    at = Fraction(0)
    while at < grid.beats:
        lines = [line for line in grid.bar_starts if at < line <= at + own]
        stop = lines[-1] if lines else min(at + own, grid.beats)
        passes.append((at, stop))
        at = stop
    return passes


def _ring(warp: Warp, stop: int, attacks: Floats, last_sound: float, rate: int) -> int:
    """Frames from `stop` on until the sound has died away or something begins; 0 if that is at once."""
    end = float(warp.target_at(last_sound))
    at = warp.target_at(attacks)
    after = at[at > stop - EARLY_S * rate]
    if len(after):
        end = min(end, float(after[0]) - EARLY_S * rate)
    return max(0, math.ceil(end) - stop)


# -- warps -------------------------------------------------------------------------------------------------------


def shift(frames: int) -> Warp:
    """The warp that puts source frame 0 on target frame `frames` and changes nothing else."""
    return Warp(np.array([0.0, 1.0]), np.array([0.0, 1.0]) + frames)


def compose(beat_map: BeatMap, grid: Grid, start: Fraction, stop: Fraction) -> Warp:
    """The way of a sound whose beat 0 is put on the grid's beat `start`, up to `stop`.

    Where the sound's beats lie as far apart as the grid's it is a shift by whole frames, where they do so by one
    factor it has two knots, else as many as it needs to stay within TOLERANCE_S of the grid's tempo.
    """
    low, high = -float(grid.meter.bar_beats) - RUN_OUT_BEATS, float(stop - start) + RUN_OUT_BEATS
    own = beat_map.beats
    near = own[max(0, np.searchsorted(own, low) - 1) : np.searchsorted(own, high) + 1]
    changes = np.array([float(segment.start - grid.start - start) for segment in grid.tempo.segments[1:]])
    steady = not np.any((changes > low) & (changes < high)) and _steady(grid, start, low)
    if len(near) > 1 and (steady or np.diff(near).max() <= 2.0):
        distance = grid.frame_at(near + float(start)) - beat_map.seconds_at(near) * grid.rate
        if np.ptp(distance) < 0.5:
            return shift(math.floor(float(np.median(distance)) + 0.5))
    beats = np.concatenate((own, [low, high]))
    if not steady:
        beats = np.concatenate((beats, changes, np.arange(low, high, CURVE_BEATS)))
    beats = np.unique(beats[(beats >= low) & (beats <= high)])
    source = beat_map.seconds_at(beats) * grid.rate
    target = grid.frame_at(beats + float(start))
    kept = _thinned(source, target, TOLERANCE_S * grid.rate)
    return Warp(source[kept], target[kept])


def _steady(grid: Grid, start: Fraction, low: float) -> bool:
    """Whether the tempo stands still in the segment that holds a position."""
    at = grid.start + start + Fraction(low)
    segment = [part for part in grid.tempo.segments if part.start <= max(at, Fraction(0))][-1]
    past = segment is grid.tempo.segments[-1] and at >= segment.start + segment.beats
    return past or segment.bpm == segment.bpm_end


def _thinned(x: Floats, y: Floats, tolerance: float) -> NDArray[np.intp]:
    """The points whose straight lines stay within `tolerance` of all others in y (Ramer 1972; Douglas, Peucker 1973),
    and those between which y rises evenly only by chance left out."""
    kept = {0, len(x) - 1}
    spans = [(0, len(x) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        inside = slice(first + 1, last)
        line = y[first] + (x[inside] - x[first]) * ((y[last] - y[first]) / (x[last] - x[first]))
        off = np.abs(y[inside] - line)
        worst = int(off.argmax())
        if off[worst] > tolerance:
            kept.add(first + 1 + worst)
            spans += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return np.array(sorted(kept), np.intp)


# -- sounds without a pulse --------------------------------------------------------------------------------------


def _fit_free(heard: Heard, frames: int, wish: Wish) -> Plan:
    """The first sound on bar 1, as it is, in as many bars as it needs; only what sounds to its end is repeated. A file
    that is as long as its bars was cut as it is wanted."""
    rate = wish.grid.rate
    silent, whole_bars = heard.last_sound <= heard.first_sound, wish.grid.ends_bar(heard.seconds)
    begin = 0 if whole_bars else _first_frame(heard, rate)
    length = (frames if silent or whole_bars else min(frames, math.ceil(heard.last_sound * rate))) - begin
    grid = _lengthened(wish.grid, float(wish.grid.beat_at(length)))
    lines = np.array([grid.exact_frame(line) for line in grid.bar_starts])
    slack = np.diff(lines) * float(SLACK)
    needed = 1 + int(np.searchsorted(lines[1:] + slack, length))
    texture = heard.material is Material.SUSTAINED and not silent and begin + length >= frames - AT_ONCE_S * rate
    own = max(1, int(np.searchsorted(lines[1:] - slack, length, side="right"))) if texture else needed
    asked = replace(grid, meters=grid.meters[: wish.grid.bars if wish.fill else own])
    passes = _passes(asked, grid.bar_starts[own]) if texture else [(Fraction(0), asked.beats)]
    attacks = attacks_of(heard.onsets) * rate
    pieces = []
    for start, stop in passes:
        first, last = asked.exact_frame(start), asked.exact_frame(stop)
        warp = shift(first - begin)
        whole = stop - start >= grid.bar_starts[own]
        ring = _ring(warp, last, attacks, heard.last_sound * rate, rate) if whole else 0
        pieces.append(Piece(warp, first, last, 0, ring))
    return Plan(asked, tuple(pieces), own, Fraction(0), 0)


def _first_frame(heard: Heard, rate: int) -> int:
    """Where a sound begins: at its first attack if that is sharp, and at its file's start if that is near."""
    begin = heard.first_sound
    times = attacks_of(heard.onsets)
    if len(times) and begin <= times[0] <= begin + 0.05:
        begin = float(times[0])
    return 0 if begin < AT_ONCE_S or heard.last_sound <= heard.first_sound else math.floor(begin * rate)
