"""EnCodec (A. Défossez et al., "High fidelity neural audio compression", 2022), through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from models.api import EngineError

_RENAMED = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}
"""Normalised weights as older checkpoints name them."""


class EnCodec:
    """Codes to sound; mono, or with two channels each coded by itself."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], channels: int) -> None:
        """`config` and `weights` as Hugging Face publishes them. Raises EngineError where they do not fit."""
        from transformers import EncodecConfig, EncodecModel

        self._channels = channels
        self._codec = EncodecModel(EncodecConfig.from_dict(dict(config))).eval()
        named = {_renamed(name): tensor.float() for name, tensor in weights.items()}
        try:
            fit = self._codec.load_state_dict(named, strict=False)
        except RuntimeError as error:
            raise EngineError(
                f"the checkpoint's codec does not fit its configuration: {_second_line(error)}"
            ) from error
        if fit.missing_keys or fit.unexpected_keys:
            odd = (fit.missing_keys or fit.unexpected_keys)[0]
            raise EngineError(f"the checkpoint's codec has {'no' if fit.missing_keys else 'an unknown'} {odd:.80}")

    @property
    def rate(self) -> int:
        """Hz."""
        return int(self._codec.config.sampling_rate)

    @property
    def hop(self) -> int:
        """Samples of a codec frame."""
        return int(torch.tensor(self._codec.config.upsampling_ratios).prod())

    @torch.inference_mode()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(codebooks, frames) codes to (channels, frames * hop) samples, float32. With two channels codebooks 2k and
        2k + 1 are the left's and the right's k-th."""
        sides = [codes[side :: self._channels] for side in range(self._channels)]
        heard = [self._codec.decode(side[None, None], [None]).audio_values[0, 0] for side in sides]
        return torch.stack(heard)


def _renamed(name: str) -> str:
    for old, new in _RENAMED.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _second_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)][:160]
