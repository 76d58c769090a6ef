# ruff: noqa: E501  (a row of a table stays on one line)
"""Form, length and energy: sections come, go, double and stretch as words ask, and stay musical."""

from __future__ import annotations

from decimal import Decimal

import pytest

from models.styles import load_styles
from studio.plan import PlanOptions, SectionSpec, parse_sections, plan_song
from studio.plan.energy import energies
from studio.plan.fit import TOLERANCE
from studio.song import Meter, SongError, Timeline, parse_tempo_map


def form(prompt: str, **options: object) -> list[tuple[str, int]]:
    return [(s.kind, s.bars) for s in plan_song(prompt, PlanOptions(**options)).song.sections]  # type: ignore[arg-type]


def kinds(prompt: str, **options: object) -> list[str]:
    return [kind for kind, _ in form(prompt, **options)]


def test_sections_of_the_command_line() -> None:
    assert parse_sections("intro:4 verse:8@7/8  chorus:512") == (
        SectionSpec("intro", 4), SectionSpec("verse", 8, Meter(7, 8)), SectionSpec("chorus", 512),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 to 200 sections"), ("verse", "kind:bars"), ("verse:", "kind:bars"), ("verse:0", "1 to 512"),
        ("verse:-4", "1 to 512"), ("verse:10000", "1 to 512"), ("verse:4.5", "kind:bars"), ("solo:4", "use one of intro"),
        ("verse:4@13/7", "2, 4, 8 or 16"), ("verse:4@", "kind:bars"), ("verse:4@x", "pulses/unit"), (":4", "kind:bars"),
        ("verse:4 " * 201, "1 to 200"), ("verse:512 " * 9, "4096 bars"), ("verse:4 " * 2000, "at most 10000"),
        ("verse:٤", "kind:bars"), ("verse:4@33/4", "1 to 32"), ("x" * 9000, "kind:bars"),
    ],
)  # fmt: skip
def test_bad_sections_are_refused_with_the_limit(text: str, message: str) -> None:
    with pytest.raises(SongError, match=message) as caught:
        parse_sections(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_words_change_the_styles_form() -> None:
    usual = kinds("rock")
    assert "intro" in usual
    assert "intro" not in kinds("rock, no intro")
    assert kinds("rock, three verses").count("verse") == 3
    assert kinds("rock, one verse").count("verse") == 1
    assert kinds("rock with a postchorus").count("postchorus") >= 1
    assert kinds("intro verse chorus verse chorus bridge chorus outro") == [
        "intro",
        "verse",
        "chorus",
        "verse",
        "chorus",
        "bridge",
        "chorus",
        "outro",
    ]
    doubled = [kind for kind in kinds("rock with a double chorus at the end") if kind not in ("outro", "postchorus")]
    assert doubled[-2:] == ["chorus", "chorus"]
    assert ("verse", 16) in form("rock, verse of 16 bars")
    assert form("8-bar loop, house") == [("chorus", 8)]


@pytest.mark.parametrize("name", sorted(load_styles()))
@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        ("20 seconds", 20),
        ("2:00", 120),
        *(pytest.param(f"{n} minutes", 60 * n, marks=pytest.mark.slow) for n in (1, 3, 7)),
    ],
)
def test_a_length_in_time_is_met_within_four_bars(name: str, length: str, seconds: int) -> None:
    song = plan_song(length, PlanOptions(style=name)).song
    timeline = Timeline(song)
    bar = float(60 * song.meter.bar_beats / timeline.tempo.bpm_at(0))
    assert abs(timeline.tempo.seconds(timeline.end) - seconds) <= TOLERANCE * bar
    assert all(
        section.bars in (1, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32) or len(song.sections) == 1 for section in song.sections
    )


@pytest.mark.parametrize("bars", [1, 2, 3, 5, 8, 12, 16, 18, 24, 31, 64, 100, 256, 1000])
def test_a_length_in_bars_is_met_exactly(bars: int) -> None:
    assert sum(count for _, count in form(f"rock, {bars} bars")) == bars


def test_a_length_is_met_where_the_tempo_changes() -> None:
    for tempo in ("1=60..180", "1=90 9=140", "1=200..80"):
        song = plan_song("rock for 2 minutes", PlanOptions(tempo=parse_tempo_map(tempo))).song
        timeline = Timeline(song)
        assert timeline.tempo.seconds(timeline.end) == pytest.approx(120, abs=4 * 4)
    song = plan_song("rock for 2 minutes, speeding up from 90 to 130").song
    assert Timeline(song).tempo.seconds(Timeline(song).end) == pytest.approx(120, abs=4 * 4 * 60 / 110)


def test_a_length_never_breaks_what_was_asked_for() -> None:
    assert ("verse", 16) in form("rock, 2 minutes, verse of 16 bars, at 120 bpm")
    assert "bridge" in kinds("rock with a bridge, 1 minute, 120 bpm")
    assert kinds("verse chorus verse chorus, 3 minutes, 120 bpm") == ["verse", "chorus", "verse", "chorus"]
    plan = plan_song("verse of 8 bars, only verse and chorus of 8 bars, 10 minutes", PlanOptions(bpm=Decimal(120)))
    assert "sections that were asked for" in next(str(c) for c in plan.choices if c.what == "length")


@pytest.mark.parametrize("name", sorted(load_styles()))
def test_choruses_lift_and_the_last_is_the_highest(name: str) -> None:
    text = "intro:4 verse:8 prechorus:4 chorus:8 verse:8 prechorus:4 chorus:8 bridge:8 chorus:8 outro:4"
    song = plan_song("a song", PlanOptions(style=name, sections=parse_sections(text))).song
    level = [section.energy for section in song.sections]
    assert level[1] < level[4] < level[3] < level[6] < level[8]
    assert max(level) == level[8]
    assert sorted(level)[-2] < level[8]
    assert level[2] < level[3]
    assert level[5] < level[6]


def test_moods_and_adjectives_move_energy() -> None:
    order = ["intro", "verse", "chorus"]
    plain = energies(order, {}, 0.0, {})
    assert all(a < b for a, b in zip(energies(order, {}, -0.2, {}), plain, strict=True))
    assert energies(order, {}, 0.0, {"intro": -0.2})[0] < plain[0]
    assert all(0.05 <= value <= 1 for mood in (-0.25, 0.25) for value in energies(order * 60, {}, mood, {}))
    quiet = plan_song("rock with a quiet intro", PlanOptions(seed=1)).song.sections[0].energy
    assert quiet < plan_song("rock with an intro", PlanOptions(seed=1)).song.sections[0].energy
