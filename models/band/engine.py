"""The embedded band as an engine: composes a cell in a style and plays it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from models.api import Audio, Cancel, Cancelled, EngineError, EngineInfo, Note, StemRequest, StemResult, never_cancelled
from models.band import instruments
from models.band.asked import asked_for, in_reach, is_silent
from models.band.compose import PARTS, compose
from models.band.compose.draw import stream
from models.band.compose.drums import kick_starts
from models.band.sound.cache import clear_all
from models.band.sound.effects import Chain, EffectError, parse_chain
from models.band.sound.voice import Hit
from models.styles import Style, StyleError, load_style, style_digest
from models.timing import CellClock

VERSION = "3"
"""Goes up whenever the same request would sound different."""
LICENCE = "CC0-1.0"
LONGEST_TAIL = 12.0
"""Seconds. What still rings after this is faded away."""
SILENCE = 1e-4
"""-80 dBFS: a tail below this is not kept."""
_SCANNED = 1 << 14
"""Frames looked through at a time for the end of a tail."""


class Band:
    """Plays drums, bass, harmony, lead and fx in every style of models.styles; needs no weights."""

    info = EngineInfo(
        name="band", version=VERSION, roles=tuple(PARTS), composes=True, light=True, code_licence="Apache-2.0",
        output_licence=LICENCE,
    )  # fmt: skip

    def compose(self, request: StemRequest) -> tuple[Note, ...]:
        """The notes of a cell; deterministic in the request."""
        style = _style(request)
        if is_silent(request.role, request.prompt):
            return ()
        return in_reach(compose(request, style), layer_names(request, style), request.beats)

    def release(self) -> None:
        """Give back the memory that only makes the next request faster."""
        clear_all()

    def generate(self, request: StemRequest, cancel: Cancel = never_cancelled) -> StemResult:
        """Compose (unless the request brings notes) and play. Raises EngineError, or Cancelled between steps."""
        if request.role not in PARTS:
            raise EngineError(f"the band does not play {request.role}; it plays {', '.join(PARTS)}")
        style = _style(request)
        notes = request.notes if request.notes is not None else self.compose(request)
        layers = layer_names(request, style)
        chain = _chain(style, request.role)
        audio = _play(request, notes, layers, chain, cancel)
        return StemResult(
            rate=request.rate, seed=request.seed, engine="band", version=VERSION, audio=audio, notes=notes,
            layers=tuple((name, instruments.program(name)) for name in layers),
            parameters=_parameters(request, style, layers),
            licence=LICENCE,
        )  # fmt: skip


def _parameters(request: StemRequest, style: Style, layers: tuple[str, ...]) -> dict[str, Any]:
    """All that decided the take beside its seed and its notes, as plain values."""
    place = request.place
    return {
        "style": style.name, "style_digest": style_digest(style.name), "instruments": list(layers),
        "prompt": request.prompt, "song_seed": request.song_seed, "key": request.key,
        "meter": f"{request.meter[0]}/{request.meter[1]}", "pickup": str(request.pickup),
        "tempo": [f"{float(span.bpm):g}..{float(span.bpm_end):g} for {span.beats} beats" for span in request.tempo],
        "chords": [f"{chord.start} {chord.symbol}" for chord in request.chords],
        "section": f"{place.kind} {place.occurrence + 1} of {place.occurrences}, {place.bars} bars",
        "energy": place.energy,
    }  # fmt: skip


def _style(request: StemRequest) -> Style:
    try:
        return load_style(request.style)
    except StyleError as error:
        raise EngineError(str(error)) from error


@lru_cache(maxsize=256)
def _chain_of(style: str, role: str) -> Chain:
    try:
        return parse_chain(dict(load_style(style).mix[role].chain), f"{style}.toml: mix: {role}")
    except EffectError as error:
        raise EngineError(str(error)) from error


def _chain(style: Style, role: str) -> Chain:
    return _chain_of(style.name, role)


def layer_names(request: StemRequest, style: Style) -> tuple[str, ...]:
    """The instruments of a stem's layers: the same in every cell of a song.

    Instruments that the prompt names take the place of the style's from the first layer on; those it will not have
    are played by others where the style knows any.
    """
    wanted, unwanted = asked_for(request.role, request.prompt)
    drawn = _drawn(request, style, unwanted)
    asked = wanted[: len(drawn)]
    if request.role == "lead" and asked:
        asked = [asked[0], asked[-1]]
    names = [*asked, *drawn[len(asked) :]]
    displaced = [name for name in drawn[: len(asked)] if name not in names]
    for index in range(len(asked), len(names)):
        if names[index] in asked and displaced:  # the style has it in another layer: the two change places
            names[index] = displaced.pop(0)
    return tuple(names)


def _drawn(request: StemRequest, style: Style, unwanted: set[str]) -> tuple[str, ...]:
    """What the style's instruments are in this song: no two layers of chords alike, and a lead that is neither."""

    def pick(names: tuple[str, ...], *purpose: object, taken: tuple[str, ...] = ()) -> str:
        fitting = [n for n in names if n not in unwanted and n not in taken]
        choosable = fitting or [n for n in names if n not in unwanted] or list(names)
        return stream("instrument", request.song_seed, style.name, *purpose).choice(choosable)

    if request.role == "drums":
        return (pick(tuple(f"kit:{kit}" for kit in style.drums.kits), "drums"),)
    if request.role == "bass":
        return (pick(style.bass.instruments, "bass"),)
    if request.role == "fx":
        return ("fx",)
    chords: tuple[str, ...] = ()
    for index, layer in enumerate(style.harmony.layers):
        chords = (*chords, pick(layer.instruments, "harmony", index, taken=chords))
    if request.role == "harmony":
        return chords
    return (pick(style.lead.instruments, "lead", taken=chords),) * 2  # a doubling is the same instrument


