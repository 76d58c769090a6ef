"""Drum kits on General MIDI's drum keys: acoustic ones from the soundfont, electronic ones from one-shots.

`assets/kits.toml` says which sound lies on which key. A one-shot plays to its end whatever the length of
the note; a choke group (hats) ends what its previous hit still rings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.band.sound.cache import ByteCache
from models.band.sound.effects.tone import remove_dc
from models.band.sound.index import ASSETS, find_preset
from models.band.sound.mixing import add, choke_frames, choked
from models.band.sound.onsets import lead_frames
from models.band.sound.pitching import lowpassed, transposed
from models.band.sound.sampler import FontVoice, bundled_font, font_voice
from models.band.sound.voice import Hit, SoundError, Voice, VoiceError, checked_hits, checked_rate

CACHE_BYTES = 48 << 20
MAX_RING_SECONDS = 6.0
_HELD_SECONDS = 4.0  # how long the key of a borrowed soundfont piece is held
_VELOCITY_STEP = 4
_RAMP_SECONDS = 0.00015
_END_DB = -70.0
_shots = ByteCache(CACHE_BYTES)


class KitError(SoundError):
    """A kit file or a one-shot that cannot be used."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one key of a kit plays: the one-shot `sample`, or key `font_key` of the soundfont preset `font`.

    gain in dB; tune in semitones; pan -1 (left) to 1; `choke` names a group of which one piece sounds at a
    time;
    lowpass in Hz and length in seconds, 0 for none; sharp: the attack is put on the frame.
    """

    sample: str = ""
    font: str = ""
    font_key: int = 0
    gain: float = 0.0
    tune: float = 0.0
    pan: float = 0.0
    choke: str = ""
    lowpass: float = 0.0
    length: float = 0.0
    reverse: bool = False
    sharp: bool = True


@dataclass(frozen=True)
class Kit:
    """A kit of one-shots, or (when `preset` is set) a drum preset of the soundfont as it is."""

    name: str
    says: str
    preset: str
    trim_db: float
    pieces: dict[int, Piece]


@cache
def kits() -> dict[str, Kit]:
    """Return every bundled kit by name, in the order of the file."""
    with (ASSETS / "kits.toml").open("rb") as file:
        return {name: _kit(name, row) for name, row in tomllib.load(file)["kit"].items()}


@cache
def kit_voice(name: str, rate: int) -> Voice:
    """Return a kit as a voice, the same object each time; raise `VoiceError` for a name not in `kits.toml`."""
    if name not in kits():
        raise VoiceError(f"no drum kit named {name!r}; choose one of: {', '.join(kits())}")
    kit = kits()[name]
    return font_voice(kit.preset, rate) if kit.preset else KitVoice(kit, rate)


class KitVoice:
    """A kit of one-shots as a `Voice`."""

    def __init__(self, kit: Kit, rate: int) -> None:
        """Play `kit` at `rate` frames a second."""
        self.rate = checked_rate(rate)
        self._kit = kit
        self._gain = 10.0 ** (kit.trim_db / 20.0)
        self._fonts: dict[str, FontVoice] = {}

    def keys(self) -> frozenset[int]:
        """Return the keys that sound."""
        return frozenset(self._kit.pieces)

    def render(self, hits: Sequence[Hit], frames: int) -> NDArray[np.float32]:
        """Return the hits as (2, frames); raise `VoiceError` for a key that the kit does not have."""
        out = np.zeros((2, frames), np.float32)
        ordered = checked_hits(hits, frames)
        pieces = [self._piece(hit.key) for hit in ordered]
        stops = choke_frames(
            (hit.frame, piece.choke) for hit, piece in zip(ordered, pieces, strict=True) if piece.choke
        )
        for hit, piece in zip(ordered, pieces, strict=True):
            if hit.frame >= frames:
                continue
            sound, loudness = self._sound(hit.key, hit.velocity)
            stop = stops.get((hit.frame, piece.choke))
            if stop is not None and stop - hit.frame < sound.shape[1]:
                sound = choked(sound.copy(), stop - hit.frame, self.rate)
            loudness *= self._gain * 10.0 ** (piece.gain / 20.0)
            left, right = min(1.0, 1.0 - piece.pan), min(1.0, 1.0 + piece.pan)
            add(out, hit.frame, sound, loudness * left, loudness * right)
        return out

    def tail_frames(self) -> int:
        """Return an upper bound in frames: no piece of a kit rings longer. To know the longest, all would be loaded."""
        return round(MAX_RING_SECONDS * self.rate)

    def _piece(self, key: int) -> Piece:
        if key not in self._kit.pieces:
            keys = sorted(self._kit.pieces)
            raise VoiceError(f"kit {self._kit.name} has nothing on key {key}; it plays keys {keys[0]} to {keys[-1]}")
        return self._kit.pieces[key]

    def _sound(self, key: int, velocity: int) -> tuple[NDArray[np.float32], float]:
        """Return the stereo sound of a key, ready but for its gains, and the gain that velocity gives it.

        Loudness follows SF2's velocity curve, (velocity / 127) squared, for one-shots and soundfont pieces
        alike.
        """
        piece = self._kit.pieces[key]
        rounded = 127
        if piece.font:
            rounded = min(127, velocity // _VELOCITY_STEP * _VELOCITY_STEP + _VELOCITY_STEP // 2)
        place = (self._kit.name, key, rounded, self.rate)
        known = _shots.get(place)
        if known is None:
            known = (self._made(piece, rounded),)
            _shots.put(place, known)
        return known[0], (velocity / rounded) ** 2

    def _made(self, piece: Piece, velocity: int) -> NDArray[np.float32]:
        rate = self.rate
        channels = self._borrowed(piece, velocity) if piece.font else _one_shot(piece, rate)
        if piece.lowpass:
            channels = np.stack([lowpassed(x, np.array([piece.lowpass]), 0.0, rate) for x in channels])
        if piece.reverse:
            channels = channels[:, ::-1]
        loudest = np.abs(channels).max(axis=0)
        lead = lead_frames(loudest, rate, piece.sharp)
        audible = np.flatnonzero(loudest > 10.0 ** (_END_DB / 20.0))
        last = int(audible[-1]) + 1 if len(audible) else lead + 1
        if piece.length:
            last = min(last, lead + int(piece.length * rate))
        longest = lead + int(MAX_RING_SECONDS * rate)
        too_long, last = last > longest, min(last, longest)
        out = np.array(channels[:, lead : max(last, lead + 1)], np.float32)
        count = out.shape[1]
        if lead:
            ramp = min(count, int(_RAMP_SECONDS * rate))
            out[:, :ramp] *= np.linspace(0.0, 1.0, ramp + 1, dtype=np.float32)[1:]
        fade = min(count, count // 2 if piece.length else int((1.0 if too_long else 0.003) * rate))
        out[:, count - fade :] *= (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, fade))).astype(np.float32)
        return out

    def _borrowed(self, piece: Piece, velocity: int) -> NDArray[np.float32]:
        if piece.font not in self._fonts:
            preset = find_preset(piece.font)
            self._fonts[piece.font] = FontVoice(
                bundled_font(), preset.bank, preset.program, self.rate, sharp=preset.sharp
            )
        held = int(_HELD_SECONDS * self.rate)
        room = int(MAX_RING_SECONDS * self.rate)
        sound = self._fonts[piece.font].render([Hit(0, held, piece.font_key, velocity)], room)
        if piece.tune:
            sound = np.stack([transposed(x, 2.0 ** (piece.tune / 12.0)) for x in sound])
        return sound


def _one_shot(piece: Piece, rate: int) -> NDArray[np.float32]:
    """Return a one-shot as (2, frames) at `rate`, tuned, and centred: some recordings drift or lean to one side."""
    data, source_rate = _read(piece.sample)
    ratio = 2.0 ** (piece.tune / 12.0) * source_rate / rate
    channels = [transposed(channel, ratio) for channel in data]
    return remove_dc(np.stack([channels[0], channels[-1]]), rate)


def _read(name: str) -> tuple[NDArray[np.float32], int]:
    """Return a one-shot file as (channels, frames) and its rate."""
    import soundfile

    found = sorted((ASSETS / "oneshots").glob(f"{name}.*"))
    if not found:
        raise KitError(f"one-shot {name!r} is missing from the installation; install the package again")
    try:
        data, rate = soundfile.read(found[0], dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise KitError(f"one-shot {found[0].name} cannot be read; install the package again") from error
    return np.ascontiguousarray(data.T), int(rate)


def _kit(name: str, row: dict[str, Any]) -> Kit:
    """Build a kit from its table: keys that it does not name are borrowed from the preset in `base`."""
    pieces = {}
    if "base" in row:
        pieces = {key: Piece(font=row["base"], font_key=key, gain=row.get("base_gain", 0.0)) for key in range(35, 82)}
    for key, spec in row.get("pieces", {}).items():
        pieces[int(key)] = Piece(**spec)
    return Kit(name, row["says"], row.get("preset", ""), float(row.get("trim_db", 0.0)), pieces)
