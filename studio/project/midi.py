"""Standard MIDI Files: one for each clip that has notes, and one for the song.

A clip is a format 0 file: every DAW imports it as one clip on the track it is dropped on, where format 1
would make a track for the tempo and one more for each instrument. The song is format 1: tempo, meters, keys
and section markers in track 0, then one named track a stem. Both count 960 ticks a quarter note and end
exactly where the music ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import mido

from studio.project.atomic import atomic_write
from studio.project.chunks import clean
from studio.project.errors import ProjectError
from studio.project.midi_tempo import tempo_events
from studio.song import PPQ, Key, Meter, Note, Song, TempoMap, TempoSegment, Timeline, to_tick

DRUM_CHANNEL = 9
"""MIDI channel 10, counted from 0."""
DRUM_KIT = -1
"""What a layer has in place of a program when it is a drum kit (see Take.layers)."""
_MELODIC = [channel for channel in range(16) if channel != DRUM_CHANNEL]
_MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR = (
    "Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m",
)  # fmt: skip


@dataclass(frozen=True)
class MidiPart:
    """One track: its name, its notes (in beats from the file's start) and the instruments `Note.layer` counts."""

    name: str
    notes: tuple[Note, ...]
    layers: tuple[tuple[str, int], ...] = ()


class _Event(NamedTuple):
    """A message at a tick. `rank` orders what falls on one tick: metadata, programs, note ends, note starts."""

    tick: int
    rank: int
    message: mido.Message | mido.MetaMessage


def write_clip_midi(
    path: Path,
    part: MidiPart,
    *,
    beats: Fraction,
    meter: Meter,
    key: Key,
    tempo: Sequence[TempoSegment],
    pickup: Fraction = Fraction(0),
    durable: bool = False,
) -> None:
    """Write one clip of `beats` beats. `tempo` is its window of the song's map (`TempoMap.window`).

    `pickup` beats of it precede its first bar line. Raises ProjectError where the file cannot be written.
    """
    events = [
        _meta(0, "track_name", name=clean(part.name)),
        *_meters([(Fraction(0), pickup, meter)]),
        _meta(0, "key_signature", key=_signature(key)),
        *_tempi(TempoMap(tuple(tempo)), beats),
        *_notes(part, beats, _channels([part])[0]),
    ]
    _save(path, 0, [_track(events, beats)], durable)


def write_song_midi(
    path: Path, song: Song, timeline: Timeline, parts: Iterable[MidiPart], *, durable: bool = False
) -> None:
    """Write the whole song: `parts` (see `parts_of`) hold notes in beats from the song's start. Raises ProjectError."""
    parts, end = list(parts), timeline.end
    head = [_meta(0, "track_name", name=clean(song.title))]
    head += _meters([(span.start, span.pickup, span.meter) for span in timeline.spans])
    before: str | None = None
    for span in timeline.spans:
        signature = _signature(span.section.key or song.key)
        if signature != before:
            head.append(_meta(to_tick(span.start), "key_signature", key=signature))
            before = signature
        head.append(_meta(to_tick(span.start), "marker", text=span.section.kind))
    tracks = [_track([*head, *_tempi(timeline.tempo, end)], end)]
    for part, channels in zip(parts, _channels(parts), strict=True):
        events = [_meta(0, "track_name", name=clean(part.name)), *_notes(part, end, channels)]
        tracks.append(_track(events, end))
    _save(path, 1, tracks, durable)


def parts_of(song: Song, timeline: Timeline) -> list[MidiPart]:
    """Each stem that has notes as a part named by its role: the takes in use, one after the other.

    Where takes of one stem name different instruments, the part has all of them; a second stem of a role is
    numbered.
    """
    parts: list[MidiPart] = []
    for stem in song.stems:
        notes: list[Note] = []
        layers: list[tuple[str, int]] = []
        for span in timeline.spans:
            take = song.cell(span.section.id, stem.id).take
            if take is None or take.notes is None:
                continue
            layers += [layer for layer in take.layers if layer not in layers]
            number = {index: layers.index(layer) for index, layer in enumerate(take.layers)}
            notes += [
                note._replace(start=note.start + span.start, layer=number.get(note.layer, note.layer))
                for note in take.notes
            ]
        if notes:
            same = sum(part.name.split(" ")[0] == stem.role for part in parts)
            name = f"{stem.role} {same + 1}" if same else stem.role
            parts.append(MidiPart(name, tuple(notes), tuple(layers)))
    return parts


def _channels(parts: Sequence[MidiPart]) -> list[dict[int, int]]:
    """For each part, its layers' channels: kits on channel 10, the others on channels of their own while they last."""
    result: list[dict[int, int]] = []
    taken = 0
    for part in parts:
        channels: dict[int, int] = {}
        for layer in sorted({note.layer for note in part.notes} | set(range(len(part.layers)))):
            if layer < len(part.layers) and part.layers[layer][1] == DRUM_KIT:
                channels[layer] = DRUM_CHANNEL
            else:
                channels[layer] = _MELODIC[taken % len(_MELODIC)]
                taken += 1
        result.append(channels)
    return result


def _notes(part: MidiPart, end: Fraction, channels: dict[int, int]) -> list[_Event]:
    """Programs and notes. One key of one channel sounds once at a time: a new note ends the one before it."""
    events = [
        _Event(0, 1, mido.Message("program_change", channel=channels[index], program=program))
        for index, (_, program) in enumerate(part.layers)
        if program != DRUM_KIT
    ]
    sounding: dict[tuple[int, int], list[list[int]]] = {}
    last = to_tick(end)
    for start, stop, note in sorted((to_tick(n.start), min(to_tick(n.end), last), n) for n in part.notes):
        if start < 0 or stop <= start:
            raise ProjectError(f"{part.name}: a note at beat {float(note.start):g} does not lie inside its clip")
        if not (0 <= note.pitch <= 127 and 1 <= note.velocity <= 127):
            raise ProjectError(f"{part.name}: a note at beat {float(note.start):g} is out of MIDI's range")
        line = sounding.setdefault((channels[note.layer], note.pitch), [])
        if line and line[-1][0] == start:
            line[-1][1:] = [max(line[-1][1], stop), max(line[-1][2], note.velocity)]
            continue
        if line and line[-1][1] > start:
            line[-1][1] = start
        line.append([start, stop, note.velocity])
    for (channel, pitch), line in sounding.items():
        for start, stop, velocity in line:
            events.append(_Event(start, 3, _message("note_on", channel, pitch, velocity)))
            events.append(_Event(stop, 2, _message("note_off", channel, pitch, 64)))
    return events


def _message(kind: str, channel: int, pitch: int, velocity: int) -> mido.Message:
    """A note message of values that have been checked: mido's own checks cost more than all the rest of a file."""
    return mido.Message(kind, skip_checks=True, channel=channel, note=pitch, velocity=velocity)


def _tempi(tempo: TempoMap, end: Fraction) -> list[_Event]:
    return [_meta(event.tick, "set_tempo", tempo=event.microseconds) for event in tempo_events(tempo, end)]


def _meters(places: Iterable[tuple[Fraction, Fraction, Meter]]) -> list[_Event]:
    """A meter event where a section (start, pickup, meter) changes it. An incomplete bar gets a meter of its own."""
    events: list[_Event] = []
    before: Meter | None = None
    for start, pickup, meter in places:
        if pickup:
            pulses, unit = _pickup_meter(pickup, meter)
            events.append(_time_signature(start, pulses, unit))
            before = None  # the meter is said again at the bar line, which also puts the bar line there
        if meter != before:
            events.append(_time_signature(start + pickup, meter.pulses, meter.unit))
        before = meter
    return events


def _pickup_meter(pickup: Fraction, meter: Meter) -> tuple[int, int]:
    """The pickup as a meter, in the song's note value where it fits; the song's meter where none does (triplets)."""
    for unit in (meter.unit, 2, 4, 8, 16, 32, 64):
        pulses = pickup * unit / 4
        if pulses.denominator == 1 and pulses <= 255:
            return int(pulses), unit
    return meter.pulses, meter.unit


def _time_signature(beat: Fraction, pulses: int, unit: int) -> _Event:
    """The click falls on the felt beat: three pulses in 6/8, one elsewhere, in MIDI clocks (24 a quarter note)."""
    clocks = 96 // unit * (3 if unit >= 8 and pulses % 3 == 0 and pulses > 3 else 1)
    return _meta(
        to_tick(beat),
        "time_signature",
        numerator=pulses,
        denominator=unit,
        clocks_per_click=max(clocks, 1),
        notated_32nd_notes_per_beat=8,
    )


def _signature(key: Key) -> str:
    """The key's accidentals, as major or minor by its third: a file knows no other mode."""
    return (_MINOR if key.is_minor else _MAJOR)[key.fifths + 7]


def _meta(tick: int, kind: str, **values: object) -> _Event:
    return _Event(tick, 0, mido.MetaMessage(kind, **values))


def _track(events: Iterable[_Event], end: Fraction) -> mido.MidiTrack:
    """The events in order, each with its delta time, closed exactly at `end`."""
    track = mido.MidiTrack()
    tick = 0
    for event in sorted(events, key=lambda event: event[:2]):
        event.message.time = event.tick - tick
        track.append(event.message)
        tick = event.tick
    track.append(mido.MetaMessage("end_of_track", time=to_tick(end) - tick))
    return track


def _save(path: Path, kind: int, tracks: list[mido.MidiTrack], durable: bool) -> None:
    file = mido.MidiFile(type=kind, ticks_per_beat=PPQ, charset="utf-8", tracks=tracks)
    data = BytesIO()
    file.save(file=data)
    atomic_write(path, data.getvalue(), durable=durable)
