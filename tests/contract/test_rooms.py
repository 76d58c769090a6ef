"""What the import contracts of pyproject.toml cannot say: who needs which library, and when it is loaded."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("studio", "models", "dsp", "bridge", "ui")
# What rebuilds the bundled sounds: run by contributors, who have what the tests need.
WORKSHOP = ROOT / "models" / "band" / "assets"
# Where the name that is imported differs from the name that is installed.
DISTRIBUTIONS = {"PIL": "pillow", "google": "protobuf", "yaml": "pyyaml"}
# Taken by hand, for what they require stands in torch's way; start.py does so for the tests (LISTENERS).
WITHOUT_WHAT_THEY_ASK_FOR = {"beat-this"}
# Loaded only on use, so that the command line answers at once.
HEAVY = {"torch", "transformers", "onnxruntime", "scipy", "soundfile", "soxr", "pyloudnorm", "PIL", "PySide6"}


def imports_of(path: Path) -> Iterator[str]:
    """The full names of the modules that a source file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def foreign_imports(folder: Path, left_out: Path | None = None) -> dict[str, str]:
    """Distribution name -> one of the files that import it, for all that is neither ours nor Python's."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        if left_out in path.parents:
            continue
        for name in imports_of(path):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ROOMS:
                found[distribution(top)] = path.relative_to(ROOT).as_posix()
    return found


def distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", DISTRIBUTIONS.get(name, name)).lower()


def declared() -> dict[str, set[str]]:
    """The distributions that pyproject.toml names: those of the base as "base", those of an extra under its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: {distribution(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in requirements}
        for group, requirements in groups.items()
    }


def test_the_song_needs_nothing_but_python() -> None:
    for path in sorted((ROOT / "studio" / "song").rglob("*.py")):
        for name in imports_of(path):
            ours = name == "studio.song" or name.startswith("studio.song.")
            assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_what_is_imported_is_declared_and_what_is_required_is_imported() -> None:
    programs: dict[str, str] = {}
    for room in ROOMS:
        programs |= foreign_imports(ROOT / room, left_out=WORKSHOP)
    workshop = foreign_imports(WORKSHOP)
    names = declared()
    for imported, available in (
        (programs, names["base"] | names["neural"] | WITHOUT_WHAT_THEY_ASK_FOR),
        (workshop, names["base"] | names["test"]),
    ):
        assert not {name: path for name, path in imported.items() if name not in available}, "declare these"
    assert not names["base"] - set(programs), "nothing imports these: take them out of pyproject.toml"


def test_songs_are_made_without_scipy() -> None:
    """Its filters take half a second to load, in each of the processes that play."""
    for room in ("dsp", "models/band", "studio/jobs", "studio/mix", "studio/project", "studio/song"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if WORKSHOP not in path.parents:
                assert not any(name.split(".")[0] == "scipy" for name in imports_of(path)), path


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, studio.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())