def _play(
    request: StemRequest, notes: tuple[Note, ...], layers: tuple[str, ...], chain: Chain, cancel: Cancel
) -> Audio:
    clock = CellClock.of(request)
    bpm = clock.bpm()
    tail = min(chain.tail_seconds(bpm), LONGEST_TAIL)
    used = sorted({note.layer for note in notes})
    voices = {layer: instruments.voice(_layer(layers, layer), request.rate, round(bpm, 3)) for layer in used}
    ring = max((voice.tail_frames() for voice in voices.values()), default=0)
    frames = request.frames + min(ring + round(tail * request.rate), round(LONGEST_TAIL * request.rate))
    audio: Audio | None = None
    for layer, voice in voices.items():
        if cancel():
            raise Cancelled("cancelled")
        rendered = voice.render(_hits(notes, layer, clock), frames)
        if audio is None:
            audio = rendered
        else:
            audio += rendered
    if audio is None:
        audio = np.zeros((2, frames), np.float32)
    if cancel():
        raise Cancelled("cancelled")
    # What has died away needs no effects: usually that is most of the room that was left for ringing.
    sounding = min(_end(audio, request.frames) + round(tail * request.rate), frames)
    triggers = [clock.frame(start) for start in kick_starts(request.context)]
    played = audio[:, :sounding]
    return _trimmed(chain.apply(played, request.rate, bpm, triggers, out=played), request.frames, request.rate)


def _layer(layers: tuple[str, ...], layer: int) -> str:
    if layer >= len(layers):
        raise EngineError(f"a note asks for layer {layer}; this stem has {len(layers)}")
    return layers[layer]


def _hits(notes: tuple[Note, ...], layer: int, clock: CellClock) -> list[Hit]:
    hits: list[Hit] = []
    for note in notes:
        if note.layer == layer:
            start = clock.frame(note.start)
            hits.append(Hit(max(start, 0), max(clock.frame(note.end) - start, 1), note.pitch, note.velocity))
    return hits


def _end(audio: Audio, frames: int) -> int:
    """The frame after the last one that is heard; at least `frames`."""
    for start in reversed(range(frames, audio.shape[1], _SCANNED)):  # mostly silence, told by its extremes
        part = audio[:, start : start + _SCANNED]
        if part.max() > SILENCE or part.min() < -SILENCE:
            return start + int(np.flatnonzero(np.abs(part).max(axis=0) > SILENCE)[-1]) + 1
    return frames


def _trimmed(audio: Audio, frames: int, rate: int) -> Audio:
    """The audio without the silence after its tail; the last 20 ms before the cut fade to zero."""
    end = _end(audio, frames)
    fade = min(round(0.02 * rate), end - frames)
    audio = audio[:, :end]  # of the memory behind it little is lost, and a copy would take as long as an effect
    if fade:
        audio[:, end - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return audio
