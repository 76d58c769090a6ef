"""The sentence model in numpy: its file reader, its tokenizer and what its vectors mean."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from models import registry
from models.api import EngineError
from models.styles import load_styles
from models.text.minilm import WIDTH, MiniLM
from models.text.phrases import read_vectors, text_digest
from models.text.safetensors import TensorFileError, read_tensors
from models.text.wordpiece import WordPiece, basic_tokens
from studio.plan import PlanOptions, plan_song


def write(path, header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def test_tensors_are_read_with_their_shapes(tmp_path):
    values = np.arange(6, dtype="<f4")
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [28, 36]},
    }
    data = values.tobytes() + np.array([0.5, -2], "<f2").tobytes() + bytes(8)
    tensors = read_tensors(write(tmp_path / "x.safetensors", header, data))
    assert list(tensors) == ["a", "b"]
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["b"].tolist() == [0.5, -2]


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"{", b""),
        (b"[]", b""),
        (b"[" * 100_000, b""),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(4)),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": ["0", 8]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": None, "data_offsets": [0, 8]}}, bytes(8)),
    ],
)
def test_a_damaged_tensor_file_is_named(tmp_path, header, data):
    with pytest.raises(TensorFileError, match=r"x\.safetensors"):
        read_tensors(write(tmp_path / "x.safetensors", header, data))


@pytest.mark.parametrize("raw", [b"", b"1234", struct.pack("<Q", 2**63), struct.pack("<Q", 100) + b"{}"])
def test_a_truncated_tensor_file_is_named(tmp_path, raw):
    (tmp_path / "x.safetensors").write_bytes(raw)
    with pytest.raises(TensorFileError, match=r"x\.safetensors"):
        read_tensors(tmp_path / "x.safetensors")


def test_basic_tokens_are_folded_and_split():
    assert list(basic_tokens("Héllo,  WORLD!\n(it's 5$)")) == [
        "hello",
        ",",
        "world",
        "!",
        "(",
        "it",
        "'",
        "s",
        "5",
        "$",
        ")",
    ]
    assert list(basic_tokens("日本 a\x00b\u200dc\ufffd")) == ["日", "本", "abc"]


def test_words_are_made_of_the_longest_pieces():
    tokens = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "a"])
    assert tokens.encode("unaffable a", 99) == [2, 4, 5, 6, 8, 3]
    assert tokens.encode("unaffables", 99) == [2, 1, 3]
    assert tokens.encode("a" * 101, 99) == [2, 1, 3]
    assert tokens.encode("a a a a a", 4) == [2, 8, 8, 3]


def test_an_unknown_encoder_is_named():
    with pytest.raises(EngineError, match="minilm"):
        registry.load_text_encoder("bert")


def test_weights_that_cannot_be_read_are_an_error_and_not_a_silence(tmp_path):
    with pytest.raises(EngineError, match="install its package again"):
        MiniLM(tmp_path).encode(["a prompt"])


def test_weights_are_read_only_when_they_are_asked(tmp_path):
    """A prompt that names its style is planned without them, and where they are damaged too."""
    assert plan_song("a house track", PlanOptions(seed=1), MiniLM(tmp_path)).song.style == "house"
    with pytest.raises(EngineError, match="install its package again"):
        plan_song("something for the evening", PlanOptions(seed=1), MiniLM(tmp_path))


def test_without_the_package_there_is_no_encoder(monkeypatch):
    monkeypatch.setattr("models.text.minilm.PACKAGE", "no_such_package_at_all")
    assert registry.load_text_encoder.__wrapped__("minilm") is None


@pytest.fixture(scope="module")
def model():
    encoder = registry.load_text_encoder("minilm")
    assert encoder is not None, "`start.py test` installs it"
    return encoder


def test_token_numbers_are_those_of_bert_base_uncased(model):
    assert model.token_ids("hello world") == [101, 7592, 2088, 102]
    assert model.token_ids("Hello, my dog is cute") == [101, 7592, 1010, 2026, 3899, 2003, 10140, 102]
    assert model.token_ids("This is an example sentence") == [101, 2023, 2003, 2019, 2742, 6251, 102]
    assert len(model.token_ids("drum " * 1000)) == 256


def test_vectors_have_length_one_and_do_not_depend_on_their_company(model):
    texts = ["dark techno", "a sad piano ballad", "🎹", "x" * 5000]
    vectors = model.encode(texts)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors[1], model.encode(["a sad piano ballad"])[0])
    again = MiniLM().encode(["a sad piano ballad", "a bad piano ballad"])
    assert np.allclose(again[0], vectors[1], atol=1e-6)
    assert model.encode([]).shape == (0, 384)


def test_the_published_example_scores_as_published(model):
    # The Sentence Transformers quick start prints these similarities for this model.
    vectors = model.encode(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    scores = vectors @ vectors.T
    assert scores[0, 1] == pytest.approx(0.6660, abs=2e-4)
    assert scores[0, 2] == pytest.approx(0.1046, abs=2e-4)
    assert scores[1, 2] == pytest.approx(0.1411, abs=2e-4)


def test_a_prompt_is_nearer_to_what_it_means(model):
    prompt, near, far = model.encode(
        ["berlin basement 4am pounding machine", "dark industrial warehouse techno", "quiet fingerpicked campfire song"]
    )
    assert prompt @ near > prompt @ far + 0.1


def test_the_shipped_vectors_are_what_the_model_gives_for_the_phrases_of_the_styles(model):
    phrases = [phrase for style in load_styles().values() for phrase in style.phrases]
    shipped = read_vectors(model.fingerprint())
    renew = "run `python -m models.text.make_phrases`"
    assert set(shipped) == {text_digest(phrase) for phrase in phrases}, renew
    vectors = np.stack([shipped[text_digest(phrase)] for phrase in phrases])
    assert np.allclose(vectors, model.embed(phrases), atol=1e-5), renew


def test_only_a_phrase_that_was_not_shipped_is_asked_of_the_model(monkeypatch):
    encoder = MiniLM()
    phrase = load_styles()["house"].phrases[0]
    asked = []
    embed = encoder.embed
    monkeypatch.setattr(encoder, "embed", lambda texts: asked.extend(texts) or embed(texts))
    vectors = encoder.encode([phrase, "a prompt", f"{phrase} changed", phrase])
    assert asked == ["a prompt", f"{phrase} changed"]
    assert np.array_equal(vectors[0], vectors[3])
    assert np.allclose(vectors, embed([phrase, "a prompt", f"{phrase} changed", phrase]), atol=1e-5)


def test_vectors_of_other_weights_are_not_used(model):
    other = MiniLM()
    other._weights["encoder.layer.5.output.LayerNorm.bias"] = np.zeros(WIDTH, np.float32)
    assert other.fingerprint() != model.fingerprint()
    assert read_vectors(other.fingerprint()) == {}
    phrase = load_styles()["house"].phrases[0]
    assert np.array_equal(other.encode([phrase]), other.embed([phrase]))
    assert not np.allclose(other.encode([phrase]), model.encode([phrase]), atol=1e-3)
