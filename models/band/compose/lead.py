"""The melody: a motif that the whole song shares, stated, answered, brought back and brought home.

A motif is two one-bar rhythms with a step of the scale for every attack. Each phrase of four bars states its first
bar, answers with the second, states the first again on the chords that are there by then, and ends on a long tone of
the chord; the second phrase of a section is the answer to the first and ends on the tonic where the chord has it.
Verses use the same motif turned upside down in a lower register, so that a chorus sounds like what they were about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from models.api import Note, StemRequest
from models.band.compose.draw import stream
from models.band.compose.finish import Draft, finish
from models.band.compose.grid import Bar, bars, fit, strong
from models.band.compose.harmonic import chord_at, melody_scale, nearest
from models.styles.schema import Style

VELOCITY = 92
HIGHEST_DOUBLE = 93
"""MIDI. A doubling above this would be shrill; it goes below the melody then."""
LONG = Fraction(1)
"""Beats. A tone this long must belong to the chord."""


@dataclass(frozen=True)
class MotifBar:
    """One bar of a motif: its rhythm (an index into the style's) and a scale step for each attack."""

    rhythm: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Tone:
    """An attack of the melody before it has a pitch."""

    start: Fraction
    beats: Fraction
    step: int
    accent: bool
    cadence: bool = False
    exact: bool = False


def motif(request: StemRequest, style: Style) -> tuple[MotifBar, MotifBar]:
    """The song's motif; verses and their like have it turned upside down."""
    random = stream("motif", request.song_seed, style.name)
    contour = random.choice(style.lead.contours)
    first = random.randrange(len(style.lead.rhythms))
    others = [k for k in range(len(style.lead.rhythms)) if k != first]
    second = random.choice(others)
    sign = 1 if _is_chorus(request) or request.place.kind == "intro" else -1  # the intro announces the chorus
    return (
        _motif_bar(style.lead.rhythms[first], first, contour, sign, random),
        _motif_bar(style.lead.rhythms[second], second, contour, -sign, random),
    )


def _motif_bar(rhythm: str, index: int, contour: str, sign: int, random: Random) -> MotifBar:
    attacks = sum(mark in "Xx" for mark in rhythm.split("|")[0])
    steps: list[int] = []
    for k in range(attacks):
        half = k < (attacks + 1) / 2
        upward = {"arch": half, "rise": True, "fall": False, "wave": k % 2 == 0}[contour]
        size = random.choice((0, 1, 1, 1, 2, 2, 3)) if k else 0
        steps.append(sign * size * (1 if upward else -1))
    if attacks > 1 and not any(steps):
        steps[-1] = sign  # a motif that never moves is no motif
    return MotifBar(index, tuple(steps))


def _is_chorus(request: StemRequest) -> bool:
    return request.place.kind in ("chorus", "postchorus")


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The lead part of a cell. Layer 1 is the doubling of a big chorus an octave away."""
    random = stream("lead", request.seed, request.song_seed, style.name, request.place.index)
    first, second = motif(request, style)
    tones = _pickup(request, random)
    cell_bars = bars(request)
    playing = _playing(len(cell_bars), request, style)
    for bar in cell_bars:
        if bar.index == len(cell_bars) - 1 and request.place.is_end:
            tones.append(Tone(bar.start, bar.beats * 3 / 4, 0, True, cadence=True, exact=True))
        elif bar.index in playing:
            tones += _bar(bar, first, second, len(cell_bars), request, style, random)
    drafts = _pitched(tones, request, style, random)
    if _is_chorus(request) and request.place.energy >= style.lead.double:
        drafts += _doubled(drafts, style)
    return finish(drafts, request, style, random)


def _playing(count: int, request: StemRequest, style: Style) -> set[int]:
    """Which bars have melody. Two bars go together; where there is room for a voice, the answers are played."""
    kind = request.place.kind
    density = style.lead.density.get(kind, 1.0 if _is_chorus(request) else 0.5)
    pairs = [list(range(start, min(start + 2, count))) for start in range(0, count, 2)]
    wanted = min(len(pairs), max(1, math.ceil(density * len(pairs) - 0.3)))
    answers_first = kind in ("verse", "prechorus", "bridge")
    # The second verse leaves other bars free than the first.
    first = (1 if answers_first else 0) + request.place.occurrence
    order = sorted(range(len(pairs)), key=lambda k: ((k + first) % 2, k))
    return {index for k in order[:wanted] for index in pairs[k]}


def _bar(
    bar: Bar, first: MotifBar, second: MotifBar, count: int, request: StemRequest, style: Style, random: Random
) -> list[Tone]:
    place = bar.index % 4
    cadence = place == 3 or bar.index == count - 1
    source = first if place in (0, 2) or (cadence and place != 1) else second
    tones = _rhythm(bar, source, request, style)
    if cadence:
        return _cadence(tones, bar, random)
    develops = request.place.occurrence > 0 or bar.index >= 4
    if place in (1, 2) and random.random() < (0.6 if develops else 0.35):
        tones = _ornamented(tones, random)
    return tones


def _rhythm(bar: Bar, source: MotifBar, request: StemRequest, style: Style) -> list[Tone]:
    pattern = style.lead.rhythms[source.rhythm]
    tones: list[Tone] = []
    for step in fit(pattern, style.lead.steps, request.felt, bar.index):
        at = bar.start + step.start
        if step.mark == "-":
            if tones and tones[-1].start + tones[-1].beats == at:
                tones[-1] = replace(tones[-1], beats=tones[-1].beats + step.length)
        elif step.mark in "Xx":
            move = source.steps[len(tones) % len(source.steps)]
            tones.append(Tone(at, step.length, move, step.mark == "X"))
    return tones


def _cadence(tones: list[Tone], bar: Bar, random: Random) -> list[Tone]:
    """The motif's first attacks, then one long tone that leaves room to breathe."""
    if not tones:
        return [Tone(bar.start, bar.beats / 2, 0, True, cadence=True)]
    keep = tones[: max(1, (len(tones) + 1) // 2)]
    last = keep[-1]
    share = random.choice((Fraction(1, 2), Fraction(3, 4), Fraction(7, 8)))
    length = max(bar.start + bar.beats * share - last.start, last.beats)
    return [*keep[:-1], Tone(last.start, length, last.step, last.accent, cadence=True)]


def _ornamented(tones: list[Tone], random: Random) -> list[Tone]:
    """One tone of the bar is split in two by step, or the last is left out."""
    splittable = [k for k, tone in enumerate(tones) if tone.beats >= Fraction(1, 2)]
    if splittable and random.random() < 0.7:
        k = random.choice(splittable)
        tone = tones[k]
        half = tone.beats / 2
        extra = Tone(tone.start + half, half, random.choice((-1, 1)), False)
        return [*tones[:k], Tone(tone.start, half, tone.step, tone.accent), extra, *tones[k + 1 :]]
    return tones[:-1] if len(tones) > 3 else tones


def _pitched(tones: list[Tone], request: StemRequest, style: Style, random: Random) -> list[Draft]:
    part = style.lead
    scale = melody_scale(request, part.scale)
    ladder = [pitch for pitch in range(part.low, part.high + 1) if pitch % 12 in scale]
    low, high = _register(request, style)
    centre = (low + high) / 2
    accents = strong(request)
    bar_length = Fraction(4 * request.meter[0], request.meter[1])
    drafts: list[Draft] = []
    pitch: int | None = None
    for index, tone in enumerate(tones):
        chord = chord_at(request, tone.start)
        if pitch is None or _new_phrase(tones, index):
            start = random.choice(chord.pitch_classes[:3])
            anchor = centre if pitch is None else 0.5 * (centre + pitch)
            pitch = _within_leap(nearest(start, anchor, part.low, part.high), pitch, start, style)
        else:
            pitch = _stepped(pitch, tone.step, ladder, low, high)
        on_beat = (tone.start - request.pickup) % bar_length in accents
        if tone.cadence or tone.beats >= LONG or part.scale == "chord" or (on_beat and tone.accent):
            pitch = _on_chord(pitch, tone, request, style)
        velocity = VELOCITY * (0.76 + 0.3 * request.place.energy) + (8 if tone.accent else 0) + (3 if on_beat else 0)
        straight = part.steps % 3 != 0
        drafts.append(Draft(tone.start, tone.beats, pitch, velocity, swings=straight, exact=tone.exact))
    return drafts


def _register(request: StemRequest, style: Style) -> tuple[int, int]:
    """Where in its range the melody lives: choruses in the upper part, verses in the lower."""
    low, high = style.lead.low, style.lead.high
    width = high - low
    if _is_chorus(request):
        return low + round(0.38 * width), high
    if request.place.kind in ("verse", "intro", "outro", "break"):
        return low, low + max(12, round(0.62 * width))
    return low + round(0.18 * width), low + max(12, round(0.82 * width))


def _new_phrase(tones: list[Tone], index: int) -> bool:
    before = tones[index - 1]
    return tones[index].start - (before.start + before.beats) >= 2


def _stepped(pitch: int, step: int, ladder: list[int], low: int, high: int) -> int:
    """So many steps of the scale away, turned back at the edges of the register."""
    place = min(range(len(ladder)), key=lambda k: (abs(ladder[k] - pitch), k))
    for move in (step, -step):
        target = place + move
        if 0 <= target < len(ladder) and low <= ladder[target] <= high:
            return ladder[target]
    inside = [p for p in ladder if low <= p <= high] or ladder
    return min(inside, key=lambda p: (abs(p - pitch), p))


def _on_chord(pitch: int, tone: Tone, request: StemRequest, style: Style) -> int:
    """The nearest tone of the chord; at a cadence rather its root, third or fifth."""
    chord = chord_at(request, tone.start)
    classes = chord.pitch_classes[:3] if tone.cadence else chord.pitch_classes[:4]
    if tone.cadence and len(classes) == 3:
        # A phrase in the middle asks (third or fifth), the last one answers (root).
        last = tone.start >= request.beats - 2 * Fraction(4 * request.meter[0], request.meter[1])
        classes = classes[:1] if last else classes[1:]
    if tone.cadence and request.place.is_end and request.scale[0] in chord.pitch_classes:
        classes = (request.scale[0],)
    options = [nearest(pc, pitch, style.lead.low, style.lead.high) for pc in classes]
    return min(options, key=lambda p: (abs(p - pitch), p))


def _within_leap(pitch: int, before: int | None, pitch_class: int, style: Style) -> int:
    if before is None or abs(pitch - before) <= style.lead.leap:
        return pitch
    return nearest(pitch_class, before, style.lead.low, style.lead.high)


def _doubled(drafts: list[Draft], style: Style) -> list[Draft]:
    """The melody once more an octave above, or below where that would be too high to play."""
    pitches = [draft.pitch for draft in drafts]
    up = max(pitches, default=0) + 12 <= HIGHEST_DOUBLE and sum(pitches) <= 74 * len(pitches)
    return [replace(d, pitch=d.pitch + (12 if up else -12), velocity=d.velocity - 14, layer=1) for d in drafts]


def _pickup(request: StemRequest, random: Random) -> list[Tone]:
    """Eighth notes that lead into the first bar."""
    count = int(min(request.pickup, Fraction(2)) * 2)
    start = request.pickup - Fraction(count, 2)
    return [Tone(start + Fraction(k, 2), Fraction(1, 2), random.choice((1, 1, 2)), k == 0) for k in range(count)]
