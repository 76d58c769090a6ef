"""Reads float tensors from a safetensors file.

Format (github.com/huggingface/safetensors, "Format"): 8 bytes little-endian header size, a JSON header that gives each
tensor's dtype, shape and byte range in what follows, then the bytes. Every number is checked against the file's size.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_HEADER = 10_000_000
"""Bytes."""
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


class TensorFileError(ValueError):
    """A file that is not a sound safetensors file. One line: the file and what is wrong."""


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every float32 and float16 tensor in a file, as float32; integer tensors are left out. Raises TensorFileError.

    Those of float32 stay in the file and are read where they are used: a model that nobody asks costs nothing.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
            if not 2 <= length <= min(LARGEST_HEADER, size - 8):
                raise TensorFileError(f"{path.name}: its header says {length} bytes, the file has {size}")
            header = _header(file.read(length), path.name)
        data = np.memmap(path, np.uint8, "r", offset=8 + length) if size > 8 + length else np.zeros(0, np.uint8)
    except OSError as error:
        raise TensorFileError(f"{path.name}: cannot be read: {error.strerror}") from error
    return {
        name: _tensor(name, entry, data, path.name)
        for name, entry in header.items()
        if name != "__metadata__" and isinstance(entry, dict) and entry.get("dtype") in _DTYPES
    }


def _header(raw: bytes, file: str) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TensorFileError(f"{file}: its header is not JSON") from error
    if not isinstance(header, dict):
        raise TensorFileError(f"{file}: its header is not a JSON object")
    return header


def _tensor(name: str, entry: dict[str, Any], data: NDArray[np.uint8], file: str) -> NDArray[np.float32]:
    dtype, shape, offsets = _DTYPES[entry["dtype"]], _numbers(entry.get("shape")), _numbers(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise TensorFileError(f"{file}: tensor {name[:60]!r} has no sound shape and byte range")
    begin, end = offsets
    if not 0 <= begin <= end <= data.size or end - begin != math.prod(shape) * dtype.itemsize:
        raise TensorFileError(f"{file}: tensor {name[:60]!r} does not fit the file")
    tensor = data[begin:end].view(np.ndarray).view(dtype).reshape(shape)
    return tensor.astype(np.float32, copy=False)


def _numbers(value: object) -> list[int] | None:
    """The value, if it is a list of whole numbers from 0."""
    if isinstance(value, list) and all(type(number) is int and number >= 0 for number in value):
        return value
    return None
