"""Sound to notes, from a sound file to a MIDI file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from models.api.tools import HeardNote
from models.api.wire import MOST_BYTES
from studio.align.key import hear_key
from studio.alignfile import SURE_OF_KEY
from studio.audiofile import AudioFile
from studio.jobs.neural import NeuralHost
from studio.mix.errors import SourceError
from studio.project.midi import MidiPart, write_clip_midi
from studio.song import PPQ, Key, Meter, Note, SongError, TempoSegment

OPENED, HEARD = 0.05, 0.95
"""How much of the work is done when the file has been read, and when its notes are known."""

Say = Callable[[float, str], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Transcription:
    """What is to be heard, and where its notes go."""

    source: Path
    out: Path
    bpm: Fraction = Fraction(120)
    """Of the MIDI file, whose beat 0 is the sound's first frame."""
    meter: Meter = Meter()
    force: bool = False


@dataclass(frozen=True)
class Transcribed:
    """What was written."""

    path: Path
    notes: tuple[HeardNote, ...]
    key: Key | None
    """None where that is not sure."""
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON values; times in seconds."""
        return {
            "file": str(self.path.resolve()), "key": None if self.key is None else str(self.key),
            "notes": [
                {"start": round(n.start, 4), "end": round(n.end, 4), "pitch": n.pitch, "strength": round(n.strength, 3)}
                for n in self.notes
            ],
        }  # fmt: skip


def transcribe_file(order: Transcription, say: Say, cancel: Cancel) -> Transcribed:
    """Write the notes of a sound file. Raises SourceError, EngineError, ProjectError or SongError."""
    if order.out.exists() and not order.force:
        raise SongError(f"{order.out} exists already; choose another name, or replace it with --force")
    with AudioFile(order.source, None, lambda done: say(OPENED * done, "reading")) as source, NeuralHost() as host:
        most = MOST_BYTES // (4 * source.channels)
        if source.frames > most:
            raise SourceError(f"{source.path} lasts more than {most // (60 * source.rate)} minutes; cut it into parts")

        def told(kind: str, done: int, of: int) -> None:
            part = done / of if of else 0.0
            say(OPENED + (HEARD - OPENED) * part, "loading" if kind == "loading" else "listening")

        notes = host.transcribe(source.read(0, source.frames), source.rate, told=told, cancel=cancel)
        heard = hear_key(source, source.rate)
        seconds = source.frames / source.rate
        warnings = source.warnings
    key = heard.estimate if heard.confidence >= SURE_OF_KEY else None
    say(HEARD, "writing")
    written = notes_on_ticks(notes, order.bpm)
    beats = max([_on_tick(seconds * order.bpm / 60), *(note.end for note in written)])
    tempo = (TempoSegment(Fraction(0), max(beats, Fraction(1)), order.bpm, order.bpm),)
    write_clip_midi(
        order.out, MidiPart(order.source.stem, tuple(written)), beats=beats, meter=order.meter, key=key or Key(),
        tempo=tempo, durable=True,
    )  # fmt: skip
    return Transcribed(order.out, tuple(notes), key, warnings)


def notes_on_ticks(notes: Sequence[HeardNote], bpm: Fraction) -> list[Note]:
    """Notes in beats at a tempo, each a tick long at least and over before the next of its pitch begins."""
    found: list[Note] = []
    last: dict[int, int] = {}
    for heard in notes:
        start = _on_tick(Fraction(heard.start) * bpm / 60)
        end = max(_on_tick(Fraction(heard.end) * bpm / 60), start + Fraction(1, PPQ))
        velocity = min(127, max(1, round(127 * heard.strength)))
        before = last.get(heard.pitch)
        if before is not None and found[before].end > start:
            if found[before].start >= start:
                continue  # twice the same
            found[before] = found[before]._replace(beats=start - found[before].start)
        last[heard.pitch] = len(found)
        found.append(Note(start, end - start, heard.pitch, velocity))
    return found


def _on_tick(beats: Fraction | float) -> Fraction:
    return Fraction(round(beats * PPQ), PPQ)
