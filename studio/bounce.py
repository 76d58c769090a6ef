"""From takes to files: clips on the grid, stems over the whole song, the mix, and the same as MIDI.

Stems are rounded to 24 bits before they are summed, so the stem files add up to the mix file to the last bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from models.styles import load_style
from studio.mix.arrays import Audio, from_db
from studio.mix.curve import Curve, giving_way, hop_peaks, limiting_nodes
from studio.mix.limiter import limit
from studio.mix.loudness import LoudnessMeter
from studio.mix.master import Energies, PlacedTake, solve_master
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.sources import Source, as_source
from studio.mix.tails import TailMode, clip_from_take
from studio.mix.truepeak import true_peak_dbtp
from studio.project.chunks import Loudness, Marker
from studio.project.folder import ProjectFolder, file_name, stem_file
from studio.project.midi import MidiPart, parts_of, write_clip_midi, write_song_midi
from studio.project.wav import ClipInfo, WavInfo, write_clip, write_wav
from studio.song import Clip, Song, Span, Stem, Timeline
from studio.song.edits import PutClips

CLIP_CEILING_DBTP = -1.0
DEFAULT_BALANCE = {"drums": -4.0, "bass": -6.0, "harmony": -9.0, "lead": -9.0, "vocals": -5.0, "fx": -16.0}
"""LU. How loud the roles stand where the song has no style."""
STEPS = 1 << 23

CLOSING_S = 0.25
GIVING_WAY_DB = (-1.05, -1.2, -1.4, -1.7, -2.1, -2.6)
"""Ceilings of samples that `Bounce.giving_way` tries until the peaks between the samples are low enough too."""

Sounds = Mapping[tuple[str, str], Source | Audio]
"""The sound of the take in use by (section id, stem id); cells without sound are left out. Several threads read it."""
Say = Callable[[float, str], None]
"""Told how much is done, 0..1, and what is being done."""


def silent(done: float, words: str) -> None:
    """A `Say` that says nothing."""


@dataclass(frozen=True)
class Mixdown:
    """What was written besides clips: the song with its clips, and where stems and mix lie (relative paths)."""

    song: Song
    stems: Mapping[str, str]
    mix: str
    midi: str


def balance_of(song: Song) -> dict[str, float]:
    """How loud each stem stands by its id, in LU, as the song's style has it."""
    levels = {role: channel.level for role, channel in load_style(song.style).mix.items()} if song.style else {}
    return {stem.id: levels.get(stem.role, DEFAULT_BALANCE[stem.role]) for stem in song.stems}


def with_levels(
    song: Song, sounds: Sounds, energies: Mapping[tuple[str, str], Energies] = MappingProxyType({})
) -> tuple[Song, Curve]:
    """The song with the gain of every stem set for a finished mix, and the curve they share (see `solve_master`).

    `energies` are those of the takes that have been measured already (see `take_energies`).
    """
    timeline = Timeline(song)
    takes = {stem.id: _placed(song, timeline, stem, sounds, energies) for stem in song.stems}
    master = solve_master(takes, timeline.total_frames(song.rate), song.rate, balance_of(song))
    stems = tuple(replace(s, mix=replace(s.mix, gain_db=round(master.gains_db[s.id], 4))) for s in song.stems)
    return replace(song, stems=stems), master.curve


def _placed(
    song: Song, timeline: Timeline, stem: Stem, sounds: Sounds,
    energies: Mapping[tuple[str, str], Energies] = MappingProxyType({}),
) -> list[PlacedTake]:  # fmt: skip
    """A stem's takes at their frames."""
    places = [(span, (span.section.id, stem.id)) for span in timeline.spans]
    return [
        PlacedTake(sounds[key], timeline.frames(span, song.rate)[0], energies.get(key))
        for span, key in places
        if key in sounds
    ]


