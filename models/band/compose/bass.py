"""The bass player: roots where chords change, together with the kick where the style says so, and a way to the next
root at the end of every phrase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from random import Random

from models.api import Harmony, Note, StemRequest
from models.band.compose import drums
from models.band.compose.draw import stream
from models.band.compose.finish import Draft, finish
from models.band.compose.grid import Bar, bars, fit, strong
from models.band.compose.harmonic import changes, chord_at, degree, nearest, next_chord
from models.styles.schema import BassLine, Style

TOGETHER = Fraction(1, 12)
"""Beats. A bass note this near to a kick is struck with it: less than the smallest step, more than any swing."""
OVERLAP = Fraction(1, 16)
"""Beats that a note is held into the one it slides to."""
VELOCITY = 96


@dataclass(frozen=True)
class Stroke:
    """An attack of the written line: where, how long, and which degree it asks for."""

    start: Fraction
    beats: Fraction
    mark: str
    swings: bool


def line_of(request: StemRequest, style: Style) -> BassLine:
    """The written line for this kind of section: the same for every seed of a cell."""
    energy, kind = request.place.energy, request.place.kind
    lines = [line for line in style.bass.lines if kind in line.kinds] or [
        line for line in style.bass.lines if not line.kinds
    ]
    lines = lines or list(style.bass.lines)
    fitting = [line for line in lines if line.energy[0] <= energy <= line.energy[1]]
    if not fitting:
        fitting = [min(lines, key=lambda line: min(abs(line.energy[0] - energy), abs(line.energy[1] - energy)))]
    return stream("bass line", request.song_seed, style.name, kind).choice(fitting)


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The bass part of a cell."""
    random = stream("bass", request.seed, request.song_seed, style.name, request.place.index)
    line = line_of(request, style)
    kicks = _kicks(request, style)
    strokes: list[Stroke] = []
    cell_bars = bars(request)
    for bar in cell_bars:
        if bar.index == len(cell_bars) - 1 and request.place.is_end:
            strokes.append(Stroke(bar.start, bar.beats * 3 / 4, "R", False))
            continue
        held, played = _bar(bar, line, request, kicks, random)
        if held and strokes and strokes[-1].start + strokes[-1].beats == bar.start:
            strokes[-1] = replace(strokes[-1], beats=strokes[-1].beats + held)
        strokes += played
    if style.bass.lock and line.pattern != "kick" and kicks:
        strokes = _locked(strokes, kicks, request)
    strokes = _renewed(_pickup(request) + strokes, request)
    drafts = _pitched(strokes, request, style, random)
    return finish(drafts, request, style, random)


def _kicks(request: StemRequest, style: Style) -> tuple[Fraction, ...]:
    if "drums" in request.context:
        return drums.kick_starts(request.context)
    played = drums.compose(replace(request, role="drums", context={}), style)
    return drums.kick_starts({"drums": played})


def _bar(
    bar: Bar, line: BassLine, request: StemRequest, kicks: tuple[Fraction, ...], random: Random
) -> tuple[Fraction, list[Stroke]]:
    """How long the bar goes on with the note before it, and its own strokes."""
    if line.pattern == "kick":
        return Fraction(0), _with_kick(bar, kicks)
    held = Fraction(0)
    strokes: list[Stroke] = []
    for step in fit(line.pattern, line.steps, request.felt, bar.index):
        at = bar.start + step.start
        if step.mark == "-" and strokes and strokes[-1].start + strokes[-1].beats == at:
            strokes[-1] = replace(strokes[-1], beats=strokes[-1].beats + step.length)
        elif step.mark == "-" and not strokes and held == step.start:
            held += step.length
        elif step.mark not in ".-":
            strokes.append(Stroke(at, step.length, step.mark, line.steps % 3 != 0))
    if bar.index % 4 == 3 and len(strokes) > 1 and strokes[-1].mark != "n" and random.random() < 0.6:
        strokes[-1] = replace(strokes[-1], mark="w" if strokes[-1].mark == "w" else "a")
    return held, strokes


