"""The chord players: one voice-led progression, shared by every instrument of the harmony stem."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from random import Random

from models.api import Harmony, Note, StemRequest
from models.band.compose.draw import stream
from models.band.compose.finish import Draft, finish
from models.band.compose.grid import Bar, bars, fit
from models.band.compose.harmonic import changes, chord_at
from models.band.compose.voicing import Voicing, lead
from models.styles.schema import Layer, Style

MUD = 48
"""MIDI. Below about C3 chords are mud unless a style wants them there."""
FACTOR = {"X": 1.12, "x": 1.0, "o": 0.78, "t": 0.94, "b": 0.94}


def active_layers(request: StemRequest, style: Style) -> list[int]:
    """Which of the style's layers play in this section, by index; the first plays where none would."""
    place = request.place
    playing = [
        index
        for index, layer in enumerate(style.harmony.layers)
        if layer.enters <= place.energy and (not layer.kinds or place.kind in layer.kinds)
    ]
    return playing or [0]


def pattern_of(layer: Layer, index: int, request: StemRequest, style: Style) -> str:
    """The comping pattern of a layer, whatever the seed: one for all choruses; the second verse has another one than
    the first."""
    chorus = request.place.kind in ("chorus", "postchorus")
    patterns = list(layer.patterns)
    stream("comping", request.song_seed, style.name, index, "chorus" if chorus else request.place.kind).shuffle(
        patterns
    )
    return patterns[0 if chorus else request.place.occurrence % len(patterns)]


def voicings(request: StemRequest, style: Style, kind: str = "") -> dict[Fraction, Voicing]:
    """Each chord's layout by the beat it starts on, led from the one before it; `kind` is the part's where empty."""
    part = style.harmony
    result: dict[Fraction, Voicing] = {}
    previous: Voicing | None = None
    if request.previous_chord is not None:
        previous = lead(None, request.previous_chord, kind or part.voicing, part.voices, part.low, part.high)
    chords: list[Harmony] = list(request.chords) or [chord_at(request, Fraction(0))]
    for chord in chords:
        previous = lead(previous, chord, kind or part.voicing, part.voices, part.low, part.high)
        result[chord.start] = previous
    return result


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The harmony part of a cell; `layer` counts the style's instruments."""
    random = stream("harmony", request.seed, request.song_seed, style.name, request.place.index)
    drafts: list[Draft] = []
    for index in active_layers(request, style):
        layer = style.harmony.layers[index]
        shapes = voicings(request, style, layer.voicing)
        drafts += _layer(layer, index, shapes, request, style, random)
    return finish(_apart(drafts, style), request, style, random)


def _layer(
    layer: Layer, index: int, shapes: dict[Fraction, Voicing], request: StemRequest, style: Style, random: Random
) -> list[Draft]:
    pattern = pattern_of(layer, index, request, style)
    cell_bars = bars(request)
    drafts: list[Draft] = []
    for bar in cell_bars:
        ending = bar.index == len(cell_bars) - 1 and request.place.is_end
        if ending:
            events = [(bar.start, bar.beats * 3 / 4, "X")]
        else:
            events = _events(bar, pattern, layer, request, random)
        for start, beats, mark in events:
            for at, length in _split(start, beats, request):
                shape = _shape(shapes, request, at)
                voices = _voices(shape, mark, style.harmony.high)
                struck = _struck(shape, voices, at, length, mark, layer, index, request, random)
                drafts += [replace(d, exact=True) for d in struck] if ending else struck
    return _tied(drafts) if _is_pad(pattern) else drafts


def _events(
    bar: Bar, pattern: str, layer: Layer, request: StemRequest, random: Random
) -> list[tuple[Fraction, Fraction, str]]:
    events: list[tuple[Fraction, Fraction, str]] = []
    for step in fit(pattern, layer.steps, request.felt, bar.index):
        at = bar.start + step.start
        if step.mark == "-":
            if events and events[-1][0] + events[-1][1] == at:
                events[-1] = (events[-1][0], events[-1][1] + step.length, events[-1][2])
        elif step.mark != ".":
            events.append((at, step.length, step.mark))
    if bar.index % 4 == 3 and len(events) > 2 and not _is_pad(pattern):
        events = _answer(events, random)
    return events


def _answer(events: list[tuple[Fraction, Fraction, str]], random: Random) -> list[tuple[Fraction, Fraction, str]]:
    """The last bar of four breathes or pushes: its last stroke is left out, or accented."""
    draw = random.random()
    if draw < 0.35:
        return events[:-1]
    if draw < 0.7:
        start, beats, mark = events[-1]
        return [*events[:-1], (start, beats, "X" if mark in "xo" else mark)]
    return events


