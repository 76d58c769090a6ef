"""`stemwright align` as its users have it: files in, a clip and its report out, bad input in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.support.command import Outcome, environment, make, stemwright, tree
from tests.support.riff import read_wave

RATE = 48000
Sound = NDArray[np.float32]


def groove(bpm: float, bars: int, *, rate: int = RATE, late_s: float = 0.0, pickup: int = 0) -> Sound:
    """Drums in 4/4, and a bass on every bar line: kicks, snares, hats in eighths; `pickup` eighths of hats before."""
    eighth = 30.0 / bpm
    frames = round((late_s + (8 * bars + pickup) * eighth) * rate)
    out = np.zeros((2, frames), np.float32)
    generator = np.random.default_rng(3)
    time = np.arange(round(0.2 * rate)) / rate
    noise = generator.standard_normal(len(time))
    kick = 0.8 * np.exp(-time / 0.07) * np.sin(2 * np.pi * (50 * time - 4 * np.exp(-time / 0.02)))
    snare = 0.4 * np.exp(-time / 0.05) * noise
    hat = 0.15 * np.exp(-time / 0.015) * np.diff(noise, prepend=0.0)
    long = np.arange(round(1.5 * rate)) / rate
    bass = 0.5 * np.exp(-long / 0.5) * np.sin(2 * np.pi * 65.4 * long)
    for number in range(-pickup, 8 * bars):
        start = round((late_s + (number + pickup) * eighth) * rate)
        place = number % 8
        struck = [kick] * (place in (0, 5)) + [snare] * (place in (2, 6)) + [bass] * (place == 0)
        for hit in [hat, *(struck if number >= 0 else [])]:
            piece = out[:, start : start + len(hit)]
            piece += hit[: piece.shape[1]].astype(np.float32) * (1.2 if place == 0 else 1.0)
    return 0.4 * out


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight bars at 112 BPM that begin a quarter of a second late."""
    path = tmp_path_factory.mktemp("in") / "drums.wav"
    soundfile.write(path, groove(112.0, 8, late_s=0.25).T, RATE, subtype="PCM_24")
    return path


def align(source: Path, out: Path, *options: str | Path) -> dict[str, Any]:
    return stemwright("align", source, "-o", out, "--json", *options).value


def hits(audio: NDArray[np.float64]) -> list[int]:
    """The frames at which the kick and snare patterns' loud attacks begin."""
    level = np.abs(audio).max(axis=0)
    loud = np.flatnonzero(level > 0.1 * level.max())
    return [int(loud[0]), *loud[1:][np.diff(loud) > 0.1 * RATE].tolist()]


def test_a_sound_goes_onto_the_bars(drums: Path, tmp_path: Path) -> None:
    data = align(drums, tmp_path / "out.wav", "--bpm", "120")
    assert (data["schema"], data["version"], data["verdict"]) == ("stemwright/bar-lock", 1, "locked")
    assert data["tempo"]["bpm"] == pytest.approx(112.0, abs=0.1)
    assert data["downbeat"]["seconds"] == pytest.approx(0.25, abs=0.004)
    assert data["after"]["p95_ms"] < 8.0 < data["before"]["median_ms"]
    assert data["moved"]["bars"] == 8
    wave = read_wave(tmp_path / "out.wav")
    assert (wave.rate, wave.frames) == (RATE, 8 * 2 * RATE)
    found = hits(wave.audio)
    assert len(found) >= 20
    eighths = np.array(found) / (RATE / 4)
    assert np.abs(eighths - np.rint(eighths)).max() * 250 < 8.0


def test_the_clip_says_where_it_belongs(drums: Path, tmp_path: Path) -> None:
    align(drums, tmp_path / "my loop.wav", "--bpm", "97.3", "--loop", "--lufs", "-18", "--role", "drums")
    wave = read_wave(tmp_path / "my loop.wav")
    acid = wave.acid()
    assert (acid["beats"], acid["pulses"], acid["unit"]) == (32, 4, 4)
    assert acid["bpm"] == pytest.approx(97.3, abs=1e-4)
    assert int(acid["flags"]) & 0x05 == 0x04
    assert wave.loops() == [(0, wave.frames - 1)]
    assert wave.time_reference() == 0
    assert wave.markers() == [(0, "bar 1")]
    assert wave.info()["INAM"] == "my loop"
    user = {element.tag: element.text for element in wave.ixml().find("USER") or ()}
    assert (user["BARS"], user["METER"], user["ROLE"]) == ("8", "4/4", "drums")