def _with_kick(bar: Bar, kicks: tuple[Fraction, ...]) -> list[Stroke]:
    here = [kick for kick in kicks if bar.start <= kick < bar.start + bar.beats] or [bar.start]
    ends = [*here[1:], bar.start + bar.beats]
    return [Stroke(at, min(end - at, Fraction(2)) * 9 / 10, "R", False) for at, end in zip(here, ends, strict=True)]


def _locked(strokes: list[Stroke], kicks: tuple[Fraction, ...], request: StemRequest) -> list[Stroke]:
    """Only attacks that fall together with a kick, or where a chord begins; the others lengthen what sounds."""
    chords = {chord.start for chord in request.chords} | {bar.start for bar in bars(request)}
    kept: list[Stroke] = []
    for stroke in strokes:
        kick = next((k for k in kicks if abs(k - stroke.start) <= TOGETHER), None)
        if kick is not None:
            kept.append(replace(stroke, start=kick, swings=False))  # the kick's own place, swing included
        elif stroke.start in chords:
            kept.append(stroke)
        elif kept and kept[-1].start + kept[-1].beats >= stroke.start:
            kept[-1] = replace(kept[-1], beats=stroke.start + stroke.beats - kept[-1].start)
    return kept


def _renewed(strokes: list[Stroke], request: StemRequest) -> list[Stroke]:
    """A held note takes the new root where the chord changes under it."""
    result: list[Stroke] = []
    for index, stroke in enumerate(strokes):
        following = strokes[index + 1].start if index + 1 < len(strokes) else request.beats
        end = min(stroke.start + stroke.beats, max(following, stroke.start))
        cuts = [cut for cut in changes(request, stroke.start, end) if end - cut >= Fraction(1, 8)]
        if stroke.mark == "n":
            cuts = cuts[1:]  # the new root sounds already
        points = [stroke.start, *cuts, end]
        marks = [stroke.mark] + ["R"] * len(cuts)
        for at, until, mark in zip(points, points[1:], marks, strict=False):
            if until > at:
                result.append(Stroke(at, until - at, mark, stroke.swings))
    return result


def _pitched(strokes: list[Stroke], request: StemRequest, style: Style, random: Random) -> list[Draft]:
    low, high = style.bass.low, style.bass.high
    centre = low + min(7.0, (high - low) / 3)
    previous = float(centre)
    accents = strong(request)
    drafts: list[Draft] = []
    for index, stroke in enumerate(strokes):
        chord = chord_at(request, stroke.start)
        pitch = _pitch(stroke, index, strokes, chord, previous, request, style, random)
        pitch = min(max(pitch, low), high)
        velocity = VELOCITY * (0.76 + 0.3 * request.place.energy)
        bar_length = Fraction(4 * request.meter[0], request.meter[1])
        if (stroke.start - request.pickup) % bar_length in accents:
            velocity += 6
        if stroke.mark == "r":
            velocity -= 24
        drafts.append(Draft(stroke.start, stroke.beats, pitch, velocity, swings=stroke.swings, exact=not stroke.swings))
        previous = 0.5 * pitch + 0.5 * centre if stroke.mark != "w" else pitch
    return _slid(drafts, random) if style.bass.glide else drafts


def _slid(drafts: list[Draft], random: Random) -> list[Draft]:
    """Now and then a note is held into the next one: a patch that can glide then slides there."""
    result = list(drafts)
    for index, (note, following) in enumerate(pairwise(drafts)):
        joined = note.start + note.beats == following.start
        if joined and note.pitch != following.pitch and random.random() < 0.4:
            result[index] = replace(note, beats=note.beats + OVERLAP)
    return result


