"""Writes codec tokens, step by step, for many requests at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models.api import Cancel, Cancelled, never_cancelled
from models.engine.decoder import Decoder
from models.engine.pattern import delayed, delays, steps_for, undelayed
from models.engine.sampling import Sampling, drawn, guided, numbers

Step = Callable[[int, int], None]
"""Told after each step: how many are done, of how many."""


@dataclass(frozen=True)
class Order:
    """One request as the decoder sees it."""

    seen: torch.Tensor
    """(positions, shape.seen): what the text encoder made of the words."""
    frames: int
    """Codec frames to be there in the end, the given ones included."""
    seed: int
    given: torch.Tensor | None = None
    """(codebooks, frames): codes that it goes on from."""


def no_step(done: int, total: int) -> None:
    """A `Step` that tells nobody."""


@torch.inference_mode()
def generate(
    decoder: Decoder,
    orders: Sequence[Order],
    sampling: Sampling,
    step: Step = no_step,
    cancel: Cancel = never_cancelled,
) -> list[torch.Tensor]:
    """The codes of each request, (codebooks, frames). Raises Cancelled between two steps.

    Requests may differ in length, words and given codes. What one gets does not depend on the others, but for how the
    device rounds sums in batches of different sizes.
    """
    shape = decoder.shape
    device = decoder.embeddings.device
    seen, there = _together(decoder, orders)
    twice = sampling.guidance > 1.0
    if twice:
        seen, there = (torch.cat([told, torch.zeros_like(told)]) for told in (seen, there))
    total = max(steps_for(order.frames, shape) for order in orders)
    cache = decoder.begin(seen, there, total)
    tokens, free = _given(decoder, orders, total)
    chances = numbers([order.seed for order in orders], total, shape.codebooks, device)
    known = min(0 if order.given is None else order.given.shape[1] for order in orders)
    begin = 0
    for column in range(1 + known, total + 1):
        if cancel():
            raise Cancelled("cancelled")
        heard = tokens[:, :, begin:column]
        logits = decoder(torch.cat([heard, heard]) if twice else heard, cache)
        token = drawn(guided(logits, sampling.guidance) if twice else logits, sampling, chances[column - 1])
        tokens[:, :, column] = torch.where(free[:, :, column], token, tokens[:, :, column])
        begin = column
        step(column, total)
    return [undelayed(row[None, :, 1:], shape)[0, :, : order.frames] for row, order in zip(tokens, orders, strict=True)]


def _together(decoder: Decoder, orders: Sequence[Order]) -> tuple[torch.Tensor, torch.Tensor]:
    """What is seen, padded to one length, and which of it is there."""
    weight = decoder.embeddings
    positions = max(len(order.seen) for order in orders)
    seen = torch.zeros(len(orders), positions, decoder.shape.seen, dtype=weight.dtype, device=weight.device)
    there = torch.zeros(len(orders), positions, dtype=torch.bool, device=weight.device)
    for row, order in enumerate(orders):
        seen[row, : len(order.seen)] = order.seen
        there[row, : len(order.seen)] = True
    return seen, there


def _given(decoder: Decoder, orders: Sequence[Order], total: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(requests, codebooks, total + 1) tokens in the delay pattern: a column of nothing, then what is given; and which
    of them are to be written."""
    shape = decoder.shape
    size = (len(orders), shape.codebooks, total + 1)
    tokens = torch.full(size, shape.codes)
    free = torch.zeros(size, dtype=torch.bool)
    for row, order in enumerate(orders):
        given = torch.zeros(shape.codebooks, 0, dtype=torch.long) if order.given is None else order.given.cpu()
        open_frames = order.frames - given.shape[1]
        codes = torch.cat([given, torch.full((shape.codebooks, open_frames), shape.codes)], dim=1)
        known = delayed(codes[None], shape)[0]
        tokens[row, :, 1 : 1 + known.shape[1]] = known
        late = delays(shape)[:, None] + torch.arange(given.shape[1], order.frames)
        free[row].scatter_(1, 1 + late, torch.ones_like(late, dtype=torch.bool))
    return tokens.to(decoder.embeddings.device), free.to(decoder.embeddings.device)
