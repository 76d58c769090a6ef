"""The transformer, in the form in which it is fast to run: queries, keys and values from one matrix, keys and values
kept in buffers of a fixed size, those of the text computed once.

A prefill takes many steps at a time, a step takes one. Both write into the same cache, at a position that is a tensor,
so that a step can be captured once and replayed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from models.engine.shape import DecoderShape


@dataclass
class Cache:
    """What a batch of rows remembers: keys and values of all steps, (layers, 2, rows, heads, steps, head), of all that
    is attended to, and how many steps there are."""

    own: torch.Tensor
    seen: torch.Tensor
    hidden: torch.Tensor
    """(rows, 1, 1, seen positions) added to attention: 0, or -inf where there is nothing to attend to."""
    length: int = 0

    @property
    def room(self) -> int:
        """Steps that fit."""
        return self.own.shape[4]


class Decoder(nn.Module):
    """Tokens to logits. Weights are named as `models.engine.layout` gives them."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = nn.Parameter(torch.empty(shape.codebooks, shape.codes + 1, shape.hidden))
        self.condition = nn.Linear(shape.seen, shape.hidden) if shape.seen != shape.hidden else None
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.hidden)
        self.heads = nn.Linear(shape.hidden, shape.codebooks * shape.codes, bias=False)

    def begin(self, seen: torch.Tensor, there: torch.Tensor, room: int) -> Cache:
        """A cache for `room` steps of rows that attend to `seen`, (rows, positions, shape.seen), where `there`, (rows,
        positions), is true. A row may have nothing to attend to: then attention gives it zeros."""
        seen = seen * there[..., None].to(seen.dtype)
        if self.condition is not None:
            # What is not there must stay nothing: the projection has a bias.
            seen = self.condition(seen) * there[..., None].to(seen.dtype)
        rows, positions, _ = seen.shape
        shape = self.shape
        keys = torch.stack([layer.seen_keys(seen) for layer in self.layers])
        hidden = torch.zeros(rows, 1, 1, positions, dtype=seen.dtype, device=seen.device)
        hidden.masked_fill_(~there[:, None, None], torch.finfo(seen.dtype).min)
        own = torch.zeros(shape.layers, 2, rows, shape.heads, room, shape.head, dtype=seen.dtype, device=seen.device)
        return Cache(own, keys, hidden)

    def forward(self, tokens: torch.Tensor, cache: Cache) -> torch.Tensor:
        """(rows, codebooks, steps) tokens after those in the cache to (rows, codebooks, codes) logits of what follows
        the last of them."""
        return self.logits(self.states(tokens, cache)[:, -1])

    def states(self, tokens: torch.Tensor, cache: Cache) -> torch.Tensor:
        """(rows, steps, hidden): what `logits` reads, for every step."""
        codebooks, steps = tokens.shape[1:]
        first, last = cache.length, cache.length + steps
        if last > cache.room:
            raise ValueError(f"{last} steps do not fit into a cache of {cache.room}")
        offsets = torch.arange(codebooks, device=tokens.device)[:, None] * (self.shape.codes + 1)
        x = functional.embedding(tokens + offsets, self.embeddings.flatten(0, 1)).sum(dim=1)
        x = x + positions(first, steps, self.shape.hidden, x)
        mask = causal(first, steps, x) if steps > 1 else None
        for number, layer in enumerate(self.layers):
            x = layer(x, cache.own[number], cache.seen[number], cache.hidden, first, mask)
        cache.length = last
        return self.norm(x)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, hidden) to (rows, codebooks, codes)."""
        return self.heads(states).unflatten(-1, (self.shape.codebooks, self.shape.codes))


class Layer(nn.Module):
    """Attention to itself, attention to what is seen, and a feed-forward part, each on what is normalised."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self._heads, self._head = shape.heads, shape.head
        hidden = shape.hidden
        self.own_norm = nn.LayerNorm(hidden)
        self.own_in = nn.Linear(hidden, 3 * hidden, bias=False)
        self.own_out = nn.Linear(hidden, hidden, bias=False)
        self.seen_norm = nn.LayerNorm(hidden)
        self.seen_query = nn.Linear(hidden, hidden, bias=False)
        self.seen_in = nn.Linear(hidden, 2 * hidden, bias=False)
        self.seen_out = nn.Linear(hidden, hidden, bias=False)
        self.wide_norm = nn.LayerNorm(hidden)
        self.wide_in = nn.Linear(hidden, shape.ffn, bias=False)
        self.wide_out = nn.Linear(shape.ffn, hidden, bias=False)

    def seen_keys(self, seen: torch.Tensor) -> torch.Tensor:
        """(rows, positions, hidden) to keys and values, (2, rows, heads, positions, head)."""
        return self._split(self.seen_in(seen), 2)

    def forward(
        self,
        x: torch.Tensor,
        own: torch.Tensor,
        seen: torch.Tensor,
        hidden: torch.Tensor,
        first: int,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """(rows, steps, hidden) on; keys and values of these steps go into `own` from step `first` on."""
        last = first + x.shape[1]
        query, key, value = self._split(self.own_in(self.own_norm(x)), 3)
        own[0, :, :, first:last] = key
        own[1, :, :, first:last] = value
        attended = functional.scaled_dot_product_attention(
            query, own[0, :, :, :last], own[1, :, :, :last], attn_mask=mask
        )
        x = x + self.own_out(_joined(attended))
        query = self._split(self.seen_query(self.seen_norm(x)), 1)[0]
        attended = functional.scaled_dot_product_attention(query, seen[0], seen[1], attn_mask=hidden)
        x = x + self.seen_out(_joined(attended))
        return x + self.wide_out(functional.gelu(self.wide_in(self.wide_norm(x))))

    def _split(self, x: torch.Tensor, parts: int) -> torch.Tensor:
        """(rows, steps, parts * hidden) to (parts, rows, heads, steps, head)."""
        return x.unflatten(-1, (parts, self._heads, self._head)).permute(2, 0, 3, 1, 4)


def _joined(x: torch.Tensor) -> torch.Tensor:
    """(rows, heads, steps, head) to (rows, steps, hidden)."""
    return x.transpose(1, 2).flatten(2)


def positions(first: int, count: int, hidden: int, like: torch.Tensor) -> torch.Tensor:
    """(count, hidden): cosines, then sines, of steps from `first` on at rates from 1 down to 1/10000."""
    half = hidden // 2
    rates = torch.exp(torch.arange(half, device=like.device) * (-math.log(10_000.0) / (half - 1)))
    angles = torch.arange(first, first + count, device=like.device)[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(like.dtype)


def causal(first: int, steps: int, like: torch.Tensor) -> torch.Tensor:
    """(steps, first + steps): which of all steps each of the new ones sees."""
    at = torch.arange(first + steps, device=like.device)
    return at <= at[first:, None]
