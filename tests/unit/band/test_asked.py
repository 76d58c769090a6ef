"""Instruments by name in a stem's prompt."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from models.api import Note
from models.band.asked import asked_for, in_reach, is_silent
from models.band.engine import Band, layer_names
from models.styles import load_style, load_styles
from tests.support.parts import written


def test_instruments_are_found_between_commas_only() -> None:
    assert asked_for("harmony", "Pop, chords, piano, strings, C major") == (["font:piano", "font:slow_strings"], set())
    assert asked_for("harmony", "piano music of the night") == ([], set())
    assert asked_for("harmony", "organ, no piano") == (["font:drawbar_organ"], {"font:piano"})
    assert asked_for("bass", "upright bass, piano") == (["font:acoustic_bass"], set())


def test_the_band_plays_what_was_asked_for_in_every_cell() -> None:
    song = written("pop", 1)
    for part in song.of("harmony"):
        request = replace(part.request, prompt="Pop, chords, accordion", notes=None)
        assert layer_names(request, song.style)[0] == "font:accordion"
    part = song.of("lead")[0]
    assert set(layer_names(replace(part.request, prompt="x, flute"), song.style)) == {"font:flute"}


def test_an_instrument_asked_for_that_the_style_has_in_another_layer_changes_places() -> None:
    part = written("pop", 1).of("harmony")[0]
    met = 0
    for style in load_styles().values():
        plain = layer_names(replace(part.request, prompt=""), style)
        for word in ("piano", "brass", "pads", "electric piano", "organ"):
            (instrument,), _ = asked_for("harmony", word)
            names = layer_names(replace(part.request, prompt=word), style)
            assert names[0] == instrument
            assert names.count(instrument) == max(1, plain.count(instrument)), (style.name, names)
            if instrument in plain[1:] and instrument != plain[0]:
                met += 1
                assert sorted(names) == sorted(plain)
    assert met > 5


def test_what_is_not_wanted_is_not_played_where_there_is_a_choice() -> None:
    style = load_style("pop")
    part = written("pop", 1).of("harmony")[0]
    choosable = [layer for layer in style.harmony.layers if len(layer.instruments) > 1]
    assert choosable
    unwanted = {"piano": "font:piano", "pads": "patch:warm_pad", "electric piano": "font:electric_piano"}
    for word, instrument in unwanted.items():
        names = layer_names(replace(part.request, prompt=f"no {word}"), style)
        for name, layer in zip(names, style.harmony.layers, strict=True):
            assert name != instrument or layer.instruments == (instrument,)


def test_a_part_is_moved_by_octaves_to_where_its_instrument_plays() -> None:
    low = tuple(Note(Fraction(k), Fraction(1), 40 + k, 90) for k in range(4))
    moved = in_reach(low, ("font:flute",), Fraction(4))
    assert all((after.pitch - before.pitch) % 12 == 0 for before, after in zip(low, moved, strict=True))
    assert min(n.pitch for n in moved) >= 58
    assert in_reach(low, ("patch:sub",), Fraction(4)) == low


def test_a_stem_is_silent_where_its_section_says_so() -> None:
    assert is_silent("drums", "Rock, drums, no drums")
    assert not is_silent("drums", "Rock, drums")
    part = written("rock", 1).of("drums")[0]
    result = Band().generate(replace(part.request, prompt="Rock, drums, no drums", notes=None))
    assert result.notes == ()
    assert result.audio is not None
    assert not result.audio.any()
