"""How well a sound is what words say, by CLAP (Y. Wu et al., "Large-scale contrastive language-audio pretraining with
feature fusion and keyword-to-caption augmentation", ICASSP 2023), through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from models.api import Audio, Cancel, Cancelled, EngineError, never_cancelled
from models.checkpoint import Checkpoint, read_json, read_tokenizer

MOST_TOKENS = 77
MOST_WINDOWS = 24
"""Stretches of a long sound that are listened to, spread over it."""
COMPUTED = ("position_ids", "token_type_ids", "relative_position_index", "attn_mask")
"""What some versions store although it follows from the configuration."""


class Clap:
    """One checkpoint on one device."""

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        """Load what is in `folder`, laid out as Hugging Face publishes it. Raises EngineError."""
        if dtype != "float32":
            raise EngineError(f"dtype {dtype!r:.20}: CLAP works in float32 alone")
        checkpoint = Checkpoint(folder)
        self.name, self._device = folder.resolve().name, device
        self._model = _model(checkpoint)
        self._listener = _listener(read_json(folder / "preprocessor_config.json"))
        self._tokenizer = read_tokenizer(folder, MOST_TOKENS)
        try:
            self._model.to(device)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"device {device!r:.20}: {str(error).splitlines()[0]:.160}") from error

    def likeness(self, prompt: str, audio: Audio, rate: int, cancel: Cancel = never_cancelled) -> float:
        """-1..1: the cosine between what is said and what is heard in float32 (channels, frames) at `rate` Hz, of which
        the mean over its stretches is taken. Raises EngineError or Cancelled."""
        said = self._said(prompt)
        heard = []
        for window in self._windows(audio, rate):
            if cancel():
                raise Cancelled("cancelled")
            heard.append(self._heard(window))
        mean = torch.stack(heard).mean(dim=0)
        return float(torch.nn.functional.cosine_similarity(said, mean, dim=0))

    @torch.inference_mode()
    def _said(self, prompt: str) -> torch.Tensor:
        ids = self._tokenizer.encode(prompt).ids
        if not ids or max(ids) >= self._model.config.text_config.vocab_size:
            raise EngineError("the checkpoint's tokenizer has words that its text encoder does not know")
        tokens = torch.tensor([ids], device=self._device)
        found = self._model.get_text_features(input_ids=tokens, attention_mask=torch.ones_like(tokens))
        return _vector(found)

    @torch.inference_mode()
    def _heard(self, window: Audio) -> torch.Tensor:
        seen = self._listener(window, sampling_rate=self._listener.sampling_rate, return_tensors="pt")
        found = self._model.get_audio_features(
            input_features=seen["input_features"].to(self._device), is_longer=seen["is_longer"].to(self._device)
        )
        return _vector(found)

    def _windows(self, audio: Audio, rate: int) -> list[Audio]:
        """Mono stretches at the model's rate, none longer than it hears at a time."""
        mono, own = audio.mean(axis=0), int(self._listener.sampling_rate)
        sound = np.asarray(mono if rate == own else soxr.resample(mono, rate, own), np.float32)
        size = int(self._listener.max_length_s * own)
        count = max(1, -(-len(sound) // size))
        if count == 1:
            return [sound if len(sound) else np.zeros(1, np.float32)]
        starts = np.linspace(0, len(sound) - size, min(count, MOST_WINDOWS)).astype(int)
        return [sound[start : start + size] for start in starts]


def _vector(found: Any) -> torch.Tensor:
    """Newer versions of the library wrap what older ones give."""
    features = found if isinstance(found, torch.Tensor) else found.pooler_output
    return torch.nn.functional.normalize(features[0].float().cpu(), dim=0)


def _model(checkpoint: Checkpoint) -> Any:
    from transformers import ClapConfig, ClapModel

    if checkpoint.config.get("model_type") != "clap":
        raise EngineError(f"the checkpoint in {checkpoint.folder.name} is not CLAP's")
    try:
        model = ClapModel(ClapConfig.from_dict(dict(checkpoint.config))).eval()
        fit = model.load_state_dict({name: checkpoint(name) for name in checkpoint.names}, strict=False)
    except (RuntimeError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise EngineError(f"the checkpoint does not fit its configuration: {words.strip():.120}") from error
    odd = [name for name in (*fit.missing_keys, *fit.unexpected_keys) if not name.endswith(COMPUTED)]
    if odd:
        raise EngineError(f"the checkpoint has {'no' if odd[0] in fit.missing_keys else 'an unknown'} {odd[0]:.80}")
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise EngineError("the checkpoint holds what is no number: fetch it again")
    return model


def _listener(said: Mapping[str, Any]) -> Any:
    from transformers import ClapFeatureExtractor

    names = ("feature_size", "sampling_rate", "hop_length", "max_length_s", "fft_window_size", "frequency_max")
    given = {name: said[name] for name in (*names, "frequency_min") if name in said}
    if not all(isinstance(value, int | float) and 0 <= value <= 192_000 for value in given.values()) or any(
        given.get(name) == 0 for name in names
    ):
        raise EngineError("the checkpoint's preprocessor_config.json has figures that cannot be: fetch it again")
    return ClapFeatureExtractor(**given, truncation=str(said.get("truncation", "rand_trunc")), padding="repeatpad")
