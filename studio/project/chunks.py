"""The chunks of a WAV file, as bytes.

Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, `fmt `, `cue `, `LIST`, `smpl`);
EBU Tech 3285 v2 (`bext`); EBU Tech 3306 (RF64); the iXML specification 2.1. `acid` has no public
specification; its layout is the one that Acid, FL Studio, Reaper and libsndfile agree on.
"""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import NamedTuple

_U32 = 0xFFFFFFFF
_NO_LOUDNESS = 0x7FFF  # EBU Tech 3285 v2, 2.4: the value is not given


class Marker(NamedTuple):
    """A named place in the sound; `frames` is the length of what it names, 0 for a point."""

    frame: int
    name: str
    frames: int = 0


@dataclass(frozen=True)
class Loudness:
    """EBU R 128 figures for `bext`; None where not measured. LUFS, LU and dBTP."""

    integrated: float | None = None
    range: float | None = None
    true_peak: float | None = None
    momentary: float | None = None
    short_term: float | None = None


def chunk(name: bytes, payload: bytes) -> bytes:
    """A chunk: its name, the length of its payload, the payload, and a pad byte where that length is odd."""
    return struct.pack("<4sI", name, len(payload)) + payload + b"\0" * (len(payload) % 2)


def fmt(tag: int, channels: int, rate: int, sample_bytes: int) -> bytes:
    """The format: 1 is integer PCM, 3 is float (which asks for an extension size, here 0)."""
    frame_bytes = channels * sample_bytes
    payload = struct.pack("<HHIIHH", tag, channels, rate, rate * frame_bytes, frame_bytes, 8 * sample_bytes)
    return chunk(b"fmt ", payload + (b"\0\0" if tag != 1 else b""))


def fact(frames: int) -> bytes:
    """The number of frames, which every format but integer PCM must state."""
    return chunk(b"fact", struct.pack("<I", min(frames, _U32)))


def acid(*, loop: bool, root: int | None, beats: Fraction, pulses: int, unit: int, bpm: float) -> bytes:
    """Tempo and length for hosts that stretch. `root` is a MIDI key, None where the sound has no pitch.

    The count of beats is a whole number: a clip of, say, 3.5 beats is written as a one-shot, for a wrong
    count would make the host stretch it off the grid.
    """
    stretches = loop and beats.denominator == 1
    flags = (0x04 if stretches else 0x01) | (0x02 if root is not None else 0)
    # flags, root key, two fields of unknown meaning as Acid writes them, beats, meter (lower number first), BPM
    payload = struct.pack("<IHHfIHHf", flags, root or 60, 0x8000, 0.0, round(beats), unit, pulses, bpm)
    return chunk(b"acid", payload)


def smpl(*, rate: int, root: int, loop_frames: int | None) -> bytes:
    """For samplers: the key at which it sounds as recorded, and a loop over the whole of `loop_frames` frames."""
    # cue id, type (forward), start, end (inclusive), fraction, play count (for ever)
    loops = [] if loop_frames is None else [struct.pack("<6I", 0, 0, 0, loop_frames - 1, 0, 0)]
    head = struct.pack("<9I", 0, 0, round(1e9 / rate), root, 0, 0, 0, len(loops), 0)
    return chunk(b"smpl", head + b"".join(loops))


def cue(markers: Sequence[Marker]) -> bytes:
    """The places of the markers, numbered from 1."""
    points = [
        struct.pack("<II4sIII", index, marker.frame, b"data", 0, 0, marker.frame)
        for index, marker in enumerate(markers, 1)
    ]
    return chunk(b"cue ", struct.pack("<I", len(points)) + b"".join(points))


def adtl(markers: Sequence[Marker]) -> bytes:
    """The names of the markers, and the lengths of those that have one."""
    parts: list[bytes] = [b"adtl"]
    for index, marker in enumerate(markers, 1):
        name = clean(marker.name).encode() + b"\0"
        parts.append(chunk(b"labl", struct.pack("<I", index) + name))
        if marker.frames:
            # No text of its own: the label has it, and some readers take the wrong byte for its code page.
            region = struct.pack("<II4sHHHH", index, marker.frames, b"rgn ", 0, 0, 0, 0)
            parts.append(chunk(b"ltxt", region))
    return chunk(b"LIST", b"".join(parts))


