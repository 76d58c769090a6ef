"""The bytes of a tiny clip and a tiny MIDI file, readable, so that a change of format cannot slip in unseen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from studio.project import wav
from studio.project.midi import MidiPart, write_clip_midi
from studio.project.wav import ClipInfo, Marker, write_clip
from studio.song import Key, Meter, Note, TempoMap


def golden(text: str) -> bytes:
    """Bytes written as hex, as 'text' in quotes, and as *N for N zero bytes; # begins a comment."""
    result = b""
    for line in text.splitlines():
        for word in line.partition("#")[0].split():
            if word.startswith("'"):
                result += word[1:-1].replace("_", " ").encode()
            elif word.startswith("*"):
                result += bytes(int(word[1:]))
            else:
                result += bytes.fromhex(word)
    return result


WAV = """
'RIFF' A8080000 'WAVE'
'fmt_' 10000000  0100 0200 80BB0000 00650400 0600 1800   # PCM, stereo, 48000, 288000 bytes/s, 6 a frame, 24 bits
'bext' 87020000
  'S_/_lead' *248  'Stemwright' *22  *32 *10 *8            # description, originator, reference, date, time
  05000000 01000000 0200 *64                               # time reference 2**32 + 5, version 2, UMID
  FF7F FF7F FF7F FF7F FF7F *180                            # no loudness
  'A=PCM,F=48000,W=24,M=stereo,T=Stemwright_0' 0D0A 00 00  # coding history, its end, a pad byte
'acid' 18000000  06000000 4500 0080 00000000 02000000 0400 0200 00007042  # stretches, root A, 2 beats, 2/4, 60 BPM
'smpl' 3C000000  *8 61510000 45000000 *12 01000000 *4      # 20833 ns a sample, unity note A, one loop
  *8 00000000 01000000 *8                                  # forward, frames 0 to 1, for ever
'cue_' 1C000000  01000000  01000000 00000000 'data' *8 00000000
'LIST' 32000000 'adtl'
  'labl' 0A000000 01000000 'verse' 00
  'ltxt' 14000000 01000000 02000000 'rgn_' *8
"""


def test_a_tiny_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "SOFTWARE", "Stemwright 0")
    audio = np.array([[0.0, 0.5], [-1.0, 2.0**-23]], np.float32)
    info = ClipInfo(
        "lead", song="S", role="lead", start_frame=2**32 + 5, markers=(Marker(0, "verse", 2),), section="verse",
        beats=Fraction(2), frames=2, bpm=Fraction(60), meter=Meter(2, 4), key=Key("A", "minor"),
    )  # fmt: skip
    write_clip(tmp_path / "a.wav", audio, 48000, info)
    data = (tmp_path / "a.wav").read_bytes()
    head = golden(WAV)
    assert data[: len(head)].hex(" ") == head.hex(" ")
    rest = data[len(head) :]
    info_chunk = golden("'LIST' 40000000 'INFO' 'INAM' 05000000 'lead' 00 00 'IPRD' 02000000 'S' 00"
                        " 'IKEY' 05000000 'lead' 00 00 'ISFT' 0D000000 'Stemwright_0' 00 00")  # fmt: skip
    assert rest[: len(info_chunk)].hex(" ") == info_chunk.hex(" ")
    assert rest[len(info_chunk) :][:4] == b"iXML"
    assert data.endswith(golden("'data' 0C000000  000000 000080 000040 010000"))


MIDI = """
'MThd' 00000006 0000 0001 03C0          # format 0, one track, 960 ticks a quarter note
'MTrk' 0000003D
  00 FF03 04 'lead'
  00 FF58 04 03 03 0C 08                # 3/8, a click every 12 MIDI clocks
  00 FF59 02 FF 01                      # one flat, minor
  00 FF51 03 07A120                     # 500000 us a quarter note
  00 C0 51                              # program 81
  00 90 3E 64
  8360 FF51 03 0927C0                   # 480 ticks on, 600000 us a quarter note
  00 80 3E 40                           # where D4 ends
  00 90 41 50  8740 80 41 40            # F4 for 960 ticks
  00 FF2F 00
"""


def test_a_tiny_midi_file(tmp_path: Path) -> None:
    notes = (Note(Fraction(0), Fraction(1, 2), 62, 100), Note(Fraction(1, 2), Fraction(1), 65, 80))
    tempo = TempoMap.constant(120).window(Fraction(0), Fraction(1, 2))
    slower = TempoMap.constant(100).window(Fraction(0), Fraction(1))
    write_clip_midi(
        tmp_path / "a.mid",
        MidiPart("lead", notes, (("saw", 81),)),
        beats=Fraction(3, 2),
        meter=Meter(3, 8),
        key=Key("D", "minor"),
        tempo=[*tempo, *(type(s)(s.start + Fraction(1, 2), s.beats, s.bpm, s.bpm_end) for s in slower)],
    )
    assert (tmp_path / "a.mid").read_bytes().hex(" ") == golden(MIDI).hex(" ")
