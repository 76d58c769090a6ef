"""What the engines' process is, for those who want to hurt it."""

from __future__ import annotations

from studio.jobs.neural import NeuralHost


def process_of(host: NeuralHost) -> int:
    """Its number."""
    assert host._process is not None
    return host._process.pid
