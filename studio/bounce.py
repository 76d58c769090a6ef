"""From takes to files: clips on the grid, stems over the whole song, the mix, and the same as MIDI.

Stems are rounded to 24 bits before they are summed, so the stem files add up to the mix file to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dsp.peaks import block_peaks
from models.api import never_cancelled
from models.styles import load_style
from studio.align.grid import Grid
from studio.jobs.hands import Hands
from studio.mix.arrays import BLOCK, Audio, from_db
from studio.mix.curve import Curve, giving_way, limiting_nodes
from studio.mix.lanes import Spread, one_by_one
from studio.mix.loudness import LoudnessMeter
from studio.mix.master import Energies, PlacedTake, solve_master
from studio.mix.mixer import Mixer, Placed, Track
from studio.mix.sources import Source, as_source
from studio.mix.tails import TailMode
from studio.mix.truepeak import true_peak_dbtp
from studio.pieces import CLIP_CEILING_DBTP, STEPS, ClipPiece, StemPiece, WrittenClip, whole
from studio.project.chunks import Loudness, Marker
from studio.project.errors import ProjectError
from studio.project.folder import ProjectFolder, file_name, stem_file
from studio.project.midi import MidiPart, parts_of, write_clip_midi, write_song_midi
from studio.project.wav import ClipInfo, WavInfo, write_wav
from studio.project.wavread import WavReader
from studio.song import Clip, Song, Span, Stem, Take, Timeline
from studio.song.edits import PutClips

DEFAULT_BALANCE = {"drums": -4.0, "bass": -6.0, "harmony": -9.0, "lead": -9.0, "vocals": -5.0, "fx": -16.0}
"""LU. How loud the roles stand where the song has no style."""
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
    song: Song, sounds: Sounds, energies: Mapping[tuple[str, str], Energies] = MappingProxyType({}),
    spread: Spread = one_by_one,
) -> tuple[Song, Curve]:  # fmt: skip
    """The song with the gain of every stem set for a finished mix, and the curve they share (see `solve_master`).

    `energies` are those of the takes that have been measured already (see `take_energies`); `spread` does the work.
    """
    timeline = Timeline(song)
    takes = {stem.id: _placed(song, timeline, stem, sounds, energies) for stem in song.stems}
    master = solve_master(takes, timeline.total_frames(song.rate), song.rate, balance_of(song), spread=spread)
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


def _parts(song: Song, timeline: Timeline, stem: Stem, sounds: Sounds) -> tuple[Placed, ...]:
    """A stem's takes as the mixer has them."""
    return tuple(Placed(take.audio, take.start) for take in _placed(song, timeline, stem, sounds))


def _completed(clip: Clip, written: WrittenClip) -> Clip:
    """The clip, now that its file has been written."""
    return replace(clip, tail_frames=written.frames - clip.frames, report=written.report)


def clip_folder(span: Span) -> str:
    """Where a section's clips lie, relative to the project."""
    return f"clips/{span.index + 1:02}-{span.section.kind}"


