"""What `stemwright make` promises about its output: the object on stdout, the files, and where everything lies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.song import KINDS, RATES, ROLES
from studio.version import __version__
from tests.support.command import ROOT, SHORT, environment, make, stemwright, stemwright_process, tree
from tests.support.exact import section_frames
from tests.support.riff import read_wave

USUAL = ["drums", "bass", "harmony", "lead", "fx"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A short song with all that is usual."""
    return make(tmp_path_factory.mktemp("made") / "song", "--seed", "5", prompt="house 124 bpm in C dorian")


def root_of(song: dict[str, Any]) -> Path:
    return Path(song["mix"]).parent


def test_the_object_has_the_promised_fields(made: dict[str, Any]) -> None:
    types = {
        "rate": int, "seed": int, "title": str, "key": str, "sections": list, "clips": list, "stems": dict,
        "mix": str, "midi": str, "seconds_to_make": float,
    }  # fmt: skip
    assert {name: type(made[name]) for name in types} == types
    assert (made["rate"], made["seed"], made["key"]) == (48000, 5, "C dorian")
    section = {
        "index": int,
        "kind": str,
        "bars": int,
        "meter": str,
        "start_bar": int,
        "start_frame": int,
        "frames": int,
    }
    for row in made["sections"]:
        assert {name: type(row[name]) for name in section} == section
        assert row["kind"] in KINDS
    clip = {"path": str, "midi": str, "section": int, "role": str, "start_frame": int, "frames": int, "engine": str}
    for row in made["clips"]:
        assert {name: type(row[name]) for name in clip} == clip
        assert row["role"] in ROLES
        assert row["engine"] == "band"
    assert [row["index"] for row in made["sections"]] == [1, 2, 3]
    assert {(row["section"], row["role"]) for row in made["clips"]} == {(k, role) for k in (1, 2, 3) for role in USUAL}
    assert list(made["stems"]) == USUAL
    assert made["seconds_to_make"] > 0


def test_the_files_lie_where_they_should_and_nothing_else_does(made: dict[str, Any]) -> None:
    root = root_of(made)
    folders = ("01-intro", "02-verse", "03-chorus")
    clips = {f"clips/{folder}/{role}.{kind}" for folder in folders for role in USUAL for kind in ("wav", "mid")}
    stems = {f"stems/{role}.wav" for role in USUAL}
    found = {name for name in tree(root) if not name.endswith("/")}
    assert {name for name in found if not name.startswith("media/")} == {
        "song.json", "mix.wav", "song.mid", *clips, *stems,
    }  # fmt: skip
    for row in made["clips"]:
        assert Path(row["path"]).relative_to(root).as_posix() in clips
        folder, name = Path(row["path"]).parts[-2:]
        assert (folder, name) == (folders[row["section"] - 1], f"{row['role']}.wav")
        assert Path(row["midi"]) == Path(row["path"]).with_suffix(".mid")
    assert {Path(path).relative_to(root).as_posix() for path in made["stems"].values()} == stems
    assert (Path(made["mix"]), Path(made["midi"])) == (root / "mix.wav", root / "song.mid")
    assert json.loads((root / "song.json").read_text("utf-8"))["schema"] == "stemwright.song"


def check_time(song: dict[str, Any], expected: list[tuple[str, int, str, int, int, int]]) -> None:
    """Sections are where they should be, to the frame, and clips, stems and mix agree with them."""
    found = [
        tuple(row[name] for name in ("kind", "bars", "meter", "start_bar", "start_frame", "frames"))
        for row in song["sections"]
    ]
    assert found == expected
    total = expected[-1][4] + expected[-1][5]
    for row in song["clips"]:
        section = song["sections"][row["section"] - 1]
        assert (row["start_frame"], row["frames"]) == (section["start_frame"], section["frames"])
        wave = read_wave(Path(row["path"]))
        assert (wave.rate, len(wave.samples)) == (song["rate"], 2)
        assert wave.frames == row["frames"] + row["tail_frames"]
    for path in (*song["stems"].values(), song["mix"]):
        wave = read_wave(Path(path))
        assert (wave.rate, wave.samples.shape) == (song["rate"], (2, total))


def test_sections_and_clips_tile_to_the_frame(made: dict[str, Any]) -> None:
    check_time(made, section_frames(SHORT, "4/4", "1=124", 48000))


