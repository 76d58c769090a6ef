"""Bad input costs one line that names the limit and the remedy, and changes nothing on the disk."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, Outcome, environment, make, stemwright, stemwright_process, tree

HALF = "\udcff"  # what Python makes of a byte that is no UTF-8


def refused(done: Outcome, *says: str) -> None:
    """Exit status 2, nothing on stdout, and on stderr one line that says so much."""
    assert done.code == 2, done
    assert done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("stemwright"), done.err
    assert done.err.endswith("\n")
    assert len(done.err) < 600
    for words in says:
        assert words in done.err, done.err


# -- what the options and the prompt may be ----------------------------------------------------------------

OPTIONS: list[tuple[str, str, tuple[str, ...]]] = [
    *[("bpm", bad, ("20 to 400 BPM", "such as 120")) for bad in ("0", "NaN", "inf", "-1", "1e9", "19.9", "400.01")],
    *[("bpm", bad, ("is not a number", "120 or 97.3")) for bad in ("", "fast", "1_20", "12٣", "1/0", HALF)],
    ("bpm", "120.1234567", ("at most 6 decimals",)),
    ("meter", "13/7", ("the lower number is 2, 4, 8 or 16", "try 7/8")),
    ("meter", "4/0", ("the lower number is 2, 4, 8 or 16",)),
    ("meter", "0/4", ("the upper number is 1 to 32",)),
    ("meter", "33/4", ("the upper number is 1 to 32",)),
    *[("meter", bad, ("write pulses/unit", "7/8")) for bad in ("", "4", "-4/4", "4/4/4", "three", "٤/4")],
    *[("key", bad, ("write a tonic and a mode",)) for bad in ("", "H minor", "C foo", "C### major", "\n\n")],
    *[("tempo-map", bad, ("bar=BPM",)) for bad in ("x", "=92", "-1=92")],
    ("tempo-map", "", ("first point must be at bar 1", "1=120")),
    ("tempo-map", "2=92", ("first point must be at bar 1", "1=120")),
    ("tempo-map", "0=92", ("the first bar is 1",)),
    ("tempo-map", "1=92 1=93", ("rising order",)),
    ("tempo-map", "1=92 9=0", ("20 to 400 BPM",)),
    ("tempo-map", "1=92..1000", ("20 to 400 BPM",)),
    ("tempo-map", "1=92..", ("is not a number",)),
    ("sections", "verse:0", ("1 to 512 bars",)),
    ("sections", "verse:10000", ("1 to 512 bars",)),
    ("sections", " ".join(["verse:512"] * 9), ("at most 4096 bars", "make two songs")),
    ("sections", " ".join(["verse:1"] * 201), ("1 to 200 sections",)),
    ("sections", "", ("1 to 200 sections",)),
    ("sections", "solo:4", ("use one of intro, verse",)),
    ("sections", "verse:4@13/7", ("the lower number is 2, 4, 8 or 16",)),
    *[("sections", bad, ("write kind:bars",)) for bad in ("verse", "verse:", "verse:1.5", "verse:4@", "4:verse:x")],
    ("sections", "verse:4 " * 2000, ("at most 10000",)),
    ("stems", "kazoo", ("use drums, bass",)),
    ("stems", "vocals", ("band does not play vocals", "leave vocals out")),
    *[("stems", bad, ("name each role once",)) for bad in ("", ",", "drums,drums")],
    *[
        ("seed", bad, ("a whole number from 0 to 9223372036854775807",))
        for bad in ("-1", "99999999999999999999", "9223372036854775808", "1.5", "", "x")
    ],
    *[("rate", bad, ("44100, 48000, 88200, 96000",)) for bad in ("0", "44101", "-48000", "1e5", "", "fast")],
    *[("engine", bad, ("ROLE=NAME",)) for bad in ("", "bass", "=", "kazoo=band")],
    ("engine", "bass=suno", ("use one of band",)),
    ("engine", "lead=band", ("the song's stems are bass",)),
    *[("pickup", bad, ("shorter than the first bar (4/4)",)) for bad in ("-1", "4")],
    ("pickup", "1/7", ("1/960 beat grid",)),
    *[("pickup", bad, ("write beats such as 1",)) for bad in ("x", "1/0", "", "9" * 30, "1e9", "1e999999999")],
    ("tails", "fade", ("'wrap', 'ring', 'cut'",)),
    ("style", "polka", ("`stemwright styles` lists them",)),
    ("style", "../pop", ("`stemwright styles` lists them",)),
    ("title", "x" * 201, ("at most 200",)),
    ("title", HALF, ("not UTF-8 text",)),
]


@pytest.mark.parametrize(("option", "value", "says"), OPTIONS, ids=[f"{row[0]}={row[1][:24]}" for row in OPTIONS])
def test_a_bad_option_is_told_in_one_line(tmp_path: Path, option: str, value: str, says: tuple[str, ...]) -> None:
    form = [] if option == "sections" else ["--sections", "verse:1"]
    stems = [] if option == "stems" else ["--stems", "bass"]
    done = stemwright("make", "rock 4/4", "--out", tmp_path / "song", *form, *stems, f"--{option}={value}")
    refused(done, *says)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "the prompt is empty"),
        ("  \n\t ", "the prompt is empty"),
        ("x" * 100_000, "use at most 10000"),
        ("house " * 20_000, "use at most 10000"),
        (f"house {HALF}", "not UTF-8 text"),
    ],
    ids=["empty", "blank", "long word", "long text", "no utf-8"],
)
def test_a_bad_prompt_is_told_in_one_line(tmp_path: Path, prompt: str, says: str) -> None:
    refused(stemwright("make", prompt, "--out", tmp_path / "song"), says)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "words", [(), ("make",), ("make", "house"), ("sing",), ("make", "house", "--out"), ("regenerate", "song")]
)
def test_a_command_that_is_not_whole_is_told_in_one_line(words: tuple[str, ...]) -> None:
    refused(stemwright(*words), "--help")


def test_a_negative_number_reaches_its_option(tmp_path: Path) -> None:
    done = stemwright("make", "house", "--out", tmp_path / "song", "--seed", "-1")
    refused(done, "a whole number from 0")


# -- where a song may be written ---------------------------------------------------------------------------


def quick_make(out: str | Path, *options: str) -> Outcome:
    return stemwright("make", "house", "--out", out, "--sections", "verse:1", "--stems", "bass", *options)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small song; tests copy it."""
    path = tmp_path_factory.mktemp("good") / "song"
    make(path, "--stems", "bass", sections="intro:1 verse:1")
    return path


