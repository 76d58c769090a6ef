"""Reads separators as they are published, as if a stranger had written them.

A folder holds `NAME.yaml`, which lists models that work together, and each model's weights as `SIGNATURE.safetensors`
with its class and arguments as JSON in its head, or in the older way as `SIGNATURE-CHECKSUM.th`, a pickle of which only
tensors, numbers, fractions and the known classes are taken. Without the list, one model alone is enough.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors import SafetensorError, safe_open

from models.api import EngineError

CLASSES = {f"{kind.__module__}.{kind.__name__}": kind for kind in (HTDemucs, HDemucs, Demucs)}
MOST_TEXT = 1 << 16
"""Characters of a list of models, and of a model's arguments."""
MOST_MODELS, MOST_SOURCES = 16, 16
LARGEST, DEEPEST = 1 << 20, 64
"""Of any number among a model's arguments, and of those that say how many layers there are."""
DEPTHS = ("depth", "t_layers", "dconv_depth", "multi_freqs_depth", "lstm_layers", "wiener_iters", "end_iters")


@dataclass(frozen=True)
class Bag:
    """Models that work together."""

    models: tuple[Any, ...]
    """Alike in `sources`, `samplerate` and `audio_channels`."""
    weights: tuple[tuple[float, ...], ...]
    """(models, sources): how much each counts for each source."""
    segment: Fraction
    """Seconds that all of them can take at once."""


def read_bag(folder: Path) -> Bag:
    """The separator in a folder. Raises EngineError for all that is wrong with its files."""
    if not folder.is_dir():
        raise EngineError(f"there is no separator at {folder}: give the folder that holds its weights")
    listed = _listed(folder)
    models = tuple(_model(folder, signature) for signature in listed["models"])
    first = models[0]
    for other in models[1:]:
        if (other.sources, other.samplerate, other.audio_channels) != (
            first.sources, first.samplerate, first.audio_channels
        ):  # fmt: skip
            raise EngineError(f"the models that {folder.name} lists do not belong together: fetch it again")
    weights = _weights(listed.get("weights"), len(models), len(first.sources))
    segments = [Fraction(model.segment).limit_denominator(10_000) for model in models]
    asked = listed.get("segment")
    if asked is not None:
        segments.append(Fraction(_positive("segment", asked)).limit_denominator(10_000))
    return Bag(models, weights, min(segments))


def _listed(folder: Path) -> dict[str, Any]:
    """What a folder's list says; one of one model where there is none."""
    lists = sorted(folder.glob("*.yaml"))
    if len(lists) > 1:
        raise EngineError(f"{folder} holds {len(lists)} lists of models: keep one separator in a folder")
    if not lists:
        alone = sorted({_signature(path) for path in folder.iterdir() if path.suffix in (".safetensors", ".th")})
        if len(alone) != 1:
            raise EngineError(f"{folder} holds no separator: it needs NAME.yaml, or one .safetensors or .th file")
        return {"models": alone}
    try:
        text = lists[0].read_text(encoding="utf-8")
        listed = yaml.safe_load(text) if len(text) <= MOST_TEXT else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise EngineError(f"{lists[0].name} cannot be read: fetch it again") from error
    names = listed.get("models") if isinstance(listed, dict) else None
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_MODELS or not all(map(_is_signature, names)):
        raise EngineError(f"{lists[0].name} lists no models: fetch it again")
    assert isinstance(listed, dict)
    return listed


def _signature(path: Path) -> str:
    return path.stem.partition("-")[0]


