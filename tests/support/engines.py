"""Engines that fail, for tests: the band, but for what each says. A worker process finds them by these names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from models.api import Cancel, Cancelled, EngineError, StemRequest, StemResult, never_cancelled
from models.band.engine import Band
from tests.support.works import KILL

ENGINES = {name: f"{__name__}:{name.capitalize()}" for name in ("mortal", "failing", "tireless")}
SPARED, FOLDER = "STEMWRIGHT_TEST_SPARED", "STEMWRIGHT_TEST_FOLDER"
"""In the environment: the process that does not die, and a folder for notes about what happened."""


class Mortal(Band):
    """Kills the process that it is in when that gives its first file a name, but only one process."""

    def __init__(self) -> None:
        real = os.replace
        died = Path(os.environ[FOLDER]) / "died"

        def replace(source: Any, target: Any) -> None:
            if not died.exists() and os.getpid() != int(os.environ[SPARED]):
                died.write_text(str(source))
                os.kill(os.getpid(), KILL)
            real(source, target)

        if os.getpid() != int(os.environ[SPARED]):
            os.replace = replace  # type: ignore[assignment]


class Failing(Band):
    """Cannot play leads."""

    def generate(self, request: StemRequest, cancel: Cancel = never_cancelled) -> StemResult:
        if request.role == "lead":
            raise EngineError("the lead has a cold; leave lead out")
        return super().generate(request, cancel)


class Tireless(Band):
    """Notes in which process it plays, and goes on until it is cancelled or killed."""

    def generate(self, request: StemRequest, cancel: Cancel = never_cancelled) -> StemResult:
        (Path(os.environ[FOLDER]) / str(os.getpid())).touch()
        while not cancel():
            time.sleep(0.01)
        raise Cancelled("cancelled")
