"""Numerals in keys and modes, and what each position of a section does to its chords."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from models.styles import load_styles
from studio.plan import PlanOptions, parse_sections, plan_song
from studio.plan.harmony import family_of, read_progression, split_bar
from studio.plan.roman import Numeral, chord_of
from studio.song import Chord, Key, Meter, SongError

WHOLE = parse_sections(
    "intro:4 verse:8 prechorus:4 chorus:8 postchorus:4 verse:8 prechorus:4 chorus:8 bridge:8 break:4 chorus:8 outro:8"
)


def chord(text: str, key: str, family: str | None = None, resolves: bool = False) -> str:
    parsed = Key.parse(key)
    return str(chord_of(Numeral.parse(text), parsed, family or ("minor" if parsed.is_minor else "major"), resolves))


@pytest.mark.parametrize(
    ("numeral", "key", "expected"),
    [
        ("I", "C", "C"), ("vi7", "C", "Am7"), ("V7", "C", "G7"), ("IVmaj7", "F#", "Bmaj7"), ("bVII", "C", "Bb"),
        ("ii", "Bb", "Cm"), ("#iv°", "C", "F#dim"), ("V7/3", "C", "G7/E"), ("IV/5", "C", "F/G"), ("bIII", "D", "F"),
        ("i", "Am", "Am"), ("VI", "Am", "F"), ("bVI", "Am", "F"), ("VII", "F#m", "E"), ("bVII", "F#m", "E"),
        ("V7", "Am", "E7"), ("v", "Am", "Em"), ("iv7", "Cm", "Fm7"), ("bII", "Am", "Bb"), ("ii°", "Am", "Bdim"),
        ("#vi°", "Am", "F#dim"), ("imaj7", "Am", "Ammaj7"), ("i9", "Gm", "Gm9"), ("Vsus4", "C", "Gsus4"),
        ("I5", "E", "E5"), ("iim7b5", "Am", "Bm7b5"), ("V7b9", "Dm", "A7b9"), ("i6", "Am", "Am6"), ("I69", "C", "C69"),
    ],
)  # fmt: skip
def test_a_numeral_at_home_is_taken_at_its_word(numeral: str, key: str, expected: str) -> None:
    assert chord(numeral, key) == expected


@pytest.mark.parametrize(
    ("numeral", "key", "family", "expected"),
    [
        ("iv7", "D dorian", "minor", "G7"),  # dorian's major subdominant
        ("VImaj7", "D dorian", "minor", "G7"),  # its diminished sixth degree gives way to the chord a third below
        ("v", "D dorian", "minor", "Am"),
        ("V", "D dorian", "minor", "Am"),
        ("ii7", "E phrygian", "minor", "Fmaj7"),
        ("v7", "E phrygian", "minor", "G7"),
        ("V7", "G mixolydian", "major", "Dm7"),
        ("I7", "G mixolydian", "major", "G7"),
        ("Imaj7", "G mixolydian", "major", "G7"),
        ("vii", "G mixolydian", "major", "F"),
        ("ii", "F lydian", "major", "G"),
        ("IVmaj7", "F lydian", "major", "G7"),
        ("i", "B locrian", "minor", "Bdim"),
        ("I", "A minor", "major", "Am"),  # a style that knows only major, asked for minor
        ("IVsus2", "D dorian", "minor", "Gsus2"),
        ("bII", "G mixolydian", "major", "Ab"),
    ],
)
def test_in_another_mode_chords_become_the_modes_own(numeral: str, key: str, family: str, expected: str) -> None:
    assert chord(numeral, key, family) == expected


def test_a_major_dominant_stays_in_a_mode_where_it_resolves() -> None:
    assert chord("V7", "D dorian", "minor", resolves=True) == "A7"
    assert chord("V7", "G mixolydian", "major", resolves=True) == "Dm7"


def test_a_bad_numeral_is_named() -> None:
    with pytest.raises(SongError, match="VIII"):
        Numeral.parse("VIII")


def test_a_percent_sign_repeats_the_chord_before() -> None:
    assert [[n.degree for n in bar] for bar in read_progression("i iv | % | %")] == [[0, 3], [3], [3]]


@pytest.mark.parametrize(
    ("meter", "count", "starts"),
    [
        ("4/4", 2, ["0", "2"]), ("4/4", 3, ["0", "1", "3"]), ("4/4", 4, ["0", "1", "2", "3"]), ("3/4", 2, ["0", "2"]),
        ("7/8", 2, ["0", "2"]), ("6/8", 2, ["0", "3/2"]), ("6/8", 3, ["0", "1", "2"]), ("5/4", 2, ["0", "3"]),
        ("2/4", 4, ["0", "1"]), ("1/4", 2, ["0"]), ("12/8", 2, ["0", "3"]),
    ],
)  # fmt: skip
def test_chords_share_a_bar_at_its_felt_beats(meter: str, count: int, starts: list[str]) -> None:
    parsed = Meter.parse(meter)
    spans = split_bar([Chord("C")] * count, parsed.bar_beats, parsed)
    assert [str(span.start - parsed.bar_beats) for span in spans] == starts
    assert spans[-1].end == 2 * parsed.bar_beats
    assert all(a.end == b.start for a, b in pairwise(spans))


@pytest.mark.parametrize("name", sorted(load_styles()))
@pytest.mark.parametrize("mode", ["minor", "major", "dorian", "mixolydian"])
def test_positions_shape_the_chords_of_every_style(name: str, mode: str) -> None:
    key = Key("D", mode)
    style = load_styles()[name]
    song = plan_song("a song", PlanOptions(style=name, key=key, sections=WHOLE, seed=3, meter=Meter(4, 4))).song
    by_kind: dict[str, list[tuple[str, ...]]] = {}
    for section in song.sections:
        by_kind.setdefault(section.kind, []).append(tuple(str(span.chord) for span in section.chords))
    # Sections of a kind have the same chords.
    assert all(len(set(found)) == 1 for found in by_kind.values())
    outro = song.sections[-1].chords
    assert [span.chord.root for span in outro if span.start >= 6 * 4] == ["D", "D"]
    lead_in = next(section for section in song.sections if section.kind == "prechorus").chords[-1]
    assert lead_in.chord.root_pitch_class != key.tonic_pitch_class
    table = style.progressions[family_of(key, style)]
    if any(not bar[0].is_tonic for text in table["verse"] for bar in read_progression(text)) and "bridge" not in table:
        assert {"bridge", "break"} <= by_kind.keys()


@pytest.mark.parametrize("seed", range(6))
def test_without_an_outro_the_last_chorus_comes_home(seed: int) -> None:
    sections = parse_sections("verse:8 chorus:8")
    song = plan_song("a song", PlanOptions(style="rock", key=Key("E", "minor"), sections=sections, seed=seed)).song
    assert song.sections[-1].chords[-1].chord.root == "E"


def test_seeds_choose_among_the_styles_progressions() -> None:
    sections = parse_sections("verse:8 chorus:8 outro:4")
    options = [PlanOptions(style="house", key=Key("C", "minor"), sections=sections, seed=seed) for seed in range(12)]
    verses = {str(plan_song("x", option).song.sections[0].chords) for option in options}
    assert len(verses) > 1


def test_a_key_change_lifts_the_last_chorus_and_what_follows() -> None:
    song = plan_song("rock in C major with a key change", PlanOptions(sections=WHOLE)).song
    keys = [str(section.key) if section.key else "" for section in song.sections]
    assert keys == [""] * 10 + ["D major", "D major"]
    first = [span.chord.root_pitch_class for span in song.sections[3].chords]
    last = [span.chord.root_pitch_class for span in song.sections[10].chords]
    assert last == [(pitch + 2) % 12 for pitch in first]
    assert not any(section.key for section in plan_song("rock in C major", PlanOptions(sections=WHOLE)).song.sections)


def test_spelling_follows_the_key() -> None:
    song = plan_song("house", PlanOptions(key=Key("Eb", "minor"), sections=WHOLE)).song
    assert not any(
        "#" in span.chord.root for section in song.sections for span in section.chords if span.chord.root != "F#"
    )
    assert Fraction(0) == song.sections[0].chords[0].start
