"""Tests of what runs on torch. Without the `neural` extra they are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
collect_ignore_glob: list[str] = []
try:
    import torch
    import tqdm
except ModuleNotFoundError:
    collect_ignore_glob.append("test_*.py")
else:
    tqdm.tqdm.monitor_interval = 0  # else the bars of a slow machine leave a thread behind


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny models are many times faster so, the more so beside other tests."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MusicGen; where a test is of another model it has a folder of its own."""
    from tests.support import checkpoints

    return checkpoints.saved(checkpoints.musicgen(), tmp_path_factory.mktemp("tiny"))
