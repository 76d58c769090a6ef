"""A folder with a published checkpoint: its configuration and its tensors, read as if a stranger had written them.

Tensors come from safetensors files, in one piece or in several that an index names; where there are none, from a
pickle that holds nothing but tensors. Needs torch and safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from models.api import EngineError

MOST_JSON = 64 << 20
"""Bytes of a file that is read as JSON."""
WHOLE, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"


class Checkpoint:
    """Reads tensors by name, each when it is asked for. Raises EngineError for all that is wrong with the files."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise EngineError(f"there is no checkpoint at {folder}: give the folder that holds its config.json")
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self._files: dict[Path, Any] = {}
        self._places = self._listed()

    @property
    def names(self) -> frozenset[str]:
        """Of all tensors."""
        return frozenset(self._places)

    def __call__(self, name: str) -> torch.Tensor:
        """The tensor of that name, as it was stored."""
        if name not in self._places:
            raise EngineError(
                f"the checkpoint in {self.folder.name} lacks {name:.80}: it is incomplete, or another model's"
            )
        place = self._places[name]
        if isinstance(place, torch.Tensor):
            return place
        try:
            tensor: torch.Tensor = self._opened(place).get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise EngineError(f"{place.name} cannot be read ({_first_line(error)}): fetch it again") from error
        return tensor

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """All tensors whose names begin so, without that beginning."""
        return {name.removeprefix(prefix): self(name) for name in sorted(self._places) if name.startswith(prefix)}

    def _listed(self) -> dict[str, Path | torch.Tensor]:
        if (self.folder / INDEX).exists():
            index = read_json(self.folder / INDEX).get("weight_map")
            if not isinstance(index, dict):
                raise EngineError(f"{INDEX} names no files: fetch the checkpoint again")
            return {str(name): self._inside(file) for name, file in index.items()}
        if (self.folder / WHOLE).exists():
            path = self.folder / WHOLE
            return dict.fromkeys(self._opened(path).keys(), path)
        if (self.folder / PICKLE).exists():
            return self._unpickled(self.folder / PICKLE)
        raise EngineError(f"{self.folder} holds no weights: it needs {WHOLE}, {INDEX} or {PICKLE}")

    def _inside(self, file: object) -> Path:
        """A file that an index names, which must lie in the folder itself."""
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise EngineError(f"{INDEX} names {file!r:.60}, which is no safetensors file beside it")
        return self.folder / file

    def _opened(self, path: Path) -> Any:
        if path not in self._files:
            try:
                self._files[path] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise EngineError(f"{path.name} cannot be read ({_first_line(error)}): fetch it again") from error
        return self._files[path]

    def _unpickled(self, path: Path) -> dict[str, Path | torch.Tensor]:
        """torch's unpickler that makes nothing but tensors."""
        import pickle

        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
            raise EngineError(f"{path.name} cannot be read as weights alone ({_first_line(error)})") from error
        if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
            raise EngineError(f"{path.name} holds other things than tensors by name")
        return {str(name): tensor for name, tensor in found.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises EngineError."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise EngineError(f"{path.name} has more than {MOST_JSON >> 20} MB; that is no configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EngineError(
            f"{path} cannot be read ({error.strerror}): give the folder that holds a checkpoint"
        ) from error
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{path.name} is not JSON: fetch it again") from error
    if not isinstance(value, dict):
        raise EngineError(f"{path.name} is no JSON object: fetch it again")
    return value


def read_tokenizer(folder: Path, most: int) -> Any:
    """The tokenizer in a folder's tokenizer.json; what has more than `most` tokens is cut off. Raises EngineError."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        if path.stat().st_size > MOST_JSON:
            raise EngineError(f"tokenizer.json has more than {MOST_JSON >> 20} MB; that is none")
        made = Tokenizer.from_buffer(path.read_bytes())
    except OSError as error:
        raise EngineError(f"{folder.name} holds no tokenizer.json: fetch the checkpoint again") from error
    except ValueError as error:
        raise EngineError("tokenizer.json holds no tokenizer: fetch the checkpoint again") from error
    made.enable_truncation(most)
    return made


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
