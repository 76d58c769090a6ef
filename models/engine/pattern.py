"""The delay pattern: codebook k is written k steps after the first, so that a step writes one token of each.

J. Copet et al., "Simple and controllable music generation", NeurIPS 2023, section 2.1. Here a delay is a number of
steps for each codebook; the step before the first token of any codebook sees nothing of it.
"""

from __future__ import annotations

import torch

from models.engine.shape import DecoderShape


def delays(shape: DecoderShape) -> torch.Tensor:
    """(codebooks,): by how many steps each is late. Both channels of a pair are alike."""
    return torch.arange(shape.codebooks // shape.channels).repeat_interleave(shape.channels)


def steps_for(frames: int, shape: DecoderShape) -> int:
    """Steps after which `frames` codec frames are whole."""
    return frames + int(delays(shape).max())


def delayed(codes: torch.Tensor, shape: DecoderShape) -> torch.Tensor:
    """(batch, codebooks, frames) codes to (batch, codebooks, steps_for(frames)) tokens; `shape.codes` is nothing."""
    batch, codebooks, frames = codes.shape
    late = delays(shape).to(codes.device)
    tokens = codes.new_full((batch, codebooks, frames + int(late.max())), shape.codes)
    at = late[:, None] + torch.arange(frames, device=codes.device)
    tokens.scatter_(2, at.expand(batch, -1, -1), codes)
    return tokens


def undelayed(tokens: torch.Tensor, shape: DecoderShape) -> torch.Tensor:
    """The inverse of `delayed`: the whole frames of (batch, codebooks, steps) tokens."""
    late = delays(shape).to(tokens.device)
    frames = tokens.shape[2] - int(late.max())
    at = late[:, None] + torch.arange(frames, device=tokens.device)
    return tokens.gather(2, at.expand(len(tokens), -1, -1))
