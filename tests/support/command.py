"""The command line as its users have it, for tests: its exit status, its output, and what it leaves on the disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.cli import main

ROOT = Path(__file__).resolve().parents[2]
SHORT = "intro:1 verse:2 chorus:2"


@dataclass(frozen=True)
class Outcome:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> dict[str, Any]:
        """The object a successful command printed; there is nothing else on its standard output."""
        assert self.code == 0, self.err
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def stemwright(*words: str | Path) -> Outcome:
    """Run a command in this process: no second start of Python, and the samples stay loaded."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def make(out: Path, *options: str, prompt: str = "house", sections: str = SHORT) -> dict[str, Any]:
    """Make a short song in this process; what `--json` printed."""
    return stemwright("make", prompt, "--out", out, "--sections", sections, "--json", *options).value


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of its own that finds the project from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def stemwright_process(*words: str | Path, env: dict[str, str] | None = None, **options: Any) -> Outcome:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "studio", *map(str, words)]
    done = subprocess.run(
        command, env=env or environment(), capture_output=True, text=True, encoding="utf-8", check=False, **options
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def tree(root: Path) -> dict[str, str]:
    """Every file and folder below `root` (folders end in "/"), with the digest of what is in it."""
    found: dict[str, str] = {}
    for where, folders, names in os.walk(root):
        for folder in folders:
            found[(Path(where) / folder).relative_to(root).as_posix() + "/"] = ""
        for name in names:
            path = Path(where) / name
            data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[path.relative_to(root).as_posix()] = hashlib.sha256(data).hexdigest()
    return found
