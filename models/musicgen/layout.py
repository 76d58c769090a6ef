"""Reads MusicGen's decoder from a checkpoint as Hugging Face publishes it: which shape its configuration has, and which
of its tensors are which of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from models.api import EngineError
from models.engine.shape import DecoderShape

PREFIX = "decoder.model.decoder."

Read = Callable[[str], torch.Tensor]
"""A tensor of the checkpoint by its name. Raises EngineError where there is none of that name."""


def shape_of(config: Mapping[str, Any]) -> DecoderShape:
    """The decoder's shape, from `config.json`. Raises EngineError for one that is broken or cannot be run."""
    decoder, text = _part(config, "decoder"), _part(config, "text_encoder")
    if decoder.get("activation_function", "gelu") != "gelu":
        raise EngineError(f"the checkpoint's decoder uses {decoder['activation_function']!r:.40}; only gelu is known")
    return DecoderShape(
        layers=_number(decoder, "num_hidden_layers"), hidden=_number(decoder, "hidden_size"),
        heads=_number(decoder, "num_attention_heads"), ffn=_number(decoder, "ffn_dim"),
        codes=_number(decoder, "vocab_size"), codebooks=_number(decoder, "num_codebooks"),
        seen=_number(text, "d_model"), channels=_number(decoder, "audio_channels", 1),
    )  # fmt: skip


def weights_of(shape: DecoderShape, read: Read) -> dict[str, torch.Tensor]:
    """All weights of `models.engine.decoder.Decoder`. Raises EngineError for a tensor that is missing, has another
    shape, or holds what is no number."""

    def checked(name: str, *size: int) -> torch.Tensor:
        tensor = read(name)
        if tuple(tensor.shape) != size:
            raise EngineError(f"the checkpoint's {name:.80} is {tuple(tensor.shape)}; its configuration says {size}")
        if not bool(torch.isfinite(tensor).all()):
            raise EngineError(f"the checkpoint's {name:.80} holds what is no number: fetch it again")
        return tensor

    hidden, books, codes = shape.hidden, range(shape.codebooks), shape.codes
    found = {
        "embeddings": torch.stack([checked(f"{PREFIX}embed_tokens.{k}.weight", codes + 1, hidden) for k in books]),
        "heads.weight": torch.cat([checked(f"decoder.lm_heads.{k}.weight", codes, hidden) for k in books]),
    }
    found |= {f"norm.{part}": checked(f"{PREFIX}layer_norm.{part}", hidden) for part in ("weight", "bias")}
    if shape.seen != hidden:
        found["condition.weight"] = checked("enc_to_dec_proj.weight", hidden, shape.seen)
        found["condition.bias"] = checked("enc_to_dec_proj.bias", hidden)
    for number in range(shape.layers):
        theirs, ours = f"{PREFIX}layers.{number}.", f"layers.{number}."
        own, seen = f"{theirs}self_attn.", f"{theirs}encoder_attn."

        def square(names: list[str]) -> torch.Tensor:
            return torch.cat([checked(name, hidden, hidden) for name in names])

        found[f"{ours}own_in.weight"] = square([f"{own}{part}_proj.weight" for part in "qkv"])
        found[f"{ours}own_out.weight"] = square([f"{own}out_proj.weight"])
        found[f"{ours}seen_query.weight"] = square([f"{seen}q_proj.weight"])
        found[f"{ours}seen_in.weight"] = square([f"{seen}{part}_proj.weight" for part in "kv"])
        found[f"{ours}seen_out.weight"] = square([f"{seen}out_proj.weight"])
        found[f"{ours}wide_in.weight"] = checked(f"{theirs}fc1.weight", shape.ffn, hidden)
        found[f"{ours}wide_out.weight"] = checked(f"{theirs}fc2.weight", hidden, shape.ffn)
        for mine, name in (("own", "self_attn"), ("seen", "encoder_attn"), ("wide", "final")):
            for part in ("weight", "bias"):
                found[f"{ours}{mine}_norm.{part}"] = checked(f"{theirs}{name}_layer_norm.{part}", hidden)
    return found


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    if not isinstance(part, dict):
        raise EngineError(f"the checkpoint's config.json has no {name!r}; it is not MusicGen's")
    return part


def _number(part: Mapping[str, Any], name: str, usual: int | None = None) -> int:
    value = part.get(name, usual)
    if type(value) is not int:
        raise EngineError(f"the checkpoint's config.json has {name} {value!r:.40}; it must be a whole number")
    return value
