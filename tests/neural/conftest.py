"""Tests of what runs on torch. Without the `neural` extra they are skipped."""

from __future__ import annotations

import os

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