@pytest.fixture
def song(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "song")


def test_a_folder_that_holds_a_song_is_left_alone(song: Path) -> None:
    before = tree(song)
    refused(quick_make(song), "already holds a song", "--force")
    assert tree(song) == before


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, force: tuple[str, ...]) -> None:
    (tmp_path / "holiday.txt").write_text("mine")
    refused(quick_make(tmp_path, *force), "not a Stemwright project", "choose another")
    assert list(tree(tmp_path)) == ["holiday.txt"]


def test_a_folder_whose_song_json_is_no_song_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "song.json").write_text('{"schema": "another.program"}')
    refused(quick_make(tmp_path, "--force"), "not a Stemwright project")
    assert list(tree(tmp_path)) == ["song.json"]


def test_a_path_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.symlink("nowhere", tmp_path / "dangling")
    before = tree(tmp_path)
    refused(quick_make(tmp_path / "file"), "is a file")
    refused(quick_make(tmp_path / "file" / "song"), "is in the way", "choose another folder")
    refused(quick_make(tmp_path / "file" / "a" / "song"), "choose another folder")
    refused(quick_make(tmp_path / "dangling"), "is a file")
    refused(quick_make(tmp_path / ("x" * 300)), "too long", "choose a shorter one")
    refused(quick_make(f"{tmp_path}/nul\0"), "no path", "choose another name")
    refused(quick_make(""), "has no name")
    assert tree(tmp_path) == before