def _stem_mixer(song: Song, timeline: Timeline, stem: Stem, sounds: Sounds, *, unity: bool = False) -> Mixer:
    """A stem as a mixer with one track, at its gain or at unity."""
    parts = tuple(Placed(take.audio, take.start) for take in _placed(song, timeline, stem, sounds))
    return Mixer([Track(stem.id, parts, gain_db=0.0 if unity else stem.mix.gain_db)], song.rate)


def _whole(sound: Source | Audio) -> Audio:
    source = as_source(sound)
    return source.read(0, source.frames)


def clip_folder(span: Span) -> str:
    """Where a section's clips lie, relative to the project."""
    return f"clips/{span.index + 1:02}-{span.section.kind}"


class Bounce:
    """Writes a song's files into a folder. The song's stems must have their gains; `curve` is the one they share.

    Stems that did not change are read from `existing`, where that is another folder.
    """

    def __init__(
        self, folder: ProjectFolder, song: Song, sounds: Sounds, curve: Curve, say: Say = silent,
        existing: ProjectFolder | None = None,
    ) -> None:  # fmt: skip
        self._folder, self._song, self._sounds, self._say = folder, song, sounds, say
        self._existing = existing or folder
        self.curve = curve
        self._timeline = Timeline(song)
        self._frames = self._timeline.total_frames(song.rate)
        self._markers = tuple(
            Marker(first, span.section.kind, frames)
            for span in self._timeline.spans
            for first, frames in [self._timeline.frames(span, song.rate)]
        )

    def everything(self) -> Mixdown:
        """Write all clips, stems, the mix and the MIDI files."""
        total = np.zeros((2, self._frames), np.int32)
        guard = threading.Lock()
        song, cells = self._song, [(span, stem) for stem in self._song.stems for span in self._timeline.spans]
        cells = [(span, stem) for span, stem in cells if (span.section.id, stem.id) in self._sounds]
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="bounce") as pool:
            # The longest pieces of work first, so that the hands run out of work together.
            works = [pool.submit(self._stem, stem, total, guard) for stem in song.stems]
            works.append(pool.submit(self._song_midi, song))
            clips = [pool.submit(self._clip, span, stem) for span, stem in cells]
            try:
                for done, (work, stem) in enumerate(zip(works, song.stems, strict=False)):
                    work.result()
                    self._say((done + 1) / (len(works) + 2), f"writing {stem.role}")
                self._mix(total)  # here, while the hands are busy with the clips
                written = [clip.result() for clip in clips]
                works[-1].result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # after an error nothing more is begun
        return self._finished(written)

    def cell(self, section: str, stem_id: str) -> Mixdown:
        """Write the clip of one cell, its stem anew, and the mix; the other stems are read from their files.

        Where the others alone have become too loud for each other without the take that was there, `curve` comes down
        there, and all stems are written anew under it; the other clips stay as they are all the same.
        """
        stem, guard = self._song.stem(stem_id), threading.Lock()
        total = self._others(stem)
        self._stem(stem, total, guard)
        lowered = self._lowered(total)
        if lowered is not None:
            self.curve = lowered
            total = np.zeros((2, self._frames), np.int32)
            for every in self._song.stems:
                self._stem(every, total, guard)
        self._song_midi(self._song)
        self._mix(total)
        return self._finished([self._clip(self._timeline.span(section), stem)])

    def _lowered(self, total: NDArray[np.int32]) -> Curve | None:
        """The curve that the stems need for their sum, `total` under the present one, to keep its peak."""
        mix = total.astype(np.float32) / np.float32(STEPS)
        if true_peak_dbtp(mix) <= CLIP_CEILING_DBTP:
            return None
        hop = self.curve.hop
        present = self.curve.gains(0, self._frames + hop)[::hop]
        for ceiling_db in GIVING_WAY_DB:
            nodes = limiting_nodes(hop_peaks(mix, hop), from_db(ceiling_db), self._song.rate / hop)
            if true_peak_dbtp(mix * Curve(nodes, hop).gains(0, self._frames)) <= CLIP_CEILING_DBTP - 0.05:
                break
        return Curve(nodes * present[: len(nodes)], hop)

    def giving_way(self, section: str, stem_id: str) -> Curve | None:
        """The curve of its own that a cell's take needs for the stem and the mix to keep their peak.

        The song's curve was made for other takes; it stays, so that no other clip changes.
        """
        stem, span = self._song.stem(stem_id), self._timeline.span(section)
        first, _ = self._timeline.frames(span, self._song.rate)
        sound = _whole(self._sounds[section, stem_id])
        sound = sound[:, : self._frames - first]
        frames = sound.shape[1]
        gains = self.curve.gains(first, frames) * np.float32(from_db(stem.mix.gain_db))
        neighbours = {key: value for key, value in self._sounds.items() if key[1] == stem_id and key[0] != section}
        rest = _stem_mixer(self._song, self._timeline, stem, neighbours, unity=True).mix(first, frames) * gains
        others = self._others(stem)[:, first : first + frames].astype(np.float32) / np.float32(STEPS)
        company = (rest, rest + others)
        mine = sound * gains
        curve: Curve | None = None
        for ceiling_db in GIVING_WAY_DB:
            curve = giving_way(mine, company, from_db(ceiling_db), self._song.rate)
            now = mine if curve is None else mine * curve.gains(0, frames)
            if max(true_peak_dbtp(now + other) for other in company) <= CLIP_CEILING_DBTP - 0.05:
                break
        return curve

    def _others(self, stem: Stem) -> NDArray[np.int32]:
        total = np.zeros((2, self._frames), np.int32)
        for other in self._song.stems:
            if other.id != stem.id:
                self._add_from_file(other, total)
        return total

    def _finished(self, clips: list[Clip]) -> Mixdown:
        song = PutClips(tuple(clips)).apply(self._song)
        stems = {file_name(song, stem): stem_file(song, stem) for stem in song.stems}
        self._say(1.0, "writing the mix")
        return Mixdown(song, stems, "mix.wav", "song.mid")

    def _song_midi(self, song: Song) -> None:
        write_song_midi(self._folder.file("song.mid"), song, self._timeline, parts_of(song, self._timeline))

    def _clip(self, span: Span, stem: Stem) -> Clip:
        song, timeline = self._song, self._timeline
        take = song.cell(span.section.id, stem.id).take
        if take is None:
            raise ValueError(f"cell {span.section.id}/{stem.id} has sound but no take")
        first, frames = timeline.frames(span, song.rate)
        sound = _whole(self._sounds[span.section.id, stem.id])
        levelled = sound * (self.curve.gains(first, sound.shape[1]) * np.float32(from_db(stem.mix.gain_db)))
        clip = clip_from_take(levelled, frames, cast(TailMode, song.tails), song.rate)
        audio = limit(clip, song.rate, CLIP_CEILING_DBTP)
        name = f"{clip_folder(span)}/{file_name(song, stem)}"
        write_clip(self._folder.file(f"{name}.wav"), audio, song.rate, self._clip_info(span, stem, first, frames))
        midi = None
        if take.notes is not None:
            midi = f"{name}.mid"
            write_clip_midi(
                self._folder.file(midi),
                MidiPart(f"{file_name(song, stem)} {span.section.kind}", take.notes, take.layers),
                beats=span.beats,
                meter=span.meter,
                key=span.section.key or song.key,
                tempo=timeline.tempo.window(span.start, span.end),
                pickup=span.pickup,
            )
        return Clip(
            section=span.section.id, stem=stem.id, take=take.id, path=f"{name}.wav", midi=midi, start_frame=first,
            frames=frames, rate=song.rate, tails=song.tails, tail_frames=audio.shape[1] - frames,
        )  # fmt: skip

    def _clip_info(self, span: Span, stem: Stem, first: int, frames: int) -> ClipInfo:
        song = self._song
        tempo = self._timeline.tempo.window(span.start, span.end)
        bpm = tempo[0].bpm
        return ClipInfo(
            title=f"{song.title} - {span.section.kind} - {file_name(song, stem)}",
            song=song.title,
            style=song.style,
            comment=stem.prompt,
            role=stem.role,
            start_frame=first,
            markers=(Marker(0, span.section.kind, frames),),
            section=span.section.kind,
            section_index=span.index,
            start_bar=span.start_bar,
            bars=span.section.bars,
            beats=span.beats,
            frames=frames,
            bpm=bpm,
            steady=all(segment.bpm == segment.bpm_end == bpm for segment in tempo),
            meter=span.meter,
            key=None if stem.role in ("drums", "fx") else span.section.key or song.key,
            loops=song.tails == "wrap",
        )

    def _stem(self, stem: Stem, total: NDArray[np.int32], guard: threading.Lock) -> None:
        """Stream a stem to its file, adding it to `total` on the 24-bit grid."""
        song = self._song
        mixer = _stem_mixer(song, self._timeline, stem, self._sounds)
        info = WavInfo(f"{song.title} - {file_name(song, stem)}", song.title, song.style, stem.prompt, stem.role,
                       markers=self._markers)  # fmt: skip

        def blocks() -> Iterator[Audio]:
            at = 0
            for block in mixer.blocks(self._frames):
                gains = self.curve.gains(at, block.shape[1])
                self._close(gains, at)
                grid: Audio = np.rint(block * (gains * np.float32(STEPS)))
                np.clip(grid, -STEPS, STEPS - 1, out=grid)
                with guard:
                    total[:, at : at + grid.shape[1]] += grid.astype(np.int32)
                at += grid.shape[1]
                yield grid / np.float32(STEPS)

        path = self._folder.file(stem_file(self._song, stem))
        write_wav(path, blocks(), song.rate, channels=2, frames=self._frames, info=info)

    def _close(self, gains: NDArray[np.float32], start: int) -> None:
        """Take gains from frame `start` on to zero in the song's last moment: what still rings there is faded."""
        length = min(round(CLOSING_S * self._song.rate), self._frames)
        left = self._frames - 1 - np.arange(max(start, self._frames - length), start + len(gains))
        if len(left):
            gains[-len(left) :] *= np.sin(np.pi / 2 * left / max(length - 1, 1)).astype(np.float32)

    def _add_from_file(self, stem: Stem, total: NDArray[np.int32]) -> None:
        """Add a stem that did not change, as its file has it; a missing or foreign file is made anew."""
        import soundfile

        path = self._existing.stem_path(self._song, stem)
        try:
            with soundfile.SoundFile(path) as file:
                if (file.samplerate, file.frames, file.channels) == (self._song.rate, self._frames, 2):
                    at = 0
                    for block in file.blocks(1 << 16, dtype="int32", always_2d=True):
                        total[:, at : at + len(block)] += block.T >> 8
                        at += len(block)
                    return
        except soundfile.LibsndfileError:
            pass  # not there, or not sound: it is made again below
        self._stem(stem, total, threading.Lock())

    def _mix(self, total: NDArray[np.int32]) -> None:
        song = self._song
        meter = LoudnessMeter(song.rate)
        size = 1 << 16
        for at in range(0, self._frames, size):
            meter.push(total[:, at : at + size].astype(np.float32) / np.float32(STEPS))
        loudness = meter.integrated()
        info = WavInfo(
            song.title, song.title, song.style, song.prompt, markers=self._markers,
            loudness=Loudness(integrated=loudness if np.isfinite(loudness) else None),
        )  # fmt: skip
        blocks = (
            total[:, at : at + size].astype(np.float32) / np.float32(STEPS) for at in range(0, self._frames, size)
        )
        write_wav(self._folder.file("mix.wav"), blocks, song.rate, channels=2, frames=self._frames, info=info)
