"""The decoder against transformers' MusicGen, which it is to equal token for token, and against itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import transformers

from models.api import Cancelled, EngineError
from models.engine.decoder import Decoder
from models.engine.generate import Order, generate
from models.engine.sampling import Sampling, drawn
from models.engine.shape import DecoderShape
from models.musicgen.layout import shape_of, weights_of
from tests.support import checkpoints

PROMPTS = ["lofi piano 90 bpm", "rock", "slow sad guitar in minor, warm"]
GREEDY = Sampling(temperature=0.0, guidance=3.0)
FRAMES = 40

Model = transformers.MusicgenForConditionalGeneration


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def model(request: pytest.FixtureRequest) -> Model:
    return checkpoints.musicgen(request.param)


def ours(model: Model) -> Decoder:
    shape = shape_of(model.config.to_dict())
    decoder = Decoder(shape).eval()
    weights = model.state_dict()
    decoder.load_state_dict(weights_of(shape, lambda name: weights[name]))
    return decoder


def words(prompts: Sequence[str] = PROMPTS) -> dict[str, torch.Tensor]:
    return dict(checkpoints.tokenizer()(list(prompts), padding=True, return_tensors="pt"))


def orders(model: Model, frames: int = FRAMES) -> list[Order]:
    told = words()
    with torch.inference_mode():
        seen = model.text_encoder(**told).last_hidden_state
    rows = zip(seen, told["attention_mask"].bool(), strict=True)
    return [Order(row[there], frames, seed) for seed, (row, there) in enumerate(rows)]


def theirs(model: Model, monkeypatch: pytest.MonkeyPatch, guidance: float, **more: torch.Tensor) -> torch.Tensor:
    """The codes, (requests, codebooks, frames), that transformers' `generate` hands to its codec."""
    heard: list[torch.Tensor] = []
    decode = model.audio_encoder.decode

    def listening(codes: torch.Tensor, **options: object) -> object:
        heard.append(codes[0])
        return decode(codes, **options)

    monkeypatch.setattr(model.audio_encoder, "decode", listening)
    delay = checkpoints.BOOKS - 1
    model.generate(**words(), **more, do_sample=False, guidance_scale=guidance, max_new_tokens=FRAMES + delay)
    monkeypatch.undo()
    return heard[0] if len(heard) == 1 else torch.stack(heard, dim=2).flatten(1, 2)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_tokens_are_those_of_transformers(
    model: Model, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = theirs(model, monkeypatch, guidance)
    found = generate(ours(model), orders(model), Sampling(temperature=0.0, guidance=guidance))
    assert torch.equal(torch.stack(found), expected)
    assert len(expected.unique()) > checkpoints.CODES // 2, "tokens that hardly change would prove nothing"


def test_a_continuation_is_that_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = checkpoints.musicgen(seed=3)
    noise = 0.1 * torch.randn(len(PROMPTS), 1, 10 * 640, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        given = model.audio_encoder.encode(noise).audio_codes[0]
    expected = theirs(model, monkeypatch, 3.0, input_values=noise)
    frames = expected.shape[2]
    asked = [Order(order.seen, frames, order.seed, given=row) for order, row in zip(orders(model), given, strict=True)]
    assert frames > given.shape[2] == 10
    assert torch.equal(torch.stack(generate(ours(model), asked, GREEDY)), expected)


def test_logits_are_those_of_transformers(model: Model) -> None:
    decoder = ours(model)
    codes = torch.randint(0, checkpoints.CODES, (3, decoder.shape.codebooks, 12), generator=torch.manual_seed(2))
    told = words()
    with torch.inference_mode():
        seen = model.text_encoder(**told).last_hidden_state
        expected = model(
            input_ids=told["input_ids"], attention_mask=told["attention_mask"], decoder_input_ids=codes.flatten(0, 1)
        ).logits
        cache = decoder.begin(seen, told["attention_mask"].bool(), 12)
        found = decoder.logits(decoder.states(codes, cache))
    torch.testing.assert_close(found.transpose(1, 2).flatten(0, 1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 4, 2]])
def test_steps_taken_together_or_one_by_one_are_the_same(model: Model, pieces: list[int]) -> None:
    decoder = ours(model)
    codes = torch.randint(0, checkpoints.CODES, (2, decoder.shape.codebooks, 12), generator=torch.manual_seed(4))
    seen = torch.randn(2, 5, decoder.shape.seen, generator=torch.manual_seed(5))
    there = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    with torch.inference_mode():
        at_once = decoder.states(codes, decoder.begin(seen, there, 12))
        cache = decoder.begin(seen, there, 12)
        found = torch.cat([decoder.states(piece, cache) for piece in codes.split(pieces, dim=2)], dim=1)
    torch.testing.assert_close(found, at_once, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=5), Sampling(top_k=0, top_p=0.8), GREEDY])
