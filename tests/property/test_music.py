"""The band's music, examined in every style: what holds in each of them and for every seed."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from itertools import pairwise
from statistics import mean

import pytest

from models.api import Harmony, Note
from models.band.compose.drums import GO_ON, KEYS, KICKS
from models.band.compose.finish import swung
from models.band.compose.grid import on_tick
from models.band.compose.harmonic import chord_at, melody_scale
from models.band.compose.voicing import is_parallel_leap
from models.styles import load_styles
from studio.song import Timeline
from studio.song.notes import check_notes
from studio.song.values import Section
from tests.support.parts import Part, Written, alike, onsets, written

STYLES = sorted(load_styles())
SEEDS = (1, 2, 3)


def songs(styles: list[str]) -> pytest.MarkDecorator:
    """Every seed of these styles; the quick suite takes the first of each."""
    quick = {SEEDS[0]: ()}
    pairs = [pytest.param(s, n, marks=quick.get(n, pytest.mark.slow)) for s in styles for n in SEEDS]
    return pytest.mark.parametrize(("style", "seed"), pairs)


every_song = songs(STYLES)
METERS = ("3/4", "6/8", "7/8", "5/4", "12/8", "7/16", "2/2", "5/8")
ODD = [(s, METERS[(k + j) % len(METERS)]) for k, s in enumerate(STYLES) for j in (0, 3)]
TOGETHER = Fraction(1, 10)
"""Beats. Notes this near were struck together: more than strumming and human timing, less than any step."""


def chords_struck(part: Part, layer: int) -> list[tuple[Fraction, list[int]]]:
    """Chords of a layer: at least three notes struck together, with where they begin."""
    groups: list[tuple[Fraction, list[int]]] = []
    for note in part.notes:
        if note.layer != layer:
            continue
        if groups and note.start - groups[-1][0] <= TOGETHER:
            groups[-1][1].append(note.pitch)
        else:
            groups.append((note.start, [note.pitch]))
    return [(start, sorted(set(pitches))) for start, pitches in groups if len(set(pitches)) >= 3]


@every_song
def test_every_cell_plays_and_every_note_can_be_played(style: str, seed: int) -> None:
    song = written(style, seed)
    for (index, role), part in song.parts.items():
        assert part.notes, f"{role} is silent in section {index}"
        check_notes([_song_note(note) for note in part.notes], part.span.beats)
        ordered = sorted(part.notes, key=lambda n: (n.pitch, n.start))
        for before, after in pairwise(ordered):
            assert before.pitch != after.pitch or before.end <= after.start, f"{role}: one pitch sounds twice"


def _song_note(note: Note):  # type: ignore[no-untyped-def]
    from studio.song import Note as SongNote

    return SongNote(*note)


@pytest.mark.parametrize(("style", "meter"), ODD)
def test_every_style_plays_in_every_meter(style: str, meter: str) -> None:
    song = written(style, 4, meter, "intro:2 verse:4 prechorus:2 chorus:4 break:2 bridge:2 outro:2")
    for part in song.parts.values():
        assert part.notes
        check_notes([_song_note(note) for note in part.notes], part.span.beats)
    drums = [part for part in song.of("drums") if part.span.section.energy > 0.5]
    assert any(any(n.start % part.span.meter.bar_beats == 0 for n in part.notes) for part in drums)


@every_song
def test_harmony_is_voice_led(style: str, seed: int) -> None:
    song = written(style, seed)
    part_range = song.style.harmony
    for part in song.of("harmony"):
        for layer, spec in enumerate(song.style.harmony.layers):
            low, high = part_range.low + 12 * spec.octave - 12, part_range.high + 12 * spec.octave + 12
            assert all(low <= n.pitch <= high for n in part.notes if n.layer == layer)
            chords = chords_struck(part, layer)
            full = max((len(pitches) for _, pitches in chords), default=0)
            if full < part_range.voices and "power" not in (spec.voicing, part_range.voicing):
                continue  # fewer voices at once are figuration
            for (earlier, before), (later, after) in pairwise(chords):
                between = [c for c in part.request.chords if earlier + TOGETHER < c.start <= later + TOGETHER]
                if len(before) == len(after) == full and len(between) <= 1:
                    assert not is_parallel_leap(before, after), f"{before} to {after}"


@every_song
def test_harmony_says_the_chords(style: str, seed: int) -> None:
    """Every voice belongs to the chord that sounds."""
    for part in written(style, seed).of("harmony"):
        for note in part.notes:
            if note.start + TOGETHER < part.span.beats:
                chord = chord_at(part.request, note.start + TOGETHER)
                assert note.pitch % 12 in {*chord.pitch_classes, (chord.root + 7) % 12}, f"{note} against {chord}"


@every_song
def test_bass_plays_roots_where_chords_begin(style: str, seed: int) -> None:
    song = written(style, seed)
    bass = song.style.bass
    rooted = total = 0
    for part in song.of("bass"):
        assert all(bass.low <= n.pitch <= bass.high for n in part.notes)
        for chord in part.request.chords:
            first = [n for n in part.notes if abs(n.start - chord.start) <= Fraction(1, 8)]
            if first:
                total += 1
                rooted += first[0].pitch % 12 == chord.bass
    assert total == 0 or rooted / total >= 0.9
    assert total > 0 or _pushes(song), "no chord begins with a bass note"


def _pushes(song: Written) -> bool:
    """Whether the style's bass anticipates or avoids the beat by its very patterns."""
    return all(line.pattern[0] in ".-" for line in song.style.bass.lines if line.pattern != "kick")


