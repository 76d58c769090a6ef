"""The drummer: a groove family, its answer every fourth bar, fills into what follows, an ending that ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from random import Random

from models.api import Note, StemRequest
from models.band.compose.draw import stream
from models.band.compose.finish import Draft, finish
from models.band.compose.grid import Bar, Step, bars, fit
from models.styles.schema import Fill, Groove, Style

KEYS = {
    "kick": 36, "snare": 38, "clap": 39, "rim": 37, "hat": 42, "pedal": 44, "open": 46, "ride": 51, "bell": 53,
    "crash": 49, "splash": 55, "china": 52, "tom1": 48, "tom2": 45, "tom3": 41, "tamb": 54, "cowbell": 56,
    "shaker": 70, "conga_hi": 63, "conga_lo": 64, "bongo_hi": 60, "bongo_lo": 61, "claves": 75, "block": 76,
    "triangle": 81, "sticks": 31,
}  # fmt: skip
"""General MIDI percussion keys."""
KICKS = (35, 36)
HATS = (KEYS["hat"], KEYS["pedal"], KEYS["open"])
VELOCITY = {"X": 114, "x": 96, "o": 72, "g": 42, "?": 42}
GO_ON = ("kick", "pedal", "tamb", "cowbell", "shaker", "conga_hi", "conga_lo", "bongo_hi", "bongo_lo", "claves",
         "block", "triangle")  # fmt: skip
"""The drummer's feet and the percussion players, who go on under a fill that does not write them."""


