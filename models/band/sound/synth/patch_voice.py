"""A patch as a Voice: a distinct note is rendered once, a hit then costs a slice, a gain and an add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.band.sound.cache import ByteCache, kept_length
from models.band.sound.synth import curves
from models.band.sound.synth.note import NoteId, note_length, render_note
from models.band.sound.synth.patch import Patch, load_patch
from models.band.sound.synth.wavetable import Floats
from models.band.sound.voice import Hit, checked_hits, checked_rate

_LAYERS = 5
_CACHE_BYTES = 32 << 20  # a song has several voices at once
_CUT_SECONDS = 0.004  # how fast a mono patch lets go of the last note
_SLIDE_SECONDS = 0.005  # notes that overlap by this are meant to slide, less is loose timing


@dataclass(frozen=True)
class _Play:
    """A hit and what the notes around it make of it: where it is cut off, and the key a glide starts at."""

    hit: Hit
    note: NoteId
    frames: int  # it sounds, release included
    cut: int | None  # frames after the onset at which the next note of a mono patch begins


class PatchVoice:
    """Plays one patch at one rate. `bpm` sets the pace of tempo-bound LFOs."""

    def __init__(self, patch: Patch, rate: int, bpm: float = 120.0):
        self.rate = checked_rate(rate)
        self.patch = patch
        self._bpm = bpm
        self._release = max(1, round(patch.amp.release_ms * rate / 1000))
        self._fade = curves.release(self._release)
        self._layered = (patch.filter is not None and patch.filter.velocity_octaves > 0.0) or any(
            o.index_velocity > 0.0 for o in patch.fm
        )
        self._cache = ByteCache(_CACHE_BYTES)

    def tail_frames(self) -> int:
        """Release, and what the chorus holds back."""
        return self._release + (round(0.05 * self.rate) if self.patch.chorus else 0)

    def render(self, hits: Sequence[Hit], frames: int) -> Floats:
        """Play `hits` into (2, frames) float32; see `Voice.render`."""
        out = np.zeros((2, frames), np.float32)
        plays = self._plays([hit for hit in checked_hits(hits, frames) if hit.frame < frames])
        needed: dict[NoteId, int] = {}
        for play in plays:
            needed[play.note] = max(needed.get(play.note, 0), play.frames)
        # All uses of a note together: the cache then holds it once, however many notes there are.
        for play in sorted(plays, key=lambda p: (p.note.key, p.note.from_key, p.note.strength, _order(p.hit))):
            self._add(out, play, self._note(play.note, needed[play.note]))
        if self.patch.chorus is not None:
            from models.band.sound.effects.echo import chorus

            ensemble = self.patch.chorus
            out = chorus(out, self.rate, ensemble.depth_ms, ensemble.hz, ensemble.mix)
        return out

    def _plays(self, hits: list[Hit]) -> list[_Play]:
        plays = []
        overlap = round(_SLIDE_SECONDS * self.rate)
        for place, hit in enumerate(hits):
            from_key, cut = hit.key, None
            if self.patch.mono:
                last = hits[place - 1] if place else None
                if self.patch.glide_ms and last and last.frame + last.frames - overlap >= hit.frame > last.frame:
                    from_key = last.key
                if place + 1 < len(hits):
                    cut = hits[place + 1].frame - hit.frame
                    if cut == 0:  # two notes at once: the last in order is the one that sounds
                        continue
            strength = 100 / 127
            if self._layered:
                strength = (hit.velocity * _LAYERS // 128 + 0.5) * 128 / _LAYERS / 127
            frames = max(1, hit.frames) + self._release
            if cut is not None:
                frames = min(frames, cut + round(_CUT_SECONDS * self.rate))
            plays.append(_Play(hit, NoteId(hit.key, strength, from_key), frames, cut))
        return plays

    def _note(self, note: NoteId, frames: int) -> Floats:
        frames = kept_length(note_length(self.patch, frames, self.rate), self.rate)
        found = self._cache.get((note, frames))
        if found is not None:
            return found[0]
        made = render_note(self.patch, note, frames, self.rate, self._bpm)
        self._cache.put((note, frames), (made,))
        return made

    def _add(self, out: Floats, play: _Play, note: Floats) -> None:
        hit = play.hit
        length = min(play.frames, note.shape[1], out.shape[1] - hit.frame)
        gain = np.float32(10 ** (self.patch.amp.velocity_db * (hit.velocity - 100) / 126 / 20))
        sound = note[:, :length] * gain
        held = max(1, hit.frames)
        if held < length:
            sound[:, held:] *= self._fade[: length - held]
        if play.cut is not None and play.cut < length:
            fade = np.linspace(1.0, 0.0, round(_CUT_SECONDS * self.rate), dtype=np.float32)
            sound[:, play.cut :] *= fade[: length - play.cut]
        out[:, hit.frame : hit.frame + length] += sound


def patch_voice(name: str, rate: int, bpm: float = 120.0) -> PatchVoice:
    """The patch called `name`, ready to play at `rate`.

    Raises `PatchError` if it is unknown or its file is wrong.
    """
    return PatchVoice(load_patch(name), rate, bpm)


def _order(hit: Hit) -> tuple[int, int, int, int]:
    return hit.frame, hit.key, hit.velocity, hit.frames