@every_song
def test_bass_between_the_chords_is_consonant_or_on_its_way(style: str, seed: int) -> None:
    for part in written(style, seed).of("bass"):
        notes = list(part.notes)
        strange = 0
        for note, following in pairwise(notes):
            chord = chord_at(part.request, note.start + TOGETHER)
            fits = (
                note.pitch % 12 in {*chord.pitch_classes, (chord.root + 7) % 12}
                or note.pitch % 12 in part.request.scale
            )
            approaches = abs(following.pitch - note.pitch) in (1, 2)
            strange += not (fits or approaches)
        assert strange <= 0.02 * len(notes) + 1


@songs([s for s in STYLES if load_styles()[s].bass.lock])
def test_bass_locks_with_the_kick_where_the_style_says_so(style: str, seed: int) -> None:
    song = written(style, seed)
    for part in song.of("bass"):
        drums = song.parts[part.span.index, "drums"]
        kicks = [n.start for n in drums.notes if n.pitch in KICKS]
        if not kicks:
            continue
        bars = {part.span.pickup + k * part.span.meter.bar_beats for k in range(part.span.section.bars)}
        marks = [*kicks, *bars, *(chord.start for chord in part.request.chords)]
        for note in part.notes:
            assert min(abs(note.start - mark) for mark in marks) <= TOGETHER, f"bass at {note.start} is alone"


@every_song
def test_the_motif_returns_inside_a_chorus_and_in_the_next_one(style: str, seed: int) -> None:
    song = written(style, seed)
    choruses = [part for part in song.of("lead") if part.span.section.kind == "chorus"]
    if not choruses:
        return
    first = choruses[0]
    bars = [onsets(first.bar(k)) for k in range(first.span.section.bars)]
    statement = next((bar for bar in bars if len(bar) >= 2), None)
    assert statement is not None, "the chorus has no melody"
    if len(bars) >= 8:
        assert sum(alike(statement, bar, slack=3) >= 0.6 for bar in bars) >= 2, "the motif is never heard again"
        assert len({frozenset(bar) for bar in bars if bar}) >= 2, "the motif never develops"
    for later in choruses[1:]:
        again = [onsets(later.bar(k)) for k in range(later.span.section.bars)]
        assert max(alike(statement, bar, slack=3) for bar in again) >= 0.6


@every_song
def test_the_lead_is_singable(style: str, seed: int) -> None:
    song = written(style, seed)
    lead = song.style.lead
    for part in song.of("lead"):
        melody = [n for n in part.notes if n.layer == 0]
        assert all(lead.low <= n.pitch <= lead.high for n in melody)
        allowed = set(melody_scale(part.request, lead.scale))
        for note in melody:
            chord = chord_at(part.request, min(note.start + TOGETHER, part.span.beats - TOGETHER))
            assert note.pitch % 12 in allowed | set(chord.pitch_classes)
        for before, after in pairwise(melody):
            if after.start - before.end < 1:
                assert abs(after.pitch - before.pitch) <= max(lead.leap, 12)
        assert all(after.start >= before.end - TOGETHER for before, after in pairwise(melody)), "one voice at a time"


