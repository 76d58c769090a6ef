"""Weights of 8 bits beside the float ones that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.api import EngineError
from models.engine.decoder import Decoder
from models.engine.int8 import Int8Linear, in_int8
from models.engine.shape import DecoderShape

SHAPE = DecoderShape(layers=3, hidden=64, heads=4, ffn=128, codes=50, codebooks=4, seen=24)


def decoder() -> Decoder:
    torch.manual_seed(7)
    made = Decoder(SHAPE).eval()
    nn.init.normal_(made.embeddings)
    return made


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 17])
def test_a_layer_is_what_it_was_to_within_its_rounding(rows: int, bias: bool) -> None:
    torch.manual_seed(rows)
    linear = nn.Linear(96, 40, bias=bias)
    x = torch.randn(2, rows, 96)
    with torch.inference_mode():
        exact, found = linear(x), Int8Linear(linear)(x)
    assert found.shape == exact.shape
    assert float((found - exact).square().mean().sqrt() / exact.std()) < 0.02


def test_outputs_of_very_different_sizes_keep_their_own_scale() -> None:
    linear = nn.Linear(64, 3, bias=False)
    with torch.inference_mode():
        linear.weight.mul_(torch.tensor([1.0, 1e-3, 0.0])[:, None])
        x = torch.randn(50, 64, generator=torch.Generator().manual_seed(1))
        exact, found = linear(x), Int8Linear(linear)(x)
    error = (found - exact).square().mean(dim=0).sqrt()
    assert torch.all(error[:2] < 0.03 * exact.std(dim=0)[:2])
    assert torch.all(found[:, 2] == 0.0)


def test_a_row_is_rounded_by_itself() -> None:
    layer = Int8Linear(nn.Linear(32, 24))
    x = torch.randn(6, 32, generator=torch.Generator().manual_seed(5)) * torch.tensor([1.0, 50, 1e-3, 1, 7, 0])[:, None]
    with torch.inference_mode():
        together = layer(x)
        assert torch.equal(together, torch.cat([layer(row[None]) for row in x]))


def test_a_whole_decoder_strays_little() -> None:
    codes = torch.randint(0, SHAPE.codes, (2, 4, 12), generator=torch.Generator().manual_seed(2))
    seen, there = torch.randn(2, 6, 24, generator=torch.Generator().manual_seed(3)), torch.ones(2, 6, dtype=torch.bool)
    made = decoder()
    with torch.inference_mode():
        exact = made.logits(made.states(codes, made.begin(seen, there, 12)))
        whole = in_int8(made)
        found = whole.logits(whole.states(codes, whole.begin(seen, there, 12)))
    assert not [name for name, child in whole.named_modules() if isinstance(child, nn.Linear)]
    assert float((found - exact).square().mean().sqrt() / exact.std()) < 0.05


def test_other_devices_are_told_what_to_use() -> None:
    with pytest.raises(EngineError, match="bfloat16"):
        in_int8(decoder().to("meta"))
