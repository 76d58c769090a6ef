"""`stemwright separate`: a mix into its stems."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    separate = commands.add_parser(
        "separate",
        help="take a mix apart into stems",
        description="Take a sound file (WAV, AIFF, FLAC, OGG, MP3) apart into drums, bass, vocals and the rest, each "
        "as long as the file and at its rate.",
    )
    separate.add_argument("source", metavar="IN", help="the sound file")
    separate.add_argument("--out", metavar="DIR", required=True, help="the folder for the stems")
    separate.add_argument("--weights", metavar="DIR", required=True, help="the folder of a published separator")
    separate.add_argument("--engine", metavar="NAME", default="demucs", help="demucs (the default)")
    separate.add_argument("--device", metavar="D", default="cpu", help="cpu (the default), cuda, cuda:1, mps")
    separate.add_argument("--json", action="store_true", help="print what was made on standard output")
    separate.add_argument("--force", action="store_true", help="replace stems that are there")
    separate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command asks for."""
    begun = time.perf_counter()
    from studio.commands.arguments import file, folder
    from studio.progress import Bar
    from studio.separating import Separation, separate_file

    order = Separation(
        file("sound file", arguments.source), folder(arguments.out), folder(arguments.weights), arguments.engine,
        arguments.device, arguments.force,
    )  # fmt: skip
    bar = Bar()
    try:
        done = separate_file(order, bar, lambda: False)
    finally:
        bar.close()
    for warning in done.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(done.as_json()))
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in done.shares.items())
    print(
        f"{order.folder}: {shares} of the energy; together they miss the mix by {done.residual_db:.0f} dB "
        f"({time.perf_counter() - begun:.1f} s)",
        file=sys.stderr,
    )
    return 0
