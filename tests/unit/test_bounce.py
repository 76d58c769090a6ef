"""From takes to files, without any engine: exact frames, stems that are their clips, a mix that is its stems.

The takes are seeded and synthetic; they go through the same folders that `studio.session` uses.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from studio.bounce import Bounce, Mixdown, with_levels
from studio.jobs.hands import Hands
from studio.mix.arrays import Audio, from_db
from studio.mix.curve import Curve, curve_hop
from studio.mix.loudness import integrated_loudness
from studio.mix.tails import FADE_OUT_S
from studio.mix.truepeak import true_peak_dbtp
from studio.pieces import CLOSING_S
from studio.project.draft import draft
from studio.project.folder import ProjectFolder
from studio.project.project import Project
from studio.session import StoredSounds
from studio.song import Key, Meter, Provenance, Section, Song, Stem, Take, TempoPoint, Timeline
from studio.song.edits import AddTake, MoveSection, SetCurve
from tests.unit.mix.sounds import hits, pink, sine

RATE = 44_100
LSB = 2.0**-23
TAIL = RATE // 4
"""How long the takes ring past their cells."""


def small_song(tails: str) -> Song:
    """Three short sections of three stems, at a tempo whose boundaries fall between frames; one cell stays empty."""
    return Song(
        title="Small",
        key=Key("A", "minor"),
        meter=Meter(4, 4),
        tempo=(TempoPoint(1, Decimal("197.3")),),
        sections=(
            Section("s1", "intro", 1),
            Section("s2", "verse", 1, Meter(3, 4)),
            Section("s3", "outro", 1),
        ),
        stems=(Stem("d", "drums"), Stem("b", "bass"), Stem("h", "harmony")),
        rate=RATE,
        tails=tails,
    )


def sound_of(stem: str, frames: int, seed: int) -> Audio:
    """A take that starts at zero, rings past its cell, fades out and ends in 10 ms of silence."""
    length = frames + TAIL
    raw = {
        "d": lambda: hits(length, 0.8, seed, RATE),
        "b": lambda: sine(55.0 + seed, length, 0.4, RATE),
        "h": lambda: pink(length, 0.08, seed),
    }[stem]()
    fade_in = np.minimum(np.arange(length) / 64, 1.0)
    fade_out = np.clip((length - RATE // 100 - np.arange(length)) / 2000, 0.0, 1.0)
    return np.asarray(raw * (fade_in * np.sin(np.pi / 2 * fade_out) ** 2), dtype=np.float32)


def take_of(number: int, audio: Audio, folder: ProjectFolder) -> Take:
    return Take(f"t{number}", Provenance("test", "1", number), RATE, folder.add_media(audio, RATE), audio.shape[1])


def store_curve(curve: Curve, folder: ProjectFolder) -> str:
    return folder.add_media(curve.nodes[None], RATE // curve.hop)


def make(path: Path, tails: str) -> tuple[Song, Mixdown]:
    """What `studio.session.make` does once its engines have answered."""
    song = small_song(tails)
    with draft(path) as folder:
        sounds = {}
        timeline = Timeline(song)
        for index, (span, stem) in enumerate((span, stem) for span in timeline.spans for stem in song.stems):
            if (span.section.id, stem.id) == ("s2", "b"):
                continue
            place = (span.section.id, stem.id)
            sounds[place] = sound_of(stem.id, timeline.frames(span, RATE)[1], index)
            song = AddTake(*place, take_of(1, sounds[place], folder)).apply(song)
        song, curve = with_levels(song, sounds)
        song = replace(song, master=store_curve(curve, folder))
        with Hands() as hands:
            mixdown = Bounce(folder, song, sounds, curve).everything(hands)
        folder.save(mixdown.song)
    return mixdown.song, mixdown


def regenerate(path: Path, place: tuple[str, str], audio: Audio) -> Curve | None:
    """What `studio.session.regenerate` does once its engine has answered; the new take's own curve."""
    with Project.open(path) as project, project.change() as folder:
        song = AddTake(*place, take_of(2, audio, folder)).apply(project.song)
        assert song.master is not None
        with folder.open_media(song.master) as reader:
            curve = Curve(reader.read()[0], curve_hop(RATE))
        with closing(StoredSounds(song, folder)) as sounds:
            own = Bounce(folder, song, sounds, curve, existing=project).giving_way(*place)
        if own is not None:
            song = SetCurve(*place, store_curve(own, folder)).apply(song)
        with closing(StoredSounds(song, folder)) as sounds:
            mixdown = Bounce(folder, song, sounds, curve, existing=project).cell(*place)
        folder.save(mixdown.song)
    return own


def samples(path: Path) -> NDArray[np.int64]:
    """The 24-bit integers of a file, (channels, frames)."""
    data, rate = soundfile.read(path, dtype="int32", always_2d=True)
    assert (rate, soundfile.info(path).subtype) == (RATE, "PCM_24")
    return np.asarray(data.T >> 8, dtype=np.int64)