def _pitch(
    stroke: Stroke, index: int, strokes: list[Stroke], chord: Harmony, previous: float,
    request: StemRequest, style: Style, random: Random,
) -> int:  # fmt: skip
    low, high = style.bass.low, style.bass.high
    centre = low + min(7.0, (high - low) / 3)
    root = nearest(chord.bass, centre, low, high)
    first_of_chord = abs(stroke.start - chord.start) <= TOGETHER
    if stroke.mark in "Rr" or (first_of_chord and stroke.mark in "345678"):
        return root  # a new chord is told by its bass, whatever the pattern has in store
    if stroke.mark == "8":
        return root + 12 if root + 12 <= high else root
    if stroke.mark == "4":
        fifth = nearest(degree(chord, 5, request.scale), root - 5, low, high)
        return fifth if fifth < root else nearest(degree(chord, 5, request.scale), root + 7, low, high)
    if stroke.mark in "3567":
        wanted = degree(chord, int(stroke.mark), request.scale)
        return nearest(wanted, root + {"3": 4, "5": 7, "6": 9, "7": 10}[stroke.mark], low, high)
    if stroke.mark == "n":
        return _target(stroke, request, centre, low, high, root)
    target = _target(stroke, request, centre, low, high, root)
    if stroke.mark == "a":
        if _arrives(strokes, index, request):
            return _approach(target, root, chord, request, low, high, random)
        below = (p for p in range(root - 1, low - 1, -1) if p % 12 in request.scale)
        return next(below, root)  # the chord goes on: a neighbour inside the key, not a way out of it
    return _walk(stroke, index, strokes, chord, previous, target, request, style, random)


def _arrives(strokes: list[Stroke], index: int, request: StemRequest) -> bool:
    """Whether the next stroke is the next chord's root: only then is there something to approach."""
    following = next_chord(request, strokes[index].start)
    if following is None or index + 1 == len(strokes):
        return following is not None
    later = strokes[index + 1]
    begins = abs(later.start - following.start) <= TOGETHER
    return begins or (later.start > following.start and later.mark in "Rr")


def _target(stroke: Stroke, request: StemRequest, centre: float, low: int, high: int, root: int) -> int:
    """The root that the line is on its way to."""
    following = next_chord(request, stroke.start)
    return root if following is None else nearest(following.bass, centre, low, high)


def _approach(target: int, root: int, chord: Harmony, request: StemRequest, low: int, high: int, random: Random) -> int:
    """A half step or a scale step beside the next root; the fifth where the root stays."""
    if target % 12 == root % 12:
        fifth = degree(chord, 5, request.scale)
        below = nearest(fifth, root - 5, low, high)
        return below if below < root else nearest(fifth, root + 7, low, high)
    from_below = target > root if random.random() < 0.8 else target <= root
    steps = [-1, -2] if from_below else [1, 2]
    inside = [target + s for s in steps if (target + s) % 12 in request.scale and low <= target + s <= high]
    chromatic = target + steps[0]
    if low <= chromatic <= high and (not inside or random.random() < 0.45):
        return chromatic
    return inside[0] if inside else root


def _walk(
    stroke: Stroke, index: int, strokes: list[Stroke], chord: Harmony, previous: float, target: int,
    request: StemRequest, style: Style, random: Random,
) -> int:  # fmt: skip
    """One step of a walking line: the root where a chord begins, then by steps and chord tones toward the next."""
    low, high = style.bass.low, style.bass.high
    last = round(previous)
    if stroke.start == chord.start or index == 0:
        return nearest(chord.bass, last, low, high)
    following = next_chord(request, stroke.start)
    end = following.start if following is not None and following.start > stroke.start else request.beats
    left = sum(1 for s in strokes[index + 1 :] if s.start < end)
    goal = nearest(following.bass, last, low, high) if following is not None else target
    if left == 0:
        return _approach(goal, nearest(chord.bass, last, low, high), chord, request, low, high, random)
    ideal = last + (goal - last) / (left + 1)
    if abs(goal - last) < 2:
        ideal = last + random.choice((-3, 3, 4, -4))
    tones = set(chord.pitch_classes)
    choices = [p for p in range(max(low, last - 5), min(high, last + 5) + 1) if p != last]
    weighed = [
        (abs(p - ideal) + (0 if p % 12 in tones else 1.2 if p % 12 in request.scale else 4) + random.random(), p)
        for p in choices
    ]
    return min(weighed)[1]


def _pickup(request: StemRequest) -> list[Stroke]:
    """The last felt beat before the first bar leads in, where there is room for one."""
    if request.pickup < 1 or request.place.energy < 0.4:
        return []
    return [Stroke(request.pickup - 1, Fraction(1, 2), "a", False)]
