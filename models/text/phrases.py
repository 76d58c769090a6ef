"""Vectors of the styles' phrases, worked out beforehand: every prompt that names no style is compared with all of them.

`phrases.npz` holds, beside the fingerprint of the weights they were made with, the vectors by the digests of their
texts. So nothing stale is ever used: a phrase that has changed since is not found, and the model is asked for it.
`python -m models.text.make_phrases` makes the file anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("phrases.npz")


def text_digest(text: str) -> bytes:
    """What stands for a text in the file: 16 bytes of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def read_vectors(fingerprint: bytes) -> Mapping[bytes, NDArray[np.float32]]:
    """The vectors by the digests of their texts; none where they were made with weights of another fingerprint."""
    with np.load(FILE, allow_pickle=False) as file:
        if file["fingerprint"].tobytes() != fingerprint:
            return {}
        digests, vectors = file["digests"], file["vectors"]
    return {digest.tobytes(): vector for digest, vector in zip(digests, vectors, strict=True)}


def write_vectors(fingerprint: bytes, vectors: Mapping[str, NDArray[np.float32]]) -> None:
    """Make the file of these vectors by their texts."""
    np.savez(
        FILE,
        fingerprint=np.frombuffer(fingerprint, np.uint8),
        digests=np.array([np.frombuffer(text_digest(text), np.uint8) for text in vectors]),
        vectors=np.stack(list(vectors.values())),
    )
