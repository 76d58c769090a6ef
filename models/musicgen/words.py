"""What a prompt means to the decoder: T5 (C. Raffel et al., JMLR 2020), through transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.api import EngineError
from models.checkpoint import read_tokenizer

MOST_TOKENS = 512
"""Of a prompt; what comes after them is not heard."""


class Words:
    """Prompts to what the decoder attends to."""

    def __init__(self, folder: Path, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
        """`folder` holds the tokenizer. Raises EngineError where a part is missing or does not fit."""
        from transformers import T5Config, T5EncoderModel

        self._encoder = T5EncoderModel(T5Config.from_dict(dict(config))).eval()
        named = {name: tensor.float() for name, tensor in weights.items()}
        try:
            fit = self._encoder.load_state_dict(named, strict=False)
        except RuntimeError as error:
            raise EngineError("the checkpoint's text encoder does not fit its configuration") from error
        missing = [name for name in fit.missing_keys if name != "encoder.embed_tokens.weight"]  # one with `shared`
        if missing:
            raise EngineError(f"the checkpoint's text encoder has no {missing[0]:.80}")
        self._tokenizer = read_tokenizer(folder, MOST_TOKENS)

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> list[torch.Tensor]:
        """For each prompt (positions, dimensions)."""
        told = [self._tokenizer.encode(prompt).ids for prompt in prompts]
        longest = max(map(len, told))
        ids = torch.zeros(len(told), longest, dtype=torch.long)
        there = torch.zeros(len(told), longest, dtype=torch.bool)
        for row, tokens in enumerate(told):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            there[row, : len(tokens)] = True
        known = self._encoder.config.vocab_size
        if int(ids.max()) >= known:
            raise EngineError(f"the checkpoint's tokenizer has words that its text encoder of {known} does not know")
        seen = self._encoder(input_ids=ids, attention_mask=there.long()).last_hidden_state
        return [row[known] for row, known in zip(seen, there, strict=True)]
