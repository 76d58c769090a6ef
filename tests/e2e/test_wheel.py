"""The wheel, installed in an empty environment, makes a song outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("studio", "models", "dsp", "bridge", "ui")
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist")
ROLES = ("drums", "bass", "harmony", "lead", "fx")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Standard output of a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env or {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(python: Path, *arguments: str | Path, cwd: Path) -> None:
    run(python, "-I", "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments, cwd=cwd)


def make_environment(folder: Path) -> Path:
    """A new virtual environment; returns its folder of programs."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return folder / ("Scripts" if os.name == "nt" else "bin")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it stands, away from the checkout."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("source") / "stemwright", ignore=NOT_COPIED)


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", target, source, cwd=target)
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs are of an environment that holds the wheel, what it depends on, and nothing else."""
    folder = make_environment(tmp_path_factory.mktemp("installed") / "environment")
    pip(folder / "python", "install", wheel, cwd=folder)
    return folder


@pytest.fixture
def outside(programs: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """(an empty folder, an environment with an empty home and nothing of the checkout)."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {"PATH": f"{programs}{os.pathsep}{os.defpath}", "HOME": str(home), "LANG": "C.UTF-8"}
    environment["OMP_NUM_THREADS"] = "1"
    if os.name == "nt":  # without it Python cannot start its random numbers
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return work, environment


def contents(wheel: Path) -> dict[str, int]:
    """File name -> CRC-32 of everything in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def test_wheel_holds_every_file_of_the_packages_and_the_licences(source: Path, wheel: Path) -> None:
    names = set(contents(wheel))
    expected = {
        path.relative_to(source).as_posix()
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert expected
    assert {name for name in names if ".dist-info/" not in name} == expected
    licences = {name.split(".dist-info/licenses/")[1] for name in names if ".dist-info/licenses/" in name}
    bundled = {name for name in expected if "/licenses/" in name or "/LICENSE" in name}
    assert bundled
    assert licences == {"LICENSE", "NOTICE"} | bundled


def test_wheel_built_from_the_sdist_is_the_same(source: Path, wheel: Path, tmp_path: Path) -> None:
    builder = make_environment(tmp_path / "builder")
    pip(builder / "python", "install", "hatchling>=1.27", cwd=tmp_path)
    run(builder / "python", "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=source)
    [sdist] = tmp_path.glob("*.tar.gz")
    pip(builder / "python", "wheel", "--no-deps", "--wheel-dir", tmp_path, sdist, cwd=tmp_path)
    [rebuilt] = tmp_path.glob("*.whl")
    assert contents(rebuilt) == contents(wheel)


def test_version_is_the_projects(
    source: Path, programs: Path, wheel: Path, outside: tuple[Path, dict[str, str]]
) -> None:
    work, environment = outside
    version = wheel.name.split("-")[1]
    assert f'"{version}"' in (source / "studio" / "version.py").read_text(encoding="utf-8")
    assert run(programs / "stemwright", "--version", cwd=work, env=environment).split()[-1] == version


def test_makes_a_song_outside_the_checkout(programs: Path, outside: tuple[Path, dict[str, str]]) -> None:
    work, environment = outside
    told = run(
        *(programs / "stemwright", "make", "warm house, 122 bpm, A minor", "--sections", "intro:2 verse:4"),
        *("--seed", "3", "--out", "song", "--json"),
        cwd=work,
        env=environment,
    )
    report: dict[str, Any] = json.loads(told)
    song = work / "song"
    assert (song / "song.json").is_file()
    sections = [(section["kind"], section["bars"]) for section in report["sections"]]
    assert sections == [("intro", 2), ("verse", 4)]
    for section in ("01-intro", "02-verse"):
        for role in ROLES:
            assert (song / "clips" / section / f"{role}.wav").stat().st_size > 0
            assert (song / "clips" / section / f"{role}.mid").stat().st_size > 0
    assert sorted(report["stems"]) == sorted(ROLES)
    for path in (*report["stems"].values(), report["mix"], report["midi"]):
        assert (song / path).is_file()


def test_needs_no_torch_and_loads_none(programs: Path, outside: tuple[Path, dict[str, str]]) -> None:
    work, environment = outside
    code = """
import importlib.util, sys
from studio.cli import main
assert "site-packages" in main.__code__.co_filename, main.__code__.co_filename
assert importlib.util.find_spec("torch") is None
assert main(["make", "slow ballad", "--sections", "verse:2", "--stems", "bass", "--out", "ballad"]) == 0
print(sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "transformers", "PySide6")))
"""
    assert run(programs / "python", "-c", code, cwd=work, env=environment).splitlines()[-1] == "[]"
