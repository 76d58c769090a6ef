"""Style files: all of ours are sound, and a bad one says what is wrong with it."""

from __future__ import annotations

import contextlib
import random
from importlib.resources import files
from pathlib import Path

import pytest

from models.band import instruments
from models.band.compose.drums import KEYS
from models.band.sound.effects import parse_chain
from models.band.sound.kits import kits
from models.band.sound.synth import FX_KEYS
from models.styles import StyleError, load_style, load_styles, parse_style, read_style
from models.styles.load import DRUMS, FX_SOUNDS
from models.styles.schema import KINDS, ROLES

STYLES = sorted(load_styles())
HOUSE = (files("models.styles") / "data" / "house.toml").read_text(encoding="utf-8")


def test_there_are_styles_enough() -> None:
    assert len(STYLES) >= 20


def test_a_style_file_can_name_every_drum_and_sound_that_the_band_has_and_no_other() -> None:
    assert set(DRUMS) == set(KEYS)
    assert set(FX_SOUNDS) == set(FX_KEYS)


@pytest.mark.parametrize("name", STYLES)
def test_a_style_names_only_what_the_band_has(name: str) -> None:
    style = load_style(name)
    assert set(style.drums.kits) <= set(kits())
    layers = [layer.instruments for layer in style.harmony.layers]
    for instrument in {i for group in (style.bass.instruments, style.lead.instruments, *layers) for i in group}:
        assert instruments.voice(instrument, 48000, 120.0).tail_frames() >= 0
    for role in ROLES:
        parse_chain(dict(style.mix[role].chain), f"{name}: {role}")


@pytest.mark.parametrize("name", STYLES)
def test_every_kit_of_a_style_has_every_drum_that_it_plays(name: str) -> None:
    drums = load_style(name).drums
    lines = {line for g in drums.grooves for line in (*g.lines, *g.vary)} | {d for f in drums.fills for d in f.lines}
    for kit in drums.kits:
        voice = instruments.voice(f"kit:{kit}", 48000, 120.0)
        played = {KEYS[line] for line in lines} | {KEYS["crash"]}
        assert played <= voice.keys(), f"kit {kit} lacks {sorted(played - voice.keys())}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", STYLES)
def test_a_style_has_contrast_and_choice(name: str) -> None:
    style = load_style(name)
    assert len(style.drums.grooves) >= 2
    assert len(style.drums.fills) >= 3
    assert len(style.bass.lines) >= 2
    assert len(style.lead.rhythms) >= 4
    assert style.energy["chorus"] > style.energy["verse"] > 0
    assert {word.partition(":")[0] for word in style.form.split()} <= set(KINDS)
    assert any(not w.isascii() for w in style.words), "no Russian words"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "House"', "", r"house.toml: title: is missing"),
        ('title = "House"', 'title = "House"\nvolume = 3', r"unknown key 'volume'"),
        ("tempo = [", "tempo = [900, ", r"tempo: expected 3 numbers"),
        ('meters = ["4/4"', 'meters = ["4/3"', r"meters: '4/3'"),
        ('name = "house"', 'name = "House!"', r"name: 'House!' must be the file's name"),
        ('modes = ["', 'modes = ["blue", "', r"modes: 'blue' is not one of"),
        ("[progressions.minor]", '[progressions.minor]\nsolo = ["i"]', r"progressions: minor: solo: is not one of"),
        ("lines.kick = ", "lines.kik = ", r"kik: is not one of kick, snare"),
        ("[bass]", "[bass]\nspeed = 3", r"bass: unknown key 'speed'"),
        ('verse = ["reverse_cymbal:1"]', 'verse = ["kazoo:1"]', r"fx: into: verse: 'kazoo' is not one of riser_noise"),
        ('verse = ["sub_drop"]', 'verse = ["kazoo"]', r"fx: on: verse: 'kazoo' is not one of riser_noise"),
        ('intro = ["noise_bed"]', 'intro = ["kazoo"]', r"fx: bed: intro: 'kazoo' is not one of riser_noise"),
        ("[harmony]\nvoicing", "[harmony]\nvoicing = 3 #", r"voicing: expected a text"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, message: str) -> None:
    assert old in HOUSE, "the style that these mistakes are made in has changed"
    with pytest.raises(StyleError, match=message) as caught:
        parse_style(HOUSE.replace(old, new, 1), "house.toml")
    assert "\n" not in str(caught.value)


def test_bad_patterns_and_numerals_are_named() -> None:
    import re

    with pytest.raises(StyleError, match=r"'z' in .* is not one of"):
        parse_style(re.sub(r'lines\.kick = "X', 'lines.kick = "z', HOUSE, count=1), "house.toml")
    with pytest.raises(StyleError, match=r"multiple of 4 steps"):
        parse_style(re.sub(r'lines\.kick = "X', 'lines.kick = "XX', HOUSE, count=1), "house.toml")
    with pytest.raises(StyleError, match=r"not a Roman numeral"):
        parse_style(re.sub(r'verse = \["', 'verse = ["H7 | ', HOUSE, count=1), "house.toml")


def test_files_that_are_no_styles_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"[[[", b"name = 1", b"x" * 300_000):
        path = tmp_path / "mine.toml"
        path.write_bytes(content)
        with pytest.raises(StyleError, match=r"mine\.toml"):
            read_style(path)
    with pytest.raises(StyleError, match="cannot be read"):
        read_style(tmp_path / "nowhere.toml")
    with pytest.raises(StyleError, match="is not known"):
        load_style("../house")


def test_damaged_styles_are_refused_or_fine_but_never_crash() -> None:
    draw = random.Random(7)
    text = HOUSE
    for _ in range(300):
        damaged = list(text)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(damaged))
            damaged[place : place + draw.randint(0, 6)] = draw.choice(
                ["", '"', "]", "9", "-", "=", "x", "\n", "é", "["]
            )
        with contextlib.suppress(StyleError):  # any other exception fails the test
            parse_style("".join(damaged), "house.toml")
