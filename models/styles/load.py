"""Reads style files: TOML to the values of `schema`, every mistake named with its place."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.styles import schema as s
from models.styles.errors import StyleError
from models.styles.reader import Table

LARGEST_FILE = 200_000
"""Bytes."""
DRUMS = (
    "kick", "snare", "clap", "rim", "hat", "pedal", "open", "ride", "bell", "crash", "splash", "china", "tom1", "tom2",
    "tom3", "tamb", "cowbell", "shaker", "conga_hi", "conga_lo", "bongo_hi", "bongo_lo", "claves", "block", "triangle",
    "sticks",
)  # fmt: skip
FX_SOUNDS = (
    "riser_noise", "riser_tone", "riser_snare", "downlifter", "impact", "sub_drop", "reverse_cymbal", "sweep_up",
    "sweep_down", "noise_bed", "wind", "vinyl", "rain", "shimmer", "zap", "laser", "glitch", "swell",
)  # fmt: skip
VOICINGS = ("close", "open", "shell", "rootless", "power", "drop2", "cluster")
MODES = ("major", "minor", "ionian", "dorian", "phrygian", "lydian", "mixolydian", "aeolian", "locrian")
GRIDS = (1, 2, 3, 4, 6, 8)
_ROMAN = re.compile(
    r"(?:[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)"
    r"(?:°|\+|5|6|7|9|11|13|69|maj7|maj9|sus2|sus4|7sus4|9sus4|m7b5|7b9|7#9|7#5|add9|°7)?(?:/[b#]?[1-7])?|%)"
)


@cache
def load_styles() -> Mapping[str, s.Style]:
    """The styles that come with Stemwright, by name in alphabetical order."""
    return MappingProxyType({name: load_style(name) for name in load_heads()})


@cache
def load_heads() -> Mapping[str, s.StyleHead]:
    """The heads of the styles that come with Stemwright, by name in alphabetical order: a tenth of their files."""
    folder = files("models.styles") / "data"
    heads: dict[str, s.StyleHead] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            text = entry.read_text(encoding="utf-8")
            before_tables = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
            heads[entry.name[:-5]] = _head(Table(_parsed(before_tables, entry.name), entry.name), entry.name)
    return MappingProxyType(heads)


def load_style(name: str) -> s.Style:
    """One of the styles by name. Raises StyleError."""
    path = files("models.styles") / "data" / f"{name}.toml"
    if not re.fullmatch(r"[a-z0-9_]{1,40}", name) or not path.is_file():
        raise StyleError(f"style {name[:40]!r} is not known; `stemwright styles` lists them")
    return _load_one(name)


@cache
def _load_one(name: str) -> s.Style:
    path = files("models.styles") / "data" / f"{name}.toml"
    return parse_style(path.read_text(encoding="utf-8"), path.name)


@cache
def style_digest(name: str) -> str:
    """The start of the SHA-256 of a bundled style's file: tells whether the style has changed since a take was made."""
    return hashlib.sha256((files("models.styles") / "data" / f"{name}.toml").read_bytes()).hexdigest()[:16]


def read_style(path: Path) -> s.Style:
    """A style from a file of the user's. Raises StyleError."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise StyleError(f"{path.name}: a style file has at most {LARGEST_FILE} bytes")
        return parse_style(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise StyleError(f"{path.name}: cannot be read: {error}") from error


def parse_style(text: str, file: str) -> s.Style:
    """The style in a file's text. Raises StyleError, which names the file, the key and the limit."""
    table = Table(_parsed(text, file), file)
    head = _head(table, file)
    swing, feel = table.table("swing", {}), table.table("feel", {})
    style = s.Style(
        **vars(head),
        form=_form(table),
        progressions=_progressions(table.table("progressions")),
        drums=_drums(table.table("drums")),
        bass=_bass(table.table("bass")),
        harmony=_harmony(table.table("harmony")),
        lead=_lead(table.table("lead")),
        fx=_fx(table.table("fx")),
        mix=_mix(table.table("mix")),
        swing=s.Swing(swing.integer("steps", 2, 4, 2), swing.number("ratio", 0.5, 0.75, 0.5)),
        feel=s.Feel(feel.number("timing_ms", 0, 30, 0.0), feel.integer("velocity", 0, 30, 0)),
        energy=_by_kind(table.table("energy", {})),
    )
    swing.done()
    feel.done()
    table.done()
    return style


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StyleError(f"{file}: not a TOML file: {error}") from error


def _head(table: Table, file: str) -> s.StyleHead:
    return s.StyleHead(
        name=_name(table, file),
        title=table.text("title", longest=60),
        words=table.texts("words", least=1),
        examples=table.texts("examples", least=3),
        moods=table.texts("moods", ()),
        tempo=_triple(table.numbers("tempo", 3, 20, 400)),
        meters=tuple(_meter(table, text) for text in table.texts("meters", least=1)),
        modes=table.texts("modes", choices=MODES, least=1),
    )


