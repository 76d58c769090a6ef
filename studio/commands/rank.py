"""`stemwright rank`: which of some sounds is most like what words say."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    rank = commands.add_parser(
        "rank",
        help="sort sounds by how well they are what words say",
        description="Compare sound files with a description, and print them from the likest to the least like.",
    )
    rank.add_argument("prompt", metavar="PROMPT", help="what they are to sound like")
    rank.add_argument("sources", metavar="IN", nargs="+", help="the sound files")
    rank.add_argument("--weights", metavar="DIR", required=True, help="the folder of a published CLAP checkpoint")
    rank.add_argument("--device", metavar="D", default="cpu", help="cpu (the default), cuda, cuda:1, mps")
    rank.add_argument("--json", action="store_true", help="print the figures as JSON")
    rank.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command asks for."""
    from models.api.prompts import PromptRequest
    from studio.audiofile import AudioFile
    from studio.commands.arguments import file, folder
    from studio.jobs.neural import NeuralHost
    from studio.progress import Bar

    prompt = PromptRequest(arguments.prompt).prompt  # held to the same limits as one that is made
    paths, weights = [file("sound file", source) for source in arguments.sources], folder(arguments.weights)
    bar, found = Bar(), []
    try:
        with NeuralHost() as host:
            for number, path in enumerate(paths):
                bar(number / len(paths), "listening")
                with AudioFile(path, None, lambda done: None) as source:
                    audio = source.read(0, source.frames)
                    likeness = host.likeness(prompt, audio, source.rate, "clap", weights, device=arguments.device)
                found.append((likeness, str(path)))
    finally:
        bar.close()
    found.sort(key=lambda one: -one[0])
    if arguments.json:
        print(json.dumps([{"file": name, "likeness": round(likeness, 4)} for likeness, name in found]))
    else:
        for likeness, name in found:
            print(f"{likeness:+.3f}  {name}", file=sys.stdout)
    return 0