def test_the_report_is_the_same_everywhere(drums: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    printed = align(drums, tmp_path / "out.wav", "--bpm", "120", "--report", report, "--role", "drums", "--loop")
    assert json.loads(report.read_text("utf-8")) == printed
    assert printed["purity"]["role"] == "drums"
    assert 0.2 < printed["purity"]["share"] < 0.9
    assert printed["purity"]["method"] == "band energy (estimate)"
    assert printed["seam_score"] < 1.0
    assert printed["clip"]["path"] == str((tmp_path / "out.wav").resolve())


def test_equal_input_gives_equal_bytes(drums: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        align(drums, tmp_path / name / "out.wav", "--bpm", "120", "--loop")
    assert (tmp_path / "a" / "out.wav").read_bytes() == (tmp_path / "b" / "out.wav").read_bytes()


def test_what_is_on_the_grid_is_not_touched(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", groove(120.0, 4).T, RATE, subtype="PCM_24")
    data = align(tmp_path / "in.wav", tmp_path / "out.wav", "--bpm", "120")
    assert data["verdict"] == "locked"
    assert data["moved"]["method"] == "none"
    assert np.array_equal(read_wave(tmp_path / "in.wav").samples, read_wave(tmp_path / "out.wav").samples)


def test_bars_are_repeated_or_trimmed(drums: Path, tmp_path: Path) -> None:
    for bars in (3, 20):
        data = align(drums, tmp_path / f"{bars}.wav", "--bpm", "120", "--bars", str(bars))
        assert read_wave(tmp_path / f"{bars}.wav").frames == bars * 2 * RATE
        assert data["moved"]["bars"] == bars
        assert data["warnings"]


def test_a_pickup_is_kept_before_bar_1(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", groove(112.0, 8, pickup=2).T, RATE, subtype="PCM_24")
    data = align(tmp_path / "in.wav", tmp_path / "out.wav", "--bpm", "120")
    pickup = RATE // 2
    assert data["moved"]["pickup_beats"] == "1"
    assert data["clip"]["pickup_frames"] == pickup
    wave = read_wave(tmp_path / "out.wav")
    assert wave.frames == pickup + 8 * 2 * RATE
    assert wave.markers() == [(pickup, "bar 1")]
    assert wave.time_reference() == 2 * RATE - pickup  # bar 1 is the timeline's second bar
    assert wave.loops() == []


@pytest.mark.parametrize(("suffix", "subtype", "rate"), [
    (".flac", "PCM_16", 44100), (".mp3", None, 44100), (".ogg", None, 48000), (".aiff", "PCM_24", 96000),
])  # fmt: skip
def test_any_format_and_rate_will_do(tmp_path: Path, suffix: str, subtype: str | None, rate: int) -> None:
    source = tmp_path / f"in{suffix}"
    soundfile.write(source, groove(112.0, 4, rate=rate).T, rate, subtype=subtype)
    data = align(source, tmp_path / "out.wav", "--bpm", "120", "--rate", "48000")
    assert data["verdict"] == "locked"
    wave = read_wave(tmp_path / "out.wav")
    assert (wave.rate, wave.frames) == (48000, 4 * 2 * 48000)
    align(source, tmp_path / "own.wav", "--bpm", "120")
    assert read_wave(tmp_path / "own.wav").rate == rate


def test_a_song_gives_tempo_key_rate_and_place(drums: Path, tmp_path: Path) -> None:
    song = make(tmp_path / "song", "--tempo-map", "1=100 3=100..120", "--stems", "bass", "--key", "D dorian", "--rate",
                "44100", sections="intro:2 verse:6")  # fmt: skip
    before = tree(tmp_path / "song")
    data = align(drums, tmp_path / "out.wav", "--project", tmp_path / "song", "--start-bar", "3", "--bars", "6")
    assert tree(tmp_path / "song") == before
    wave = read_wave(tmp_path / "out.wav")
    verse = song["sections"][1]
    assert wave.rate == 44100
    assert (wave.time_reference(), wave.frames) == (verse["start_frame"], verse["frames"])
    assert wave.markers() == [(0, "bar 3")]
    user = {element.tag: element.text for element in wave.ixml().find("USER") or ()}
    assert (user["SECTION"], user["SECTION_NUMBER"], user["START_BAR"]) == ("verse", "2", "3")
    assert int(wave.acid()["flags"]) & 0x05 == 0x01  # the tempo moves: not to be stretched as a loop
    assert wave.ixml().findtext("PROJECT") == song["title"]
    assert data["key"]["fit"] is None or data["key"]["fit"]["key"] == "D dorian"


def test_words_go_to_stderr(drums: Path, tmp_path: Path) -> None:
    done = stemwright("align", drums, "-o", tmp_path / "out.wav", "--bpm", "120")
    assert (done.code, done.out) == (0, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("locked: ")
    assert "112 -> 120 BPM" in last
    assert "ms (median)" in last


# -- bad input -----------------------------------------------------------------------------------------------------


def refused(done: Outcome, *says: str) -> None:
    """Exit status 2, nothing on stdout, and one line that says so much; progress may stand before it."""
    assert done.code == 2, done
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if "%" not in line[:6]]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("stemwright"), done.err
    for words in says:
        assert words in done.err, done.err


OPTIONS: list[tuple[list[str], tuple[str, ...]]] = [
    ([], ("--bpm", "--project")),
    *[(["--bpm", bad], ("20 to 400 BPM",)) for bad in ("0", "19", "401", "NaN", "inf", "1e9")],
    *[(["--bpm", bad], ("is not a number",)) for bad in ("", "fast", "1_20")],
    (["--bpm", "120", "--meter", "13/7"], ("the lower number is 2, 4, 8 or 16",)),
    (["--bpm", "120", "--meter", "4"], ("write pulses/unit",)),
    *[(["--bpm", "120", "--bars", bad], ("from 1 to 4096",)) for bad in ("0", "4097", "1.5", "-1", "", "x", "9" * 30)],
    (["--bpm", "20", "--bars", "4096"], ("at most 120", "take fewer")),
    *[(["--bpm", "120", "--felt", bad], ("20 to 400 BPM",)) for bad in ("0", "1000")],
    (["--bpm", "120", "--from-bpm", "x"], ("is not a number",)),
    *[(["--bpm", "120", "--lufs", bad], ("from -60 to -5",)) for bad in ("0", "-70", "loud", "nan", "1e5", "")],
    *[(["--bpm", "120", "--rate", bad], ("from 8000 to 384000",)) for bad in ("0", "7999", "400000", "-1", "48k", "")],
    (["--bpm", "120", "--role", "kazoo"], ("use drums, bass",)),
    (["--bpm", "120", "--start-bar", "2"], ("name the song with --project",)),
    (["--bpm", "120", "--project", "song"], ("leave one of them out",)),
    (["--meter", "3/4", "--project", "song"], ("leave one of them out",)),
    (["--project", ""], ("has no name",)),
    (["--bpm", "120", "--report", ""], ("has no name",)),
]


@pytest.mark.parametrize(("options", "says"), OPTIONS, ids=[" ".join(row[0])[:40] for row in OPTIONS])
def test_a_bad_option_is_told_in_one_line(
    drums: Path, tmp_path: Path, options: list[str], says: tuple[str, ...]
) -> None:
    refused(stemwright("align", drums, "-o", tmp_path / "out.wav", *options), *says)
    assert os.listdir(tmp_path) == []


def test_a_command_that_is_not_whole_is_told(drums: Path) -> None:
    for words in (("align",), ("align", drums), ("align", drums, "--bpm", "120"), ("align", drums, "-o")):
        refused(stemwright(*words), "--help")


def quick(source: Path | str, out: Path | str, *options: str | Path) -> Outcome:
    return stemwright("align", source, "-o", out, "--bpm", "120", *options)


def test_nothing_is_overwritten_unasked(drums: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(drums.read_bytes())
    os.link(source, tmp_path / "link.wav")
    (tmp_path / "mine.wav").write_text("mine")
    (tmp_path / "mine.json").write_text("mine")
    (tmp_path / "folder.wav").mkdir()
    before = tree(tmp_path)
    for force in ((), ("--force",)):
        refused(quick(source, source, *force), "the sound to be aligned", "choose another name")
        refused(quick(source, tmp_path / "link.wav", *force), "the sound to be aligned")
        refused(quick(source, tmp_path / "x.wav", "--report", source, *force), "the sound to be aligned")
        refused(quick(source, tmp_path / "folder.wav", *force), "this is a folder")
        refused(quick(source, tmp_path / "x.mp3", *force), "ends in .wav")
        refused(quick(source, tmp_path / "none" / "x.wav", *force), "no folder", "make it first")
        refused(quick(source, f"{tmp_path}/nul\0.wav", *force), "no path")
        refused(quick(source, "", *force), "has no name")
        refused(quick("", tmp_path / "x.wav", *force), "has no name")
        refused(quick(source, tmp_path / "x.wav", "--report", tmp_path / "x.wav", *force), "different names")
    refused(quick(source, tmp_path / "mine.wav"), "exists already", "--force")
    refused(quick(source, tmp_path / "x.wav", "--report", tmp_path / "mine.json"), "exists already", "--force")
    assert tree(tmp_path) == before
    assert quick(source, tmp_path / "mine.wav", "--report", tmp_path / "mine.json", "--force").code == 0
    assert json.loads((tmp_path / "mine.json").read_text("utf-8"))["schema"] == "stemwright/bar-lock"


def test_a_file_that_is_no_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello\n" * 1000)
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "zero.wav", np.zeros((0, 2)), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full((RATE, 2), np.nan), RATE, subtype="FLOAT")
    for name, says in (("text", "no sound"), ("empty", "no sound"), ("zero", "holds no sound"), ("nan", "not numbers"),
                       ("none", "no such file")):  # fmt: skip
        refused(quick(tmp_path / f"{name}.wav", tmp_path / "out.wav"), says)
    assert not (tmp_path / "out.wav").exists()


STRANGE: dict[str, Sound] = {
    "silence": np.zeros((2, 4 * RATE), np.float32),
    "one frame": np.full((1, 1), 0.5, np.float32),
    "one click": np.pad(np.ones((2, 1), np.float32), ((0, 0), (RATE, 2 * RATE))),
    "full scale": np.sign(np.random.default_rng(1).standard_normal((2, RATE))).astype(np.float32),
    "noise": np.random.default_rng(1).normal(0, 0.1, (2, 8 * RATE)).astype(np.float32),
    "direct current": np.full((2, RATE), 0.7, np.float32),
    "drone": (0.3 * np.sin(2 * np.pi * 110 * np.arange(20 * RATE) / RATE)).astype(np.float32)[None],
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("options", [(), ("--loop", "--bars", "4", "--lufs", "-18")])
def test_strange_sounds_get_a_clear_verdict(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    soundfile.write(tmp_path / "in.wav", STRANGE[name].T, RATE, subtype="FLOAT")
    data = align(tmp_path / "in.wav", tmp_path / "out.wav", "--bpm", "120", *options)
    assert data["verdict"] in ("free", "loose")
    assert data["reason"]
    audio = read_wave(tmp_path / "out.wav").audio
    assert np.abs(audio).max() < 0.9
    if options:
        assert audio.shape[1] == 4 * 2 * RATE


def test_eight_kilohertz_mono_and_six_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "low.wav", groove(112.0, 4, rate=8000)[0], 8000, subtype="PCM_16")
    data = align(tmp_path / "low.wav", tmp_path / "a.wav", "--bpm", "120")
    wave = read_wave(tmp_path / "a.wav")
    assert (wave.rate, len(wave.samples), wave.frames) == (8000, 1, 4 * 2 * 8000)
    assert data["verdict"] in ("locked", "loose")
    six = np.repeat(groove(112.0, 4)[:1], 6, axis=0)
    soundfile.write(tmp_path / "six.wav", six.T, RATE, subtype="PCM_16")
    done = stemwright("align", tmp_path / "six.wav", "-o", tmp_path / "b.wav", "--bpm", "120")
    assert done.code == 0, done.err
    assert "note: six.wav: its 6 channels are folded to two" in done.err
    assert len(read_wave(tmp_path / "b.wav").samples) == 2


def test_a_truncated_file_is_read_as_far_as_it_goes(drums: Path, tmp_path: Path) -> None:
    data = drums.read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
    report = align(tmp_path / "cut.wav", tmp_path / "out.wav", "--bpm", "120")
    assert any("ends early" in warning for warning in report["warnings"])
    assert report["moved"]["bars"] == 4


@pytest.mark.parametrize("words", [("--project", "none"), ("--project", "drums.wav")])
def test_a_project_that_is_none_is_told(drums: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = stemwright("align", drums, "-o", tmp_path / "out.wav", words[0], tmp_path / words[1])
    refused(done, "'stemwright make' wrote")


def test_a_bar_that_the_song_has_not_is_told(drums: Path, tmp_path: Path) -> None:
    make(tmp_path / "song", "--stems", "bass", sections="verse:2")
    done = stemwright("align", drums, "-o", tmp_path / "o.wav", "--project", tmp_path / "song", "--start-bar", "3")
    refused(done, "the song has bars 1 to 2")
    assert not (tmp_path / "o.wav").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_align_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    soundfile.write(tmp_path / "in.wav", np.tile(groove(112.0, 8), (1, 12)).T, RATE, subtype="PCM_16")
    command = [sys.executable, "-m", "studio", "align", "in.wav", "-o", "out.wav", "--bpm", "120"]
    with subprocess.Popen(command, env=environment(), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "listening" not in child.stderr.readline():
            assert child.poll() is None
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert err.splitlines()[-1] == "stemwright: interrupted; nothing was changed"
    assert os.listdir(tmp_path) == ["in.wav"]