def _name(table: Table, file: str) -> str:
    name = table.text("name", longest=40)
    if not re.fullmatch(r"[a-z0-9_]+", name) or name != file.removesuffix(".toml"):
        raise table.fail("name", f"{name!r} must be the file's name: small letters, digits and _")
    return name


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _meter(table: Table, text: str) -> str:
    if not re.fullmatch(r"([1-9]|[12]\d|3[0-2])/(2|4|8|16)", text):
        raise table.fail("meters", f"{text!r}: write 4/4, 3/4, 7/8 ...")
    return text


def _form(table: Table) -> str:
    form = table.text("form")
    for word in form.split():
        kind, _, bars = word.partition(":")
        if kind not in s.KINDS or not (bars.isascii() and bars.isdigit()) or not 1 <= int(bars) <= 64:
            raise table.fail(
                "form", f"{word!r}: write kind:bars, such as chorus:8, with a kind of {', '.join(s.KINDS)}"
            )
    return form


def _by_kind(table: Table) -> Mapping[str, float]:
    return {kind: table.number(kind, 0, 1) for kind in _kinds(table)}


def _kinds(table: Table) -> tuple[str, ...]:
    for key in table.names():
        if key not in s.KINDS:
            raise table.fail(key, f"is not one of {', '.join(s.KINDS)}")
    return table.names()


def _progressions(table: Table) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    families: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for family in table.names():
        if family not in ("minor", "major"):
            raise table.fail(family, "is not one of minor, major")
        kinds = table.table(family)
        families[family] = {kind: _numerals(kinds, kind) for kind in _kinds(kinds)}
        if "verse" not in families[family] or "chorus" not in families[family]:
            raise table.fail(family, "needs at least verse and chorus")
    if not families:
        raise StyleError(f"{table.where}: needs a table minor or major, or both")
    return families


def _numerals(table: Table, kind: str) -> tuple[str, ...]:
    texts = table.texts(kind, least=1)
    for text in texts:
        for bar in text.split("|"):
            chords = bar.split()
            if not 1 <= len(chords) <= 4:
                raise table.fail(kind, f"{text!r}: a bar holds 1 to 4 chords")
            for chord in chords:
                if not _ROMAN.fullmatch(chord):
                    raise table.fail(kind, f"{chord!r} is not a Roman numeral such as i, bVII, V7 or IV/5 (% repeats)")
    return texts


def _pattern(table: Table, key: str, text: str, allowed: str, steps: int) -> str:
    """The text without its spaces; every bar must fill whole beats of `steps` steps."""
    bars = "".join(text.split()).split("|")
    for bar in bars:
        for character in bar:
            if character not in allowed:
                raise table.fail(key, f"{character!r} in {text!r} is not one of {allowed}")
        if not bar or len(bar) % steps:
            raise table.fail(key, f"{text!r}: a bar has a multiple of {steps} steps, not {len(bar)}")
        if len(bar) > 64:
            raise table.fail(key, f"{text!r}: a bar has at most 64 steps")
    if len(bars) > 8:
        raise table.fail(key, f"{text!r}: at most 8 bars")
    return "|".join(bars)


def _steps(table: Table, default: int = 4) -> int:
    steps = table.integer("steps", 1, 8, default)
    if steps not in GRIDS:
        raise table.fail("steps", f"{steps} is not one of {', '.join(map(str, GRIDS))}")
    return steps


def _drum_lines(table: Table, key: str, steps: int, default: Any = ...) -> Mapping[str, str]:
    lines = table.table(key, default)
    found: dict[str, str] = {}
    for name in lines.names():
        if name not in DRUMS:
            raise lines.fail(name, f"is not one of {', '.join(DRUMS)}")
        found[name] = _pattern(lines, name, lines.text(name), "Xxog?.", steps)
    return found


def _drums(table: Table) -> s.Drums:
    grooves: list[s.Groove] = []
    for entry in table.tables("grooves", least=1):
        steps = _steps(entry)
        enters, leaves = entry.table("enters", {}), entry.table("leaves", {})
        grooves.append(
            s.Groove(
                name=entry.text("name", longest=40),
                steps=steps,
                lines=_drum_lines(entry, "lines", steps),
                enters={name: enters.number(name, 0, 1) for name in enters.names()},
                leaves={name: leaves.number(name, 0, 1) for name in leaves.names()},
                vary=_drum_lines(entry, "vary", steps, {}),
                kinds=entry.texts("kinds", (), choices=s.KINDS),
                meter=_meter(entry, entry.text("meter", "4/4")),
            )
        )
        entry.done()
    fills: list[s.Fill] = []
    for entry in table.tables("fills", least=1):
        steps, beats = _steps(entry), entry.integer("beats", 1, 4)
        lines = _drum_lines(entry, "lines", steps)
        for name, line in lines.items():
            if len(line) != steps * beats:
                raise entry.fail(name, f"a fill of {beats} beats has {steps * beats} steps, not {len(line)}")
        fills.append(s.Fill(steps, beats, lines, entry.number("energy", 0, 1, 0.0)))
        entry.done()
    drums = s.Drums(table.texts("kits", least=1), tuple(grooves), tuple(fills), table.number("crash", 0, 2, 0.5))
    table.done()
    return drums


