"""Puts a plan together: what options fix, then what words say, then what the style would do."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from studio.plan.energy import energies
from studio.plan.fit import TOLERANCE, beats_of, fit, fit_exactly
from studio.plan.form import Part, draft, usual_bars
from studio.plan.harmony import Place, harmonise
from studio.plan.lyrics import give_lyrics
from studio.plan.match import match_style
from studio.plan.stems import choose_roles, make_stems
from studio.plan.title import title_of
from studio.plan.values import Choice, Plan, PlanOptions, SectionSpec, check_sections
from studio.song import Key, Meter, Section, Song, SongError, TempoMap, TempoPoint, check_duration

if TYPE_CHECKING:
    from models.api import TextEncoder
    from models.styles import Style
    from studio.plan.words import Wishes

_MINOR_TONICS = ("A", "E", "D", "B", "C", "G", "F", "F#")
_MAJOR_TONICS = ("C", "G", "D", "A", "F", "E", "Bb", "Eb")


def plan_song(prompt: str, options: PlanOptions = PlanOptions(), encoder: TextEncoder | None = None) -> Plan:  # noqa: B008
    """A song from words: sections with chords, stems with prompts, and how each of it was decided.

    The same prompt, options and encoder give the same plan. Raises SongError, which names the limit and the remedy.
    """
    # The readers' patterns and the style files take a while: only who plans waits for them.
    from models.styles import load_heads
    from studio.plan.words import read_words

    wishes = read_words(prompt, load_heads())
    seed = prompt_seed(prompt) if options.seed is None else options.seed
    style, choices = _style(wishes, options, encoder)
    notes = list(choices)
    meter = _meter(wishes, style, options, notes)
    key = _key(wishes, style, options, seed, notes)
    tempo = _tempo(wishes, style, options, notes)
    roles, role_choices = choose_roles(options.roles, wishes.parts, wishes.instrumental)
    notes += role_choices
    parts = _parts(wishes, style, options, meter, tempo, notes)
    parts, left_out = give_lyrics(parts, wishes.quoted, "words" if options.sections is None else "option")
    notes += left_out
    _note_unreached(tempo, parts, notes)
    sections = _sections(parts, wishes, style, meter, key, seed, notes)
    stems = make_stems(
        roles, options.engines, style.title, key, meter, tempo[0].bpm, wishes.parts, wishes.mood, wishes.tempo.feel
    )
    if wishes.mood.names:
        notes.append(Choice("mood", ", ".join(wishes.mood.names), "words", wishes.mood.words))
    title = options.title or wishes.quoted.title or title_of(wishes.telling, style.title)
    notes.append(Choice("title", title, "option" if options.title else "words"))
    notes.append(Choice("seed", str(seed), "option" if options.seed is not None else "words"))
    song = Song(
        title=title, key=key, meter=meter, tempo=tempo, sections=sections, stems=stems, seed=seed, rate=options.rate,
        style=style.name, prompt=prompt, pickup=options.pickup or Fraction(0), tails=options.tails,
    )  # fmt: skip
    check_duration(song)
    return Plan(song, tuple(notes))


def prompt_seed(prompt: str) -> int:
    """The seed of a prompt that comes with none: the first 31 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()[:4], "big") >> 1


def _style(wishes: Wishes, options: PlanOptions, encoder: TextEncoder | None) -> tuple[Style, tuple[Choice, ...]]:
    from models.styles import StyleError, load_heads, load_style

    if options.style is None:
        name, choices = match_style(wishes, load_heads(), encoder)
        return load_style(name), choices
    try:
        style = load_style(options.style)
    except StyleError as error:
        raise SongError(str(error)) from error
    return style, (Choice("style", style.title, "option"),)


def _meter(wishes: Wishes, style: Style, options: PlanOptions, notes: list[Choice]) -> Meter:
    if options.meter is not None:
        meter, choice = options.meter, Choice("meter", str(options.meter), "option")
    elif wishes.meter is not None:
        meter, choice = wishes.meter, Choice("meter", str(wishes.meter), "words", wishes.meter_words)
    else:
        meter = Meter.parse(style.meters[0])
        choice = Choice("meter", str(meter), "style")
    notes.append(choice)
    return meter


def _key(wishes: Wishes, style: Style, options: PlanOptions, seed: int, notes: list[Choice]) -> Key:
    if options.key is not None:
        notes.append(Choice("key", str(options.key), "option"))
        return options.key
    wish = wishes.key
    draw = random.Random(f"{seed}/key")
    mode, source, words = wish.mode, "words", wish.words
    if mode is None and wishes.mood.mode:
        fitting = [name for name in style.modes if Key("C", name).is_minor == (wishes.mood.mode == "minor")]
        mode = fitting[0] if fitting else wishes.mood.mode
        words = ", ".join(filter(None, (wish.words, wishes.mood.words)))
    if mode is None and wish.tonic:
        # "in E" with no more said is E major, where the style knows a major mode.
        mode = next((name for name in style.modes if not Key("C", name).is_minor), None)
    if mode is None:
        mode = draw.choice(style.modes)
        source = "words" if wish.tonic else "style"
    tonic = wish.tonic
    if tonic is None:
        tonic = draw.choice(_MINOR_TONICS if Key("C", mode).is_minor else _MAJOR_TONICS)
    key = Key(tonic, mode)
    notes.append(Choice("key", str(key), source, words if source == "words" else ""))
    return key


