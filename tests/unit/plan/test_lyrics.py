"""Lyrics: under headings they are the form or find their places in another; without, they go to what sings."""

from __future__ import annotations

from studio.plan import Plan, PlanOptions, parse_sections, plan_song

HEADED = """indie rock, sad

[Verse 1]
line one
line two

[Chorus]
hey techno house
[Куплет 2]
строка
[Guitar solo]
[Припев]
hey"""


def sung(plan: Plan) -> list[tuple[str, str]]:
    return [(section.kind, section.lyrics) for section in plan.song.sections]


def left_out(plan: Plan) -> list[str]:
    return [str(choice) for choice in plan.choices if choice.what == "lyrics left out"]


def test_lyrics_under_headings_are_the_form() -> None:
    plan = plan_song(HEADED)
    assert [section.kind for section in plan.song.sections] == ["verse", "chorus", "verse", "break", "chorus"]
    assert plan.song.sections[0].lyrics == "line one\nline two"
    assert plan.song.sections[2].lyrics == "строка"
    assert plan.song.style not in ("techno", "house")


def test_lyrics_without_headings_go_to_the_sections_that_sing() -> None:
    plan = plan_song('rock, lyrics: "first line\nsecond line\n\nchorus line"')
    words = [(kind, lyrics) for kind, lyrics in sung(plan) if lyrics]
    assert words[0] == ("verse", "first line\nsecond line")
    assert words[1][1] == "chorus line"


def test_lyrics_under_headings_find_their_sections_in_a_form_that_is_given() -> None:
    form = "intro:4 verse:8 prechorus:4 chorus:8 verse:8 chorus:8 chorus:8 outro:4"
    plan = plan_song(HEADED, PlanOptions(sections=parse_sections(form)))
    assert sung(plan) == [
        ("intro", ""), ("verse", "line one\nline two"), ("prechorus", ""), ("chorus", "hey techno house"),
        ("verse", "строка"), ("chorus", "hey"), ("chorus", ""), ("outro", ""),
    ]  # fmt: skip
    assert left_out(plan) == []


def test_lyrics_that_find_no_section_are_named() -> None:
    plan = plan_song(HEADED, PlanOptions(sections=parse_sections("intro:4 chorus:8")))
    assert sung(plan) == [("intro", ""), ("chorus", "hey techno house")]
    # The solo has no words to lose.
    assert left_out(plan) == ["lyrics left out: the song has no verse 1, verse 2, chorus 2 (option: 'line one')"]
    loop = plan_song("a house loop\n[chorus]\nround and round\n[verse]\n" + "long " * 20)
    assert sung(loop) == [("chorus", "round and round")]
    assert left_out(loop) == [f"lyrics left out: the song has no verse 1 (words: '{('long ' * 20)[:39]}…')"]


def test_a_quoted_stanza_takes_no_words_from_under_a_heading() -> None:
    plan = plan_song('rock "before\nanything"\n[Verse]\nthe verse\n[Chorus]\nthe chorus\n[Bridge]\n')
    assert sung(plan) == [("verse", "the verse"), ("chorus", "the chorus"), ("bridge", "before\nanything")]
