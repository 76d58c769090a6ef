"""Weights of 8 bits on a CPU: a step reads all weights once, so that the fewer bytes they have the less time it takes.

Weights are rounded for each output by itself, to the nearest of 255 steps of its largest weight; what comes in is
rounded as it comes (dynamic quantization), each row by itself, so that no request changes another's numbers. The
products are FBGEMM's (D. Khudia et al., "FBGEMM: enabling high-performance low-precision deep learning inference",
2021), through torch.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from models.api import EngineError
from models.engine.decoder import Decoder


class Int8Linear(nn.Module):
    """A linear layer without its float weights."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        largest = weight.abs().amax(dim=1).clamp(min=1e-12)
        with warnings.catch_warnings():
            # torch means to drop tensors of such types; what the products need of them stays in the versions we allow.
            warnings.simplefilter("ignore", UserWarning)
            whole = torch.quantize_per_channel(
                weight, (largest / 127.0).double(), torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8
            )
        self._packed = torch.ops.quantized.linear_prepack(whole, None)
        self._bias = None if linear.bias is None else linear.bias.detach().float()
        # One more row, that holds both ends: torch rounds all rows by the least and the largest number in any.
        self._ends = torch.zeros(1, weight.shape[1])
        self._ends[0, :2] = torch.tensor([1.0, -1.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As of the layer it stands for, to within its rounding."""
        rows = x.reshape(-1, x.shape[-1])
        largest = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
        found = torch.ops.quantized.linear_dynamic(torch.cat([rows / largest, self._ends]), self._packed, True)
        found = found[:-1] * largest
        if self._bias is not None:
            found += self._bias
        return found.view(*x.shape[:-1], -1)


def in_int8(decoder: Decoder) -> Decoder:
    """The decoder with every matrix of its layers and heads in 8 bits, in place. Raises EngineError where torch cannot
    run that: on other devices than CPUs, and on CPUs that no engine of it was built for."""
    if decoder.embeddings.device.type != "cpu":
        raise EngineError("int8 runs on the CPU; on other devices use bfloat16 or float16")
    if torch.backends.quantized.engine == "none":
        raise EngineError("this torch has no 8-bit matrices for this CPU; use float32")
    for module in [decoder, *decoder.layers]:
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
    return decoder