@every_song
def test_phrases_repeat_and_vary(style: str, seed: int) -> None:
    song = written(style, seed)
    # A style may write its groove over two bars; then the third is the first again. A stroke a bar is no groove.
    grooves = [p for p in song.of("drums") if p.span.section.bars >= 4 and len(onsets(p.bar(0))) >= 3]
    repeated = [max(alike(onsets(p.bar(0)), onsets(p.bar(k))) for k in (1, 2)) for p in grooves]
    assert mean(repeated) >= 0.75
    fourth = [_content(p.bar(0)) != _content(p.bar(3)) for p in song.of("drums") if p.span.section.bars >= 8]
    assert not fourth or any(fourth), "nothing ever varies"


def _content(notes: list[Note]) -> set[tuple[int, int]]:
    return {(round(n.start * 24), n.pitch) for n in notes}


@every_song
def test_fills_lead_into_the_next_section(style: str, seed: int) -> None:
    song = written(style, seed)
    filled = expected = 0
    for part in song.of("drums"):
        place = part.request.place
        if place.after is None or place.bars < 2 or max(place.energy, place.after_energy) < 0.5:
            continue
        expected += 1
        hands = [n for n in part.bar(place.bars - 1) if n.pitch not in {KEYS[name] for name in GO_ON}]
        usual = [n for n in part.bar(0) if n.pitch not in {KEYS[name] for name in GO_ON} | {KEYS["crash"]}]
        filled += _content(hands) != _content(usual)
    assert expected == 0 or filled / expected >= 0.8


@every_song
def test_choruses_lift(style: str, seed: int) -> None:
    """Louder, denser or higher than the verses: at least two of the three, over the whole band."""
    song = written(style, seed)
    kinds = {section.kind for section in song.song.sections}
    if not {"verse", "chorus"} <= kinds:
        return
    measures = {kind: _measures(song, kind) for kind in ("verse", "chorus")}
    lifts = [b > a for a, b in zip(measures["verse"], measures["chorus"], strict=True)]
    assert sum(lifts) >= 2, f"verse {measures['verse']}, chorus {measures['chorus']}"


def _measures(song: Written, kind: str) -> tuple[float, float, float]:
    """Velocity a note, notes a beat, and the lead's mean pitch in the sections of a kind."""
    parts = [p for p in song.parts.values() if p.span.section.kind == kind]
    notes = [n for p in parts for n in p.notes]
    beats = sum(p.span.beats for p in parts)
    lead = [n.pitch for p in parts if p.request.role == "lead" for n in p.notes]
    return mean(n.velocity for n in notes), float(len(notes) / beats), mean(lead)


@every_song
def test_endings_end(style: str, seed: int) -> None:
    song = written(style, seed)
    timeline = Timeline(song.song)
    last = timeline.spans[-1]
    bars = last.section.bars
    for role in ("drums", "bass", "harmony", "lead"):
        final = song.parts[last.index, role].bar(bars - 1)
        assert final, f"{role} does not play the last chord"
        assert all(n.start <= Fraction(1, 5) for n in final), f"{role} goes on after the last chord"
    chord: Harmony = song.parts[last.index, "bass"].request.chords[-1]
    assert chord.root == song.parts[last.index, "bass"].request.scale[0], "the song does not end at home"


@every_song
def test_swing_and_human_touch_stay_inside_their_bounds(style: str, seed: int) -> None:
    """Every drum hit lies within `feel.timing_ms` of the swung grid, to one tick."""
    song = written(style, seed)
    for part in song.of("drums"):
        ms = 60_000 / float(part.request.tempo[0].bpm)
        bound = song.style.feel.timing_ms / ms + 2 / 960
        straight = song.style.swing.ratio == 0.5 or any(f.denominator > 1 for f in part.request.felt)
        grid = _grid(part, song, straight)
        for note in part.notes:
            start = float(note.start)
            after = bisect_left(grid, start)
            nearest = min(abs(start - point) for point in grid[max(0, after - 1) : after + 1])
            assert nearest <= bound, f"{start} is {nearest * ms:.1f} ms off"