def _tempo(wishes: Wishes, style: Style, options: PlanOptions, notes: list[Choice]) -> tuple[TempoPoint, ...]:
    if options.tempo is not None:
        notes.append(Choice("tempo", " ".join(map(str, options.tempo)), "option"))
        return options.tempo
    wish = wishes.tempo
    if wish.feel:
        notes.append(Choice("feel", wish.feel, "words", wish.words if wish.bpm is None else wish.feel))
    if options.bpm is not None:
        notes.append(Choice("tempo", f"{options.bpm} BPM", "option"))
        return (TempoPoint(1, options.bpm),)
    if wish.bpm is not None:
        value = f"{wish.bpm} to {wish.ramp_to} BPM" if wish.ramp_to is not None else f"{wish.bpm} BPM"
        notes.append(Choice("tempo", value, "words", wish.words))
        return (TempoPoint(1, wish.bpm, wish.ramp_to),)
    low, usual, high = style.tempo
    said = wish.tendency is not None
    tendency = wish.tendency if wish.tendency is not None else wishes.mood.tempo
    bpm = Decimal(round(usual + tendency * ((high - usual) if tendency > 0 else (usual - low))))
    words = wish.words if said else wishes.mood.words
    notes.append(
        Choice("tempo", f"{bpm} BPM", "words" if tendency or said else "style", words if tendency or said else "")
    )
    return (TempoPoint(1, bpm),)


def _parts(
    wishes: Wishes, style: Style, options: PlanOptions, meter: Meter, tempo: tuple[TempoPoint, ...], notes: list[Choice]
) -> tuple[Part, ...]:
    if options.sections is not None:
        parts = tuple(Part(s.kind, s.bars, s.meter, True) for s in check_sections(options.sections))
        notes.append(Choice("form", _form_text(parts), "option"))
        return parts
    headed = wishes.quoted.headed
    parts, ordered = draft(wishes.structure, headed, style)
    said = ", ".join(verse.kind for verse in headed) if headed else ", ".join(wishes.structure.words)
    length = wishes.length
    if length.loop:
        parts = (_loop(parts, wishes, style),)
        ordered, said = True, length.words or "loop"
    asked = frozenset(kind for kind, count in wishes.structure.counts.items() if count)
    if length.bars is not None:
        target = length.bars * meter.bar_beats
        parts = fit_exactly(fit(parts, target, meter, not ordered, asked), length.bars)
        _note_length(parts, f"{length.bars} bars", target, meter, length.words, notes)
    elif length.seconds is not None:
        parts, reached = _fit_seconds(parts, length.seconds, meter, tempo, not ordered, asked)
        _note_length(parts, _clock(length.seconds), reached, meter, length.words, notes)
    elif length.scale is not None:
        target = beats_of(parts, meter.bar_beats) * length.scale
        parts = fit(parts, target, meter, not ordered, asked)
        _note_length(parts, "shorter" if length.scale < 1 else "longer", target, meter, length.words, notes)
    check_sections(tuple(SectionSpec(part.kind, part.bars, part.meter) for part in parts))
    notes.append(Choice("form", _form_text(parts), "words" if said else "style", said))
    return parts


def _loop(parts: Sequence[Part], wishes: Wishes, style: Style) -> Part:
    """One section to repeat: of the kind that is named, if one is, else a chorus."""
    named = [kind for kind, count in wishes.structure.counts.items() if count]
    kind = named[0] if len(named) == 1 else "chorus"
    return Part(
        kind, wishes.structure.bars.get(kind, min(8, usual_bars(style)[kind])), wishes.structure.meters.get(kind)
    )


def _fit_seconds(
    parts: tuple[Part, ...],
    seconds: Fraction,
    meter: Meter,
    tempo: tuple[TempoPoint, ...],
    free: bool,
    kept: frozenset[str],
) -> tuple[tuple[Part, ...], Fraction]:
    """Fit to a time. Where the tempo changes, beats depend on the form and the form on beats: a few rounds settle."""
    target = seconds * Fraction(tempo[0].bpm) / 60
    best, best_off = parts, math.inf
    for _ in range(5):
        fitted = fit(parts, target, meter, free, kept)
        lasting = _seconds(fitted, meter, tempo)
        off = abs(lasting - float(seconds))
        if off < best_off:
            best, best_off = fitted, off
        if len(tempo) == 1 and tempo[0].ramp_to is None:
            break
        target = target * Fraction(float(seconds) / lasting).limit_denominator(10_000)
    beats = beats_of(best, meter.bar_beats)
    return best, beats * Fraction(float(seconds) / _seconds(best, meter, tempo)).limit_denominator(10_000)


