"""What the import contracts of pyproject.toml cannot say: who needs which library, and when it is loaded."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("studio", "models", "bridge", "ui")
# Where the name that is imported differs from the name that is installed.
DISTRIBUTIONS = {"PIL": "pillow", "google": "protobuf"}
# Loaded only on use, so that the command line answers at once.
HEAVY = {"torch", "transformers", "onnxruntime", "scipy", "soundfile", "soxr", "pyloudnorm", "PIL", "PySide6"}


def imports_of(path: Path) -> Iterator[str]:
    """The full names of the modules that a source file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def foreign_imports(folder: Path) -> dict[str, str]:
    """Distribution name -> one of the files that import it, for all that is neither ours nor Python's."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for name in imports_of(path):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ROOMS:
                found[distribution(top)] = path.relative_to(ROOT).as_posix()
    return found


def distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", DISTRIBUTIONS.get(name, name)).lower()


def declared() -> tuple[set[str], set[str]]:
    """(names of the base dependencies, names of those in the extras that users install)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {distribution(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in requirements}

    extras = project["optional-dependencies"]
    return names(project["dependencies"]), names([*extras["words"], *extras["neural"]])


def test_the_song_needs_nothing_but_python() -> None:
    for path in sorted((ROOT / "studio" / "song").rglob("*.py")):
        for name in imports_of(path):
            ours = name == "studio.song" or name.startswith("studio.song.")
            assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_what_is_imported_is_declared_and_what_is_required_is_imported() -> None:
    imported: dict[str, str] = {}
    for room in ROOMS:
        imported |= foreign_imports(ROOT / room)
    base, extra = declared()
    undeclared = {name: path for name, path in imported.items() if name not in base | extra}
    assert not undeclared, "declare these in pyproject.toml"
    assert not base - set(imported), "nothing imports these: take them out of pyproject.toml"


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, studio.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())
