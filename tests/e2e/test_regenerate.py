"""`stemwright regenerate` makes one cell anew: nothing else changes, nothing is lost, and the mix stays whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import Outcome, make, stemwright, tree
from tests.support.riff import read_wave, true_peak_db

pytestmark = pytest.mark.slow

SECTIONS = "intro:2 verse:4 chorus:4"
ROLES = ("drums", "bass", "harmony", "lead", "fx")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "song"
    make(path, "--seed", "4", prompt="funk in E minor", sections=SECTIONS)
    return path


@pytest.fixture
def song(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "song")


def regenerate(song: Path, section: int, role: str, *options: str) -> Outcome:
    return stemwright("regenerate", song, "--section", str(section), "--role", role, *options)


def data_of(song: Path) -> dict[str, Any]:
    value = json.loads((song / "song.json").read_text("utf-8"))
    assert isinstance(value, dict)
    return value


def cell_of(data: dict[str, Any], section: int, role: str) -> dict[str, Any]:
    name = data["sections"][section - 1]["id"]
    [stem] = [stem["id"] for stem in data["stems"] if stem["role"] == role]
    [cell] = [cell for cell in data["cells"] if (cell["section"], cell["stem"]) == (name, stem)]
    assert isinstance(cell, dict)
    return cell


def check_mix(song: Path) -> None:
    """Stems add up to the mix and nothing has become too loud."""
    mix = read_wave(song / "mix.wav")
    stems = [read_wave(path) for path in sorted((song / "stems").iterdir())]
    assert len(stems) == len(ROLES)
    assert np.abs(sum(stem.samples.astype(np.int64) for stem in stems) - mix.samples).max() <= 1
    assert max(true_peak_db(wave.audio) for wave in stems) < -1.0
    assert true_peak_db(mix.audio) < -1.0


def test_one_clip_its_stem_and_the_mix_change_and_nothing_else(song: Path) -> None:
    before = tree(song)
    done = regenerate(song, 2, "bass", "--json")
    assert {"rate", "sections", "clips", "stems", "mix", "midi", "seconds_to_make"} <= done.value.keys()
    after = tree(song)
    own = {"clips/02-verse/bass.wav", "clips/02-verse/bass.mid", "stems/bass.wav", "mix.wav", "song.mid", "song.json"}
    added = {name for name in after if name not in before}
    assert all(name.startswith("media/") for name in added)
    assert added
    assert {name for name in before if after.get(name) != before[name]} == own
    check_mix(song)


def test_the_earlier_take_is_kept_and_the_new_one_is_used(song: Path) -> None:
    old = data_of(song)
    regenerate(song, 3, "lead")
    regenerate(song, 3, "lead")
    new = data_of(song)
    cell = cell_of(new, 3, "lead")
    assert [take["id"] for take in cell["takes"]] == ["t1", "t2", "t3"]
    assert cell["chosen"] == "t3"
    assert cell["takes"][:1] == cell_of(old, 3, "lead")["takes"]
    assert len({take["provenance"]["seed"] for take in cell["takes"]}) == 3
    assert len({json.dumps(take["notes"]) for take in cell["takes"]}) == 3
    assert all((song / "media" / take["media"]).is_file() for take in cell["takes"])
    for section in (1, 2, 3):
        for role in ROLES:
            if (section, role) != (3, "lead"):
                assert cell_of(new, section, role) == cell_of(old, section, role)
    assert (new["sections"], new["tempo"], new["seed"]) == (old["sections"], old["tempo"], old["seed"])


def test_a_seed_gives_the_same_take_wherever_it_is_asked(good: Path, tmp_path: Path) -> None:
    trees = []
    for name in ("a", "b"):
        path = shutil.copytree(good, tmp_path / name)
        assert regenerate(path, 2, "harmony", "--seed", "77").code == 0
        trees.append(tree(path))
    assert trees[0] == trees[1]
    once = cell_of(data_of(tmp_path / "a"), 2, "harmony")["takes"][-1]
    assert once["provenance"]["seed"] == 77
    regenerate(tmp_path / "a", 2, "harmony", "--seed", "78")
    regenerate(tmp_path / "a", 2, "harmony", "--seed", "77")
    takes = cell_of(data_of(tmp_path / "a"), 2, "harmony")["takes"]
    assert (takes[-1]["notes"], takes[-1]["media"]) == (once["notes"], once["media"])
    assert takes[-2]["notes"] != once["notes"]


def test_every_cell_may_be_made_again_and_the_mix_stays_whole(song: Path) -> None:
    for section in (1, 2, 3):
        for role in ROLES:
            assert regenerate(song, section, role, "--seed", str(section)).code == 0
    check_mix(song)
    data = data_of(song)
    assert all(len(cell["takes"]) == 2 for cell in data["cells"])
    assert data["sections"] == data_of(song)["sections"]


def test_new_drums_keep_the_groove_and_a_new_bass_the_chords(song: Path) -> None:
    def heard(role: str, notes: list[list[int]]) -> set[int]:
        """Bass: pitch classes. Drums: where in the bar, in sixteenths, kicks and snares fall."""
        if role == "bass":
            return {row[2] % 12 for row in notes}
        return {round(row[0] / 240) % 16 for row in notes if row[2] in (35, 36, 38, 40)}

    for role in ("drums", "bass"):
        regenerate(song, 2, role)
        old, new = (heard(role, take["notes"]) for take in cell_of(data_of(song), 2, role)["takes"])
        assert len(old & new) >= 0.5 * len(old | new)


def test_a_stem_whose_file_is_gone_is_written_again(song: Path) -> None:
    before = (song / "stems" / "drums.wav").read_bytes()
    (song / "stems" / "drums.wav").unlink()
    done = regenerate(song, 1, "bass")
    assert done.code == 0
    assert "another bass for section 1 (" in done.err
    assert (song / "stems" / "drums.wav").read_bytes() == before
    check_mix(song)


def test_files_of_the_user_stay(song: Path) -> None:
    (song / "notes.txt").write_text("mine")
    (song / "clips" / "02-verse" / "mine.wav").write_bytes(b"mine")
    data = data_of(song)
    (song / "song.json").write_text(json.dumps({**data, "colour": "blue"}), "utf-8")
    assert regenerate(song, 2, "bass").code == 0
    assert (song / "notes.txt").read_text() == "mine"
    assert (song / "clips" / "02-verse" / "mine.wav").read_bytes() == b"mine"
    assert data_of(song)["colour"] == "blue"
