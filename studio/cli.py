"""The command line. What is heavy is imported only when a command needs it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from studio.commands import align, generate, rank, separate, transcribe
from studio.version import __version__

if TYPE_CHECKING:
    from types import FrameType

    from studio.jobs.worker import Ahead
    from studio.plan import Plan, PlanOptions
    from studio.session import Made

BAD_INPUT = 2
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
"""As shells count them: 128 and the number of the signal."""


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 0, 2 for bad input, 130 or 143 when interrupted or terminated."""
    arguments = _parser().parse_args(argv)
    with _terminable():
        return _run(arguments)


class _Terminated(KeyboardInterrupt):
    """The system asks us to end: as an interrupt, what was begun is taken back."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Raises _Terminated at SIGTERM, where this is the thread that may ask for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: argparse.Namespace) -> int:
    # The work is shared out by cell and by stem; threads inside a matrix product would only stand in their way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        code = run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as stop:
        print("\nstemwright: interrupted; nothing was changed", file=sys.stderr)
        return TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED
    except BrokenPipeError:
        # Who read our output has left. Python would complain about it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except MemoryError:
        print("stemwright: out of memory; make a shorter song or close other programs", file=sys.stderr)
        return BAD_INPUT
    except Exception as error:
        if not _is_expected(error):
            raise
        print(f"stemwright: {' '.join(_words(error).split())}", file=sys.stderr)
        return BAD_INPUT


def _words(error: Exception) -> str:
    """What an error says; one of the system's own is given its remedy."""
    from studio.project.errors import os_problem

    return str(os_problem("use", Path(error.filename or "the output"), error) if isinstance(error, OSError) else error)


