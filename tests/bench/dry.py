"""The band without its effects, as an engine of its own: for comparison with players that have none."""

from __future__ import annotations

from models.band import engine
from models.band.engine import Band
from models.band.sound.effects import Chain


class Dry(Band):
    """The band without its effects."""

    def __init__(self) -> None:
        engine._chain = lambda style, role: Chain()  # in every process that plays
