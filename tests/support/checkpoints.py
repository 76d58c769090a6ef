"""Tiny checkpoints with random weights, in the layouts in which the real ones are published."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

WORDS = ("rock", "jazz", "lofi", "piano", "drums", "bass", "guitar", "bpm", "minor", "major", "sad", "slow", "warm")
CODES, BOOKS, RATE = 64, 4, 32_000


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A T5 tokenizer of the real kind, with letters and a few words."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0 - 0.01 * k) for k, letter in enumerate(string.ascii_lowercase + string.digits + ".,'-#")]
    pieces += [("\u2581" + word, -4.0) for word in WORDS]
    made = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def musicgen(channels: int = 1, hidden: int = 32, seed: int = 0) -> transformers.MusicgenForConditionalGeneration:
    """MusicGen with a few thousand weights."""
    torch.manual_seed(seed)
    text = transformers.T5Config(
        vocab_size=80, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0,
    )  # fmt: skip
    decoder: dict[str, Any] = {
        "vocab_size": CODES, "hidden_size": hidden, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 64,
        "num_codebooks": BOOKS * channels, "audio_channels": channels, "dropout": 0.0,
        "pad_token_id": CODES, "bos_token_id": CODES,
    }  # fmt: skip
    config = transformers.MusicgenConfig(
        text_encoder=text.to_dict(), audio_encoder=codec_config().to_dict(),
        decoder=transformers.MusicgenDecoderConfig(**decoder).to_dict(),
    )  # fmt: skip
    model = transformers.MusicgenForConditionalGeneration(config).eval()
    fill_codebooks(model.audio_encoder)
    spread(model.decoder)
    for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, name, CODES)
    model.generation_config.max_length = 1500
    return model


def codec_config() -> transformers.EncodecConfig:
    """The 32 kHz codec of 50 frames a second."""
    return transformers.EncodecConfig(
        target_bandwidths=[50 * 6 * BOOKS / 1000], sampling_rate=RATE, audio_channels=1, normalize=False,
        num_filters=4, num_residual_layers=1, upsampling_ratios=[8, 5, 4, 4], codebook_size=CODES, codebook_dim=16,
        hidden_size=16, num_lstm_layers=1, use_causal_conv=False, chunk_length_s=None,
    )  # fmt: skip


def fill_codebooks(codec: transformers.EncodecModel) -> None:
    """New codecs have codebooks of zeros, with which all codes would sound alike."""
    for layer in codec.quantizer.layers:
        layer.codebook.embed.normal_()
        layer.codebook.embed_avg.copy_(layer.codebook.embed)
        layer.codebook.cluster_size.fill_(1)
        layer.codebook.inited.fill_(1)


def spread(decoder: torch.nn.Module) -> None:
    """Weights so large that what is likeliest depends on all that came before: new ones give nearly the same logits
    whatever they hear."""
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                weight.normal_(0.0, 2.0 * weight.shape[1] ** -0.5)
            elif "norm" not in name:
                weight.normal_(0.0, 1.0)


def saved(model: transformers.MusicgenForConditionalGeneration, folder: Path) -> Path:
    """The model in `folder`, with its tokenizer, as `save_pretrained` writes it."""
    model.save_pretrained(folder)
    channels = model.config.decoder.audio_channels
    extractor = transformers.EncodecFeatureExtractor(feature_size=channels, sampling_rate=RATE, padding_side="left")
    extractor.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
