"""Plays notes of a soundfont preset offline.

Each note is the sum of its zones. The costly part of a zone (decoding, pitch, filter, envelope) is made
once for a key and a rounded velocity and kept; a further note costs a gain, a release and an add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.band.sound import font as sf
from models.band.sound.cache import ByteCache, kept_length
from models.band.sound.font import Font
from models.band.sound.index import ASSETS, Preset, find_preset
from models.band.sound.mixing import add, choke_frames, choked, held_frames
from models.band.sound.onsets import lead_frames
from models.band.sound.tones import Tone, gain, resolve
from models.band.sound.voice import Hit, Voice, VoiceError, checked_hits, checked_rate

CACHE_BYTES = 64 << 20
MAX_TAIL_SECONDS = 6.0
_VELOCITY_STEP = 4  # a filter or envelope that follows velocity does so in steps of this size
_TAIL_DB = 60.0
_HEAD_SECONDS = 0.25
_HEAD_BYTES = 8 << 20
_RAMP_SECONDS = 0.00015
_tones = ByteCache(CACHE_BYTES)
_heads = ByteCache(_HEAD_BYTES)


@dataclass(frozen=True, slots=True)
class _Part:
    """A zone ready to sound for one key and rounded velocity.

    `trim` source frames are left out before the envelopes begin; `skip` output frames are left out after
    them.
    """

    zone: int
    key: int
    velocity: int
    trim: int
    skip: int
    tone: Tone = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Note:
    """One hit on one part."""

    frame: int
    held: int
    gain: float
    stop: int | None  #: frames after the onset at which a choke begins


class FontVoice:
    """A preset of a soundfont as a `Voice`."""

    def __init__(
        self, font: Font, bank: int, program: int, rate: int, trim_db: float = 0.0, sharp: bool = True
    ) -> None:
        """Play `bank`:`program` of `font` at `rate` frames a second, `trim_db` louder.

        sharp: notes are struck or plucked, so each starts with its attack on the very frame; otherwise only
        silence before the sound is left out and a slow rise is kept.
        """
        self.rate = checked_rate(rate)
        self._font = font
        self._zones = font.zones(bank, program)
        self._place = (font, bank, program, rate, sharp)
        self._name = f"preset {bank}:{program} ({font.presets[bank, program]})"
        self._gain = 10.0 ** (trim_db / 20.0)
        self._sharp = sharp
        self._parts: dict[tuple[int, int], tuple[_Part, ...]] = {}
        self._tones: dict[tuple[int, int, int], Tone] = {}
        self._tail = 0
        self._follows_velocity = [
            any(m.depends_on_velocity() and m.destination != sf.ATTENUATION for m in zone.modulators)
            for zone in self._zones
        ]

    def keys(self) -> frozenset[int]:
        """Return the keys that sound."""
        return frozenset(key for zone in self._zones for key in range(zone.keys[0], zone.keys[1] + 1))

    def render(self, hits: Sequence[Hit], frames: int) -> NDArray[np.float32]:
        """Return the hits as (2, frames); raise `VoiceError` for a key that the preset does not have."""
        out = np.zeros((2, frames), np.float32)
        for part, notes in self._scheduled(checked_hits(hits, frames)).items():
            self._mix(out, part, [note for note in notes if note.frame < frames])
        return out

    def tail_frames(self) -> int:
        """Return the longest time, in frames, that a note of the preset is heard after its key is let go."""
        if not self._tail:
            self._tail = self._longest_tail()
        return self._tail

    def _longest_tail(self) -> int:
        longest = 0.0
        for number, zone in enumerate(self._zones):
            key = min(max(60, zone.keys[0]), zone.keys[1])
            tone = self._tone(number, key, 100)
            seconds = tone.volume.release * _TAIL_DB / 96.0
            if tone.loop is None:
                seconds = min(seconds, (tone.stop - tone.first) * tone.seconds_per_frame)
            longest = max(longest, seconds)
        return int(min(longest, MAX_TAIL_SECONDS) * self.rate) + 1

    def _scheduled(self, hits: list[Hit]) -> dict[_Part, list[_Note]]:
        """Return every part that sounds with its notes, parts in order of first use."""
        held = held_frames(hits)
        parts = [self._struck(hit) for hit in hits]
        stops = choke_frames(
            (hit.frame, part.tone.exclusive)
            for hit, struck in zip(hits, parts, strict=True)
            for part in struck
            if part.tone.exclusive
        )
        plan: dict[_Part, list[_Note]] = {}
        for hit, length, struck in zip(hits, held, parts, strict=True):
            for part in struck:
                stop = stops.get((hit.frame, part.tone.exclusive))
                loudness = gain(self._zones[part.zone], hit.key, hit.velocity) * self._gain
                note = _Note(hit.frame, length, loudness, None if stop is None else stop - hit.frame)
                plan.setdefault(part, []).append(note)
        return plan

    def _struck(self, hit: Hit) -> tuple[_Part, ...]:
        """Return the parts that a hit sounds, trimmed alike so that they stay in phase."""
        place = (hit.key, hit.velocity)
        known = self._parts.get(place)
        if known is not None:
            return known
        numbers = tuple(n for n, zone in enumerate(self._zones) if zone.matches(hit.key, hit.velocity))
        if not numbers:
            keys = self.keys()
            raise VoiceError(
                f"{self._name} has no sound at key {hit.key}, velocity {hit.velocity}; "
                f"it plays keys {min(keys, default=0)} to {max(keys, default=0)}"
            )
        rounded = [self._rounded(n, hit.velocity) for n in numbers]
        tones = [self._tone(n, hit.key, hit.velocity) for n in numbers]
        common = min(self._lead_seconds(tone) for tone in tones)
        trims = [round(common / tone.seconds_per_frame) for tone in tones]
        skip = self._slow_start(numbers, tones, trims, hit) if self._sharp else 0
        parts = tuple(
            _Part(n, hit.key, velocity, trim, skip, tone)
            for n, velocity, trim, tone in zip(numbers, rounded, trims, tones, strict=True)
        )
        self._parts[place] = parts
        return parts

    def _tone(self, number: int, key: int, velocity: int) -> Tone:
        """Return the tone of a zone, which is the same for all velocities that are rounded alike."""
        place = (number, key, self._rounded(number, velocity))
        if place not in self._tones:
            self._tones[place] = resolve(self._font, self._zones[number], key, place[2], self.rate)
        return self._tones[place]

    def _slow_start(self, numbers: Sequence[int], tones: Sequence[Tone], trims: Sequence[int], hit: Hit) -> int:
        """Return the output frames that filters and envelopes still put before a struck note's attack."""
        count = int(_HEAD_SECONDS * self.rate)
        head = np.zeros((2, count), np.float32)
        for number, tone, trim in zip(numbers, tones, trims, strict=True):
            loudness = gain(self._zones[number], hit.key, hit.velocity)
            # Only the loudness differs between velocities that share a tone.
            place = (*self._place, number, hit.key, self._rounded(number, hit.velocity), trim)
            known = _heads.get(place)
            if known is None:
                frames = tone.frames(self._font, self.rate, trim, count, count)
                known = (frames * tone.volume.gain(len(frames), self.rate),)
                _heads.put(place, known)
            add(head, 0, known[0], tone.left * loudness, tone.right * loudness)
        return lead_frames(np.abs(head).max(axis=0), self.rate, sharp=True)

    def _rounded(self, number: int, velocity: int) -> int:
        """Return the velocity at which a zone's tone is made: one for all unless the tone follows it."""
        soft, loud = self._zones[number].velocities
        if not self._follows_velocity[number]:
            return min(max(100, soft), loud)
        rounded = velocity // _VELOCITY_STEP * _VELOCITY_STEP + _VELOCITY_STEP // 2
        return min(max(rounded, soft, 1), loud)

    def _lead_seconds(self, tone: Tone) -> float:
        rate = 1.0 / tone.seconds_per_frame
        data = self._font.sample(tone.sample, tone.first + int(rate / 4)).data[tone.first : tone.stop]
        return lead_frames(data, rate, self._sharp) * tone.seconds_per_frame

    def _mix(self, out: NDArray[np.float32], part: _Part, notes: list[_Note]) -> None:
        if not notes:
            return
        tone, rate, room = part.tone, self.rate, out.shape[1]
        release = tone.volume.release_gain(rate)
        longest = max(min(note.held + len(release), room - note.frame) for note in notes)
        if not tone.tail_after_loop:
            free = self._made(part, kept_length(longest, rate))
        for note in notes:
            if tone.tail_after_loop:
                free = self._fresh(part, note.held + len(release), note.held)
            total = min(note.held + len(release), room - note.frame, len(free))
            if note.stop is not None:
                total = min(total, note.stop + rate)
            held = min(note.held, total)
            envelope = tone.volume.gain(part.skip + len(free), rate)[part.skip :]
            segment = np.empty(total, np.float32)
            np.multiply(free[:held], envelope[:held], out=segment[:held])
            if total > held:
                np.multiply(free[held:total], release[: total - held], out=segment[held:])
                segment[held:] *= np.float32(tone.volume.level(note.held + part.skip, rate))
            if note.stop is not None:
                segment = choked(segment, note.stop, rate)
            add(out, note.frame, segment, note.gain * tone.left, note.gain * tone.right)

    def _made(self, part: _Part, count: int) -> NDArray[np.float32]:
        """Return `count` frames of a part, or all until it ends, without its volume envelope."""
        place = (*self._place, part, count)
        known = _tones.get(place)
        if known is None:
            known = (self._fresh(part, count, count),)
            _tones.put(place, known)
        return known[0]

    def _fresh(self, part: _Part, count: int, held: int) -> NDArray[np.float32]:
        skip = part.skip
        free = part.tone.frames(self._font, self.rate, part.trim, count + skip, held + skip)
        if skip:
            free = free[skip:].copy()
            ramp = min(len(free), int(_RAMP_SECONDS * self.rate))
            free[:ramp] *= np.linspace(0.0, 1.0, ramp + 1, dtype=np.float32)[1:]
        return free


@cache
def bundled_font() -> Font:
    """Return the soundfont that comes with the band, opened once."""
    return Font.open(Path(ASSETS / "general.sf3"))


@cache
def font_voice(program: str | tuple[int, int], rate: int) -> Voice:
    """Return a bundled preset as a voice, by its name in `assets/presets.toml` or by (bank, program)."""
    preset: Preset = find_preset(program)
    return FontVoice(bundled_font(), preset.bank, preset.program, rate, trim_db=preset.trim_db, sharp=preset.sharp)
