"""MusicGen from a folder, as it is published, to sound; and folders that are broken."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from models.api import EngineError
from models.api.prompts import PromptRequest
from models.musicgen.engine import MusicGen
from tests.support import checkpoints

PROMPT = "warm lofi piano, 90 bpm"
GREEDY = PromptRequest(PROMPT, seconds=1.0, greedy=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.saved(checkpoints.musicgen(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(folder, tmp_path / "own"))


def heard(folder: Path) -> np.ndarray:
    audio = MusicGen(folder).sound([GREEDY])[0].audio
    assert audio is not None
    return audio


@pytest.mark.parametrize("channels", [1, 2])
def test_the_sound_is_that_of_transformers(channels: int, tmp_path: Path) -> None:
    model = checkpoints.musicgen(channels)
    told = checkpoints.tokenizer()([PROMPT], return_tensors="pt")
    expected = model.generate(**told, do_sample=False, guidance_scale=3.0, max_new_tokens=50 + checkpoints.BOOKS - 1)
    found = heard(checkpoints.saved(model, tmp_path))
    assert found.shape == (channels, checkpoints.RATE)
    np.testing.assert_allclose(found, expected[0].numpy(), rtol=0, atol=1e-5)
    assert np.abs(found).max() > 0.01


def test_requests_of_one_batch_have_their_own_lengths_and_seeds(folder: Path) -> None:
    engine = MusicGen(folder)
    asked = [PromptRequest("rock drums", 0.5, 1), PromptRequest("jazz", 1.25, 2), PromptRequest("rock drums", 0.5, 3)]
    made = engine.sound(asked)
    assert [result.audio.shape[1] for result in made if result.audio is not None] == [16_000, 40_000, 16_000]
    assert [result.seed for result in made] == [1, 2, 3]
    assert not np.array_equal(made[0].audio, made[2].audio)
    assert np.array_equal(made[0].audio, engine.sound(asked[:1])[0].audio)
    assert made[0].weights == folder.name
    assert made[0].parameters["prompt"] == "rock drums"


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_fewer_bits_make_a_sound_too(folder: Path, dtype: str) -> None:
    result = MusicGen(folder, dtype=dtype).sound([PromptRequest("rock", 0.5, 1)])[0]
    assert result.audio is not None
    assert np.isfinite(result.audio).all()
    assert result.parameters["dtype"] == dtype


def test_what_cannot_share_a_batch_or_be_made_is_refused(folder: Path) -> None:
    engine = MusicGen(folder)
    with pytest.raises(EngineError, match="share a batch"):
        engine.sound([PromptRequest("a", guidance=2.0), PromptRequest("b")])
    with pytest.raises(EngineError, match="up to 30"):
        engine.sound([PromptRequest("a", seconds=31.0)])
    with pytest.raises(EngineError, match="dtype"):
        MusicGen(folder, dtype="int3")
    with pytest.raises(EngineError, match="device"):
        MusicGen(folder, device="cuda:7")


@pytest.mark.parametrize("prompt", ["", "🎹" * 1000, "x" * 4000, "\0", "\n" * 50, "тёплый хаус"])
def test_any_words_are_heard(folder: Path, prompt: str) -> None:
    audio = MusicGen(folder).sound([PromptRequest(prompt, 0.1)])[0].audio
    assert audio is not None
    assert np.isfinite(audio).all()


# -- layouts ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_in_several_files(folder: Path, tmp_path: Path) -> None:
    model = transformers.MusicgenForConditionalGeneration.from_pretrained(folder)
    model.save_pretrained(tmp_path / "shards", max_shard_size="200KB")
    shutil.copy(folder / "tokenizer.json", tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert np.array_equal(heard(tmp_path / "shards"), heard(folder))


def test_a_checkpoint_of_tensors_in_a_pickle(own: Path, folder: Path) -> None:
    torch.save(load_file(own / "model.safetensors"), own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    assert np.array_equal(heard(own), heard(folder))


def test_normalised_weights_by_their_older_names(own: Path, folder: Path) -> None:
    ending = ".parametrizations.weight.original"
    weights = load_file(own / "model.safetensors")
    older = {
        name.replace(ending + "0", ".weight_g").replace(ending + "1", ".weight_v"): weights[name] for name in weights
    }
    assert older.keys() != weights.keys()
    save_file(older, own / "model.safetensors")
    assert np.array_equal(heard(own), heard(folder))


# -- broken ones --------------------------------------------------------------------------------------------------


class Code:
    """What a pickle must not be allowed to do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was executed')",)


def test_a_pickle_that_does_more_is_refused(own: Path) -> None:
    (own / "model.safetensors").unlink()
    (own / "pytorch_model.bin").write_bytes(pickle.dumps({"decoder": Code()}))
    with pytest.raises(EngineError, match=r"pytorch_model\.bin"):
        MusicGen(own)


@pytest.mark.parametrize("place", ["../model.safetensors", "/etc/passwd", "x/../model.safetensors", "a.bin", 7, None])
def test_an_index_that_leads_elsewhere_is_refused(own: Path, place: object) -> None:
    index = {"weight_map": {"decoder.lm_heads.0.weight": place}}
    (own / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EngineError, match="beside it"):
        MusicGen(own)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 5000, -1])
def test_a_file_that_was_cut_off_is_refused(own: Path, keep: int) -> None:
    path = own / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EngineError, match=r"model\.safetensors"):
        MusicGen(own)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("decoder.lm_heads.2.weight", "missing"),
        ("decoder.model.decoder.layers.0.self_attn.q_proj.weight", "shape"),
        ("decoder.model.decoder.layer_norm.bias", "nan"),
        ("audio_encoder.decoder.layers.0.conv.bias", "missing"),
        ("audio_encoder.decoder.layers.0.conv.bias", "shape"),
        ("text_encoder.encoder.final_layer_norm.weight", "missing"),
        ("text_encoder.encoder.final_layer_norm.weight", "shape"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(own: Path, name: str, fault: str) -> None:
    weights = load_file(own / "model.safetensors")
    tensor = weights.pop(name)
    if fault == "shape":
        weights[name] = torch.zeros(3, 5)
    elif fault == "nan":
        weights[name] = torch.full_like(tensor, torch.nan)
    save_file(weights, own / "model.safetensors")
    with pytest.raises(EngineError, match="checkpoint"):
        MusicGen(own)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"decoder": 7}', "[" * 100_000, '{"decoder": {}}'])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_json_that_is_none_of_ours_is_refused(own: Path, file: str, text: str) -> None:
    (own / file).write_text(text)
    with pytest.raises(EngineError):
        MusicGen(own)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_not_there_is_named(own: Path, file: str) -> None:
    (own / file).unlink()
    with pytest.raises(EngineError, match=file.replace(".", r"\.")):
        MusicGen(own)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nowhere"):
        MusicGen(tmp_path / "nowhere")