def groove_of(request: StemRequest, style: Style) -> Groove:
    """The groove family of this kind of section: the same for every seed of a cell."""
    meter = f"{request.meter[0]}/{request.meter[1]}"
    here = [g for g in style.drums.grooves if g.meter == meter]
    usual = here or [g for g in style.drums.grooves if g.meter == "4/4"] or list(style.drums.grooves)
    fitting = [g for g in usual if request.place.kind in g.kinds] or [g for g in usual if not g.kinds] or usual
    # The chorus has a draw of its own; everything else shares one, so that a song keeps its pulse.
    family = "chorus" if request.place.kind in ("chorus", "postchorus") else "song"
    return stream("groove", request.song_seed, style.name, family).choice(fitting)


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The drum part of a cell, as General MIDI percussion keys."""
    random = stream("drums", request.seed, request.song_seed, style.name, request.place.index)
    groove = groove_of(request, style)
    cell_bars = bars(request)
    drafts: list[Draft] = list(_pickup(request, groove, random))
    for bar in cell_bars:
        last = bar.index == len(cell_bars) - 1
        if last and request.place.is_end:
            drafts += _ending(bar, groove, request)
        else:
            hits = _bar(bar, groove, request, random)
            if last and request.place.after is not None:
                hits = _with_fill(hits, bar, style, request, random)
            elif bar.index % 8 == 7 and not last:
                hits = _with_fill(hits, bar, style, request, random, shortest=True)
            if bar.index % 8 == 0 and bar.index and request.place.energy > max(0.8, style.drums.crash):
                hits.append(_hit("crash", bar.start, Fraction(1), "o", request.place.energy))
            drafts += hits
    if request.place.energy >= style.drums.crash and request.place.index > 0 and not _only_ending(request):
        drafts.append(_hit("crash", request.pickup, Fraction(1), "x", request.place.energy))
    return finish(_choked(drafts), request, style, random)


def _only_ending(request: StemRequest) -> bool:
    return request.place.is_end and request.place.bars == 1


def _bar(bar: Bar, groove: Groove, request: StemRequest, random: Random) -> list[Draft]:
    energy = request.place.energy
    answer = bar.index % 4 == 3
    hits: list[Draft] = []
    playing = [name for name in groove.lines if _plays(name, groove, energy)]
    for name in playing or [_quietest(groove)]:
        pattern = groove.vary.get(name, groove.lines[name]) if answer else groove.lines[name]
        hits += _line(name, fit(pattern, groove.steps, request.felt, bar.index), bar.start, groove, energy, random)
    for name in groove.vary:
        if answer and name not in groove.lines and _plays(name, groove, energy):
            steps = fit(groove.vary[name], groove.steps, request.felt, bar.index)
            hits += _line(name, steps, bar.start, groove, energy, random)
    if answer:
        hits += _spice(bar, playing, request, groove, random)
    return hits


def _plays(name: str, groove: Groove, energy: float) -> bool:
    return groove.enters.get(name, 0.0) <= energy <= groove.leaves.get(name, 1.0)


def _quietest(groove: Groove) -> str:
    """The line that enters first: it plays even below its threshold, so that a drum cell is never empty."""
    return min(groove.lines, key=lambda name: groove.enters.get(name, 0.0))


def _line(
    name: str, steps: Iterable[Step], start: Fraction, groove: Groove, energy: float, random: Random
) -> list[Draft]:
    hits: list[Draft] = []
    for step in steps:
        if step.mark == "." or (step.mark == "?" and random.random() < 0.5) or step.mark == "-":
            continue
        if step.mark == "g" and random.random() < 0.12:
            continue
        straight = groove.steps % 3 != 0
        hits.append(_hit(name, start + step.start, step.length, step.mark, energy, straight))
    return hits


def _hit(name: str, at: Fraction, length: Fraction, mark: str, energy: float, swings: bool = True) -> Draft:
    velocity = VELOCITY[mark] * (0.70 + 0.37 * energy)
    on_the_bar = name in ("kick", "crash")  # the kick is the grid that everyone else is heard against
    return Draft(at, length, KEYS[name], velocity, swings=swings, exact=on_the_bar)


def _spice(bar: Bar, playing: list[str], request: StemRequest, groove: Groove, random: Random) -> list[Draft]:
    """A small surprise at the end of a phrase: one of the drums already playing adds a soft note."""
    step = Fraction(1, groove.steps)
    ideas = [("kick", bar.beats - step), ("snare", bar.beats - 3 * step), ("hat", bar.beats - step),
             ("snare", bar.beats - step), ("rim", bar.beats - 2 * step)]  # fmt: skip
    possible = [(name, at) for name, at in ideas if name in playing and at > 0]
    if not possible or random.random() > 0.7:
        return []
    name, at = random.choice(possible)
    return [
        _hit(name, bar.start + at, step, "g" if name == "snare" else "o", request.place.energy, groove.steps % 3 != 0)
    ]


def _with_fill(
    hits: list[Draft], bar: Bar, style: Style, request: StemRequest, random: Random, shortest: bool = False
) -> list[Draft]:
    """The bar with a fill over its last beats; inside a section a short one."""
    fill = _choose_fill(style, request, random, shortest)
    if fill is None:
        return hits
    beats = _fill_beats(fill, request.felt)
    start = bar.start + bar.beats - sum(beats, Fraction(0))
    going_on = {KEYS[name] for name in GO_ON if name not in fill.lines}
    kept = [hit for hit in hits if hit.start < start or hit.pitch in going_on]
    for name, pattern in fill.lines.items():
        steps = fit(pattern, fill.steps, beats)
        kept += [
            _hit(name, start + s.start, s.length, s.mark, request.place.energy, fill.steps % 3 != 0)
            for s in steps
            if s.mark in VELOCITY
        ]
    return kept


def _choose_fill(style: Style, request: StemRequest, random: Random, shortest: bool) -> Fill | None:
    goal = max(request.place.after_energy, request.place.energy)
    fitting = [f for f in style.drums.fills if f.energy <= goal and f.beats <= len(request.felt)]
    if not fitting or (request.place.energy < 0.25 and request.place.after_energy < 0.4):
        return None
    if shortest or request.place.after_energy < 0.5 * request.place.energy:
        fitting = [f for f in fitting if f.beats == min(f.beats for f in fitting)]  # into a drop in energy: briefly
    return random.choice(fitting)


def _fill_beats(fill: Fill, felt: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return felt[len(felt) - fill.beats :]


def _ending(bar: Bar, groove: Groove, request: StemRequest) -> list[Draft]:
    """One last stroke on the first beat, with a crash where the song was loud, and then silence."""
    names = [
        n for n in ("kick", "snare", "clap") if n in groove.lines and groove.enters.get(n, 0) <= request.place.energy
    ]
    hits = [_hit(name, bar.start, Fraction(1, 2), "X", request.place.energy) for name in names[:2]]
    return [*hits, _hit("crash", bar.start, Fraction(2), "x", request.place.energy)]


def _pickup(request: StemRequest, groove: Groove, random: Random) -> Iterable[Draft]:
    """Sticks or hats count the pickup's quarter notes in."""
    name = "hat" if "hat" in groove.lines else next(iter(groove.lines))
    at = request.pickup - request.pickup // 1
    while at < request.pickup:
        yield _hit(name, at, Fraction(1, 2), "o", request.place.energy)
        at += 1


def _choked(hits: list[Draft]) -> list[Draft]:
    """One hand, one hi-hat: where it opens it does not also close; the open one rings until the next stroke."""
    opens = {hit.start for hit in hits if hit.pitch == KEYS["open"]}
    crashes = {hit.start for hit in hits if hit.pitch in (KEYS["crash"], KEYS["china"])}
    closed = (KEYS["hat"], KEYS["pedal"])
    kept = [hit for hit in hits if not (hit.pitch in closed and hit.start in opens | crashes)]
    strokes = sorted({hit.start for hit in kept if hit.pitch in HATS})
    result: list[Draft] = []
    for hit in kept:
        if hit.pitch == KEYS["open"]:
            later = next((s for s in strokes if s > hit.start), hit.start + 1)
            hit = replace(hit, beats=min(later - hit.start, Fraction(1)))
        result.append(hit)
    return result


def kick_starts(context: Mapping[str, tuple[Note, ...]]) -> tuple[Fraction, ...]:
    """Where the drums of this cell strike the kick, in beats."""
    return tuple(note.start for note in context.get("drums", ()) if note.pitch in KICKS)
