"""Pure values of a song and the edits on them. Standard library only."""

from studio.song.chord import Chord, ChordSpan
from studio.song.errors import SongError
from studio.song.key import Key
from studio.song.meter import Meter
from studio.song.notes import PPQ, Note, on_tick, to_tick
from studio.song.tempo import TempoMap, TempoPoint, TempoSegment, parse_bpm, parse_tempo_map
from studio.song.timeline import Bar, Span, Timeline, check_duration
from studio.song.values import (
    KINDS,
    RATES,
    ROLES,
    TAILS,
    Cell,
    Clip,
    Provenance,
    Section,
    Song,
    Stem,
    StemMix,
    Take,
)

__all__ = [
    "KINDS", "PPQ", "RATES", "ROLES", "TAILS", "Bar", "Cell", "Chord", "ChordSpan", "Clip", "Key", "Meter", "Note",
    "Provenance", "Section", "Song", "SongError", "Span", "Stem", "StemMix", "Take", "TempoMap", "TempoPoint",
    "TempoSegment", "Timeline", "check_duration", "on_tick", "parse_bpm", "parse_tempo_map", "to_tick",
]  # fmt: skip
