"""Words to music: T5 for the words, the decoder for the tokens, EnCodec for the sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.api import Cancel, EngineError, StemResult, never_cancelled
from models.api.prompts import PromptRequest
from models.checkpoint import Checkpoint
from models.codec.encodec import EnCodec
from models.engine.decoder import Decoder
from models.engine.generate import Order, generate
from models.engine.int8 import in_int8
from models.engine.sampling import Sampling
from models.musicgen.layout import shape_of, weights_of
from models.musicgen.words import Words

VERSION = "1"
LONGEST_S = 30.0
"""What it was taught on: beyond that it loses the thread."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INT8 = "int8"
USUAL = Sampling(temperature=1.0, top_k=250, guidance=3.0)


class MusicGen:
    """One checkpoint on one device."""

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        """Load what is in `folder`, laid out as Hugging Face publishes it. Raises EngineError."""
        if dtype not in (*DTYPES, INT8):
            raise EngineError(f"dtype {dtype!r:.20} is not known; use one of {', '.join((*DTYPES, INT8))}")
        checkpoint = Checkpoint(folder)
        shape = shape_of(checkpoint.config)
        self.name, self._dtype = folder.resolve().name, dtype
        try:
            self._decoder = Decoder(shape).eval()
            self._decoder.load_state_dict(weights_of(shape, checkpoint))
            self._decoder.to(device, DTYPES.get(dtype, torch.float32))
            if dtype == INT8:
                in_int8(self._decoder)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"device {device!r:.20}: {str(error).splitlines()[0]:.160}") from error
        self._words = Words(folder, checkpoint.config["text_encoder"], checkpoint.part("text_encoder."))
        codec = checkpoint.config.get("audio_encoder")
        if not isinstance(codec, dict):
            raise EngineError("the checkpoint's config.json has no 'audio_encoder'; it is not MusicGen's")
        self._codec = EnCodec(codec, checkpoint.part("audio_encoder."), shape.channels)

    @property
    def most_at_once(self) -> int:
        """Requests in a batch. With guidance each is two rows, and a CPU multiplies up to 16 of these at once about
        as fast as a few."""
        return 8 if self._decoder.embeddings.device.type == "cpu" else 32

    @property
    def rate(self) -> int:
        """Hz of what it makes."""
        return self._codec.rate

    def sound(
        self,
        requests: Sequence[PromptRequest],
        step: Callable[[int, int], None] = lambda done, total: None,
        cancel: Cancel = never_cancelled,
    ) -> list[StemResult]:
        """A sound for each request, all made at once. Requests that draw in different ways cannot share a batch.

        step: told after each decoding step how many of how many are done; cancel: asked before each.
        Raises EngineError or Cancelled.
        """
        ways = {_way(request) for request in requests}
        if len(ways) != 1:
            raise EngineError("requests with different guidance, temperature, top-k or top-p cannot share a batch")
        for request in requests:
            if request.seconds > LONGEST_S:
                raise EngineError(f"{request.seconds:g} seconds: MusicGen makes up to {LONGEST_S:g} at a time")
        per_second = self._codec.rate / self._codec.hop
        seen = self._words.encode([request.prompt for request in requests])
        device, dtype = self._decoder.embeddings.device, self._decoder.embeddings.dtype
        orders = [
            Order(told.to(device, dtype), math.ceil(request.seconds * per_second), request.seed)
            for told, request in zip(seen, requests, strict=True)
        ]
        way = ways.pop()
        codes = generate(self._decoder, orders, way, step, cancel)
        return [self._result(row, request, way) for row, request in zip(codes, requests, strict=True)]

    def _result(self, codes: torch.Tensor, request: PromptRequest, way: Sampling) -> StemResult:
        audio = self._codec.decode(codes.cpu()).numpy()[:, : round(request.seconds * self.rate)]
        return StemResult(
            rate=self.rate, seed=request.seed, engine="musicgen", version=VERSION,
            audio=np.ascontiguousarray(audio, np.float32), weights=self.name,
            parameters={
                "prompt": request.prompt, "seconds": request.seconds, "guidance": way.guidance,
                "temperature": way.temperature, "top_k": way.top_k, "top_p": way.top_p,
                "dtype": self._dtype,
            },
        )  # fmt: skip


def _way(request: PromptRequest) -> Sampling:
    usual = USUAL if not request.greedy else replace(USUAL, temperature=0.0)
    asked = {name: getattr(request, name) for name in ("guidance", "temperature", "top_k", "top_p")}
    if request.greedy:
        asked["temperature"] = None
    return replace(usual, **{name: value for name, value in asked.items() if value is not None})
