# ruff: noqa: E501  (a row of a table stays on one line)
"""Whole plans: what options fix, what words say, what the style adds, and that every bar has its chord."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from models.styles import load_styles
from studio import session
from studio.plan import USUAL_ROLES, PlanOptions, parse_sections, plan_song
from studio.song import Key, Meter, SongError, TempoPoint, Timeline, parse_tempo_map
from studio.song.edits import SetTempo


def choice(plan, what):
    return next(choice for choice in plan.choices if choice.what == what)


def test_the_words_of_a_prompt_become_a_song_and_every_choice_says_its_source():
    plan = plan_song("house at 124 bpm in F# minor, two verses, no intro, double chorus at the end")
    song = plan.song
    assert song.tempo == (TempoPoint(1, Decimal(124)),)
    assert song.key == Key("F#", "minor")
    kinds = [section.kind for section in song.sections]
    assert kinds.count("verse") == 2
    assert "intro" not in kinds
    last = max(i for i, kind in enumerate(kinds) if kind == "chorus")
    assert kinds[last - 1] == "chorus"
    assert (choice(plan, "tempo").source, choice(plan, "tempo").words) == ("words", "124 bpm")
    assert choice(plan, "meter").source == "style"


def test_a_russian_prompt_becomes_a_song():
    song = plan_song("грустный рок в ля миноре, темп 92, без ударных, на две минуты").song
    assert song.key == Key("A", "minor")
    assert song.tempo[0].bpm == 92
    assert [stem.role for stem in song.stems] == ["bass", "harmony", "lead", "fx"]
    assert song.style == "rock"
    assert Timeline(song).tempo.seconds(Timeline(song).end) == pytest.approx(120, abs=4 * 4 * 60 / 92)


def test_options_win_over_words():
    options = PlanOptions(
        bpm=Decimal("97.3"), key=Key("D", "dorian"), meter=Meter(7, 8), sections=parse_sections("intro:4 verse:8@5/4"),
        roles=("bass", "drums"), seed=5, rate=44100, style="house", title="Mine", tails="cut", engines={"bass": "other"},
    )  # fmt: skip
    song = plan_song("techno at 140 in C minor, 3/4, no drums, 2 minutes", options).song
    assert (song.tempo[0].bpm, song.key, song.meter) == (Decimal("97.3"), Key("D", "dorian"), Meter(7, 8))
    assert [(s.kind, s.bars, s.meter) for s in song.sections] == [("intro", 4, None), ("verse", 8, Meter(5, 4))]
    assert [(stem.role, stem.engine) for stem in song.stems] == [("bass", "other"), ("drums", "band")]
    assert (song.seed, song.rate, song.style, song.title, song.tails) == (5, 44100, "house", "Mine", "cut")


def test_stems_that_are_listed_stand_even_when_they_are_the_usual_ones():
    listed = plan_song("house, no drums, only piano", PlanOptions(roles=USUAL_ROLES))
    assert tuple(stem.role for stem in listed.song.stems) == USUAL_ROLES
    assert choice(listed, "stems").source == "option"
    unlisted = plan_song("house, no drums")
    assert [stem.role for stem in unlisted.song.stems] == ["bass", "harmony", "lead", "fx"]
    assert choice(unlisted, "stems").source == "words"


def test_points_of_a_tempo_map_beyond_the_last_bar_are_told():
    sections = parse_sections("verse:8 chorus:8")
    tempo = parse_tempo_map("1=92 9=92..104 17=104 40=60")
    told = choice(plan_song("house", PlanOptions(tempo=tempo, sections=sections)), "tempo not reached")
    assert str(told) == "tempo not reached: 17=104 40=60, for the song ends with bar 16 (option)"
    plan = plan_song("house", PlanOptions(tempo=tempo[:2], sections=sections))
    assert all(choice.what != "tempo not reached" for choice in plan.choices)


@pytest.mark.parametrize("name", sorted(load_styles()))
@pytest.mark.parametrize("meter", ["4/4", "3/4", "7/8", "6/8", "2/2", "1/4", "15/16"])
def test_every_bar_of_every_style_has_a_chord(name, meter):
    song = plan_song("a song", PlanOptions(style=name, meter=Meter.parse(meter))).song
    for span in Timeline(song).spans:
        chords = span.section.chords
        assert chords[0].start == 0
        assert all(a.end == b.start for a, b in pairwise(chords))
        assert chords[-1].end == span.beats
        bar = span.meter.bar_beats
        assert {chord.start for chord in chords} >= {Fraction(k) * bar for k in range(span.section.bars)}


def test_the_same_words_make_the_same_plan_and_other_words_another():
    assert plan_song("happy house") == plan_song("happy house")
    assert plan_song("happy house").song.seed != plan_song("happy house!").song.seed


@pytest.mark.parametrize(
    ("prompt", "message"),
    [("", "empty"), (" \n", "empty"), ("x" * 10_001, "at most 10000"), ("x" * 100_000, "at most 10000"),
     ("house at 900 bpm", "20 to 400"), ("13/7 time", "lower number"), ("verse of 10000 bars", "1 to 512"),
     ("300 verses", "at most 200"), ("600 minutes of techno", "30 minutes"), ("no drums, no bass, just vocals", "stem")],
)  # fmt: skip
def test_what_no_song_can_be_is_refused_in_one_line(prompt, message):
    with pytest.raises(SongError, match=message) as caught:
        plan_song(prompt)
    assert "\n" not in str(caught.value)


def test_a_song_of_hours_is_refused_before_anything_is_made(tmp_path):
    bars = parse_sections("verse:512 " * 2)
    song = plan_song("x", PlanOptions(bpm=Decimal(120), sections=bars)).song
    assert song.sections[1].bars == 512
    with pytest.raises(SongError, match=r"205 minutes.*at most 60.*fewer bars"):
        plan_song("x", PlanOptions(bpm=Decimal(20), sections=bars))
    # Nor does it come in by another door than the planner.
    with pytest.raises(SongError, match=r"205 minutes.*at most 60.*fewer bars"):
        session.make(SetTempo.constant(Decimal(20)).apply(song), tmp_path / "song")
    assert not (tmp_path / "song").exists()
