"""Engines and other models by name; each is imported when it is first asked for."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from models.api import Engine, EngineError

ENGINES = {"band": "models.band.engine:Band"}


def engine_names() -> tuple[str, ...]:
    """The engines that can be asked for."""
    return tuple(ENGINES)


@cache
def load_engine(name: str) -> Engine:
    """The engine of that name, made once. Raises EngineError for an unknown name."""
    if name not in ENGINES:
        raise EngineError(f"engine {name[:40]!r} is not known; use one of {', '.join(ENGINES)}")
    engine: Engine = _load(ENGINES[name])()
    return engine


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