def user_may_write(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    (folder / "probe").unlink()
    return True


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    try:
        if user_may_write(closed):  # root may write everywhere but where the system keeps its own files
            closed = Path("/proc") if os.path.isdir("/proc") else Path("/dev/fd")
        refused(quick_make(closed / "song"), "choose")
        refused(quick_make(closed / "new" / "song"), "choose")
        assert not (closed / "song").exists()
    finally:
        (tmp_path / "closed").chmod(0o755)


# -- disks ---------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk of `size` bytes at `folder`, where the system lets us; says whether it did."""
    if not sys.platform.startswith("linux"):
        yield False
        return
    folder.mkdir(exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) == 0
    try:
        yield mounted
    finally:
        if mounted:
            libc.umount2(os.fsencode(folder), 2)


def file_size_limit(size: int) -> Callable[[], None]:
    """For a child: no file may grow beyond `size`, which the system tells as an error once its signal is ignored."""

    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def told_after_progress(done: Outcome, *says: str) -> None:
    """What goes wrong while the song is made: one line behind those that said how far it was."""
    assert (done.code, done.out) == (2, ""), done
    lines = done.err.splitlines()
    assert "Traceback" not in done.err
    assert [line for line in lines if line.startswith("stemwright")] == lines[-1:], done.err
    for words in says:
        assert words in lines[-1], done.err


@pytest.mark.parametrize("size", [64 << 10, 1 << 20, 2 << 20])
def test_a_full_disk_leaves_nothing_of_a_new_song(tmp_path: Path, size: int) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, size) as mounted, ExitStack() as stack:
        if mounted:
            done, remedy = quick_make(disk / "deep" / "song"), "free some space"
        else:
            disk.mkdir(exist_ok=True)
            stack.callback(shutil.rmtree, disk)
            words = ("make", "house", "--out", disk / "deep" / "song", "--sections", "verse:1", "--stems", "bass")
            done, remedy = stemwright_process(*words, preexec_fn=file_size_limit(size // 8)), "choose another disk"
        told_after_progress(done, "cannot write", remedy)
        assert os.listdir(disk) == []


def test_a_full_disk_keeps_the_old_song_and_its_takes(good: Path, tmp_path: Path) -> None:
    size = sum(file.stat().st_size for file in good.rglob("*") if file.is_file())
    disk = tmp_path / "disk"
    with small_disk(disk, size + (400 << 10)) as mounted:
        disk.mkdir(exist_ok=True)
        path = shutil.copytree(good, disk / "song")
        before = tree(path)
        again = ("regenerate", path, "--section", "2", "--role", "bass", "--seed", "3")
        other = ("make", "rock", "--out", path, "--force", "--sections", "verse:1", "--stems", "bass")
        for words in (again, other):
            if mounted:
                done, remedy = stemwright(*words), "free some space"
            else:
                done, remedy = stemwright_process(*words, preexec_fn=file_size_limit(100 << 10)), "choose another disk"
            told_after_progress(done, remedy)
            assert tree(path) == before


def test_the_disk_may_fill_at_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in the bytes of a song the disk is full, nothing is left."""
    real, room = os.write, [0]

    def write(descriptor: int, data: bytes) -> int:
        if len(data) > room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(data)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    room[0] = whole = 1 << 40
    assert quick_make(tmp_path / "counted").code == 0
    whole -= room[0]
    for share in (0.0, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999):
        room[0] = round(whole * share)
        told_after_progress(quick_make(tmp_path / "song"), "the disk is full", "free some space")
        assert sorted(os.listdir(tmp_path)) == ["counted"]
    room[0] = whole
    assert quick_make(tmp_path / "song").code == 0


# -- songs that cannot be read -------------------------------------------------------------------------------


def newer(data: dict[str, Any]) -> str:
    return json.dumps({**data, "version": data["version"] + 1})


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "empty": (lambda data: "", "song.json"),
    "cut": (lambda data: json.dumps(data)[: len(json.dumps(data)) // 2], "song.json"),
    "no json": (lambda data: "RIFF\0\0\0\0WAVE", "song.json"),
    "a list": (lambda data: "[]", "song.json"),
    "newer": (newer, "newer"),
    "no sections": (lambda data: json.dumps({**data, "sections": []}), "sections"),
    "a path outside": (
        lambda data: json.dumps({**data, "clips": [{**data["clips"][0], "path": "../../x.wav"}]}),
        "path",
    ),
    "another rate": (lambda data: json.dumps({**data, "rate": 12345}), "rate"),
    "a huge number": (lambda data: json.dumps({**data, "seed": 10**400}), "seed"),
    "deep": (lambda data: "[" * 100_000, "song.json"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_song_that_cannot_be_read_is_told_and_left_alone(song: Path, tmp_path: Path, name: str) -> None:
    damage, says = DAMAGE[name]
    file = song / "song.json"
    file.write_text(damage(json.loads(file.read_text("utf-8"))), "utf-8")
    before = tree(tmp_path)
    refused(stemwright("regenerate", song, "--section", "1", "--role", "bass"), says)
    refused(stemwright("picture", song, "-o", tmp_path / "song.png"), says)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--section", "0", "--role", "bass"), "sections 1 to 2"),
        (("--section", "3", "--role", "bass"), "sections 1 to 2"),
        (("--section", "-1", "--role", "bass"), "from 1"),
        (("--section", "verse", "--role", "bass"), "from 1"),
        (("--section", "1", "--role", "drums"), "the song has bass"),
        (("--section", "1", "--role", ""), "the song has bass"),
        (("--section", "1", "--role", "bass", "--seed", "-1"), "a whole number from 0"),
        (("--section", "1", "--role", "bass", "--seed", "9223372036854775808"), "a whole number from 0"),
    ],
)
def test_a_bad_regenerate_is_told_and_changes_nothing(song: Path, words: tuple[str, ...], says: str) -> None:
    before = tree(song)
    refused(stemwright("regenerate", song, *words), says)
    assert tree(song) == before


def test_a_locked_cell_is_not_made_again(song: Path) -> None:
    file = song / "song.json"
    data = json.loads(file.read_text("utf-8"))
    data["cells"][0]["locked"] = True
    file.write_text(json.dumps(data), "utf-8")
    before = tree(song)
    refused(stemwright("regenerate", song, "--section", "1", "--role", "bass"), "locked", "unlock it")
    assert tree(song) == before


def test_a_folder_without_a_song_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        refused(stemwright("regenerate", path, "--section", "1", "--role", "bass"), "'stemwright make' wrote")
        refused(stemwright("picture", path, "-o", tmp_path / "song.png"), "'stemwright make' wrote")
    refused(stemwright("regenerate", "", "--section", "1", "--role", "bass"), "has no name")
    assert list(tree(tmp_path)) == ["file"]


def test_missing_and_damaged_takes_are_told(song: Path) -> None:
    """The verse is made again; for the stem, the intro's take is needed too."""
    data = json.loads((song / "song.json").read_text("utf-8"))
    media = song / "media" / data["cells"][0]["takes"][0]["media"]
    kept = media.read_bytes()
    for damage in (None, kept[: len(kept) // 2], b"", b"no sound" * 100):
        if damage is None:
            media.unlink()
        else:
            media.write_bytes(damage)
        before = tree(song)
        done = stemwright("regenerate", song, "--section", "2", "--role", "bass")
        told_after_progress(done, str(media.name))
        assert tree(song) == before
    media.write_bytes(kept)
    assert stemwright("regenerate", song, "--section", "2", "--role", "bass").code == 0


def test_a_picture_replaces_nothing_but_a_picture(song: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    before = tree(tmp_path)
    for target, says in (
        (song / "song.json", "ends in .png"),
        (tmp_path / "song.jpg", "ends in .png"),
        (tmp_path / "notes.png", "is no PNG picture"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "none" / "song.png", "choose another folder"),
        (f"{tmp_path}/nul\0.png", "choose"),
        ("", "ends in .png"),
    ):
        refused(stemwright("picture", song, "-o", target), says)
    assert tree(tmp_path) == before


# -- stopping it -----------------------------------------------------------------------------------------------


def start_make(out: Path) -> subprocess.Popen[str]:
    """A `make` that is well under way."""
    command = [sys.executable, "-m", "studio", "make", "house", "--out", str(out), "--sections", "verse:16 chorus:16"]
    child = subprocess.Popen(command, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "playing bass" in line:
            return child
    raise AssertionError("it ended too soon")


def stop(child: subprocess.Popen[str], number: int) -> tuple[int, str]:
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    return child.returncode, err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_make_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    returned, err = stop(start_make(tmp_path / "deep" / "song"), number)
    assert returned == code
    assert err.splitlines()[-1] == "stemwright: interrupted; nothing was changed"
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_an_interrupted_replacement_keeps_the_old_song(song: Path) -> None:
    before = tree(song)
    command = [sys.executable, "-m", "studio", "make", "rock", "--out", str(song), "--force"]
    with subprocess.Popen(command, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "playing" not in child.stderr.readline():
            assert child.poll() is None
        time.sleep(0.1)
        assert stop(child, signal.SIGINT)[0] == 130
    assert tree(song) == before


@pytest.mark.slow
def test_a_killed_make_is_swept_away_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "song"
    stop(start_make(out), signal.SIGKILL)
    assert not out.exists()
    assert len(os.listdir(tmp_path)) == 1  # hidden, what it had of the song
    assert quick_make(out).code == 0
    assert os.listdir(tmp_path) == ["song"]
    assert [name for name in tree(out) if "stemwright" in name] == []