def _is_pad(pattern: str) -> bool:
    return all(bar.count(".") == 0 and sum(c != "-" for c in bar) <= 1 for bar in pattern.split("|"))


def _split(start: Fraction, beats: Fraction, request: StemRequest) -> list[tuple[Fraction, Fraction]]:
    end = min(start + beats, request.beats)
    points = [start, *[c for c in changes(request, start, end) if end - c >= Fraction(1, 4)], end]
    return [(a, b - a) for a, b in itertools.pairwise(points) if b > a]


def _shape(shapes: dict[Fraction, Voicing], request: StemRequest, at: Fraction) -> Voicing:
    start = chord_at(request, at).start
    return shapes.get(start) or next(iter(shapes.values()))


def _struck(
    shape: Voicing, chosen: Voicing, at: Fraction, length: Fraction, mark: str, layer: Layer, index: int,
    request: StemRequest, random: Random,
) -> list[Draft]:  # fmt: skip
    velocity = layer.velocity * FACTOR.get(mark, 0.9) * (0.74 + 0.33 * request.place.energy)
    downward = random.random() < 0.7
    drafts: list[Draft] = []
    for order, pitch in enumerate(chosen if downward else tuple(reversed(chosen))):
        top = 4.0 if pitch == shape[-1] else 0.0  # the melody of the chords is heard first
        delay = layer.strum_ms * order / max(len(shape) - 1, 1)
        pitch = min(max(pitch + 12 * layer.octave, 0), 127)
        straight = layer.steps % 3 != 0
        drafts.append(Draft(at, length, pitch, velocity + top, index, swings=straight, delay_ms=delay))
    return drafts


def _voices(shape: Voicing, mark: str, high: int) -> Voicing:
    """The voices of a layout that a mark asks for; a number beyond the top voice starts again an octave higher."""
    if mark.isdigit():
        octave, place = divmod(int(mark) - 1, len(shape))
        pitch = shape[place] + 12 * octave
        return (pitch if pitch <= high else pitch - 12 * octave,)
    if mark == "t":
        return shape[1:] or shape
    if mark == "b":
        return shape[:2]
    return shape


def _tied(drafts: list[Draft]) -> list[Draft]:
    """A pad does not strike a tone again that the next chord keeps."""
    result: list[Draft] = []
    open_notes: dict[int, int] = {}
    for draft in sorted(drafts, key=lambda d: (d.start, d.pitch)):
        held = open_notes.get(draft.pitch)
        if held is not None and result[held].start + result[held].beats == draft.start:
            result[held] = replace(result[held], beats=result[held].beats + draft.beats)
            continue
        open_notes[draft.pitch] = len(result)
        result.append(draft)
    return result


def _apart(drafts: list[Draft], style: Style) -> list[Draft]:
    """No two instruments hold the same pitch at once: a later one moves away by an octave as a whole, so that its
    voices are still led, and what is still taken then it leaves to the others."""
    kept: list[Draft] = []
    taken: dict[int, list[tuple[Fraction, Fraction]]] = {}
    for layer in sorted({draft.layer for draft in drafts}):
        mine = [draft for draft in drafts if draft.layer == layer]
        low = style.harmony.low - 12 if style.harmony.layers[layer].octave < 0 else max(style.harmony.low - 12, MUD)
        shifts = [0, *(by for by in (12, -12) if _inside(mine, by, low, style.harmony.high + 12))]
        free = {by: [d for d in mine if _is_free(d, by, taken)] for by in (shifts if taken else [0])}
        shift = min(free, key=lambda by: (len(mine) - len(free[by]), by < 0, abs(by)))
        moved = [replace(draft, pitch=draft.pitch + shift) if shift else draft for draft in free[shift]]
        for draft in moved:
            taken.setdefault(draft.pitch, []).append((draft.start, draft.start + draft.beats))
        kept += moved
    return kept


def _inside(drafts: list[Draft], shift: int, low: int, high: int) -> bool:
    return all(low <= draft.pitch + shift <= high for draft in drafts)


def _is_free(draft: Draft, shift: int, taken: dict[int, list[tuple[Fraction, Fraction]]]) -> bool:
    end = draft.start + draft.beats
    return not any(start < end and draft.start < stop for start, stop in taken.get(draft.pitch + shift, ()))