def _seconds(parts: Sequence[Part], meter: Meter, tempo: tuple[TempoPoint, ...]) -> float:
    starts, at = [], Fraction(0)
    for part in parts:
        for _ in range(part.bars):
            starts.append(at)
            at += (part.meter or meter).bar_beats
    return TempoMap.build(tempo, [*starts, at]).seconds(at)


def _note_length(
    parts: Sequence[Part], asked: str, target: Fraction, meter: Meter, words: str, notes: list[Choice]
) -> None:
    off = float((beats_of(parts, meter.bar_beats) - target) / meter.bar_beats)
    near = (
        asked if abs(off) <= TOLERANCE else f"{asked} asked; the sections that were asked for come to {off:+.0f} bars"
    )
    notes.append(Choice("length", near, "words", words))


def _note_unreached(tempo: tuple[TempoPoint, ...], parts: Sequence[Part], notes: list[Choice]) -> None:
    """Name the points of a tempo map that the song ends before."""
    bars = sum(part.bars for part in parts)
    beyond = " ".join(str(point) for point in tempo if point.bar > bars)
    if beyond:
        notes.append(Choice("tempo not reached", f"{beyond}, for the song ends with bar {bars}", "option"))


def _sections(
    parts: Sequence[Part], wishes: Wishes, style: Style, meter: Meter, key: Key, seed: int, notes: list[Choice]
) -> tuple[Section, ...]:
    kinds = [part.kind for part in parts]
    keys = _keys(kinds, wishes, key, notes)
    places = [
        Place(
            part.kind, part.bars, part.meter or meter, keys[i] or key,
            before_chorus=i + 1 < len(parts) and kinds[i + 1] == "chorus", last=i + 1 == len(parts),
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip
    if len(places) == 1:
        # A loop goes round: it is not made to end.
        places = [replace(places[0], last=False)]
    chords = harmonise(places, style, seed)
    levels = energies(kinds, style.energy, wishes.mood.energy, wishes.structure.energies)
    notes.append(Choice("chords", _chord_text(kinds, chords), "style"))
    return tuple(
        Section(
            id=f"s{i + 1:02}-{part.kind}",
            kind=part.kind,
            bars=part.bars,
            meter=part.meter if part.meter != meter else None,
            key=keys[i],
            energy=levels[i],
            chords=chords[i],
            prompt=_section_prompt(part.kind, wishes),
            lyrics=part.lyrics,
        )
        for i, part in enumerate(parts)
    )  # fmt: skip


def _keys(kinds: Sequence[str], wishes: Wishes, key: Key, notes: list[Choice]) -> list[Key | None]:
    """The key of each section where it is not the song's: a lifted last chorus and what follows it."""
    keys: list[Key | None] = [None] * len(kinds)
    choruses = [i for i, kind in enumerate(kinds) if kind == "chorus"]
    if wishes.key.lift and choruses:
        lifted = lift(key, wishes.key.lift)
        keys[choruses[-1] :] = [lifted] * (len(kinds) - choruses[-1])
        notes.append(Choice("key of the last chorus", str(lifted), "words", wishes.key.lift_words))
    return keys


def lift(key: Key, semitones: int) -> Key:
    """The key so many semitones higher, spelled with the fewest sharps or flats."""
    wanted = (key.tonic_pitch_class + semitones) % 12
    names = ("C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B")
    keys = [Key(name, key.mode) for name in names]
    return min((k for k in keys if k.tonic_pitch_class == wanted), key=lambda k: (abs(k.fifths), k.tonic))


def _section_prompt(kind: str, wishes: Wishes) -> str:
    """What the words say of this kind alone: "no drums", "piano"."""
    own = [("no " if part.no else "") + part.name for part in wishes.parts.parts if part.kind == kind]
    return ", ".join(dict.fromkeys(own))


def _form_text(parts: Sequence[Part]) -> str:
    return " ".join(f"{part.kind}:{part.bars}" + (f"@{part.meter}" if part.meter else "") for part in parts)


def _chord_text(kinds: Sequence[str], chords: Sequence[tuple[object, ...]]) -> str:
    """The first chords of each kind, once."""
    shown: dict[str, str] = {}
    for kind, spans in zip(kinds, chords, strict=True):
        shown.setdefault(kind, " ".join(str(getattr(span, "chord", "")) for span in spans[:4]))
    return "; ".join(f"{kind} {text}" for kind, text in shown.items())


def _clock(seconds: Fraction) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"