def as_float(audio: NDArray[np.int64]) -> Audio:
    return np.asarray(audio * LSB, dtype=np.float32)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def markers(path: Path) -> list[tuple[int, str]]:
    """The (frame, name) of a WAV file's cue points, in the order of the file."""
    found = dict(chunk for chunk in chunks(path.read_bytes()[12:]) if chunk[0] == b"cue ")[b"cue "]
    labels = {}
    for name, payload in chunks(path.read_bytes()[12:]):
        if name == b"LIST" and payload[:4] == b"adtl":
            for kind, label in chunks(payload[4:]):
                if kind == b"labl":
                    labels[struct.unpack_from("<I", label)[0]] = label[4:].rstrip(b"\0").decode()
    points = [struct.unpack_from("<II4sIII", found, 4 + 24 * i) for i in range(struct.unpack_from("<I", found)[0])]
    return [(point[5], labels[point[0]]) for point in points]


def contents(root: Path) -> dict[str, str]:
    """The digest of every file of a project."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("tails", ["wrap", "ring", "cut"])
def test_clips_have_their_frames_and_keep_their_peak(tmp_path: Path, tails: str) -> None:
    song, _ = make(tmp_path / "song", tails)
    timeline = Timeline(song)
    assert len(song.clips) == 8
    for clip in song.clips:
        audio = samples(tmp_path / "song" / clip.path)
        first, frames = timeline.frames(timeline.span(clip.section), RATE)
        assert (clip.start_frame, clip.frames, clip.tails) == (first, frames, tails)
        assert audio.shape == (2, frames + clip.tail_frames)
        assert clip.tail_frames > 0 if tails == "ring" else clip.tail_frames == 0
        assert true_peak_dbtp(as_float(audio)) <= -1.0 + 0.02
        assert audio.any()


@pytest.mark.parametrize("tails", ["wrap", "ring", "cut"])
def test_stems_add_up_to_the_mix_to_the_last_bit(tmp_path: Path, tails: str) -> None:
    song, mixdown = make(tmp_path / "song", tails)
    stems = {name: samples(tmp_path / "song" / path) for name, path in mixdown.stems.items()}
    assert set(stems) == {"drums", "bass", "harmony"}
    mix = samples(tmp_path / "song" / mixdown.mix)
    assert mix.shape == (2, Timeline(song).total_frames(RATE))
    np.testing.assert_array_equal(sum(stems.values()), mix)


def test_the_mix_is_finished(tmp_path: Path) -> None:
    _, mixdown = make(tmp_path / "song", "ring")
    mix = as_float(samples(tmp_path / "song" / mixdown.mix))
    # The song's last moment is faded after the levels are found, which costs so short a song a little.
    assert integrated_loudness(mix, RATE) == pytest.approx(-14.0, abs=0.5)
    stems = {name: as_float(samples(tmp_path / "song" / path)) for name, path in mixdown.stems.items()}
    for name, sound in {"mix": mix, **stems}.items():
        assert true_peak_dbtp(sound) <= -1.1, name
        assert not sound[:, -1].any(), name
    for name, stem in stems.items():  # whoever mutes a stem finds the rest within its peak
        assert true_peak_dbtp(mix - stem) <= -1.1, name


def test_ringing_clips_laid_at_their_frames_are_the_stem(tmp_path: Path) -> None:
    """Bound: 2 LSB of 24 bits (-132 dBFS). Each clip and the stem are rounded once (half an LSB each, and two clips
    overlap), and the float32 product of gain and curve is off by up to half an LSB near full scale. Only what lies
    below -80 dBFS at the end of a tail is faded out of the clip and stays in the stem."""
    song, mixdown = make(tmp_path / "song", "ring")
    total = Timeline(song).total_frames(RATE)
    closing, fade = round(CLOSING_S * RATE), round(FADE_OUT_S * RATE)
    names = {"d": "drums", "b": "bass", "h": "harmony"}
    for stem in song.stems:
        laid = np.zeros((2, total + 2 * TAIL), np.int64)
        bound = np.full(total + 2 * TAIL, 2)
        for clip in song.clips:
            if clip.stem == stem.id:
                audio = samples(tmp_path / "song" / clip.path)
                end = clip.start_frame + audio.shape[1]
                laid[:, clip.start_frame : end] += audio
                bound[end - fade : clip.start_frame + clip.frames + TAIL] = from_db(-80.0) / LSB
        whole = samples(tmp_path / "song" / mixdown.stems[names[stem.id]])
        difference = np.abs(laid[:, :total] - whole)
        assert bool((difference <= bound[:total])[:, : total - closing].all()), stem.role
        assert np.count_nonzero(bound[: total - closing] == 2) > 0.7 * total
        # Over its last quarter of a second the song is faded; a clip is not.
        assert bool((np.abs(whole) <= np.abs(laid[:, :total]) + 2)[:, total - closing :].all())


def test_stems_and_mix_carry_the_sections_as_markers(tmp_path: Path) -> None:
    song, mixdown = make(tmp_path / "song", "wrap")
    timeline = Timeline(song)
    expected = [(timeline.frames(span, RATE)[0], span.section.kind) for span in timeline.spans]
    for path in (mixdown.mix, *mixdown.stems.values()):
        assert markers(tmp_path / "song" / path) == expected
    for clip in song.clips:
        assert markers(tmp_path / "song" / clip.path) == [(0, song.section(clip.section).kind)]


def test_the_same_takes_give_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "one", "wrap")
    make(tmp_path / "two", "wrap")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("stem", ["d", "b"])
def test_a_louder_take_gives_way_and_leaves_all_other_files_alone(tmp_path: Path, stem: str) -> None:
    root = tmp_path / "song"
    song, mixdown = make(root, "ring")
    before = contents(root)
    frames = Timeline(song).frames(Timeline(song).span("s1"), RATE)[1]
    own = regenerate(root, ("s1", stem), sound_of(stem, frames, 99) * np.float32(2.5))
    assert own is not None
    assert own.reduction_db > 1.0

    after = contents(root)
    assert set(before) <= set(after)
    changed = {name for name in before if after[name] != before[name]}
    role = song.stem(stem).role
    assert changed == {"song.json", "mix.wav", f"stems/{role}.wav", f"clips/01-intro/{role}.wav"}
    assert all(name.startswith("media/") for name in set(after) - set(before))

    stems = [samples(root / path) for path in mixdown.stems.values()]
    mix = samples(root / mixdown.mix)
    np.testing.assert_array_equal(sum(stems), mix)
    for audio in (mix, samples(root / f"stems/{role}.wav"), samples(root / f"clips/01-intro/{role}.wav")):
        assert true_peak_dbtp(as_float(audio)) <= -1.0


def test_a_take_no_louder_than_the_old_one_keeps_its_level(tmp_path: Path) -> None:
    root = tmp_path / "song"
    song, _ = make(root, "ring")
    frames = Timeline(song).frames(Timeline(song).span("s2"), RATE)[1]
    assert regenerate(root, ("s2", "h"), sound_of("h", frames, 99) * np.float32(0.3)) is None
    with Project.open(root, writable=False) as project:
        cell = project.song.cell("s2", "h")
        assert (cell.chosen, cell.curve, len(cell.takes)) == ("t2", None, 2)


def test_a_stem_file_that_was_lost_is_made_again(tmp_path: Path) -> None:
    root = tmp_path / "song"
    song, mixdown = make(root, "ring")
    drums = (root / mixdown.stems["drums"]).read_bytes()
    (root / mixdown.stems["drums"]).unlink()
    take = song.cell("s2", "h").take
    assert take is not None
    assert take.media is not None
    with Project.open(root, writable=False) as project, project.open_media(take.media) as reader:
        same = reader.read()
    regenerate(root, ("s2", "h"), same)
    assert (root / mixdown.stems["drums"]).read_bytes() == drums
    stems = [samples(root / path) for path in mixdown.stems.values()]
    np.testing.assert_array_equal(sum(stems), samples(root / mixdown.mix))


def moved(song: Song, folder: ProjectFolder) -> Song:
    return MoveSection("s1", 1).apply(song)


def taken_otherwise(song: Song, folder: ProjectFolder) -> Song:
    softer = np.float32(0.5) * sound_of("d", 3 * RATE, 7)
    return AddTake("s3", "d", take_of(3, softer, folder)).apply(song)


@pytest.mark.parametrize("edited", [moved, taken_otherwise])
def test_a_stem_that_an_edit_has_outdated_is_made_again(
    tmp_path: Path, edited: Callable[[Song, ProjectFolder], Song]
) -> None:
    """Its file still has the length of the song, and what it had before."""
    root = tmp_path / "song"
    song, mixdown = make(root, "ring")
    before = samples(root / mixdown.stems["drums"])
    with Project.open(root) as project, project.change() as folder:
        folder.save(edited(project.song, folder))
    regenerate(root, ("s2", "h"), sound_of("h", RATE, 3))
    stems = {name: samples(root / path) for name, path in mixdown.stems.items()}
    np.testing.assert_array_equal(sum(stems.values()), samples(root / mixdown.mix))
    assert not np.array_equal(stems["drums"], before)
    with Project.open(root, writable=False) as project, closing(StoredSounds(project.song, project)) as sounds:
        song = project.song
        timeline = Timeline(song)
        with project.open_media(str(song.master)) as reader:
            curve = Curve(reader.read()[0], curve_hop(RATE))
        first, _ = timeline.frames(timeline.span("s3"), RATE)
        stem = stems["drums"][:, first + RATE // 8 : first + RATE // 2]
        take = sounds["s3", "d"].read(RATE // 8, RATE // 2 - RATE // 8)
        gains = curve.gains(first + RATE // 8, take.shape[1]) * from_db(song.stem("d").mix.gain_db)
        tail = sounds["s1" if edited is moved else "s2", "d"]  # what rings over from the section before
        late = first + RATE // 8 - timeline.frames(timeline.span("s1" if edited is moved else "s2"), RATE)[0]
        ringing = tail.read(min(late, tail.frames), max(0, min(take.shape[1], tail.frames - late)))
        take = take + np.pad(ringing, ((0, 0), (0, take.shape[1] - ringing.shape[1])))
    np.testing.assert_allclose(as_float(stem), take * gains, atol=1e-6)
