"""A mix into its stems, by a hybrid transformer (S. Rouard, F. Massa and A. Défossez, "Hybrid transformers for music
source separation", ICASSP 2023) or one of its forerunners, as the package `demucs` has them.

Long sounds go through in overlapping segments, and what is done comes out while the rest is worked on, so that memory
does not grow with what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from demucs.apply import TensorChunk
from demucs.htdemucs import HTDemucs
from demucs.utils import center_trim

from models.analysis.demucs_weights import read_bag
from models.api import Audio, Cancel, Cancelled, EngineError, never_cancelled

OVERLAP = 0.25
"""Of a segment."""
SILENCE = 1e-8


class Demucs:
    """One separator on one device."""

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        """Load what is in `folder`. Raises EngineError."""
        if dtype != "float32":
            raise EngineError(f"dtype {dtype!r:.20}: separators work in float32 alone")
        bag = read_bag(folder)
        self.name = folder.resolve().name
        try:
            self._models = [model.to(device) for model in bag.models]
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"device {device!r:.20}: {str(error).splitlines()[0]:.160}") from error
        first = self._models[0]
        self.stems: tuple[str, ...] = tuple(map(str, first.sources))
        self.rate, self._channels = int(first.samplerate), int(first.audio_channels)
        self._device, self._segment = device, int(bag.segment * self.rate)
        weights = torch.tensor(bag.weights, dtype=torch.float32)
        self._weights = weights / weights.sum(dim=0)

    def separated(
        self,
        audio: Audio,
        rate: int,
        step: Callable[[int, int], None] = lambda done, total: None,
        cancel: Cancel = never_cancelled,
    ) -> Iterator[Audio]:
        """Yield the stems of float32 (channels, frames) at `rate` Hz from its first frame to its last: float32 (stems,
        channels, n) of any n, as many frames in all as there were.

        step: told after each segment how many of how many are done; cancel: asked before each. Raises EngineError or
        Cancelled.
        """
        channels, frames = audio.shape
        back = soxr.ResampleStream(self.rate, rate, len(self.stems) * channels, dtype="float32")
        left = frames
        for part, last in self._parts(self._own(audio, rate), step, cancel):
            if channels == 1:
                part = part.mean(axis=1, keepdims=True)
            elif self._channels == 1:
                part = np.repeat(part, channels, axis=1)
            rows = np.ascontiguousarray(part.reshape(-1, part.shape[2]).T)
            if rate != self.rate:
                rows = back.resample_chunk(rows, last=last)
            rows = rows[:left]
            if last and len(rows) < left:  # the last frame or two are a matter of rounding
                rows = np.concatenate([rows, np.zeros((left - len(rows), rows.shape[1]), np.float32)])
            left -= len(rows)
            if len(rows):
                yield np.ascontiguousarray(rows.T.reshape(len(self.stems), channels, -1))

    def _own(self, audio: Audio, rate: int) -> torch.Tensor:
        """Sound as the models take it: at their rate, with their channels."""
        sound = audio.T if rate == self.rate else soxr.resample(np.ascontiguousarray(audio.T), rate, self.rate)
        mix = torch.from_numpy(np.ascontiguousarray(sound.T, np.float32))
        if len(mix) < self._channels:
            return mix.expand(self._channels, -1)
        return mix if len(mix) == self._channels else mix.mean(dim=0, keepdim=True)

    def _parts(
        self, mix: torch.Tensor, step: Callable[[int, int], None], cancel: Cancel
    ) -> Iterator[tuple[Audio, bool]]:
        """(stems, channels, n) at the models' own rate, and whether it is the last."""
        alike = mix.mean(dim=0)
        mean, spread = float(alike.mean()), float(alike.std(correction=min(1, len(alike) - 1))) + SILENCE
        mix = ((mix - mean) / spread)[None]
        length, size = mix.shape[-1], self._segment
        stride = max(1, int((1.0 - OVERLAP) * size))
        half = torch.arange(1, size // 2 + 1)
        slope = torch.cat([half, torch.arange(size - size // 2, 0, -1)]) / (size - size // 2)
        total = torch.zeros(len(self.stems), self._channels, size)
        weight = torch.zeros(size)
        starts = range(0, length, stride)
        for number, start in enumerate(starts):
            found = self._segment_of(mix, start, cancel)
            count = found.shape[-1]
            total[..., :count] += slope[:count] * found
            weight[:count] += slope[:count]
            last = number + 1 == len(starts)
            ready = count if last else stride
            done = total[..., :ready] / weight[:ready]
            step(number + 1, len(starts))
            yield (done * spread + mean).numpy(), last
            total, weight = total.roll(-stride, -1), weight.roll(-stride)
            total[..., size - stride :] = 0.0
            weight[size - stride :] = 0.0

    def _segment_of(self, mix: torch.Tensor, start: int, cancel: Cancel) -> torch.Tensor:
        """(stems, channels, frames) of one segment, by all models together."""
        chunk = TensorChunk(mix, start, self._segment)
        whole = torch.zeros(len(self.stems), self._channels, chunk.length)
        for model, weights in zip(self._models, self._weights, strict=True):
            if cancel():
                raise Cancelled("cancelled")
            size = _size(model, chunk.length, self._segment)
            try:
                with torch.inference_mode():
                    found = model(chunk.padded(size).to(self._device))[0]
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    f"out of memory on {self._device} while separating: close other programs, or use --device cpu"
                ) from error
            whole += weights[:, None, None] * center_trim(found, chunk.length).float().cpu()
        return whole


def _size(model: Any, length: int, segment: int) -> int:
    """How many frames a model is given for `length` of them."""
    if isinstance(model, HTDemucs):
        return segment
    return int(model.valid_length(length)) if hasattr(model, "valid_length") else length
