"""Engines and other models by name; each is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.api import Engine, EngineError, TextEncoder
from models.api.prompts import PromptEngine
from models.api.tools import Listener, Ranker, Separator, Transcriber

ENGINES = {"band": "models.band.engine:Band"}
NEURAL = {"musicgen": "models.musicgen.engine:MusicGen"}
"""Engines that need torch and a checkpoint's folder: `models.worker` hosts them."""
SEPARATORS = {"demucs": "models.analysis.demucs:Demucs"}
"""What tells the stems of a mix apart, likewise."""
LISTENERS = {"beatnet": "models.analysis.beatnet:BeatNet", "beat_this": "models.analysis.beat_this:BeatThis"}
"""What hears beats, likewise; some bring their weights along."""
TRANSCRIBERS = {"basic-pitch": "models.analysis.pitch:BasicPitch"}
"""What hears notes; weights are bundled."""
RANKERS = {"clap": "models.analysis.clap:Clap"}
"""What tells how well a sound is what words say."""
REMEDIES = {
    "beat_this": "pip install --no-deps beat-this==1.1.0 rotary-embedding-torch",
    "rotary_embedding_torch": "pip install --no-deps rotary-embedding-torch",
}
"""How to get what an extra cannot bring: these ask for packages that stand in the way of others."""
TEXT_ENCODERS = {"minilm": "models.text.minilm:MiniLM"}


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


def neural_names() -> tuple[str, ...]:
    """The neural engines that can be asked for."""
    return tuple(NEURAL)


def load_neural(name: str, folder: Path | None, device: str, dtype: str) -> PromptEngine:
    """The neural engine of that name with the checkpoint in `folder`. Raises EngineError."""
    engine: PromptEngine = _with_weights(NEURAL, "engine", name, _given(name, folder), device, dtype)
    return engine


def load_separator(name: str, folder: Path | None, device: str, dtype: str) -> Separator:
    """The separator of that name with the weights in `folder`. Raises EngineError."""
    separator: Separator = _with_weights(SEPARATORS, "separator", name, _given(name, folder), device, dtype)
    return separator


def load_listener(name: str, folder: Path | None, device: str, dtype: str) -> Listener:
    """The listener of that name with the weights in `folder`, or with its own. Raises EngineError."""
    listener: Listener = _with_weights(LISTENERS, "listener", name, folder, device, dtype)
    return listener


def load_transcriber(name: str, folder: Path | None, device: str, dtype: str) -> Transcriber:
    """The transcriber of that name. Raises EngineError."""
    transcriber: Transcriber = _with_weights(TRANSCRIBERS, "transcriber", name, folder, device, dtype)
    return transcriber


def load_ranker(name: str, folder: Path | None, device: str, dtype: str) -> Ranker:
    """The ranker of that name with the weights in `folder`. Raises EngineError."""
    ranker: Ranker = _with_weights(RANKERS, "ranker", name, _given(name, folder), device, dtype)
    return ranker


def _given(name: str, folder: Path | None) -> Path:
    if folder is None:
        raise EngineError(f"{name[:40]} needs the folder of its weights")
    return folder


def _with_weights(known: Mapping[str, str], what: str, name: str, folder: Path | None, device: str, dtype: str) -> Any:
    if name not in known:
        raise EngineError(f"{what} {name[:40]!r} is not known; use one of {', '.join(known)}")
    try:
        return _load(known[name])(folder, device, dtype)
    except ModuleNotFoundError as error:
        remedy = REMEDIES.get(error.name or "", "pip install 'stemwright[neural]'")
        raise EngineError(f"{what} {name} needs {error.name}, which is not installed: {remedy}") from error


@cache
def load_text_encoder(name: str) -> TextEncoder | None:
    """The text encoder of that name, made once; None where the package with its weights is not installed.

    It may hold a hundred megabytes: `load_text_encoder.cache_clear()` lets it go.
    Raises EngineError for an unknown name and for weights that cannot be read.
    """
    if name not in TEXT_ENCODERS:
        raise EngineError(f"text encoder {name[:40]!r} is not known; use one of {', '.join(TEXT_ENCODERS)}")
    try:
        encoder: TextEncoder = _load(TEXT_ENCODERS[name])()
    except ModuleNotFoundError:
        return None
    return encoder


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
