"""From a song to the request for one of its cells: everything resolved, nothing left to ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction

from models.api import Harmony, Note, Place, StemRequest, TempoSpan
from studio.song import ChordSpan, Key, Song, Span, Stem, Timeline

ROLE_ORDER = ("drums", "bass", "harmony", "lead", "vocals", "fx")
"""Who is written first: later roles hear the earlier ones."""


def cell_seed(song: Song, section: str, stem: str, number: int) -> int:
    """The seed of a cell's take `number` (from 0) where the user names none; different for every cell."""
    text = f"{song.seed}\x1f{section}\x1f{stem}\x1f{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def cell_request(
    song: Song, timeline: Timeline, span: Span, stem: Stem, seed: int, context: Mapping[str, tuple[Note, ...]]
) -> StemRequest:
    """The request for the cell of `span`'s section and `stem`. `context` holds the other stems' notes by role."""
    key = span.section.key or song.key
    first, frames = timeline.frames(span, song.rate)
    exact = timeline.tempo.exact_seconds(span.start)
    return StemRequest(
        role=stem.role,
        rate=song.rate,
        frames=frames,
        beats=span.beats,
        meter=(span.meter.pulses, span.meter.unit),
        felt=span.meter.felt_beats(),
        tempo=tuple(TempoSpan(s.start, s.beats, s.bpm, s.bpm_end) for s in timeline.tempo.window(span.start, span.end)),
        place=_place(timeline, span),
        key=str(key),
        mode=key.mode,
        scale=key.scale,
        chords=_chords(span, key),
        seed=seed,
        song_seed=song.seed,
        style=song.style,
        prompt=", ".join(words for words in (stem.prompt, span.section.prompt) if words),
        pickup=span.pickup,
        offset_seconds=exact - Fraction(first, song.rate),
        previous_chord=_previous_chord(timeline, span),
        next_chord=_next_chord(timeline, span),
        lyrics=span.section.lyrics,
        context=dict(context),
    )


def _place(timeline: Timeline, span: Span) -> Place:
    sections = [other.section for other in timeline.spans]
    kind = span.section.kind
    alike = [index for index, section in enumerate(sections) if section.kind == kind]
    after = sections[span.index + 1] if span.index + 1 < len(sections) else None
    return Place(
        kind=kind,
        index=span.index,
        count=len(sections),
        start_bar=span.start_bar,
        bars=span.section.bars,
        occurrence=alike.index(span.index),
        occurrences=len(alike),
        energy=span.section.energy,
        before=sections[span.index - 1].kind if span.index else None,
        after=after.kind if after else None,
        after_energy=after.energy if after else 0.0,
    )


def _chords(span: Span, key: Key) -> tuple[Harmony, ...]:
    """The section's chords from the cell's first frame on; the first one also covers a pickup."""
    result: list[Harmony] = []
    for chord in span.section.chords:
        start = chord.start + span.pickup
        beats = chord.beats
        if not result and start > 0:
            start, beats = Fraction(0), beats + start
        if start < span.beats:
            result.append(_harmony(chord, start, min(beats, span.beats - start)))
    return tuple(result)


def _harmony(span: ChordSpan, start: Fraction, beats: Fraction) -> Harmony:
    chord = span.chord
    return Harmony(start, beats, str(chord), chord.root_pitch_class, chord.bass_pitch_class, chord.pitch_classes)


def _previous_chord(timeline: Timeline, span: Span) -> Harmony | None:
    before = timeline.spans[span.index - 1].section.chords if span.index else ()
    return _harmony(before[-1], -before[-1].beats, before[-1].beats) if before else None


def _next_chord(timeline: Timeline, span: Span) -> Harmony | None:
    if span.index + 1 >= len(timeline.spans):
        return None
    following = timeline.spans[span.index + 1].section
    return _harmony(following.chords[0], span.beats, following.chords[0].beats) if following.chords else None
