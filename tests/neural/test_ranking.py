"""Likeness against transformers' own, through the engines' process, and from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from models.analysis.clap import Clap
from models.api import Audio, Cancelled, EngineError
from studio.jobs.neural import NeuralHost

RATE = 48_000
WORDS = ("lofi", "piano", "rock", "drums", "happy", "sad", "music")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLAP with a few thousand weights, as it is published."""
    place = tmp_path_factory.mktemp("tiny-clap")
    torch.manual_seed(0)
    text = {
        "vocab_size": 20, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37,
        "max_position_embeddings": 90, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip
    audio = {
        "num_mel_bins": 64, "window_size": 8, "spec_size": 256, "patch_size": 4, "patch_stride": [4, 4],
        "patch_embeds_hidden_size": 16, "depths": [2, 2], "num_attention_heads": [2, 2], "hidden_size": 32,
        "num_classes": 10, "enable_fusion": False,
    }  # fmt: skip
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=32)
    model = transformers.ClapModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "norm" not in name:
                weight.normal_(0.0, weight.shape[1] ** -0.5)
    model.save_pretrained(place)
    vocabulary = {word: number for number, word in enumerate(("<s>", "<pad>", "</s>", "<unk>", *WORDS))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )  # fmt: skip
    made.save(str(place / "tokenizer.json"))
    extractor().save_pretrained(place)
    return place


def extractor() -> Any:
    return transformers.ClapFeatureExtractor(
        feature_size=64, sampling_rate=RATE, hop_length=480, max_length_s=10, fft_window_size=1024, frequency_min=50,
        frequency_max=14_000, truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip


def noise(seconds: float, seed: int = 1, channels: int = 2) -> Audio:
    random = np.random.Generator(np.random.PCG64(seed))
    return (0.1 * random.standard_normal((channels, round(seconds * RATE)))).astype(np.float32)


@pytest.mark.parametrize("prompt", ["lofi piano", "rock drums music", "sad"])
def test_likeness_is_the_librarys(folder: Path, prompt: str) -> None:
    model = transformers.ClapModel.from_pretrained(folder).eval()
    audio = noise(4.0)
    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(prompt).ids])
    seen = extractor()(audio.mean(axis=0), sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=torch.ones_like(ids), **seen)
        expected = float(found.logits_per_audio[0, 0] / model.logit_scale_a.exp())
    assert Clap(folder).likeness(prompt, audio, RATE) == pytest.approx(expected, abs=1e-5)


def test_all_of_a_long_sound_is_listened_to(folder: Path) -> None:
    clap = Clap(folder)
    parts = [noise(10.0, seed) for seed in (1, 2, 3)]
    whole = np.concatenate(parts, axis=1)
    heard = torch.stack([clap._heard(part.mean(axis=0)) for part in parts]).mean(dim=0)
    expected = float(torch.nn.functional.cosine_similarity(clap._said("sad music"), heard, dim=0))
    assert clap.likeness("sad music", whole, RATE) == pytest.approx(expected, abs=1e-5)
    asked: list[int] = []
    with pytest.raises(Cancelled):
        clap.likeness("sad music", whole, RATE, lambda: asked.append(1) or len(asked) == 2)


@pytest.mark.parametrize(("rate", "frames"), [(44_100, 44_100), (48_000, 1), (8_000, 777)])
def test_any_rate_and_the_shortest_sounds(folder: Path, rate: int, frames: int) -> None:
    assert -1.0 <= Clap(folder).likeness("rock", noise(1.0)[:, :frames], rate) <= 1.0


def test_checkpoints_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    def copied(**changes: Any) -> Path:
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        for name, data in changes.items():
            (tmp_path / name.replace("__", ".")).write_bytes(data)
        return tmp_path

    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(EngineError, match="is not CLAP's"):
        Clap(copied(config__json=json.dumps(config | {"model_type": "bert"}).encode()))
    with pytest.raises(EngineError, match="does not fit"):
        Clap(copied(config__json=json.dumps(config | {"projection_dim": 31}).encode()))
    with pytest.raises(EngineError, match="figures that cannot be"):
        Clap(copied(preprocessor_config__json=b'{"sampling_rate": 0}'))
    with pytest.raises(EngineError, match="holds no tokenizer"):
        Clap(copied(tokenizer__json=b"{}"))
    copied()
    state = load_file(folder / "model.safetensors")
    del state["text_projection.linear1.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(EngineError, match="has no"):
        Clap(tmp_path)
    with pytest.raises(EngineError, match="float32 alone"):
        Clap(folder, dtype="int8")


@pytest.mark.slow
def test_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.wav" for number in range(3)]
    for number, path in enumerate(paths):
        soundfile.write(path, noise(2.0, number).T * (number + 1), RATE, subtype="FLOAT")
    clap = Clap(folder)
    with NeuralHost() as host:
        through = host.likeness("sad piano", noise(2.0, 0), RATE, "clap", folder)
        assert through == pytest.approx(clap.likeness("sad piano", noise(2.0, 0), RATE), abs=1e-6)
    command = [sys.executable, "-m", "studio", "rank", "sad piano", *map(str, paths), "--weights", str(folder)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {one["file"] for one in said} == set(map(str, paths))
    assert [one["likeness"] for one in said] == sorted((one["likeness"] for one in said), reverse=True)
    for one in said:
        sound = soundfile.read(one["file"], dtype="float32", always_2d=True)[0].T
        assert one["likeness"] == pytest.approx(clap.likeness("sad piano", sound, RATE), abs=1e-3)
    failed = subprocess.run([*command[:-1], str(tmp_path)], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.strip().splitlines()[-1].startswith("stemwright: ")