def _grid(part: Part, song: Written, straight: bool) -> list[float]:
    steps = {g.steps for g in song.style.drums.grooves} | {f.steps for f in song.style.drums.fills}
    points: set[Fraction] = set()
    bar, felt = part.span.pickup, part.request.felt
    while bar < part.span.beats:
        at = bar
        for length in felt:
            for step in steps:
                size = length / step if length > 1 and step % 3 == 0 else Fraction(1, step)
                points |= {at + k * size for k in range(int(length / size) + 1)}
            at += length
        bar += part.span.meter.bar_beats
    if not straight:
        points |= {swung(p, song.style.swing, part.span.pickup) for p in points}
    return sorted(float(point) for point in points)


@every_song
def test_velocities_are_human_but_bounded(style: str, seed: int) -> None:
    song = written(style, seed)
    bound = song.style.feel.velocity
    for part in song.of("drums"):
        kicks: dict[int, set[int]] = {}
        for note in part.notes:
            if note.pitch in KICKS:
                kicks.setdefault(round(note.start % part.span.meter.bar_beats * 24), set()).add(note.velocity)
        for velocities in kicks.values():
            spread = max(velocities) - min(velocities)
            assert spread <= 2 * bound + 75  # two marks of the pattern may stand at one place in different bars


@every_song
def test_the_open_hat_is_closed_by_the_next_stroke(style: str, seed: int) -> None:
    hats = {KEYS["hat"], KEYS["pedal"], KEYS["open"]}
    for part in written(style, seed).of("drums"):
        strokes = sorted((n for n in part.notes if n.pitch in hats), key=lambda n: n.start)
        for stroke, following in pairwise(strokes):
            if stroke.pitch == KEYS["open"]:
                assert stroke.end <= following.start + Fraction(1, 24)
                assert following.start > stroke.start


@pytest.mark.parametrize("style", STYLES)
def test_a_cell_made_again_fits_where_it_stood(style: str) -> None:
    """Another seed: other notes, the same chords, the same groove family and the same place for the kick."""
    from dataclasses import replace

    from models.band.compose import compose

    song = written(style, 1)
    section = max(song.parts, key=lambda key: song.parts[key].span.section.energy)[0]
    for role in ("drums", "bass", "harmony", "lead", "fx"):
        part = song.parts[section, role]
        others = {r: song.parts[section, r].notes for r in ("drums", "bass", "harmony", "lead", "fx") if r != role}
        makings = [
            compose(replace(part.request, notes=None, seed=seed, context=others), song.style) for seed in range(40, 43)
        ]
        assert any(again != part.notes for again in makings), f"{role}: another seed changes nothing"
        assert len(set(makings)) >= 2
        assert makings[0] == compose(replace(part.request, notes=None, seed=40, context=others), song.style)
        if role in ("drums", "bass"):
            again = Part(part.span, part.request, makings[0])
            similar = [alike(onsets(part.bar(k)), onsets(again.bar(k))) for k in range(min(3, part.span.section.bars))]
            assert mean(similar) >= 0.7, f"{role} lost its groove"


def test_a_song_is_written_the_same_way_twice() -> None:
    first = written("funk", 5)
    written.cache_clear()
    assert written("funk", 5).parts == first.parts


def test_notes_lie_on_the_tick_grid_after_swing() -> None:
    song = written("jazz_swing", 1)
    assert all(n.start == on_tick(n.start) for p in song.parts.values() for n in p.notes)


def test_sections_of_a_kind_share_their_chords() -> None:
    song = written("pop", 1)
    choruses: list[Section] = [s for s in song.song.sections if s.kind == "chorus"]
    assert len(choruses) >= 2
    shortest = min(len(s.chords) for s in choruses) - 2
    assert len({tuple(str(c.chord) for c in s.chords[:shortest]) for s in choruses}) == 1
