"""`stemwright transcribe`: a sound file to a MIDI file."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    transcribe = commands.add_parser(
        "transcribe",
        help="hear the notes of a sound",
        description="Hear the notes of a sound file (WAV, AIFF, FLAC, OGG, MP3) and write them as MIDI. Lines and "
        "chords of one instrument come out best; `align` the sound first, and its notes lie on your bars.",
    )
    transcribe.add_argument("source", metavar="IN", help="the sound file")
    transcribe.add_argument("-o", "--output", metavar="OUT.mid", required=True, help="the MIDI file to write")
    transcribe.add_argument("--bpm", metavar="B", default="120", help="its tempo, 20 to 400 (default 120)")
    transcribe.add_argument("--meter", metavar="N/M", default="4/4", help="such as 4/4 (the default), 3/4 or 7/8")
    transcribe.add_argument("--json", action="store_true", help="print the notes on standard output, in seconds")
    transcribe.add_argument("--force", action="store_true", help="replace the file if it is there")
    transcribe.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command asks for."""
    begun = time.perf_counter()
    from fractions import Fraction

    from studio.commands.arguments import file
    from studio.progress import Bar
    from studio.song import Meter, parse_bpm
    from studio.transcribing import Transcription, transcribe_file

    order = Transcription(
        file("sound file", arguments.source), file("MIDI file", arguments.output), Fraction(parse_bpm(arguments.bpm)),
        Meter.parse(arguments.meter), arguments.force,
    )  # fmt: skip
    bar = Bar()
    try:
        done = transcribe_file(order, bar, lambda: False)
    finally:
        bar.close()
    for warning in done.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(done.as_json()))
    key = f" in {done.key}" if done.key is not None else ""
    print(f"{done.path}: {len(done.notes)} notes{key} ({time.perf_counter() - begun:.1f} s)", file=sys.stderr)
    return 0
