"""`stemwright align`: a sound file onto the bars of a tempo or a song."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.alignfile import Order

FEWEST_BARS, MOST_BARS = 1, 4096
SOFTEST, LOUDEST = -60, -5
"""LUFS."""


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    align = commands.add_parser(
        "align",
        help="put any sound on the bar grid",
        description="Put a sound file (WAV, AIFF, FLAC, OGG, MP3) on the bars of a tempo or a song, write a clip, "
        "and say in milliseconds how well it sits.",
    )
    align.add_argument("source", metavar="IN", help="the sound file")
    align.add_argument("-o", "--output", metavar="OUT.wav", required=True, help="the clip to write")
    align.add_argument("--bpm", metavar="B", help="the tempo to align to, 20 to 400, such as 120 or 97.3")
    align.add_argument("--meter", metavar="N/M", help="such as 4/4 (the default), 3/4 or 7/8")
    align.add_argument("--bars", metavar="N", help="exactly so many bars, repeated or trimmed at bar lines")
    align.add_argument("--felt", metavar="BPM", help="the tempo at which you count the sound: one such beat a beat")
    align.add_argument("--from-bpm", metavar="BPM", help="the tempo the sound was meant to have")
    align.add_argument(
        "--beats", metavar="FILE", help="a text file with the seconds of its beats, where they are misheard"
    )
    align.add_argument("--listener", metavar="NAME", help="who hears its beats instead: beatnet or beat_this")
    align.add_argument("--listener-weights", metavar="DIR", help="the folder of the listener's weights, if not its own")
    align.add_argument("--project", metavar="DIR", help="take tempo, meter, key and rate from this song")
    align.add_argument("--start-bar", metavar="K", help="the song's bar at which the clip begins (default 1)")
    align.add_argument("--loop", action="store_true", help="make its end meet its start")
    align.add_argument("--lufs", metavar="L", help="loudness of the clip, such as -18 (default: as it is)")
    align.add_argument("--role", metavar="ROLE", help="what it is (drums, bass ...): tells how purely it is that")
    align.add_argument("--separator", metavar="DIR", help="with --role: a published separator, which tells it exactly")
    align.add_argument("--rate", metavar="HZ", help="of the clip (default: the song's, or the file's own)")
    align.add_argument("--report", metavar="R.json", help="write the report to this file")
    align.add_argument("--json", action="store_true", help="print the report on standard output")
    align.add_argument("--force", action="store_true", help="replace files that are there; never the sound file itself")
    align.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command asks for."""
    begun = time.perf_counter()
    order = _order(arguments)
    from studio.alignfile import align_file
    from studio.progress import Bar

    bar = Bar()
    try:
        clip = align_file(order, bar, lambda: False)
    finally:
        bar.close()
    for warning in clip.report.warnings:
        print(f"note: {_plain(warning)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(clip.as_json()))
    print(f"{_plain(clip.report.words())} ({time.perf_counter() - begun:.1f} s)", file=sys.stderr)
    return 0


def _plain(words: str) -> str:
    """Words without what a file's name might do to a terminal."""
    return "".join(letter for letter in words if letter.isprintable())


def _order(arguments: argparse.Namespace) -> Order:
    from studio.alignfile import Order
    from studio.commands.arguments import file, folder, number, role, within
    from studio.counting import Listening
    from studio.mix.arrays import MAX_RATE, MIN_RATE
    from studio.song import Meter, SongError, parse_bpm

    given: dict[str, Any] = {"source": file("sound file", arguments.source), "out": file("clip", arguments.output)}
    if arguments.project is not None:
        for name in ("bpm", "meter"):
            if getattr(arguments, name) is not None:
                raise SongError(f"--{name} and --project: the song says that; leave one of them out")
        given["project"] = folder(arguments.project)
    elif arguments.start_bar is not None:
        raise SongError("--start-bar is a bar of a song; name the song with --project")
    elif arguments.bpm is None:
        raise SongError("name the tempo to align to with --bpm, or a song with --project")
    else:
        given["bpm"] = parse_bpm(arguments.bpm)
    if arguments.meter is not None:
        given["meter"] = Meter.parse(arguments.meter)
    if arguments.bars is not None:
        given["bars"] = within("bars", arguments.bars, FEWEST_BARS, MOST_BARS)
    if arguments.start_bar is not None:
        given["start_bar"] = within("start bar", arguments.start_bar, 1, MOST_BARS)
    for option, name in (("felt", "felt_bpm"), ("from_bpm", "from_bpm")):
        if getattr(arguments, option) is not None:
            given[name] = float(parse_bpm(getattr(arguments, option)))
    told = [name for name in ("beats", "listener", "felt", "from_bpm") if getattr(arguments, name) is not None]
    if len(told) > 1 and set(told) & {"beats", "listener"}:
        raise SongError(f"--{told[0]} and --{told[1].replace('_', '-')} both tell its tempo; leave one of them out")
    if arguments.beats is not None:
        given["beats"] = file("file of beats", arguments.beats)
    if arguments.listener_weights is not None and arguments.listener is None:
        raise SongError("--listener-weights are a listener's; name it with --listener")
    if arguments.listener is not None:
        weights = arguments.listener_weights
        given["listener"] = Listening(arguments.listener, None if weights is None else folder(weights))
    if arguments.lufs is not None:
        given["lufs"] = number("loudness", arguments.lufs, SOFTEST, LOUDEST)
    if arguments.rate is not None:
        given["rate"] = within("rate", arguments.rate, MIN_RATE, MAX_RATE)
    if arguments.role is not None:
        given["role"] = role(arguments.role)
    if arguments.separator is not None:
        if arguments.role is None:
            raise SongError("--separator tells how purely a sound is of its role; name that with --role")
        given["separator"] = folder(arguments.separator)
    if arguments.report is not None:
        given["report"] = file("report", arguments.report)
    return Order(**given, loop=arguments.loop, force=arguments.force)