class Bounce:
    """Writes a song's files into a folder. The song's stems must have their gains; `curve` is the one they share.

    Stems that did not change are read from `existing`, where that is another folder.
    """

    def __init__(
        self, folder: ProjectFolder, song: Song, sounds: Sounds, curve: Curve, say: Say = silent,
        existing: ProjectFolder | None = None, energies: Mapping[tuple[str, str], Energies] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self._energies = energies
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

    def everything(self, hands: Hands) -> Mixdown:
        """Write all clips, stems, the mix and the MIDI files, as much of it by `hands` as can be."""
        song = self._song
        cells = [(span, stem) for stem in song.stems for span in self._timeline.spans]
        cells = [(span, stem) for span, stem in cells if (span.section.id, stem.id) in self._sounds]
        # The longest pieces of work first, so that the hands run out of work together.
        stems = [hands.submit(self._stem(stem).write) for stem in song.stems]
        clips = [(clip, hands.submit(piece.write)) for clip, piece in (self._clip(*cell) for cell in cells)]
        self._song_midi(song)  # here, while the hands are busy, and then the mix
        total = self._silence()
        for done, (stem, written) in enumerate(zip(song.stems, stems, strict=True), 1):
            written.result()
            self._add_written(stem, total)
            self._say(done / (len(stems) + 2), f"writing {stem.role}")
        self._mix(total)
        return self._finished([_completed(clip, written.result()) for clip, written in clips])

    def cell(self, section: str, stem_id: str) -> Mixdown:
        """Write the clip of one cell, its stem anew, and the mix; the other stems are read from their files.

        Where the others alone have become too loud for each other without the take that was there, `curve` comes down
        there, and all stems are written anew under it; the other clips stay as they are all the same.
        """
        stem = self._song.stem(stem_id)
        total = self._others(stem)
        self._write_stem(stem, total)
        lowered = self._lowered(total)
        if lowered is not None:
            self.curve = lowered
            total = self._silence()
            for every in self._song.stems:
                self._write_stem(every, total)
        self._song_midi(self._song)
        self._mix(total)
        clip, piece = self._clip(self._timeline.span(section), stem)
        return self._finished([_completed(clip, piece.write(never_cancelled))])

    def _lowered(self, total: NDArray[np.int32]) -> Curve | None:
        """The curve that the stems need for their sum, `total` under the present one, to keep its peak."""
        mix = total.astype(np.float32) / np.float32(STEPS)
        if true_peak_dbtp(mix) <= CLIP_CEILING_DBTP:
            return None
        hop = self.curve.hop
        present = self.curve.gains(0, self._frames + hop)[::hop]
        for ceiling_db in GIVING_WAY_DB:
            nodes = limiting_nodes(block_peaks(mix, hop), from_db(ceiling_db), self._song.rate / hop)
            if true_peak_dbtp(mix * Curve(nodes, hop).gains(0, self._frames)) <= CLIP_CEILING_DBTP - 0.05:
                break
        return Curve(nodes * present[: len(nodes)], hop)

    def giving_way(self, section: str, stem_id: str) -> Curve | None:
        """The curve of its own that a cell's take needs for the stem and the mix to keep their peak.

        The song's curve was made for other takes; it stays, so that no other clip changes.
        """
        stem, span = self._song.stem(stem_id), self._timeline.span(section)
        first, _ = self._timeline.frames(span, self._song.rate)
        sound = whole(self._sounds[section, stem_id])
        sound = sound[:, : self._frames - first]
        frames = sound.shape[1]
        gains = self.curve.gains(first, frames) * np.float32(from_db(stem.mix.gain_db))
        neighbours = {key: value for key, value in self._sounds.items() if key[1] == stem_id and key[0] != section}
        beside = Track(stem.id, _parts(self._song, self._timeline, stem, neighbours))
        rest = Mixer([beside], self._song.rate).mix(first, frames) * gains
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
        """The sum of the other stems as their files have them; a missing, foreign or outdated file is made anew."""
        total = self._silence()
        for other in self._song.stems:
            if other.id == stem.id:
                continue
            path = self._existing.stem_path(self._song, other)
            if not (self._is_current(other) and self._add_file(path, total)):
                self._write_stem(other, total)
        return total

    def _is_current(self, stem: Stem) -> bool:
        """Whether a stem's file has the takes that are in use, where they belong: clips are written together with it,
        and an edit drops those that it moves."""
        clips = {clip.section: clip for clip in self._song.clips if clip.stem == stem.id}
        for span in self._timeline.spans:
            place = (span.section.id, stem.id)
            take, clip = self._song.cell(*place).take, clips.get(span.section.id)
            if place not in self._sounds:
                if clip is not None:
                    return False
            elif (
                clip is None
                or take is None
                or clip.take != take.id
                or (clip.start_frame, clip.frames) != self._timeline.frames(span, self._song.rate)
            ):
                return False
        return True

    def _silence(self) -> NDArray[np.int32]:
        """The whole song on the 24-bit grid, (2, frames), with nothing in it yet."""
        return np.zeros((self._frames, 2), np.int32).T  # interleaved as files are, which makes adding them cheap

    def _finished(self, clips: list[Clip]) -> Mixdown:
        song = PutClips(tuple(clips)).apply(self._song)
        stems = {file_name(song, stem): stem_file(song, stem) for stem in song.stems}
        self._say(1.0, "writing the mix")
        return Mixdown(song, stems, "mix.wav", "song.mid")

    def _song_midi(self, song: Song) -> None:
        write_song_midi(self._folder.file("song.mid"), song, self._timeline, parts_of(song, self._timeline))

    def _clip(self, span: Span, stem: Stem) -> tuple[Clip, ClipPiece]:
        """A clip of no tail yet, and the work of writing it, which tells how long its tail is."""
        song, timeline = self._song, self._timeline
        take, sound = song.cell(span.section.id, stem.id).take, as_source(self._sounds[span.section.id, stem.id])
        if take is None:
            raise ValueError(f"cell {span.section.id}/{stem.id} has sound but no take")
        first, frames = timeline.frames(span, song.rate)
        name = f"{clip_folder(span)}/{file_name(song, stem)}"
        midi = None if take.notes is None else f"{name}.mid"
        clip = Clip(
            section=span.section.id, stem=stem.id, take=take.id, path=f"{name}.wav", midi=midi, start_frame=first,
            frames=frames, rate=song.rate, tails=song.tails,
        )  # fmt: skip
        piece = ClipPiece(
            sound=sound, start=first % self.curve.hop, frames=frames, rate=song.rate, gain_db=stem.mix.gain_db,
            curve=self.curve.window(first, sound.frames), tails=cast(TailMode, song.tails),
            path=self._folder.file(clip.path), info=self._clip_info(span, stem, first, frames),
            begins=self._begins(span, take), energies=self._energies.get((span.section.id, stem.id)),
        )  # fmt: skip
        if midi is None or take.notes is None:
            return clip, piece
        write_midi = partial(
            write_clip_midi,
            self._folder.file(midi),
            MidiPart(f"{file_name(song, stem)} {span.section.kind}", take.notes, take.layers),
            beats=span.beats,
            meter=span.meter,
            key=span.section.key or song.key,
            tempo=timeline.tempo.window(span.start, span.end),
            pickup=span.pickup,
        )
        return clip, replace(piece, write_midi=write_midi)

    def _begins(self, span: Span, take: Take) -> NDArray[np.float64] | None:
        """Where the notes of a take begin, in frames of its cell, unrounded."""
        if take.notes is None:
            return None
        rate = self._song.rate
        beats = np.array(sorted({float(note.start - span.pickup) for note in take.notes}))
        grid = Grid.of_song(self._timeline, span.start_bar, span.section.bars, rate)
        first, _ = self._timeline.frames(span, rate)
        return grid.frame_at(beats) + grid.first_frame - first

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

    def _stem(self, stem: Stem) -> StemPiece:
        song = self._song
        info = WavInfo(f"{song.title} - {file_name(song, stem)}", song.title, song.style, stem.prompt, stem.role,
                       markers=self._markers)  # fmt: skip
        return StemPiece(
            parts=_parts(song, self._timeline, stem, self._sounds), frames=self._frames, rate=song.rate,
            gain_db=stem.mix.gain_db, curve=self.curve, path=self._folder.file(stem_file(song, stem)), info=info,
        )  # fmt: skip

    def _write_stem(self, stem: Stem, total: NDArray[np.int32]) -> None:
        """Write a stem and add it to `total`."""
        self._stem(stem).write(never_cancelled)
        self._add_written(stem, total)

    def _add_written(self, stem: Stem, total: NDArray[np.int32]) -> None:
        path = self._folder.stem_path(self._song, stem)
        if not self._add_file(path, total):
            raise ProjectError(f"{path} is not as it was written a moment ago; keep other programs away and try again")

    def _add_file(self, path: Path, total: NDArray[np.int32]) -> bool:
        """Add a stem to `total` as its file has it; False where the file is missing or foreign."""
        try:
            with WavReader(path) as file:
                if file.is_float or (file.rate, file.frames, file.channels) != (self._song.rate, self._frames, 2):
                    return False
                for start in range(0, self._frames, BLOCK):
                    stop = min(start + BLOCK, self._frames)
                    total[:, start:stop] += file.integers(start, stop - start).T
                return True
        except ProjectError:
            return False  # not there, or not sound

    def _mix(self, total: NDArray[np.int32]) -> None:
        song = self._song
        meter = LoudnessMeter(song.rate)
        for at in range(0, self._frames, BLOCK):
            meter.push(total[:, at : at + BLOCK].astype(np.float32) / np.float32(STEPS))
        loudness = meter.integrated()
        info = WavInfo(
            song.title, song.title, song.style, song.prompt, markers=self._markers,
            loudness=Loudness(integrated=loudness if np.isfinite(loudness) else None),
        )  # fmt: skip
        blocks = (
            total[:, at : at + BLOCK].astype(np.float32) / np.float32(STEPS) for at in range(0, self._frames, BLOCK)
        )
        write_wav(self._folder.file("mix.wav"), blocks, song.rate, channels=2, frames=self._frames, info=info)
