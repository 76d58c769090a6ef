"""Which style a prompt gets: by name, by meaning where the sentence model is there, else by what comes nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from models.registry import load_text_encoder
from models.styles import load_styles
from studio.plan import PlanOptions, plan_song
from studio.song import SongError

NAMELESS = (
    ("berlin basement 4am pounding machine", "techno"),
    ("brutal shredding and blast beats", "metal"),
    ("calm floating soundscape for sleep", "ambient"),
    ("bebop sax solo", "jazz_swing"),
    ("Kingston jamaica island vibe", "reggae"),
    ("epic trailer for a dragon movie", "cinematic"),
    ("90s new york rap sample flip", "boom_bap"),
    ("truck, whiskey and Tennessee heartbreak", "country"),
)


class OneWord:
    """A tiny stand-in for the sentence model: two directions, with or without a word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[1, 0] if self.word in text.lower() else [0, 1] for text in texts], np.float32)


def choice(prompt: str, encoder: OneWord | None = None) -> tuple[str, str, str]:
    plan = plan_song(prompt, PlanOptions(), encoder)
    found = next(choice for choice in plan.choices if choice.what == "style")
    return plan.song.style, found.source, found.words


def test_a_named_style_needs_no_model() -> None:
    encoder = OneWord("warehouse")
    assert choice("a dark techno track", encoder) == ("techno", "words", "techno")
    assert encoder.asked == []


def test_without_a_name_the_meaning_decides() -> None:
    wanted = load_styles()["reggae"]
    word = wanted.examples[0].lower()
    encoder = OneWord(word)
    # The stand-in finds the prompt alike with one example of one style, and with no other text.
    assert choice(f"about {word}, zzz", encoder)[:2] == ("reggae", "meaning")
    assert encoder.asked[0] == f"about {word}, zzz"


def test_the_model_is_not_asked_about_what_it_cannot_read() -> None:
    encoder = OneWord("x")
    assert choice("что-нибудь для вечера у моря", encoder)[1] == "default"
    assert encoder.asked == []


def test_the_model_sees_no_title_and_no_lyrics() -> None:
    encoder = OneWord("x")
    plan_song('something for the evening, called "Secret Name", lyrics: "hidden words"', PlanOptions(), encoder)
    assert "evening" in encoder.asked[0]
    assert "Secret" not in encoder.asked[0]
    assert "hidden" not in encoder.asked[0]


def test_other_styles_that_were_named_are_told() -> None:
    plan = plan_song("techno with some funk and jazz")
    assert plan.song.style == "techno"
    also = [choice.words for choice in plan.choices if choice.what == "style, also heard"]
    assert also == ["funk", "jazz"]


@pytest.mark.parametrize("style", sorted(load_styles()))
def test_every_style_is_found_by_its_own_name_and_title(style: str) -> None:
    found = load_styles()[style]
    assert choice(f"make a {style.replace('_', ' ')} track")[0] == style
    assert choice(f"{found.title}, please")[0] == style


def test_most_styles_are_found_by_their_examples_without_a_model() -> None:
    examples = [(name, example) for name, style in load_styles().items() for example in style.examples]
    right = sum(choice(example)[0] == name for name, example in examples)
    assert right >= 0.75 * len(examples)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(SongError, match="stemwright styles"):
        plan_song("x", PlanOptions(style="../pop"))


def test_prompts_that_name_no_style_are_matched_by_the_sentence_model() -> None:
    encoder = load_text_encoder("minilm")
    assert encoder is not None, "`start.py test` installs it"
    for prompt, style in NAMELESS:
        assert plan_song(prompt, PlanOptions(), encoder).song.style == style
