"""`stemwright generate`: a prompt to a sound, as the model makes it."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.api import StemResult
    from models.api.prompts import PromptRequest

SOFTEST, LOUDEST = -60, -5
"""LUFS."""


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    generate = commands.add_parser(
        "generate",
        help="make one sound from words with a neural engine",
        description="Hand a prompt to a neural engine as it is, and write what the engine makes of it: its own rate, "
        "length and level.",
    )
    generate.add_argument("prompt", metavar="PROMPT", help="what it is to sound like")
    generate.add_argument("--engine", metavar="NAME", required=True, help="such as musicgen")
    generate.add_argument("--weights", metavar="DIR", required=True, help="the folder of a published checkpoint")
    generate.add_argument("-o", "--output", metavar="OUT.wav", required=True, help="the sound to write")
    generate.add_argument("--seconds", metavar="S", default="8", help="its length (default 8)")
    generate.add_argument("--seed", metavar="N", help="the same seed makes the same sound (default: drawn, and told)")
    generate.add_argument("--greedy", action="store_true", help="always the likeliest")
    generate.add_argument("--guidance", metavar="G", help="how closely to keep to the words, 1 to 30")
    generate.add_argument("--temperature", metavar="T", help="how freely to draw, 0 to 10")
    generate.add_argument("--top-k", metavar="K", help="draw from so many of the likeliest only")
    generate.add_argument("--top-p", metavar="P", help="draw from this share of what is likely only, 0 to 1")
    generate.add_argument("--device", metavar="D", default="cpu", help="cpu (the default), cuda, cuda:1, mps")
    generate.add_argument(
        "--dtype", metavar="T", default="float32", help="float32 (the default), bfloat16, float16 or, on a CPU, int8"
    )
    generate.add_argument("--rate", metavar="HZ", help="of the file (default: the model's)")
    generate.add_argument("--lufs", metavar="L", help="loudness of the file, such as -18 (default: the model's)")
    generate.add_argument("--json", action="store_true", help="print what was made on standard output")
    generate.add_argument("--force", action="store_true", help="replace the file if it is there")
    generate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command asks for."""
    from studio.commands.arguments import file, folder, number, within
    from studio.jobs.neural import NeuralHost
    from studio.mix.arrays import MAX_RATE, MIN_RATE
    from studio.progress import Bar
    from studio.song import SongError

    begun = time.perf_counter()
    request, out, weights = _request(arguments), file("sound", arguments.output), folder(arguments.weights)
    rate = None if arguments.rate is None else within("rate", arguments.rate, MIN_RATE, MAX_RATE)
    lufs = None if arguments.lufs is None else number("loudness", arguments.lufs, SOFTEST, LOUDEST)
    if out.exists() and not arguments.force:
        raise SongError(f"{out} exists already; choose another name, or replace it with --force")
    bar = Bar()

    def told(kind: str, done: int, of: int) -> None:
        bar(done / of if of else 0.0, "loading" if kind == "loading" else "generating")

    try:
        with NeuralHost() as host:
            result = host.generate(
                request, arguments.engine, weights, device=arguments.device, dtype=arguments.dtype, told=told
            )
    finally:
        bar.close()
    _write(out, result, request, rate, lufs)
    seconds = request.seconds
    if arguments.json:
        print(json.dumps({"file": str(out), "seconds": seconds, "seed": result.seed, **result.parameters}))
    took = time.perf_counter() - begun
    print(
        f"{out}: {seconds:g} s by {result.engine} ({result.weights}), seed {result.seed} ({took:.1f} s)",
        file=sys.stderr,
    )
    return 0


def _request(arguments: argparse.Namespace) -> PromptRequest:
    from models.api.prompts import LONGEST_S, PromptRequest
    from studio.commands.arguments import number, seed, within

    def given(name: str, least: float, most: float) -> float | None:
        text = getattr(arguments, name)
        return None if text is None else number(name, text, least, most)

    return PromptRequest(
        prompt=arguments.prompt, seconds=number("length", arguments.seconds, 0.01, LONGEST_S),
        seed=secrets.randbelow(1 << 31) if arguments.seed is None else seed(arguments.seed), greedy=arguments.greedy,
        guidance=given("guidance", 1, 30), temperature=given("temperature", 0, 10),
        top_k=None if arguments.top_k is None else within("top-k", arguments.top_k, 0, 1 << 16),
        top_p=given("top_p", 0, 1),
    )  # fmt: skip


def _write(out: Path, result: StemResult, request: PromptRequest, rate: int | None, lufs: float | None) -> None:
    from studio.align.level import level
    from studio.mix.sources import ArraySource
    from studio.project.wav import WavInfo, write_wav

    assert result.audio is not None
    audio, own = result.audio, result.rate
    if rate is not None and rate != own:
        import soxr

        audio, own = soxr.resample(audio.T, own, rate).T, rate
    if lufs is not None:
        sound, _ = level(ArraySource(audio), own, lufs, loop=False, edges=False, attack=False, step=lambda done: None)
        audio = sound.read(0, sound.frames)
    channels, frames = audio.shape
    comment = f"{result.engine} {result.version}, {result.weights}, seed {result.seed}: {request.prompt}"
    info = WavInfo(title=out.stem, comment=comment[:1000])
    written = write_wav(out, [audio], own, channels=channels, frames=frames, info=info, durable=True)
    if written.clipped:
        print(f"note: {written.clipped} samples were clipped at full scale; --lufs -18 keeps them", file=sys.stderr)
