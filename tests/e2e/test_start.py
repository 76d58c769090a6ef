"""start.py: its decisions, with nothing installed, and one real run on a machine that has nothing."""

import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "start.py"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """start.py as a module, at home in an empty checkout instead of this one."""
    spec = importlib.util.spec_from_file_location("start", START)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "check out"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module, "VENV", root / ".venv")
    return module


# -- what the file itself must be --------------------------------------------------------------------------


def test_parses_on_pythons_that_are_too_old() -> None:
    ast.parse(START.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_imports_the_standard_library_only() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(START.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


# -- the stamp ---------------------------------------------------------------------------------------------


def test_key_follows_the_project_file_and_the_place(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = start.environment_key()
    assert first == start.environment_key()
    (start.ROOT / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    second = start.environment_key()
    assert second != first
    monkeypatch.setattr(start, "ROOT", shutil.copytree(start.ROOT, tmp_path / "moved"))
    assert start.environment_key() not in (first, second)


def test_stamp_comes_back_as_written_and_ends_the_unfinished_state(start: ModuleType) -> None:
    start.VENV.mkdir()
    (start.VENV / start.UNFINISHED_NAME).touch()
    start.write_stamp("key", frozenset({"test", "dev"}))
    assert start.read_stamp() == ("key", frozenset({"test", "dev"}))
    assert sorted(path.name for path in start.VENV.iterdir()) == [start.STAMP_NAME]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"key": "k"}', '{"key": "k", "extras": 3}'])
def test_damaged_stamp_counts_as_none(start: ModuleType, text: str) -> None:
    start.VENV.mkdir()
    (start.VENV / start.STAMP_NAME).write_text(text)
    assert start.read_stamp() == ("", frozenset())


# -- what is installed when --------------------------------------------------------------------------------


class Installer:
    """Stands for the slow steps: notes them, and leaves behind what they would."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.done: list[str] = []
        self.interrupt = False
        self.works = True

    def make_venv(self) -> None:
        self.done.append("make")
        self.module.VENV.mkdir()

    def install(self, extras: frozenset[str]) -> None:
        self.done.append("install " + ",".join(sorted(extras)))
        (self.module.VENV / self.module.UNFINISHED_NAME).touch()
        if self.interrupt:
            raise KeyboardInterrupt
        self.works = True

    def answers(self, code: str) -> bool:
        return self.works and self.module.VENV.exists()

    def steps(self) -> list[str]:
        done, self.done = self.done, []
        return done


@pytest.fixture
def installer(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Installer:
    made = Installer(start)
    monkeypatch.setattr(start, "make_venv", made.make_venv)
    monkeypatch.setattr(start, "install", made.install)
    monkeypatch.setattr(start, "venv_answers", made.answers)
    return made


def test_second_run_installs_nothing(start: ModuleType, installer: Installer) -> None:
    start.prepare()
    assert installer.steps() == ["make", "install "]
    start.prepare()
    assert installer.steps() == []


def test_extras_are_added_once_and_kept(start: ModuleType, installer: Installer) -> None:
    start.prepare()
    start.prepare(frozenset({"test"}))
    assert installer.steps() == ["make", "install ", "install test"]
    start.prepare()
    start.prepare(frozenset({"test"}))
    assert installer.steps() == []
    start.prepare(frozenset({"dev"}))
    assert installer.steps() == ["install dev,test"]


def test_changed_project_file_installs_again_in_the_same_environment(start: ModuleType, installer: Installer) -> None:
    start.prepare(frozenset({"test"}))
    installer.steps()
    (start.ROOT / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    start.prepare()
    assert installer.steps() == ["install test"]


def test_interrupted_install_is_built_anew_although_an_older_stamp_fits(
    start: ModuleType, installer: Installer
) -> None:
    start.prepare()
    installer.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        start.prepare(frozenset({"test"}))
    installer.interrupt = False
    installer.steps()
    start.prepare()
    assert installer.steps() == ["make", "install "]
    start.prepare()
    assert installer.steps() == []


def test_environment_whose_python_is_gone_is_built_anew(start: ModuleType, installer: Installer) -> None:
    start.prepare()
    (start.VENV / "leftover").touch()
    installer.works = False
    installer.steps()
    start.prepare()
    assert installer.steps() == ["make", "install "]
    assert not (start.VENV / "leftover").exists()


def test_a_second_start_waits_for_the_first_and_then_has_nothing_to_do(
    start: ModuleType, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(start, "say", lambda text: waiting.set())
    with start.install_lock():
        second = threading.Thread(target=start.prepare)
        second.start()
        assert waiting.wait(timeout=60)
        assert installer.steps() == []
        installer.make_venv()
        start.write_stamp(start.environment_key(), frozenset())
    second.join()
    assert installer.steps() == ["make"]


def test_dangling_link_in_place_of_the_environment_is_replaced(
    start: ModuleType, installer: Installer, tmp_path: Path
) -> None:
    start.VENV.symlink_to(tmp_path / "gone")
    start.prepare()
    assert installer.steps() == ["make", "install "]
    assert not start.VENV.is_symlink()


def test_usable_means_a_python_that_runs_with_pip(start: ModuleType) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(start.VENV)], check=True)
    assert start.venv_answers("pass")
    assert not start.venv_answers("import pip")
    assert not start.is_usable()
    start.venv_program("python").unlink()
    assert not start.venv_answers("pass")


# -- pip ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["ERROR: [Errno 28] No space left on device"], "the disk is full"),
        (["  ERROR: Could not find a version that satisfies x (from versions: none)"], "connect to the"),
        (["WARNING: Retrying: NameResolutionError", "ERROR: No matching distribution"], "connect to the"),
        (["...", "ERROR: No matching distribution found for x", ""], "No matching distribution found for x"),
        ([], "no output"),
    ],
)
def test_failed_pip_is_told_in_one_line_and_leaves_no_marker(
    start: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    told: str,
) -> None:
    start.VENV.mkdir()
    monkeypatch.setattr(start, "run_calmly", lambda commands, log: (1, lines))
    with pytest.raises(start.StartError, match=told) as caught:
        start.install(frozenset())
    assert "\n" not in str(caught.value)
    assert not (start.VENV / start.UNFINISHED_NAME).exists()


def test_install_shows_each_package_once_and_logs_everything(
    start: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    story = ["Collecting numpy<3,>=2 (from x)", "  Downloading numpy.whl", "Collecting numpy<3,>=2", "done"]

    def telling(lines: list[str], code: int) -> list[str]:
        return [sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit({code})"]

    commands = [telling(["Collecting scipy", "fine"], 0), telling(story, 3), telling(["never reached"], 0)]
    code, lines = start.run_calmly(commands, tmp_path / "log")
    assert (code, lines) == (3, story)
    assert capsys.readouterr().out == "  scipy\n  numpy\n"
    assert (tmp_path / "log").read_text().splitlines() == ["Collecting scipy", "fine", *story]


def test_torch_comes_first_and_alone_with_the_neural_engines(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.VENV.mkdir()
    ran: list[list[list[str]]] = []
    monkeypatch.setattr(start, "run_calmly", lambda commands, log: ran.append(commands) or (0, []))
    monkeypatch.setattr(start, "venv_answers", lambda code: True)
    for extras in ((), ("neural",)):
        start.install(frozenset(extras))
    assert [len(commands) for commands in ran] == [1, 2]
    assert ran[1][0][-1] == start.TORCH
    assert ran[1][1][-1].endswith("[neural]")


def test_sentence_model_comes_with_the_tests_alone_and_without_what_it_asks_for(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.VENV.mkdir()
    ran: list[list[list[str]]] = []
    monkeypatch.setattr(start, "run_calmly", lambda commands, log: ran.append(commands) or (0, []))
    monkeypatch.setattr(start, "venv_answers", lambda code: True)
    for extras in ((), ("dev",), ("test",)):
        start.install(frozenset(extras))
    assert [len(commands) for commands in ran] == [1, 1, 2]
    assert ran[2][1][-2:] == ["--no-deps", start.SENTENCE_MODEL]


# -- system packages ---------------------------------------------------------------------------------------


def test_every_system_package_is_named_for_known_managers(start: ModuleType) -> None:
    assert all(set(names) <= set(start.MANAGERS) for names in start.SYSTEM_PACKAGES.values())


@pytest.mark.parametrize(
    ("manager", "root", "command"),
    [
        ("apt-get", True, "apt-get install -y --no-install-recommends libsndfile1"),
        ("apt-get", False, "sudo apt-get install -y --no-install-recommends libsndfile1"),
        ("dnf", False, "sudo dnf install -y libsndfile"),
        ("pacman", False, "sudo pacman -S --noconfirm libsndfile"),
        ("brew", False, "brew install libsndfile"),
    ],
)
def test_system_command(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, manager: str, root: bool, command: str
) -> None:
    monkeypatch.setattr(start, "is_root", lambda: root)
    assert start.system_command("libsndfile", manager) == command.split()


def test_no_command_where_no_known_manager_has_it(start: ModuleType) -> None:
    assert start.system_command("libsndfile", None) is None
    assert start.system_command("venv", "pacman") is None


@pytest.fixture
def commands_run(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that start.py would have run on the system; the fixture runs none."""
    run: list[list[str]] = []

    def note(command: list[str]) -> bool:
        run.append(command)
        return True

    monkeypatch.setattr(start, "run_quietly", note)
    return run


@pytest.mark.parametrize(
    ("manager", "root", "sudo", "runs"),
    [
        ("apt-get", True, False, True),
        ("apt-get", False, True, True),
        ("apt-get", False, False, False),
        ("dnf", True, True, False),
        ("brew", False, True, False),
        (None, True, True, False),
    ],
)
def test_only_apt_is_run_and_only_without_a_password(
    start: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    commands_run: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    manager: str | None,
    root: bool,
    sudo: bool,
    runs: bool,
) -> None:
    monkeypatch.setattr(start, "find_manager", lambda: manager)
    monkeypatch.setattr(start, "is_root", lambda: root)
    monkeypatch.setattr(start, "sudo_needs_no_password", lambda: sudo)
    assert start.provide("libsndfile", "the sound file library is missing") is runs
    assert bool(commands_run) is runs
    if manager:
        command = start.system_command("libsndfile", manager)
        assert " ".join(command) in capsys.readouterr().out


def test_apt_fetches_its_lists_when_a_package_is_not_found(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[list[str]] = []

    def note(command: list[str]) -> bool:
        run.append(command)
        return len(run) > 1

    monkeypatch.setattr(start, "run_quietly", note)
    install = ["apt-get", "install", "-y", "x"]
    assert start.run_apt(install)
    assert run == [install, ["apt-get", "update"], install]


def test_apt_that_fails_for_good_is_no_success(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "run_quietly", lambda command: False)
    assert not start.run_apt(["apt-get", "install", "-y", "x"])


def test_python_without_ensurepip_names_the_package_and_makes_nothing(
    start: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    commands_run: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(start, "find_manager", lambda: "apt-get")
    monkeypatch.setattr(start, "is_root", lambda: False)
    monkeypatch.setattr(start, "sudo_needs_no_password", lambda: False)
    with pytest.raises(start.StartError):
        start.make_venv()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"sudo apt-get install -y --no-install-recommends python{version}-venv" in capsys.readouterr().out
    assert commands_run == []
    assert not start.VENV.exists()


# -- the demo song -----------------------------------------------------------------------------------------


def test_demo_goes_to_the_music_folder_where_there_is_one(start: ModuleType, tmp_path: Path) -> None:
    assert start.demo_folder(tmp_path) == tmp_path / "Stemwright" / "demo"
    (tmp_path / "Music").mkdir()
    assert start.demo_folder(tmp_path) == tmp_path / "Music" / "Stemwright" / "demo"
    assert start.demo_folder(None) == start.ROOT / "Stemwright" / "demo"


def test_demo_folder_is_never_one_that_holds_something_else(start: ModuleType, tmp_path: Path) -> None:
    taken = tmp_path / "Stemwright" / "demo"
    taken.mkdir(parents=True)
    assert start.demo_folder(tmp_path) == tmp_path / "Stemwright" / "demo-2"
    (taken / "song.json").touch()
    assert start.demo_folder(tmp_path) == taken


def test_existing_demo_is_left_alone(
    start: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    demo = tmp_path / "Stemwright" / "demo"
    demo.mkdir(parents=True)
    for name in ("song.json", "song.png"):
        (demo / name).write_text("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert start.make_demo() == demo  # there is no environment here to make one with
    assert "already there" in capsys.readouterr().out
    assert [(demo / name).read_text() for name in ("song.json", "song.png")] == ["mine", "mine"]


def test_picture_that_is_missing_is_drawn_later(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    demo = tmp_path / "Stemwright" / "demo"
    demo.mkdir(parents=True)
    (demo / "song.json").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(start, "stemwright", lambda failed, *words: ran.append(words))
    start.make_demo()
    assert ran == [("picture", str(demo), "-o", str(demo / "song.png"))]


def test_last_words_name_commands_that_can_be_typed_where_one_stands(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(start, "folder_opener", lambda: "xdg-open")
    monkeypatch.chdir(start.ROOT)
    start.print_next_steps(tmp_path / "a demo")
    told = capsys.readouterr().out
    assert f"open it: xdg-open '{tmp_path / 'a demo'}'" in told
    assert f"  {start.venv_program('stemwright').relative_to(start.ROOT)} make " in told
    monkeypatch.chdir(tmp_path)
    start.print_next_steps(tmp_path / "a demo")
    assert "'check out/.venv/" in capsys.readouterr().out


def test_home_that_is_not_there_counts_as_none(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert start.home_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert start.home_folder() is None
    for nowhere in ("relative", ""):
        monkeypatch.setenv("HOME", nowhere)
        assert start.home_folder() is None


# -- the window --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("screen", "window", "opened"), [(True, True, 1), (True, False, 0), (False, True, 0), (False, False, 0)]
)
def test_window_opens_only_where_there_are_both_a_screen_and_a_window(
    start: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    screen: bool,
    window: bool,
    opened: int,
) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(start, "has_screen", lambda: screen)
    monkeypatch.setattr(start, "venv_answers", lambda code: window)
    monkeypatch.setattr(start.subprocess, "Popen", lambda command, **options: launched.append(command))
    start.open_window(tmp_path)
    assert len(launched) == opened


# -- the command line --------------------------------------------------------------------------------------


def test_what_test_does_not_know_goes_to_pytest(start: ModuleType) -> None:
    options, rest = start.parse(["test", "--quick", "-k", "tempo", "-x", "tests/unit"])
    assert (options.command, options.quick) == ("test", True)
    assert rest == ["-k", "tempo", "-x", "tests/unit"]


@pytest.mark.parametrize("argv", [["--nonsense"], ["check", "-x"], ["dance"]])
def test_unknown_words_are_refused(start: ModuleType, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        start.parse(argv)
    assert caught.value.code == 2


def test_exit_code_of_the_tests_is_the_exit_code(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "prepare", lambda extras: None)
    ran: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        ran.append((command, environment))
        return 5

    monkeypatch.setattr(start, "run_in_front", run)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert start.main(["test", "-x"]) == 5
    assert start.main(["test", "--quick", "-x"]) == 5
    [(command, environment), (quick, _)] = ran
    assert command[-1] == "-x"
    assert [word for word in quick if word not in command] == ["not slow"]
    assert environment["OMP_NUM_THREADS"] == "1"
    assert "PYTHONPATH" not in environment


def test_trouble_is_one_line_and_a_failing_exit_code(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(error: BaseException) -> None:
        def raise_it(*_: object) -> None:
            raise error

        monkeypatch.setattr(start, "prepare", raise_it)

    troubles = ((start.StartError("mend it"), 1), (OSError(28, "No space"), 1), (KeyboardInterrupt(), 130))
    for error, code in troubles:
        fail(error)
        assert start.main([]) == code
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_interrupt_waits_until_the_command_has_tidied_up(tmp_path: Path) -> None:
    child = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "working").touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)  # longer than the quarter of a second that subprocess.run would grant
    (folder / "tidy").touch()
"""
    parent = """
import os, runpy, sys
start = runpy.run_path(sys.argv[1])
try:
    start["run_in_front"]([sys.executable, "-c", sys.argv[2], sys.argv[3]], dict(os.environ))
except KeyboardInterrupt:
    sys.exit(130)
"""
    words = [sys.executable, "-c", parent, str(START), child, str(tmp_path)]
    with subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL, text=True) as process:
        wait_for(tmp_path / "working", process)
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 130
    assert (tmp_path / "tidy").exists()


# -- the real thing ----------------------------------------------------------------------------------------

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist")


@pytest.fixture
def fresh_machine(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """(checkout with nothing installed, empty home, environment), with spaces in every path."""
    checkout, home = tmp_path / "the project", tmp_path / "a home"
    shutil.copytree(ROOT, checkout, ignore=NOT_COPIED)
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "VIRTUAL_ENV"):
        environment.pop(name, None)
    environment["HOME"] = str(home)
    return checkout, home, environment


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, f"it ended before there was {path}"
        time.sleep(0.02)


@pytest.mark.slow
def test_from_nothing_to_a_song_although_the_first_try_is_killed(
    fresh_machine: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    checkout, home, environment = fresh_machine
    command = [sys.executable, str(checkout / "start.py")]
    venv = checkout / ".venv"

    # Killed in the middle of pip, with all that it started.
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_for(venv / "stemwright-install.log", process)
        os.killpg(process.pid, signal.SIGKILL)
    assert (venv / "stemwright-unfinished").exists()
    assert not (venv / "stemwright-stamp.json").exists()
    assert not (home / "Stemwright").exists()

    first = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    demo = home / "Stemwright" / "demo"
    assert str(demo) in first.stdout
    for name in ("song.json", "song.mid", "song.png", "mix.wav", "stems/drums.wav"):
        assert (demo / name).stat().st_size > 0
    assert (venv / "stemwright-stamp.json").exists()

    # The second run finds everything done and touches nothing.
    before = {path: path.stat().st_mtime_ns for path in sorted(demo.rglob("*"))}
    log = (venv / "stemwright-install.log").stat().st_mtime_ns
    second = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "already there" in second.stdout
    assert {path: path.stat().st_mtime_ns for path in sorted(demo.rglob("*"))} == before
    assert (venv / "stemwright-install.log").stat().st_mtime_ns == log
