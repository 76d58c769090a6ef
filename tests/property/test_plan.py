# ruff: noqa: E501  (a row of a table stays on one line)
"""Whatever is typed, a plan is a whole song or one clear refusal; and it is the same plan every time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from models.styles import load_styles
from studio.plan import Plan, PlanOptions, parse_sections, plan_song
from studio.plan.llm_answer import AnswerError, find_object, read_answer
from studio.song import Key, Meter, SongError, Timeline
from studio.song.key import MODES

PIECES = st.sampled_from(
    ["120 bpm", "at 97.3", "from 90 to 110", "speeding up", "F# minor", "a minor", "in A", "ля минор", "си-бемоль", "7/8", "13/7", "in three", "verse", "two verses", "no intro", "chorus x3", "double chorus at the end", "drop", "bridge", "break", "16 bars", "8-bar loop", "2 minutes", "1:30", "90", "90s", "1985", "0", "no", "not", "without", "без", "drums", "or bass", "только", "piano", "just", "house", "techno", "рок", "drum and bass", "sad", "весёлый", "slow", "not too fast", "called", '"', "«", "»", "[verse]", "[chorus 8 bars]", "lyrics:", "\n", ",", ".", ":", "and", "или", "key change", "half-time", "999 bpm", "10000 bars", "3 minutes", "полторы минуты", "куплет", "припев", "на", "в", "the", "a", "İ", "\x00", "😀", "(", ")", "*", "@", "x"]
)  # fmt: skip


def check(prompt: str, options: PlanOptions) -> None:
    try:
        plan = plan_song(prompt, options)
    except SongError as error:
        refusal = str(error)
    else:
        refusal = ""
        check_plan(plan, prompt, options)
    assert "\n" not in refusal
    assert len(refusal) < 400


def check_plan(plan: Plan, prompt: str, options: PlanOptions) -> None:
    assert plan == plan_song(prompt, options)
    song = plan.song
    for span in Timeline(song).spans:
        chords = span.section.chords
        assert chords[0].start == 0
        assert all(before.end == after.start for before, after in pairwise(chords))
        assert chords[-1].end == span.section.bars * span.meter.bar_beats
    assert song.title
    assert len(song.title) <= 60
    told = {choice.what for choice in plan.choices}
    assert told >= {"style", "meter", "key", "tempo", "stems", "form", "seed", "title"}
    by_words = [choice for choice in plan.choices if choice.source == "words"]
    assert all(choice.words or choice.what in ("seed", "title") for choice in by_words)


@given(st.lists(PIECES, min_size=1, max_size=14).map(" ".join))
@settings(max_examples=120)
def test_any_row_of_words_is_a_song_or_a_refusal(prompt: str) -> None:
    check(prompt, PlanOptions())


@given(st.text(max_size=60))
@settings(max_examples=80)
def test_any_text_is_a_song_or_a_refusal(prompt: str) -> None:
    check(prompt, PlanOptions())


@given(
    style=st.sampled_from(sorted(load_styles())),
    tonic=st.sampled_from(["C", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B", "C#", "G#"]),
    mode=st.sampled_from(MODES),
    pulses=st.integers(1, 32),
    unit=st.sampled_from([2, 4, 8, 16]),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=120)
def test_every_key_meter_and_seed_has_chords(
    style: str, tonic: str, mode: str, pulses: int, unit: int, seed: int
) -> None:
    sections = parse_sections("intro:1 verse:3 prechorus:2 chorus:5 postchorus:4 bridge:4 break:2 chorus:8 outro:2")
    check("x", PlanOptions(style=style, key=Key(tonic, mode), meter=Meter(pulses, unit), seed=seed, sections=sections))


@given(st.text(st.sampled_from("verschouint:0123456789@/ -x"), max_size=40))
def test_sections_are_read_or_refused(text: str) -> None:
    try:
        specs = parse_sections(text)
    except SongError:
        return
    assert specs
    assert all(1 <= spec.bars <= 512 for spec in specs)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
SECTION = st.fixed_dictionaries(
    {"kind": st.sampled_from(["verse", "chorus", "solo"]) | JSON, "bars": st.integers(-1, 70) | JSON},
    optional={
        "energy": JSON,
        "chords": JSON | st.lists(st.sampled_from(["Am", "C G", "", "H"])),
        "prompt": JSON,
        "lyrics": JSON,
    },
)


@given(
    st.fixed_dictionaries(
        {"sections": st.lists(SECTION, max_size=3) | JSON},
        optional={"bpm": JSON, "key": JSON, "meter": JSON, "style": JSON, "title": JSON, "stems": JSON},
    )
)
@settings(max_examples=200)
def test_any_answer_of_a_model_is_sound_or_refused(data: dict[str, object]) -> None:
    try:
        answer = read_answer(data, ("house",))
    except AnswerError:
        return
    assert 1 <= len(answer.sections) <= 40
    assert all(1 <= section.spec.bars <= 64 for section in answer.sections)


@given(st.text(st.sampled_from('{}[]":,sections 0aé\\n'), max_size=60))
def test_any_babble_holds_an_object_or_does_not(text: str) -> None:
    try:
        found = find_object(text)
    except AnswerError:
        return
    assert "sections" in found
