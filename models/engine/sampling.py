"""Draws tokens: each request from numbers of its own, so that what it gets does not depend on who shares its batch.

A token is drawn by inverting the distribution at one number in 0..1. Those numbers come from the request's seed alone,
for all its steps and codebooks at once: nothing is drawn, and nothing waits for the host, inside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from models.api import EngineError


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    temperature: float = 1.0
    """0 takes the likeliest."""
    top_k: int = 250
    """Only so many of the likeliest; 0 takes all."""
    top_p: float = 0.0
    """Only as many of the likeliest as together have this share; 0 takes all. It overrules `top_k`."""
    guidance: float = 3.0
    """How far to go from what would be said without the words towards what is said with them (J. Ho and T. Salimans,
    "Classifier-free diffusion guidance", 2022); 1 needs no second pass."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 10.0:
            raise EngineError(f"temperature {self.temperature:g}: it must be 0 (the likeliest) to 10")
        if not 0 <= self.top_k <= 1 << 16:
            raise EngineError(f"top-k {self.top_k}: it must be 0 (all) to 65536")
        if not 0.0 <= self.top_p <= 1.0:
            raise EngineError(f"top-p {self.top_p:g}: it must be 0 (all) to 1")
        if not 1.0 <= self.guidance <= 30.0:
            raise EngineError(f"guidance {self.guidance:g}: it must be 1 (none) to 30")


def numbers(seeds: list[int], steps: int, codebooks: int, device: torch.device) -> torch.Tensor:
    """(steps, requests, codebooks) in 0..1, those of a request from its seed alone, whatever the device."""
    drawn = [torch.rand(steps, codebooks, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn, dim=1).to(device)


def guided(logits: torch.Tensor, guidance: float) -> torch.Tensor:
    """(2 * requests, ...), with the words and then without, to (requests, ...)."""
    told, untold = logits.chunk(2)
    return untold + guidance * (told - untold)


def drawn(logits: torch.Tensor, sampling: Sampling, at: torch.Tensor) -> torch.Tensor:
    """(requests, codebooks, codes) logits to (requests, codebooks) tokens; `at`: a number in 0..1 for each."""
    if sampling.temperature == 0.0:
        return logits.argmax(dim=-1)
    logits = logits.float() / sampling.temperature
    if sampling.top_p > 0.0:
        chance, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        chance = chance.masked_fill(chance.cumsum(dim=-1) - chance >= sampling.top_p, 0.0)
        return _inverted(chance, order, at)
    if 0 < sampling.top_k < logits.shape[-1]:
        best, order = logits.topk(sampling.top_k, dim=-1)
        return _inverted(best.softmax(dim=-1), order, at)
    return _inverted(logits.softmax(dim=-1), None, at)


def _inverted(chance: torch.Tensor, order: torch.Tensor | None, at: torch.Tensor) -> torch.Tensor:
    """The first token at which the sum of the chances exceeds `at` of them all; one without a chance never is that."""
    sums = chance.double().cumsum(dim=-1)
    which = (sums <= at[..., None].double() * sums[..., -1:]).sum(dim=-1)
    return which if order is None else order.gather(-1, which[..., None])[..., 0]
