"""Tiny separators with random weights, in the layouts in which the real ones are published."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

RATE = 16_000
SOURCES = ("drums", "bass", "other", "vocals")
SIGNATURES = ("955717e8", "f7e0c4bc")
ARGUMENTS: dict[str, Any] = {
    "sources": list(SOURCES), "audio_channels": 2, "samplerate": RATE, "channels": 8, "growth": 2, "nfft": 1024,
    "depth": 4, "segment": Fraction(3, 2),
}  # fmt: skip
OF_TRANSFORMER: dict[str, Any] = {
    "t_layers": 1, "t_heads": 2, "bottom_channels": 16, "t_hidden_scale": 1.0, "dconv_comp": 4,
}  # fmt: skip


def separator(seed: int = 0, **other: Any) -> tuple[Any, dict[str, Any]]:
    """A hybrid transformer, and its arguments."""
    torch.manual_seed(seed)
    arguments = ARGUMENTS | OF_TRANSFORMER | other
    return HTDemucs(**arguments).eval(), arguments


def forerunner(seed: int = 0) -> tuple[Any, dict[str, Any]]:
    """A hybrid Demucs without a transformer, and its arguments."""
    torch.manual_seed(seed)
    arguments = ARGUMENTS | {"segment": 2}
    return HDemucs(**arguments).eval(), arguments


def head_of(kind: type, arguments: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the head of a file of weights."""

    def plain(value: object) -> dict[str, Any]:
        assert isinstance(value, Fraction)
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}

    return {
        "klass": f"{kind.__module__}.{kind.__name__}", "args": "[]", "kwargs": json.dumps(arguments, default=plain),
    }  # fmt: skip


def saved(folder: Path, *models: tuple[Any, dict[str, Any]], extra: str = "") -> Path:
    """A folder as on the hub, with a list of the models and `extra` lines in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for signature, (model, arguments) in zip(SIGNATURES, models, strict=False):
        tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
        save_file(tensors, folder / f"{signature}.safetensors", metadata=head_of(type(model), arguments))
    listed = [f"'{signature}'" for signature in SIGNATURES[: len(models)]]
    (folder / "htdemucs.yaml").write_text(f"models: [{', '.join(listed)}]\n{extra}")
    return folder


def pickled(folder: Path, model: Any, arguments: dict[str, Any]) -> Path:
    """A folder in the older way: one pickle with its checksum in its name. Returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    package = {
        "klass": type(model), "args": (), "kwargs": arguments, "state": model.state_dict(),
        "training_args": {"dset": {"samplerate": RATE}},
    }  # fmt: skip
    torch.save(package, buffer)
    path = folder / f"{SIGNATURES[0]}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.th"
    path.write_bytes(buffer.getvalue())
    return path
