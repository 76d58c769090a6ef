"""The project folder: made whole or not at all, one writer at a time, and no take is ever lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.project.atomic import atomic_file, atomic_write
from studio.project.draft import draft
from studio.project.errors import ProjectError
from studio.project.folder import STAGING
from studio.project.project import Project
from tests.unit.project.samples import full_song, make_project, tone


def tree(path: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_a_project_comes_back(project_path: Path) -> None:
    with Project.open(project_path) as project:
        take = project.song.cells[0].takes[0]
        assert project.song == full_song(take.media)
        assert take.media is not None
        with project.open_media(take.media) as sound:
            assert (sound.rate, sound.channels, sound.frames, len(sound)) == (48000, 2, 4800, 4800)
            assert np.array_equal(sound[:], tone())
            assert np.array_equal(sound[100:200], tone()[:, 100:200])
            assert np.array_equal(sound[-10:], tone()[:, -10:])
            assert sound[4800:].shape == (2, 0)
    assert not list(project_path.rglob(".*"))


def test_two_projects_of_one_song_are_the_same_bytes(tmp_path: Path) -> None:
    make_project(tmp_path / "a")
    make_project(tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_saving_changes_the_song_only(project_path: Path) -> None:
    before = tree(project_path)
    with Project.open(project_path) as project:
        changed = replace(project.song, title="Other")
        project.save(changed)
        assert project.song is changed
    after = tree(project_path)
    assert {name for name in after if after[name] != before.get(name)} == {"song.json"}
    with Project.open(project_path, writable=False) as project:
        assert project.song == changed


def test_a_change_of_several_files_happens_at_once_or_not_at_all(project_path: Path) -> None:
    before = tree(project_path)
    changed = replace(full_song(), title="Changed")

    def fail(project: Project) -> None:
        with project.change() as folder:
            folder.file("clips/01-intro/drums.wav").write_bytes(b"half")
            folder.add_media(tone(seed=8), 48000)
            raise RuntimeError("engine died")

    with Project.open(project_path) as project:
        with pytest.raises(RuntimeError):
            fail(project)
        assert {name: data for name, data in tree(project_path).items() if ".lock" not in name} == before
        with project.change() as folder:
            folder.file("clips/01-intro/drums.wav").write_bytes(b"new")
            name = folder.add_media(tone(seed=8), 48000)
            folder.save(changed)
            assert (project_path / "clips/01-intro/drums.wav").read_bytes() == b"clip"
            for media, seed in ((name, 8), (next(iter((project_path / "media").iterdir())).name, 1)):
                with folder.open_media(media) as sound:
                    assert np.array_equal(sound.read(), tone(seed=seed))
        assert project.song == changed
    after = tree(project_path)
    assert {name for name in after if after[name] != before.get(name)} == {
        "song.json", "clips/01-intro/drums.wav", f"media/{name}",
    }  # fmt: skip
    assert set(before) < set(after)


# -- takes --


def test_a_take_beyond_full_scale_is_not_clipped(project_path: Path) -> None:
    loud = tone() * 5
    with Project.open(project_path) as project:
        name = project.add_media(loud, 44100)
        with project.open_media(name) as sound:
            assert sound.rate == 44100
            assert np.array_equal(sound.read(), loud)


def test_the_same_sound_is_kept_once_and_mended_when_cut_short(project_path: Path) -> None:
    with Project.open(project_path) as project:
        name = project.add_media(tone(seed=2), 48000)
        assert project.add_media(tone(seed=2), 48000) == name
        assert project.add_media(tone(seed=2), 44100) != name
        path = project.media_path(name)
        whole = path.read_bytes()
        path.write_bytes(whole[:2000])
        assert project.add_media(tone(seed=2), 48000) == name
        assert path.read_bytes() == whole


def test_a_media_folder_that_leads_elsewhere_is_refused(project_path: Path, tmp_path: Path) -> None:
    (project_path / "media").rename(tmp_path / "elsewhere")
    (project_path / "media").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    with Project.open(project_path) as project:
        with pytest.raises(ProjectError, match="is a link"):
            project.add_media(tone(seed=4), 48000)
        with pytest.raises(ProjectError, match="is a link"):
            project.open_media(next(iter(before)))
    with pytest.raises(ProjectError, match="is a link"):
        make_project(project_path, force=True)
    assert tree(tmp_path / "elsewhere") == before


def test_bad_sound_is_refused_and_leaves_nothing(project_path: Path) -> None:
    before = tree(project_path)
    with Project.open(project_path) as project:
        for sound, message in (
            (np.full((2, 10), np.nan, np.float32), "not finite"),
            (np.zeros(10, np.float32), "channels, frames"),
            (np.zeros((2, 0), np.float32), "at least 1 frame"),
            (np.zeros((9, 10), np.float32), "1 to 8 channels"),
        ):
            with pytest.raises(ProjectError, match=message):
                project.add_media(sound, 48000)
    assert tree(project_path) == before


def test_missing_damaged_and_foreign_media_are_named(project_path: Path, tmp_path: Path) -> None:
    with Project.open(project_path) as project:
        name = project.song.cells[0].takes[0].media
        assert name is not None
        path = project.media_path(name)
        whole = path.read_bytes()
        path.write_bytes(b"nonsense")
        with pytest.raises(ProjectError, match="is damaged"):
            project.open_media(name)
        path.write_bytes(whole[:5000])
        with pytest.raises(ProjectError, match=f"is damaged: 5000 bytes of {len(whole)}"):
            project.open_media(name)
        path.unlink()
        with pytest.raises(ProjectError, match="does not exist"):
            project.open_media(name)
        (tmp_path / "secret.wav").write_bytes(whole)
        path.symlink_to(tmp_path / "secret.wav")
        with pytest.raises(ProjectError, match="is a link"):
            project.open_media(name)
        with pytest.raises(ProjectError, match="media name"):
            project.open_media("../song.json")
        with pytest.raises(ProjectError, match="relative to the project folder"):
            project.file("clips/../../x")


# -- creating --


def test_an_existing_song_needs_force(project_path: Path) -> None:
    before = tree(project_path)
    with pytest.raises(ProjectError, match="--force"):
        make_project(project_path)
    assert tree(project_path) == before


def test_force_replaces_only_what_stemwright_wrote(project_path: Path) -> None:
    (project_path / "clips/01-intro/mine.wav").write_bytes(b"mine")
    (project_path / "notes.txt").write_bytes(b"mine too")
    before = tree(project_path)
    song = replace(full_song(), title="New", cells=(), clips=())
    with draft(project_path, force=True) as folder:
        folder.file("clips/01-verse/drums.wav").write_bytes(b"new clip")
        folder.save(song)
    after = tree(project_path)
    assert after["history/song-0001.json"] == before["song.json"]
    assert after["notes.txt"] == b"mine too"
    assert after["clips/01-intro/mine.wav"] == b"mine"
    media = {name for name in before if name.startswith("media/")}
    assert media
    assert set(after) == media | {
        "song.json", "notes.txt", "clips/01-intro/mine.wav", "clips/01-verse/drums.wav", "history/song-0001.json",
    }  # fmt: skip
    with Project.open(project_path) as project:
        assert project.song == song


def test_every_replaced_song_is_kept_once(project_path: Path) -> None:
    for title in ("a", "b", "b", "c"):
        with Project.create(project_path, replace(full_song(), title=title), force=True):
            pass
    kept = [
        path.read_text("utf-8").split('"title": ')[1].split(",")[0] for path in sorted(project_path.glob("history/*"))
    ]
    assert kept == ['"Ночной поезд"', '"a"', '"b"']


def test_a_folder_of_other_files_is_never_taken(tmp_path: Path) -> None:
    path = tmp_path / "photos"
    path.mkdir()
    (path / "cat.jpg").write_bytes(b"cat")
    for force in (False, True):
        with pytest.raises(ProjectError, match="not a Stemwright project"):
            make_project(path, force=force)
    (path / "song.json").write_bytes(b'{"title": "of another program"}')
    with pytest.raises(ProjectError, match="not a Stemwright project"):
        make_project(path, force=True)
    assert set(tree(path)) == {"cat.jpg", "song.json"}
    with pytest.raises(ProjectError, match="is a file"):
        make_project(path / "cat.jpg", force=True)


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.mkdir()
    (path / ".DS_Store").write_bytes(b"")
    make_project(path)
    assert "song.json" in tree(path)
    assert not (path / STAGING).exists()


def test_a_damaged_song_can_be_replaced_and_is_kept(project_path: Path) -> None:
    damaged = (project_path / "song.json").read_bytes()[:300]
    (project_path / "song.json").write_bytes(damaged)
    with pytest.raises(ProjectError, match="damaged at line"):
        Project.open(project_path)
    make_project(project_path, force=True)
    assert (project_path / "history/song-0001.json").read_bytes() == damaged


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_a_failure_halfway_leaves_nothing(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "deep" / "er" / "song"
    if existing:
        make_project(path)
    before = tree(tmp_path)

    def fail(error: BaseException) -> None:
        with draft(path, force=True) as folder:
            folder.add_media(tone(seed=3), 48000)
            folder.file("clips/01-intro/drums.wav").write_bytes(b"half")
            folder.save(full_song())
            raise error

    for error in (RuntimeError("engine died"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fail(error)
        assert tree(tmp_path) == before
        assert existing or not any(tmp_path.iterdir())
    with pytest.raises(ProjectError, match="save it before"), draft(path, force=True):
        pass
    assert tree(tmp_path) == before


def test_what_a_killed_make_left_beside_is_swept_and_work_under_way_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".song.stemwright-99999-0.new"
    (left / "media").mkdir(parents=True)

    def find_the_place_taken() -> None:
        with draft(tmp_path / "song") as third:
            third.save(full_song())
            (tmp_path / "song").mkdir()
            (tmp_path / "song" / "mine").write_bytes(b"")

    with draft(tmp_path / "song") as other, draft(tmp_path / "song2") as folder:
        other.save(full_song())
        folder.save(full_song())
        assert not left.exists()
        with pytest.raises(ProjectError, match="cannot write"):
            find_the_place_taken()
        (tmp_path / "song" / "mine").unlink()
        assert other.root.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song", "song2"]


def test_a_hostile_marker_removes_no_take(project_path: Path) -> None:
    media = next(iter((project_path / "media").iterdir()))
    staging = project_path / STAGING
    (project_path.parent / "precious").write_bytes(b"x")
    names = [f"media/{media.name}", "song.json", "../precious", "clips/../media/" + media.name, 5]
    for name in names:
        staging.mkdir(exist_ok=True)
        (staging / "complete.json").write_text(json.dumps({"replaces": False, "obsolete": ["mix.wav", name]}), "utf-8")
        with suppress(ProjectError):  # refusing to open it is as right as passing it over; a loss is not
            Project.open(project_path).close()
        assert media.exists()
        assert (project_path / "song.json").exists()
        assert (project_path.parent / "precious").exists()


# -- one writer --


def test_a_second_writer_is_refused_and_a_reader_is_not(project_path: Path) -> None:
    with Project.open(project_path):
        with pytest.raises(ProjectError, match=rf"open in another Stemwright \(process {os.getpid()}\)"):
            Project.open(project_path)
        with pytest.raises(ProjectError, match="open in another Stemwright"):
            make_project(project_path, force=True)
        with Project.open(project_path, writable=False) as reader:
            for write in (
                lambda: reader.save(reader.song),
                lambda: reader.add_media(tone(), 48000),
                lambda: reader.file("mix.wav"),
            ):
                with pytest.raises(ProjectError, match="not open for writing"):
                    write()
    Project.open(project_path).close()


def test_the_lock_of_a_killed_process_does_not_hold(project_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from studio.project.project import Project\n"
        "p = Project.open(Path(sys.argv[1])); os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(project_path)], check=False)
    assert done.returncode in (-9, 15)
    assert (project_path / ".stemwright.lock").exists()
    Project.open(project_path).close()
    assert not (project_path / ".stemwright.lock").exists()


def test_what_is_no_project_is_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "holds no song.json"), (tmp_path / "none", "is not a folder")):
        with pytest.raises(ProjectError, match=message):
            Project.open(path)
    assert not any(tmp_path.iterdir())


# -- disks that refuse --


def test_a_full_disk_keeps_the_old_song(project_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(project_path)
    real, room = os.write, [0]

    def write(descriptor: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, data[: room[0]])
        room[0] -= count
        return count

    with Project.open(project_path) as project:
        monkeypatch.setattr(os, "write", write)
        for bytes_left in (0, 1, 1000):
            room[0] = bytes_left
            with pytest.raises(ProjectError, match="the disk is full; free some space"):
                project.save(replace(full_song(), prompt="x" * 5000))
            room[0] = bytes_left
            with pytest.raises(ProjectError, match="the disk is full"):
                project.add_media(tone(seed=9), 48000)
    monkeypatch.undo()
    assert tree(project_path) == before


if sys.platform != "win32":
    import resource

    def test_a_real_limit_on_file_size_keeps_the_old_song(project_path: Path) -> None:
        before = tree(project_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with Project.open(project_path) as project:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
            try:
                with pytest.raises(ProjectError, match="larger than this disk"):
                    project.save(full_song())
                with (
                    pytest.raises(ProjectError, match="larger than this disk"),
                    draft(project_path.parent / "n") as folder,
                ):
                    folder.add_media(tone(), 48000)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert tree(project_path) == before
        assert not (project_path.parent / "n").exists()


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_a_refused_call_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "a.txt"
    atomic_write(path, b"old")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(ProjectError, match=r"cannot write .*a\.txt: "):
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert tree(tmp_path) == {"a.txt": b"old"}


def test_an_error_inside_the_block_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write(path, b"old")

    def fail() -> None:
        with atomic_file(path) as part:
            part.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tree(tmp_path) == {"a.txt": b"old"}


def test_a_place_one_may_not_write_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ProjectError, match="a file of that name is in the way"):
        make_project(tmp_path / "file" / "song")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(ProjectError, match="choose a folder you can write to"):
        make_project(tmp_path / "song")
    monkeypatch.undo()
    assert set(tree(tmp_path)) == {"file"}
