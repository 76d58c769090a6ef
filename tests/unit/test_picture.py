"""Pictures: sizes, what is where, and a waveform that is the sound's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from studio.mix.sources import ArraySource, FileSource
from studio.picture import theme
from studio.picture.arrangement import Arrangement, ChordMark, PictureError, SectionSpan, StemLane
from studio.picture.draw import LABELS, MARGIN, draw_arrangement, save_picture
from studio.picture.peaks import outline
from studio.picture.song import draw_project
from studio.plan import PlanOptions, SectionSpec, plan_song
from studio.project.project import Project
from studio.project.wav import WavInfo, write_wav
from studio.song import Timeline

RATE = 8_000
BAR = 2 * RATE


def arrangement(stems: int = 2, title: str = "Night Bus") -> Arrangement:
    """Eight bars: four of intro, in which only the last stem sounds, and four of chorus with all."""
    frames = 8 * BAR
    lanes = []
    for index in range(stems):
        audio = np.zeros((2, frames), np.float32)
        first = 0 if index == stems - 1 else frames // 2
        audio[:, first:] = 0.5 * np.sin(np.arange(frames - first) * 0.3)
        role = list(theme.ROLES)[index % len(theme.ROLES)]
        lanes.append(StemLane(role, role, ArraySource(audio)))
    chords = (ChordMark(0, "Am"), ChordMark(2 * BAR, "F♯m7"))
    sections = (
        SectionSpan("Intro", "intro", 0, 4 * BAR, chords),
        SectionSpan("Chorus", "chorus", 4 * BAR, frames),
    )
    bars = tuple((number + 1, number * BAR) for number in range(8))
    return Arrangement(title, "house · 120 BPM · A minor · 4/4", bars, sections, tuple(lanes), RATE, frames)


def share(image: Image.Image, colour: tuple[int, int, int], box: tuple[int, int, int, int]) -> float:
    """The share of pixels in a box that are near a colour."""
    pixels = np.asarray(image.crop(box), dtype=int)
    return float((np.abs(pixels - np.array(colour)).max(axis=2) < 24).mean())


@pytest.mark.parametrize("size", [(640, 360), (1600, 900), (801, 457)])
def test_a_picture_has_the_size_asked_for(size: tuple[int, int]) -> None:
    image = draw_arrangement(arrangement(), *size)
    assert (image.size, image.mode) == (size, "RGB")


def test_a_stem_shows_where_it_sounds_and_nowhere_else() -> None:
    image = draw_arrangement(arrangement(), 1600, 900)
    light = theme.blend((255, 255, 255), theme.ROLES["drums"], 0.16)
    left, right, middle = MARGIN + LABELS, 1600 - MARGIN, (MARGIN + LABELS + 1600 - MARGIN) // 2
    lane = (190, 490)
    assert share(image, light, (middle + 4, lane[0], right, lane[1])) > 0.3
    assert share(image, light, (left, lane[0], middle - 4, lane[1])) == 0.0


def test_sections_are_coloured_by_kind() -> None:
    image = draw_arrangement(arrangement(), 1600, 900)
    middle = (MARGIN + LABELS + 1600 - MARGIN) // 2
    chorus = theme.blend(theme.SECTIONS["chorus"], theme.BACKGROUND, 0.78)
    assert share(image, chorus, (middle + 100, 96, 1500, 118)) == 1.0
    assert share(image, chorus, (300, 96, middle - 10, 118)) == 0.0


def test_the_same_song_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_picture(arrangement(), tmp_path / name, 800, 450)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (800, 450)


def test_the_font_speaks_russian_and_no_letter_turns_into_a_box() -> None:
    assert theme.printable("Ночной автобус – café №7") == "Ночной автобус – café №7"
    assert theme.printable("F♯ B♭ 夜\n") == "F# Bb ·"
    titled = [draw_arrangement(arrangement(title=title), 640, 360) for title in ("Ночь", "День")]
    assert titled[0].tobytes() != titled[1].tobytes()


def test_text_is_shortened_to_its_room() -> None:
    face = theme.font(20)
    short = theme.fitted("A very long title indeed", face, 100)
    assert short.endswith("…")
    assert face.getlength(short) <= 100
    assert theme.fitted("A", face, 1) == ""
    draw_arrangement(arrangement(title="word " * 400), 640, 360)


def test_an_outline_is_the_sounds_own(tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(4))
    audio = (0.2 * generator.standard_normal((2, 600_001))).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio.T, RATE, subtype="FLOAT")
    with FileSource(tmp_path / "a.wav", RATE) as source:
        shape = outline(source, 700_000, 333)
    edges = np.arange(334) * 700_000 // 333
    for column in (0, 1, 100, 200, 284):
        part = audio[:, edges[column] : edges[column + 1]]
        assert shape.low[column] == part.min()
        assert shape.high[column] == part.max()
        assert shape.rms[column] == pytest.approx(np.sqrt((part.astype(float) ** 2).mean()), rel=1e-3)
    assert not shape.high[287:].any()
    assert not shape.rms[287:].any()


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_an_outline_of_fewer_frames_than_columns(frames: int) -> None:
    shape = outline(ArraySource(np.full((1, frames), 0.5, np.float32)), frames, 100)
    np.testing.assert_array_equal(shape.high, np.full(100, 0.5, np.float32))
    assert not outline(ArraySource(np.zeros((2, 0), np.float32)), frames, 100).high.any()


def test_a_song_of_a_thousand_bars_and_many_stems() -> None:
    song = arrangement(stems=12)
    bars = tuple((number + 1, number * song.frames // 1000) for number in range(1000))
    assert draw_arrangement(replace(song, bars=bars), 1600, 900).size == (1600, 900)


def test_what_cannot_be_drawn_is_refused() -> None:
    song = arrangement()
    for size in ((639, 900), (1600, 359), (8001, 900)):
        with pytest.raises(PictureError, match="from 640x360 to 8000x5000"):
            draw_arrangement(song, *size)
    with pytest.raises(PictureError, match="make it higher"):
        draw_arrangement(arrangement(stems=30), 640, 360)
    with pytest.raises(PictureError, match="at least one frame"):
        replace(song, frames=0)
    with pytest.raises(PictureError, match="at least one stem"):
        replace(song, stems=())


def test_a_project_is_drawn_and_its_files_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = plan_song("house", PlanOptions(sections=(SectionSpec("verse", 1),), roles=("drums", "bass"))).song
    frames = Timeline(song).total_frames(song.rate)
    with Project.create(tmp_path / "song", song) as project:
        for stem in song.stems:
            sound = np.zeros((2, frames), np.float32)
            write_wav(
                project.file(f"stems/{stem.role}.wav"), [sound], song.rate, channels=2, frames=frames,
                info=WavInfo(stem.role),
            )  # fmt: skip
    closed: list[Path] = []

    class Watched(FileSource):
        def close(self) -> None:
            closed.append(self.path)
            super().close()

    monkeypatch.setattr("studio.picture.song.FileSource", Watched)
    draw_project(tmp_path / "song", tmp_path / "song.png")
    with Image.open(tmp_path / "song.png") as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in closed) == ["bass.wav", "drums.wav"]