def _is_signature(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[0-9A-Za-z_]{1,64}", name) is not None


def _weights(said: object, models: int, sources: int) -> tuple[tuple[float, ...], ...]:
    if said is None:
        return ((1.0,) * sources,) * models
    rows = said if isinstance(said, list) else []
    good = len(rows) == models and all(isinstance(row, list) and len(row) == sources for row in rows)
    if not good or not all(isinstance(w, (int, float)) and 0 <= w <= LARGEST for row in rows for w in row):
        raise EngineError("the separator's list weighs its models wrongly: fetch it again")
    found = tuple(tuple(map(float, row)) for row in rows)
    if not all(sum(column) > 0 for column in zip(*found, strict=True)):
        raise EngineError("the separator's list has a source that no model makes: fetch it again")
    return found


def _model(folder: Path, signature: str) -> Any:
    whole = folder / f"{signature}.safetensors"
    older = sorted(folder.glob(f"{signature}*.th"))
    if whole.exists():
        kind, arguments, state = _from_safetensors(whole)
    elif older:
        kind, arguments, state = _from_pickle(older[0])
    else:
        raise EngineError(f"{folder} lacks {signature}.safetensors: fetch it again")
    return _built(kind, arguments, state, signature)


def _from_safetensors(path: Path) -> tuple[Any, dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            head = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path.name} cannot be read ({str(error).splitlines()[0]:.100}): fetch it again") from error
    if "structure" in head:
        raise EngineError(f"{path.name} is quantised, which cannot be read: use the separator without _q in its name")
    kind = CLASSES.get(head.get("klass", ""))
    if kind is None:
        raise EngineError(f"{path.name} is of no known kind of separator")
    said = head.get("kwargs", "{}")
    try:
        arguments = _decoded(json.loads(said)) if len(said) <= MOST_TEXT else None
    except (ValueError, RecursionError, ZeroDivisionError, TypeError) as error:
        raise EngineError(f"{path.name} has broken arguments: fetch it again") from error
    if not isinstance(arguments, dict) or head.get("args", "[]") != "[]":
        raise EngineError(f"{path.name} has broken arguments: fetch it again")
    return kind, arguments, state


def _decoded(value: Any) -> Any:
    """JSON with fractions, as the package writes them."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(int(value.get("numerator", 0)), int(value.get("denominator", 1)))
        return {name: _decoded(item) for name, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _from_pickle(path: Path) -> tuple[Any, dict[str, Any], dict[str, torch.Tensor]]:
    said = path.stem.partition("-")[2]
    if said:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(said):
            raise EngineError(f"{path.name} is damaged (its checksum is {found[:8]}): fetch it again")
    try:
        with torch.serialization.safe_globals([*CLASSES.values(), Fraction]):
            package = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(f"{path.name} cannot be read as weights alone ({words:.120})") from error
    parts = [package.get(name) for name in ("klass", "kwargs", "state")] if isinstance(package, dict) else []
    if not parts or parts[0] not in CLASSES.values() or not isinstance(parts[1], dict) or package.get("args"):
        raise EngineError(f"{path.name} is no separator")
    if not isinstance(parts[2], dict) or not all(isinstance(value, torch.Tensor) for value in parts[2].values()):
        raise EngineError(f"{path.name} is quantised, which cannot be read: use the separator without _q in its name")
    return parts[0], parts[1], parts[2]


def _built(kind: Any, arguments: Mapping[str, Any], state: Mapping[str, torch.Tensor], name: str) -> Any:
    """A model with its weights; the arguments cannot make it larger than these are."""
    known = inspect.signature(kind.__init__).parameters
    given = {key: value for key, value in arguments.items() if key in known}
    for key, value in given.items():
        _check_argument(name, key, value)
    sources = given.get("sources")
    if (
        not isinstance(sources, list | tuple)
        or not 1 <= len(sources) <= MOST_SOURCES
        or len(set(sources)) < len(sources)
    ):
        raise EngineError(f"separator {name} names no stems: fetch it again")
    try:
        with torch.device("meta"):
            model = kind(**given)
    except (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError, IndexError) as error:
        raise EngineError(f"separator {name} cannot be built from its arguments: fetch it again") from error
    expected = model.state_dict()
    wrong = sorted(set(expected) ^ set(state))
    if wrong:
        raise EngineError(f"separator {name} has other weights than it needs (such as {wrong[0]:.80}): fetch it again")
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape or not tensor.is_floating_point():
            raise EngineError(f"separator {name}: {key:.80} is {tuple(tensor.shape)}, not {tuple(expected[key].shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise EngineError(f"separator {name}: {key:.80} holds what is no number: fetch it again")
    model.load_state_dict({key: tensor.to(torch.float32) for key, tensor in state.items()}, assign=True)
    if not (8_000 <= model.samplerate <= 192_000 and model.audio_channels in (1, 2)):
        raise EngineError(f"separator {name} works at {model.samplerate} Hz with {model.audio_channels} channels")
    _positive("segment", model.segment)
    return model.eval()


def _check_argument(name: str, key: str, value: Any) -> None:
    """Plain values of a sensible size."""
    plain = (bool, int, float, str, Fraction, type(None))
    items = list(value) if isinstance(value, list | tuple) else [value]
    most = DEEPEST if key in DEPTHS else LARGEST
    good = len(items) <= DEEPEST and all(isinstance(item, plain) for item in items)
    good = good and all(len(item) <= DEEPEST for item in items if isinstance(item, str))
    numbers = [float(item) for item in items if isinstance(item, int | float | Fraction)] if good else []
    if not good or not all(abs(item) <= most for item in numbers):
        raise EngineError(f"separator {name} has {key:.40} {value!r:.40}, which cannot be: fetch it again")


def _positive(what: str, value: Any) -> float:
    number = float(value) if isinstance(value, int | float | Fraction) and not isinstance(value, bool) else math.nan
    if not 0.05 <= number <= 600:
        raise EngineError(f"the separator's {what} is {value!r:.40}; it must be 0.05 to 600 seconds")
    return number
