"""Separators as a stranger may have written them: one clear error, nothing executed, nothing too large made."""

from __future__ import annotations

import pickle
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.analysis.demucs_weights import read_bag
from models.api import EngineError
from tests.support.separators import SIGNATURES, head_of, pickled, saved, separator

FILE = f"{SIGNATURES[0]}.safetensors"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("good"), separator())


def changed(good: Path, folder: Path, head: dict[str, str] | None = None, **tensors: torch.Tensor | None) -> Path:
    """A copy with another head or other tensors; None takes one away."""
    folder.mkdir(exist_ok=True)
    (folder / "htdemucs.yaml").write_text((good / "htdemucs.yaml").read_text())
    with safe_open(good / FILE, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        own = file.metadata()
    for name, tensor in tensors.items():
        if tensor is None:
            del state[name]
        else:
            state[name] = tensor
    save_file(state, folder / FILE, metadata=own | (head or {}))
    return folder


def some_name(good: Path) -> str:
    with safe_open(good / FILE, framework="pt") as file:
        return sorted(file.keys())[0]


def test_tensors_that_are_missing_extra_misshapen_or_no_numbers(good: Path, tmp_path: Path) -> None:
    name = some_name(good)
    with safe_open(good / FILE, framework="pt") as file:
        whole = file.get_tensor(name)
    for tensors, words in (
        ({name: None}, "other weights than it needs"),
        ({"more": torch.zeros(2)}, "other weights than it needs"),
        ({name: torch.zeros(3, 3)}, r"is \(3, 3\), not"),
        ({name: torch.zeros(whole.shape, dtype=torch.int64)}, "not"),
        ({name: torch.full(whole.shape, torch.nan)}, "no number"),
    ):
        with pytest.raises(EngineError, match=words):
            read_bag(changed(good, tmp_path / "bad", **tensors))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"klass": "os.system"}, "no known kind"),
        ({"klass": ""}, "no known kind"),
        ({"args": "[1]"}, "broken arguments"),
        ({"kwargs": "{"}, "broken arguments"),
        ({"kwargs": "[]"}, "broken arguments"),
        ({"kwargs": "[" * 60_000}, "broken arguments"),
        ({"kwargs": '{"segment": {"_type": "fraction", "numerator": 1, "denominator": 0}}'}, "broken arguments"),
        ({"kwargs": "{}"}, "names no stems"),
        ({"kwargs": " " * 100_000}, "broken arguments"),
        ({"structure": "{}"}, "quantised"),
    ],
)
def test_heads_that_say_what_cannot_be(good: Path, tmp_path: Path, head: dict[str, str], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        read_bag(changed(good, tmp_path / "bad", head))


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 10**9}, {"depth": 10**6}, {"t_layers": -5}, {"segment": 10**9}, {"segment": Fraction(1, 10**6)},
        {"samplerate": 1}, {"audio_channels": 3}, {"sources": ["a", "a"]}, {"sources": ["a"] * 50}, {"sources": "bass"},
        {"nfft": 0}, {"channels": "many"}, {"kernel_size": [[1]]}, {"channels": float("nan")},
    ],
)  # fmt: skip
def test_arguments_that_cannot_be(good: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    model, arguments = separator()
    with pytest.raises(EngineError, match=r"separator|other weights"):
        read_bag(changed(good, tmp_path / "bad", head_of(type(model), arguments | wrong)))


@pytest.mark.parametrize(
    "text",
    [
        "models: []", "models: ['../x']", "models: ['a']", "models: 5", "[", "models: ['a'" + ", 'b'" * 100 + "]",
        "!!python/object/apply:os.system ['true']", f"models: ['{SIGNATURES[0]}']\nweights: [[1]]",
        f"models: ['{SIGNATURES[0]}']\nweights: [[0, 0, 0, 0]]", f"models: ['{SIGNATURES[0]}']\nsegment: -1",
        f"models: ['{SIGNATURES[0]}']\nsegment: .nan", "x" * 100_000,
    ],
)  # fmt: skip
def test_lists_that_say_what_cannot_be(good: Path, tmp_path: Path, text: str) -> None:
    folder = changed(good, tmp_path / "bad")
    (folder / "htdemucs.yaml").write_text(text)
    with pytest.raises(EngineError):
        read_bag(folder)


def test_folders_without_one_separator(good: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no separator"):
        read_bag(tmp_path / "none")
    with pytest.raises(EngineError, match="holds no separator"):
        read_bag(tmp_path)
    alone = changed(good, tmp_path / "alone")
    (alone / "htdemucs.yaml").unlink()
    assert len(read_bag(alone).models) == 1
    (alone / "other.safetensors").write_bytes(b"")
    with pytest.raises(EngineError, match="holds no separator"):
        read_bag(alone)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was-executed"),)


def test_a_pickle_is_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "evil"
    folder.mkdir()
    path = folder / f"{SIGNATURES[0]}.th"
    model, arguments = separator()
    torch.save({"klass": type(model), "kwargs": arguments, "state": {}, "x": _Evil()}, path)
    with pytest.raises(EngineError, match="weights alone"):
        read_bag(folder)
    path.write_bytes(pickle.dumps(_Evil(), 2))
    with pytest.raises(EngineError, match="weights alone"):
        read_bag(folder)
    torch.save([1, 2], path)
    with pytest.raises(EngineError, match="no separator"):
        read_bag(folder)
    assert not (tmp_path / "was-executed").exists()


def test_a_pickle_with_another_checksum_is_damaged(tmp_path: Path) -> None:
    path = pickled(tmp_path, *separator())
    assert len(read_bag(tmp_path).models) == 1
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(EngineError, match="is damaged"):
        read_bag(tmp_path)


def test_damaged_files_never_do_more_than_complain(good: Path, tmp_path: Path) -> None:
    random = np.random.Generator(np.random.PCG64(4))
    whole = (good / FILE).read_bytes()
    folder = changed(good, tmp_path / "bad")
    for number in range(60):
        data = bytearray(whole)
        if number % 3 == 0:
            data = data[: int(random.integers(0, len(data)))]
        else:
            for at in random.integers(0, 4000 if number % 3 == 1 else len(data), 8).tolist():
                data[at] = int(random.integers(0, 256))
        (folder / FILE).write_bytes(bytes(data))
        with suppress(EngineError):  # and what was hit where it does not matter is read
            read_bag(folder)