def test_a_request_gets_the_same_alone_and_among_others(model: Model, sampling: Sampling) -> None:
    """In double precision: batches of different sizes round their sums differently, and one draw in a million or so
    lies nearer to the edge of a token than that."""
    decoder, (first, second, third) = ours(model).double(), orders(model)
    given = generate(decoder, [third], GREEDY)[0][:, :9]
    asked = [
        Order(first.seen, 40, 5), Order(second.seen, 23, 6), Order(third.seen, 31, 7, given), Order(first.seen, 9, 5),
    ]  # fmt: skip
    together = generate(decoder, asked, sampling)
    alone = [generate(decoder, [order], sampling)[0] for order in asked]
    assert [codes.shape[1] for codes in together] == [40, 23, 31, 9]
    assert all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))
    assert torch.equal(together[2][:, :9], given)
    assert all(int(codes.max()) < checkpoints.CODES for codes in together)


def test_another_seed_is_another_take_and_the_same_seed_the_same(model: Model) -> None:
    decoder, order = ours(model), orders(model)[0]
    takes = [generate(decoder, [Order(order.seen, 30, seed)], Sampling())[0] for seed in (1, 1, 2)]
    assert torch.equal(takes[0], takes[1])
    assert not torch.equal(takes[0], takes[2])


@pytest.mark.parametrize(
    ("sampling", "allowed"), [(Sampling(top_k=0), 8), (Sampling(top_k=3), 3), (Sampling(top_k=0, top_p=0.7), 3)]
)
def test_tokens_are_drawn_as_often_as_they_are_likely(sampling: Sampling, allowed: int) -> None:
    chance = torch.tensor([0.02, 0.3, 0.04, 0.25, 0.2, 0.09, 0.07, 0.03])
    kept = torch.zeros(8).scatter(0, chance.topk(allowed).indices, 1.0) * chance
    count = 40_000
    at = torch.rand(count, 1, generator=torch.Generator().manual_seed(9))
    tokens = drawn(chance.log().expand(count, 1, 8), sampling, at)
    found = torch.bincount(tokens[:, 0], minlength=8) / count
    assert torch.all(found[kept == 0] == 0)
    torch.testing.assert_close(found, kept / kept.sum(), rtol=0, atol=0.01)


def test_the_ends_of_the_numbers_draw_what_has_a_chance() -> None:
    logits = torch.tensor([[[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]]]).expand(2, 1, 5)
    at = torch.tensor([[0.0], [1.0 - 2.0**-24]])
    assert drawn(logits, Sampling(top_k=0), at)[:, 0].tolist() == [1, 3]


def test_it_stops_between_two_steps(model: Model) -> None:
    done: list[int] = []
    with pytest.raises(Cancelled):
        generate(ours(model), orders(model), GREEDY, lambda at, of: done.append(at), lambda: len(done) == 7)
    assert done == [1, 2, 3, 4, 5, 6, 7]


def test_a_text_as_wide_as_the_decoder_is_seen_as_it_is() -> None:
    model = checkpoints.musicgen(hidden=16)
    assert shape_of(model.config.to_dict()).seen == 16
    decoder = ours(model)
    assert decoder.condition is None
    assert generate(decoder, orders(model, 5), GREEDY)[0].shape == (4, 5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_hidden_layers": 1000}, "layers 1000"), ({"hidden_size": 33}, "33 dimensions"),
        ({"hidden_size": "32"}, "whole number"), ({"num_hidden_layers": True}, "whole number"),
        ({"activation_function": "relu"}, "relu"), ({"audio_channels": 3}, "3 channels"),
        ({"vocab_size": 0}, "codes 0"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    config = checkpoints.musicgen().config.to_dict()
    with pytest.raises(EngineError, match=says):
        shape_of(config | {"decoder": config["decoder"] | change})


def test_a_configuration_of_something_else_is_refused() -> None:
    with pytest.raises(EngineError, match="not MusicGen"):
        shape_of({"model_type": "bert"})


@pytest.mark.parametrize("fault", ["shape", "nan"])
def test_weights_that_do_not_fit_are_refused(fault: str) -> None:
    model = checkpoints.musicgen()
    weights, name = model.state_dict(), "decoder.model.decoder.layers.1.fc2.weight"
    weights[name] = weights[name].T if fault == "shape" else torch.full_like(weights[name], torch.nan)
    with pytest.raises(EngineError, match=r"layers\.1\.fc2"):
        weights_of(shape_of(model.config.to_dict()), lambda key: weights[key])


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 1.5}, {"guidance": 0.5}],
)
def test_a_way_of_drawing_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="it must be"):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_a_cache_that_is_full_says_so() -> None:
    shape = DecoderShape(layers=1, hidden=8, heads=2, ffn=8, codes=4, codebooks=1, seen=8)
    decoder = Decoder(shape)
    cache = decoder.begin(torch.zeros(1, 1, 8), torch.ones(1, 1, dtype=torch.bool), 2)
    with pytest.raises(ValueError, match="2"):
        decoder(torch.zeros(1, 1, 3, dtype=torch.long), cache)