def _bass(table: Table) -> s.Bass:
    lines: list[s.BassLine] = []
    for entry in table.tables("lines", least=1):
        steps = _steps(entry)
        text = entry.text("pattern")
        pattern = text if text == "kick" else _pattern(entry, "pattern", text, "Rr345678awn-.", steps)
        low, high = entry.numbers("energy", 2, 0, 1, (0.0, 1.0))
        lines.append(s.BassLine(pattern, steps, entry.texts("kinds", (), choices=s.KINDS), (low, high)))
        entry.done()
    bass = s.Bass(
        instruments=table.texts("instruments", least=1),
        low=table.integer("low", 16, 60),
        high=table.integer("high", 28, 72),
        lines=tuple(lines),
        lock=table.flag("lock", False),
        glide=table.flag("glide", False),
    )
    if bass.high - bass.low < 12:
        raise table.fail("high", "must be at least an octave (12) above low")
    table.done()
    return bass


def _harmony(table: Table) -> s.HarmonyPart:
    layers: list[s.Layer] = []
    for entry in table.tables("layers", least=1):
        steps = _steps(entry)
        patterns = tuple(
            _pattern(entry, "patterns", text, "Xxotb123456-.", steps) for text in entry.texts("patterns", least=1)
        )
        layers.append(
            s.Layer(
                instruments=entry.texts("instruments", least=1),
                patterns=patterns,
                steps=steps,
                kinds=entry.texts("kinds", (), choices=s.KINDS),
                enters=entry.number("enters", 0, 1, 0.0),
                octave=entry.integer("octave", -2, 2, 0),
                velocity=entry.integer("velocity", 20, 120, 84),
                voicing=entry.text("voicing", "", choices=("", *VOICINGS)),
                strum_ms=entry.number("strum_ms", 0, 60, 0.0),
            )
        )
        entry.done()
    part = s.HarmonyPart(
        voicing=table.text("voicing", choices=VOICINGS),
        voices=table.integer("voices", 2, 6, 4),
        low=table.integer("low", 28, 72),
        high=table.integer("high", 48, 96),
        layers=tuple(layers),
    )
    if part.high - part.low < 17:
        raise table.fail("high", "must be at least 17 semitones above low")
    table.done()
    return part


def _lead(table: Table) -> s.Lead:
    steps = _steps(table)
    rhythms = tuple(_pattern(table, "rhythms", text, "Xx-.", steps) for text in table.texts("rhythms", least=2))
    lead = s.Lead(
        instruments=table.texts("instruments", least=1),
        low=table.integer("low", 40, 84),
        high=table.integer("high", 52, 100),
        rhythms=rhythms,
        steps=steps,
        scale=table.text("scale", "mode", choices=("mode", "pentatonic", "blues", "chord")),
        contours=table.texts("contours", ("arch", "wave"), choices=("arch", "rise", "fall", "wave"), least=1),
        leap=table.integer("leap", 3, 16, 9),
        density=_by_kind(table.table("density", {})),
        double=table.number("double", 0, 2, 2.0),
    )
    if lead.high - lead.low < 12:
        raise table.fail("high", "must be at least an octave (12) above low")
    table.done()
    return lead


def _fx(table: Table) -> s.Effects:
    into = table.table("into", {})
    leading: dict[str, tuple[tuple[str, int], ...]] = {}
    for kind in _kinds(into):
        sounds: list[tuple[str, int]] = []
        for text in into.texts(kind):
            name, _, bars = text.partition(":")
            if not name or (bars and (not bars.isdigit() or not 1 <= int(bars) <= 16)):
                raise into.fail(kind, f"{text!r}: write sound:bars, such as riser_noise:2")
            if name not in FX_SOUNDS:
                raise into.fail(kind, f"{name!r} is not one of {', '.join(FX_SOUNDS)}")
            sounds.append((name, int(bars or 1)))
        leading[kind] = tuple(sounds)
    on, bed = table.table("on", {}), table.table("bed", {})
    struck = {kind: on.texts(kind, choices=FX_SOUNDS) for kind in _kinds(on)}
    held = {kind: bed.texts(kind, choices=FX_SOUNDS) for kind in _kinds(bed)}
    table.done()
    return s.Effects(leading, struck, held)


def _mix(table: Table) -> Mapping[str, s.Channel]:
    channels: dict[str, s.Channel] = {}
    for role in s.ROLES:
        entry = table.table(role)
        level = entry.number("level", -40, 6)
        channels[role] = s.Channel(level, {key: entry.raw(key) for key in entry.names()})
    table.done()
    return channels
