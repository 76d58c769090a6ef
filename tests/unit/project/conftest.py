"""A finished project for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.project.samples import make_project


@pytest.fixture
def project_path(tmp_path: Path) -> Path:
    """Where a finished project lies."""
    path = tmp_path / "song"
    make_project(path)
    return path