def _is_expected(error: Exception) -> bool:
    """Whether an error is one of ours, with words for the user; anything else is a bug and shows its traceback."""
    from models.api import EngineError
    from models.styles import StyleError
    from studio.align.values import AlignError
    from studio.mix.errors import MixError
    from studio.picture.arrangement import PictureError
    from studio.project.errors import ProjectError
    from studio.song import SongError

    ours = (SongError, EngineError, StyleError, ProjectError, MixError, PictureError, AlignError)
    return isinstance(error, (*ours, OSError))  # a system call that fails unforeseen still says why


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stemwright",
        description="Make a song as separate stems, section by section, exactly on the bar grid of your DAW.",
    )
    parser.add_argument("--version", action="version", version=f"stemwright {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_make(commands)
    _add_regenerate(commands)
    align.add(commands)
    generate.add(commands)
    separate.add(commands)
    transcribe.add(commands)
    rank.add(commands)
    _add_picture(commands)
    styles = commands.add_parser("styles", help="list the styles")
    styles.add_argument("--json", action="store_true", help="print one JSON object")
    styles.set_defaults(run=_styles)
    return parser


def _add_make(commands: Any) -> None:
    make = commands.add_parser(
        "make",
        help="make a song from words",
        description="Make a song from words (English or Russian): stems, clips, mix and MIDI in one project folder.",
    )
    make.add_argument("prompt", metavar="PROMPT", help='what to make, such as "dusty lo-fi with piano, 84 bpm"')
    make.add_argument("--out", metavar="DIR", required=True, help="the project folder to write")
    make.add_argument("--bpm", metavar="B", help="tempo, 20 to 400, such as 120 or 97.3")
    make.add_argument("--key", metavar="KEY", help='such as "F# minor", "Bb major" or "D dorian"')
    make.add_argument("--meter", metavar="N/M", help="such as 4/4, 3/4 or 7/8")
    make.add_argument(
        "--tempo-map", metavar="MAP", help='such as "1=92 9=92..104 17=104": bar=BPM, or a ramp; wins over --bpm'
    )
    make.add_argument("--sections", metavar="FORM", help='such as "intro:4 verse:8@7/8 chorus:8 outro:4"')
    make.add_argument("--pickup", metavar="BEATS", help="beats (quarter notes) before bar 1, such as 1 or 1/2")
    make.add_argument("--stems", metavar="ROLES", help="such as drums,bass,harmony,lead,fx (the default)")
    make.add_argument("--style", metavar="NAME", help="one of `stemwright styles`, rather than chosen from the words")
    make.add_argument("--title", metavar="TITLE", help="the song's title")
    make.add_argument("--seed", metavar="N", help="another number, another song; the same number, the same song")
    make.add_argument("--rate", metavar="HZ", default="48000", help="44100, 48000, 88200 or 96000 (default 48000)")
    make.add_argument("--engine", metavar="ROLE=NAME", action="append", default=[], help="what plays a role")
    make.add_argument(
        "--tails", choices=("wrap", "ring", "cut"), default="wrap",
        help="what rings past a clip's end: wrap to its start (loops, the default), ring on behind it, or cut",
    )  # fmt: skip
    make.add_argument("--llm", metavar="URL", help="let an OpenAI-compatible server on this machine plan the song")
    make.add_argument("--llm-model", metavar="NAME", default="default", help="which of the server's models")
    make.add_argument("--force", action="store_true", help="replace the song in DIR (its takes are kept)")
    make.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    make.set_defaults(run=_make)


def _add_regenerate(commands: Any) -> None:
    again = commands.add_parser("regenerate", help="make one clip of a song once more; earlier takes are kept")
    again.add_argument("dir", metavar="DIR", help="the project folder")
    again.add_argument("--section", metavar="N", required=True, help="the section's number, from 1")
    again.add_argument("--role", metavar="ROLE", required=True, help="drums, bass, harmony, lead, fx ...")
    again.add_argument("--seed", metavar="N", help="another number, another take")
    again.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    again.set_defaults(run=_regenerate)


def _add_picture(commands: Any) -> None:
    picture = commands.add_parser("picture", help="draw a song: its stems as waveforms on the bar grid")
    picture.add_argument("dir", metavar="DIR", help="the project folder")
    picture.add_argument("-o", "--output", metavar="PNG", required=True, type=Path, help="the picture to write")
    picture.set_defaults(run=_picture)


def _make(arguments: argparse.Namespace) -> int:
    begun = time.perf_counter()
    from studio.jobs.worker import Ahead

    # What plays the song loads its libraries while this process does, and plans.
    with Ahead(("studio.jobs.cells", "models.band.engine")) as ahead:
        made = _made(arguments, ahead)
    count = len(made.song.clips)
    _report(made, "1 clip" if count == 1 else f"{count} clips", arguments.json, time.perf_counter() - begun)
    return 0


def _made(arguments: argparse.Namespace, ahead: Ahead) -> Made:
    from studio import session
    from studio.commands.arguments import folder
    from studio.progress import Bar
    from studio.project.draft import check_target

    out = folder(arguments.out)
    check_target(out, arguments.force)
    plan = _planned(arguments)
    choices = [f"  {choice}" for choice in plan.choices]
    bar = Bar()

    def say(done: float, words: str) -> None:
        # The first word comes when everything was found in order: what goes wrong before is the only line.
        while choices:
            print(choices.pop(0), file=sys.stderr)
        bar(done, words)

    try:
        return session.make(plan.song, out, force=arguments.force, say=say, ahead=ahead)
    finally:
        bar.close()


def _planned(arguments: argparse.Namespace) -> Plan:
    from models.registry import load_text_encoder
    from studio.plan import plan_song

    options = _plan_options(arguments)
    encoder = load_text_encoder("minilm")
    load_text_encoder.cache_clear()  # it lives as long as the plan is made, and not beside all the sound
    if arguments.llm:
        from studio.plan.llm import Server, plan_with_llm

        return plan_with_llm(arguments.prompt, Server(arguments.llm, arguments.llm_model), options, encoder)
    return plan_song(arguments.prompt, options, encoder)


def _plan_options(arguments: argparse.Namespace) -> PlanOptions:
    from studio.commands.arguments import fraction, roles, seed, whole
    from studio.plan import PlanOptions, parse_sections
    from studio.song import RATES, Key, Meter, parse_bpm, parse_tempo_map

    rate = whole("rate", arguments.rate, f"use one of {', '.join(map(str, RATES))} frames a second")
    given: dict[str, Any] = {"rate": rate, "tails": arguments.tails}
    if arguments.bpm is not None:
        given["bpm"] = parse_bpm(arguments.bpm)
    if arguments.tempo_map is not None:
        given["tempo"] = parse_tempo_map(arguments.tempo_map)
    if arguments.key is not None:
        given["key"] = Key.parse(arguments.key)
    if arguments.meter is not None:
        given["meter"] = Meter.parse(arguments.meter)
    if arguments.sections is not None:
        given["sections"] = parse_sections(arguments.sections)
    if arguments.pickup is not None:
        given["pickup"] = fraction("pickup", arguments.pickup)
    if arguments.stems is not None:
        given["roles"] = roles(arguments.stems)
    if arguments.seed is not None:
        given["seed"] = seed(arguments.seed)
    if arguments.engine:
        given["engines"] = _engines(arguments.engine)
    for name in ("style", "title"):
        if getattr(arguments, name) is not None:
            given[name] = getattr(arguments, name)
    return PlanOptions(**given)


def _engines(words: list[str]) -> dict[str, str]:
    from models.registry import engine_names
    from studio.song import ROLES, SongError

    engines: dict[str, str] = {}
    for word in words:
        role, equals, name = word.partition("=")
        if not equals or role not in (*ROLES, "all"):
            raise SongError(f"engine {word[:40]!r}: write ROLE=NAME with a role of {', '.join(ROLES)}, or all=NAME")
        if name not in engine_names():
            raise SongError(f"engine {name[:40]!r} is not known; use one of {', '.join(engine_names())}")
        engines.update(dict.fromkeys(ROLES, name) if role == "all" else {role: name})
    return engines


def _regenerate(arguments: argparse.Namespace) -> int:
    begun = time.perf_counter()
    from studio import session
    from studio.commands.arguments import folder, seed, whole
    from studio.progress import Bar

    section = whole("section", arguments.section, "write the section's number, from 1")
    drawn = None if arguments.seed is None else seed(arguments.seed)
    bar = Bar()
    try:
        made = session.regenerate(folder(arguments.dir), section, arguments.role, seed=drawn, say=bar)
    finally:
        bar.close()
    kind = made.song.sections[section - 1].kind
    done = f"another {arguments.role} for section {section} ({kind})"
    _report(made, done, arguments.json, time.perf_counter() - begun)
    return 0


def _report(made: Made, done: str, as_json: bool, seconds: float) -> None:
    from studio.session import describe

    if as_json:
        print(json.dumps({**describe(made), "seconds_to_make": round(seconds, 3)}))
    else:
        title = "".join(c for c in made.song.title if c.isprintable())  # a foreign song may hold terminal codes
        print(f"{title}: {done} in {made.root} ({seconds:.1f} s)", file=sys.stderr)


def _styles(arguments: argparse.Namespace) -> int:
    from models.styles import load_heads

    styles = load_heads()
    if arguments.json:
        rows = [
            {"name": s.name, "title": s.title, "tempo": list(s.tempo), "meters": list(s.meters), "modes": list(s.modes)}
            for s in styles.values()
        ]
        print(json.dumps({"styles": rows}))
        return 0
    for style in styles.values():
        low, _, high = style.tempo
        print(f"{style.name:14} {f'{low:g}-{high:g}':>7} BPM  {', '.join(style.meters):14} {style.examples[0]}")
    return 0


def _picture(arguments: argparse.Namespace) -> int:
    from studio.commands.arguments import folder
    from studio.picture.song import draw_project

    draw_project(folder(arguments.dir), arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