STEADY = ("4/4", "3/4", "7/8", "5/4", "6/8", "12/8", "7/16", "2/2", "3/2", "5/16")


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(STEADY)), ids=STEADY)
def test_every_meter_and_rate_is_exact(tmp_path: Path, index: int) -> None:
    meter, rate = STEADY[index], RATES[index % len(RATES)]
    bpm = ("87.5", "97.3", "127.125", "143.999999", "61.7")[index % 5]
    sections = "intro:1 verse:3 chorus:2 outro:1"
    song = make(tmp_path / "song", "--meter", meter, "--rate", str(rate), "--bpm", bpm, "--stems", "drums,bass",
                sections=sections)  # fmt: skip
    check_time(song, section_frames(sections, meter, f"1={bpm}", rate))


CHANGING = [
    ("verse:2@7/8 chorus:2 bridge:3@5/16 outro:1", "4/4", "1=92 3=104.5", 44100, "0"),
    ("intro:4 verse:4@7/8 chorus:2 outro:2", "4/4", "1=92 5=92..104 9=104", 48000, "0"),
    ("verse:3 chorus:3@6/8", "3/4", "1=180..90", 88200, "3/2"),
    ("intro:1 verse:2@3/2 chorus:2@2/2", "7/16", "1=120..121 3=97.3 4=97.3..60.001", 96000, "1/2"),
    ("verse:2 chorus:2", "5/4", "1=71.25 2=300 3=71.25..400", 44100, "1"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sections", "meter", "tempo", "rate", "pickup"), CHANGING)
def test_changing_tempo_and_meter_are_exact(
    tmp_path: Path, sections: str, meter: str, tempo: str, rate: int, pickup: str
) -> None:
    song = make(tmp_path / "song", "--meter", meter, "--tempo-map", tempo, "--rate", str(rate), "--pickup", pickup,
                "--stems", "drums,lead", sections=sections)  # fmt: skip
    check_time(song, section_frames(sections, meter, tempo, rate, Fraction(pickup)))


@pytest.mark.parametrize("roles", ["bass", "lead,drums", "fx,harmony"])
def test_stems_are_those_asked_for_in_the_order_asked_for(tmp_path: Path, roles: str) -> None:
    song = make(tmp_path / "song", "--stems", roles, sections="verse:2")
    assert list(song["stems"]) == roles.split(",")
    assert [row["role"] for row in song["clips"]] == roles.split(",")
    assert sorted(os.listdir(tmp_path / "song" / "stems")) == sorted(f"{role}.wav" for role in roles.split(","))
    assert (tmp_path / "song" / "mix.wav").is_file()


def test_options_win_over_words(tmp_path: Path) -> None:
    song = make(
        tmp_path / "song", "--bpm", "97.3", "--key", "F# minor", "--meter", "7/8", "--stems", "bass", "--seed", "7",
        "--rate", "44100", "--engine", "bass=band", "--title", "Над рекой 🎹", prompt="house 124 bpm in C dorian",
        sections="verse:1",
    )  # fmt: skip
    assert (song["key"], song["meter"], song["tempo"]) == ("F# minor", "7/8", ["1=97.3"])
    assert (song["seed"], song["rate"], song["title"]) == (7, 44100, "Над рекой 🎹")


def test_a_drawn_seed_is_told_and_makes_the_same_song(tmp_path: Path) -> None:
    drawn = make(tmp_path / "a", "--stems", "bass", sections="verse:2")
    again = make(tmp_path / "b", "--stems", "bass", "--seed", str(drawn["seed"]), sections="verse:2")
    assert (tmp_path / "a" / "mix.wav").read_bytes() == (tmp_path / "b" / "mix.wav").read_bytes()
    assert again["seed"] == drawn["seed"]


@pytest.mark.parametrize("prompt", ["🎹🔥", "спокойный лоу-фай, 80 ударов в минуту", "house\0techno", "x" * 10_000])
def test_any_text_makes_a_song(tmp_path: Path, prompt: str) -> None:
    make(tmp_path / "song", "--stems", "bass", prompt=prompt, sections="verse:1")
    song = json.loads((tmp_path / "song" / "song.json").read_text("utf-8"))
    assert "\n".join(song["prompt"]) == prompt


def test_stdout_holds_the_object_alone_and_words_go_to_stderr(tmp_path: Path) -> None:
    words = ("make", "тихий джаз", "--out", tmp_path / "a", "--sections", "verse:1", "--stems", "bass")
    done = stemwright_process(*words, "--json", env=environment(PYTHONIOENCODING="ascii", LC_ALL="C"))
    assert done.code == 0, done.err
    assert done.out.count("\n") == 1
    assert json.loads(done.out)["mix"] == str((tmp_path / "a" / "mix.wav").resolve())
    assert "playing bass" in done.err
    assert "style:" in done.err
    quiet = stemwright("make", "jazz", "--out", tmp_path / "b", "--sections", "verse:1", "--stems", "bass")
    assert (quiet.code, quiet.out) == (0, "")


def test_an_empty_folder_and_a_folder_to_be_made_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_bytes(b"finder")
    for out in (tmp_path / "empty", tmp_path / "not" / "there" / "yet"):
        assert root_of(make(out, "--stems", "bass", sections="verse:1")) == out
        assert [name for name in os.listdir(out.parent) if ".stemwright" in name] == []


def test_force_replaces_the_song_and_keeps_its_takes(tmp_path: Path) -> None:
    out = tmp_path / "song"
    make(out, "--stems", "bass,lead", "--seed", "1", sections="intro:1 verse:1")
    (out / "notes.txt").write_text("mine")
    before = tree(out)
    song = make(out, "--stems", "bass", "--seed", "2", "--force", sections="chorus:1")
    after = tree(out)
    assert song["seed"] == 2
    takes = {name: digest for name, digest in before.items() if name.startswith("media/")}
    assert takes.items() <= after.items()
    assert after["notes.txt"] == before["notes.txt"]
    assert after["history/song-0001.json"] == before["song.json"]
    clips = sorted(name for name in after if name.startswith("clips/") and not name.endswith("/"))
    assert clips == ["clips/01-chorus/bass.mid", "clips/01-chorus/bass.wav"]
    assert "stems/lead.wav" not in after


# -- the other commands ------------------------------------------------------------------------------------


def test_styles_are_listed_for_people_and_for_programs() -> None:
    rows = stemwright("styles", "--json").value["styles"]
    lines = stemwright("styles").out.splitlines()
    assert len(rows) == len(lines) >= 20
    for row, line in zip(rows, lines, strict=True):
        assert line.split()[0] == row["name"]
        low, usual, high = row["tempo"]
        assert 20 <= low <= usual <= high <= 400
        assert row["title"]
        assert row["meters"]
        assert row["modes"]


def test_picture_draws_a_png_and_replaces_one(made: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "song.png"
    for _ in range(2):
        done = stemwright("picture", root_of(made), "-o", target)
        assert (done.code, done.out, done.err) == (0, "", "")
        with Image.open(target) as image:
            image.load()
            assert (image.format, image.size) == ("PNG", (1600, 900))
    assert os.listdir(tmp_path) == ["song.png"]


def test_version_and_help_say_what_they_should() -> None:
    assert stemwright("--version").out == f"stemwright {__version__}\n"
    text = stemwright("--help").out
    assert all(name in text for name in ("make", "regenerate", "picture", "styles"))
    options = stemwright("make", "--help").out
    for name in ("out", "bpm", "key", "meter", "tempo-map", "sections", "stems", "seed", "rate", "engine", "tails",
                 "force", "json"):  # fmt: skip
        assert f"--{name}" in options


def loaded_by(words: list[str], names: tuple[str, ...], tmp_path: Path) -> list[str]:
    """Which of the named packages are loaded once a command is done."""
    program = (
        "import sys\nfrom studio.cli import main\n"
        "try:\n    code = main(sys.argv[2:])\nexcept SystemExit as leaving:\n    code = leaving.code\n"
        "print('LOADED', *[n for n in sys.argv[1].split(',') if n in sys.modules])\nsys.exit(code)"
    )
    command = [sys.executable, "-c", program, ",".join(names), *words]
    done = subprocess.run(
        command, env=environment(), cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("words", [["--help"], ["make", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    heavy = ("numpy", "scipy", "soundfile", "PIL", "torch", "mido", "models.band.engine", "studio.session")
    assert loaded_by(words, heavy, tmp_path) == []


def test_make_never_loads_torch_nor_scipy(tmp_path: Path) -> None:
    """scipy.signal alone takes half a second of processor time, in every process."""
    words = ["make", "house", "--out", "song", "--sections", "verse:1", "--stems", "bass"]
    names = ("torch", "transformers", "PySide6", "scipy", "numpy")
    assert loaded_by(words, names, tmp_path) == ["numpy"]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "studio", "styles", "--json"]
    done = subprocess.run(
        command, env=environment(), cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