def info(tags: Mapping[str, str]) -> bytes:
    """LIST INFO: four-letter tags in the given order, empty ones left out, UTF-8."""
    parts = [chunk(name.encode("ascii"), clean(text).encode() + b"\0") for name, text in tags.items() if text]
    return chunk(b"LIST", b"INFO" + b"".join(parts))


def bext(*, description: str, originator: str, start_frame: int, loudness: Loudness, history: str) -> bytes:
    """Broadcast extension, version 2. Date and time stay empty: the same song gives the same bytes.

    `start_frame` is the time reference: the first frame's place on the song's timeline. `history` is the
    coding history, one line.
    """
    given = (loudness.integrated, loudness.range, loudness.true_peak, loudness.momentary, loudness.short_term)
    levels = [_NO_LOUDNESS if level is None or math.isnan(level) else _hundredths(level) for level in given]
    payload = struct.pack(
        "<256s32s32s10s8sIIH64s5h180s",
        to_ascii(description).encode()[:256],
        to_ascii(originator).encode()[:32],
        b"", b"", b"",
        start_frame & _U32, start_frame >> 32,
        2, b"",
        *levels,
        b"",
    )  # fmt: skip
    return chunk(b"bext", payload + to_ascii(history).encode() + b"\r\n\0")


def _hundredths(level: float) -> int:
    """A level as `bext` counts it; silence, whose level is minus infinity, as the lowest number there is."""
    return round(max(-32768.0, min(float(_NO_LOUDNESS - 1), 100 * level)))


def ixml(
    fields: Mapping[str, str], *, start_frame: int, rate: int, bits: int, tracks: Sequence[str], user: Mapping[str, str]
) -> bytes:
    """iXML: `fields` (PROJECT, SCENE, TAKE, NOTE ...) in order, SPEED, one track a channel, and `user` under USER."""

    def tags(values: Mapping[str, str], indent: str) -> list[str]:
        return [f"{indent}<{name}>{escape(clean(text), quote=False)}</{name}>" for name, text in values.items()]

    speed = {
        "MASTER_SPEED": "1/1", "CURRENT_SPEED": "1/1", "FILE_SAMPLE_RATE": str(rate), "AUDIO_BIT_DEPTH": str(bits),
        "DIGITIZER_SAMPLE_RATE": str(rate), "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI": str(start_frame >> 32),
        "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO": str(start_frame & _U32), "TIMESTAMP_SAMPLE_RATE": str(rate),
    }  # fmt: skip
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<BWFXML>", "  <IXML_VERSION>2.1</IXML_VERSION>"]
    lines += [*tags(fields, "  "), "  <SPEED>", *tags(speed, "    "), "  </SPEED>"]
    lines += ["  <TRACK_LIST>", f"    <TRACK_COUNT>{len(tracks)}</TRACK_COUNT>"]
    for index, name in enumerate(tracks, 1):
        track = {"CHANNEL_INDEX": str(index), "INTERLEAVE_INDEX": str(index), "NAME": name}
        lines += ["    <TRACK>", *tags(track, "      "), "    </TRACK>"]
    lines += ["  </TRACK_LIST>", "  <USER>", *tags(user, "    "), "  </USER>", "</BWFXML>", ""]
    return chunk(b"iXML", "\n".join(lines).encode())


def file_head(chunks: Sequence[bytes], data_bytes: int, frames: int) -> bytes:
    """Everything before the samples. The `data` chunk comes last, so a file cut short still says all it knows.

    A file of more than 4 GiB becomes RF64, whose true sizes stand in a `ds64` chunk of their own.
    """
    body = b"".join(chunks)
    size = 4 + len(body) + 8 + data_bytes + data_bytes % 2
    if size <= _U32:
        return struct.pack("<4sI4s", b"RIFF", size, b"WAVE") + body + struct.pack("<4sI", b"data", data_bytes)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", size + 36, data_bytes, frames, 0))
    head = struct.pack("<4sI4s", b"RF64", _U32, b"WAVE")
    return head + ds64 + body + struct.pack("<4sI", b"data", _U32)


def clean(text: str) -> str:
    """One line without control characters or half characters, at most 1000 characters."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+", " ", text)
    return plain.strip()[:1000]


def to_ascii(text: str) -> str:
    """The text without accents, with "?" for what ASCII lacks: `bext` allows nothing else."""
    decomposed = unicodedata.normalize("NFKD", clean(text))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).encode("ascii", "replace").decode("ascii")
