"""Clips and stems as independent readers see them: libsndfile, the standard library's `wave`, and `wavinfo`."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import wavinfo

from studio.project import chunks
from studio.project.errors import ProjectError
from studio.project.pcm import BLOCK
from studio.project.wav import ClipInfo, Loudness, Marker, WavInfo, Written, write_clip, write_wav
from studio.song import Key, Meter

RATE = 48000
FRAMES = 96000


def noise(channels: int = 2, frames: int = FRAMES) -> np.ndarray:
    """Noise of shape (channels, frames) within ±0.9."""
    return np.random.default_rng(5).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


def clip_info(**changes: Any) -> ClipInfo:
    """A two-second clip of four beats."""
    values: dict[str, Any] = {
        "title": "bass", "song": "Ночь & <day>", "style": "house", "comment": "take 1", "role": "bass",
        "start_frame": 5_000_000_001, "markers": (Marker(0, "chorus", FRAMES), Marker(24000, "bar 2")),
        "loudness": Loudness(-14.25, 5, -1.1), "section": "chorus", "section_index": 2, "start_bar": 9, "bars": 1,
        "beats": Fraction(4), "frames": FRAMES, "bpm": Fraction(120), "key": Key("F#", "minor"),
    }  # fmt: skip
    return ClipInfo(**{**values, **changes})


def raw_chunks(path: Path) -> dict[bytes, bytes]:
    """A plain RIFF walk that honours pad bytes and fails on anything left over."""
    data = path.read_bytes()
    name, size, form = struct.unpack_from("<4sI4s", data)
    assert (name, form) == (b"RIFF", b"WAVE")
    assert size + 8 == len(data)
    found: dict[bytes, bytes] = {}
    at = 12
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        key = name + (b" " + data[at + 8 : at + 12] if name == b"LIST" else b"")
        found[key] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def wav_reader(path: Path) -> Any:
    """What wavinfo makes of a file."""
    return wavinfo.WavInfoReader(str(path), info_encoding="utf-8")


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, BLOCK, BLOCK + 1])
def test_samples_come_back_within_half_a_step(tmp_path: Path, channels: int, frames: int) -> None:
    audio = noise(channels, frames)
    path = tmp_path / "a.wav"
    assert write_clip(path, audio, RATE, clip_info(markers=(), frames=frames)) == Written(frames, 0)
    back, rate = soundfile.read(path, dtype="float64", always_2d=True)
    assert rate == RATE
    assert soundfile.info(path).subtype == "PCM_24"
    assert np.array_equal(back.T * 2**23, np.rint(audio.astype(np.float64) * 2**23))
    with wave.open(str(path)) as plain:
        assert plain.getparams()[:4] == (channels, 3, RATE, frames)
        data = plain.readframes(frames)
    assert data == raw_chunks(path)[b"data"]


def test_rounding_is_half_to_even_and_clipping_is_counted(tmp_path: Path) -> None:
    step = 2.0**-23
    values = [0.5 * step, 1.5 * step, 2.5 * step, -0.5 * step, -1.5 * step, 1.0, -1.0, 1.0001, -3.0, 1 - step]
    path = tmp_path / "a.wav"
    written = write_clip(path, np.array([values], np.float32), RATE, clip_info(markers=(), frames=0))
    assert written == Written(10, 2)
    back = soundfile.read(path, dtype="int32")[0] >> 8
    top = 2**23
    assert back.tolist() == [0, 2, 2, 0, -2, top - 1, -top, top - 1, -top, top - 1]


def test_stems_sum_to_the_mix_within_one_rounding_each(tmp_path: Path) -> None:
    stems = [noise() * np.float32(0.2) * np.float32(gain) for gain in (1, 0.5, 0.25, 0.8, 0.1)]
    for index, stem in enumerate([*stems, np.sum(stems, axis=0, dtype=np.float32)]):
        write_clip(tmp_path / f"{index}.wav", stem, RATE, clip_info())
    back = [soundfile.read(tmp_path / f"{index}.wav", dtype="float64")[0] for index in range(6)]
    assert np.abs(sum(back[:5]) - back[5]).max() <= (6 * 0.5 + 1) * 2**-23


def test_what_wavinfo_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_clip(path, noise(), RATE, clip_info())
    read = wav_reader(path)
    assert (read.fmt.audio_format, read.fmt.bits_per_sample, read.data.frame_count) == (1, 24, FRAMES)
    bext = read.bext.to_dict()
    assert bext["time_reference"] == 5_000_000_001
    assert bext["description"] == "???? & <day> / bass / take 1"
    assert bext["originator"] == "Stemwright"
    assert (bext["version"], bext["originator_date"], bext["originator_time"]) == (2, "", "")
    assert (bext["loudness_value"], bext["loudness_range"], bext["max_true_peak"]) == (-14.25, 5.0, -1.1)
    assert bext["max_momentary_loudness"] == 327.67  # 7FFFh: not given
    assert bext["coding_history"].startswith("A=PCM,F=48000,W=24,M=stereo,T=Stemwright ")
    info = read.info.to_dict()
    assert (info["title"], info["product"], info["genre"], info["comment"]) == (
        "bass",
        "Ночь & <day>",
        "house",
        "take 1",
    )
    assert info["software"].startswith("Stemwright ")
    assert read.cues.to_dict() == {
        1: {"frame": 0, "label": "chorus", "length": FRAMES},
        2: {"frame": 24000, "label": "bar 2"},
    }
    smpl = read.smpl.to_dict()
    assert smpl["midi_note"] == 66
    assert [(loop["start_samples"], loop["end_samples"]) for loop in smpl["loops"]] == [(0, FRAMES - 1)]
    xml = read.ixml
    assert (xml.project, xml.scene, xml.take) == ("Ночь & <day>", "chorus", "1")
    assert [track["name"] for track in xml.to_dict()["track_list"]] == ["bass L", "bass R"]
    text = {element.tag: element.text for element in xml.parsed.iter()}
    assert (text["ROLE"], text["SECTION"], text["START_BAR"], text["TEMPO"]) == ("bass", "chorus", "9", "120")
    assert (text["METER"], text["KEY"]) == ("4/4", "F# minor")
    high, low = (int(text[f"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_{end}"]) for end in ("HI", "LO"))
    assert (high << 32) + low == 5_000_000_001


def test_what_libsndfile_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_clip(path, noise(), RATE, clip_info())
    log = soundfile.SoundFile(path).extra_info
    for line in (
        "(Loop,RootNoteValid,StretchOn,RAMBased,??Off)",
        "Root note : 0x42",
        "Beats     : 4",
        "Meter     : 4/4",
        "Tempo     : 120.0",
        "Loop Count   : 1",
        f"Start :     0  End : {FRAMES - 1} ",
        "labl : 1 : chorus",
        "INAM : bass",
    ):
        assert line in log
    assert "*** " not in log


def _acid(path: Path) -> tuple[Any, ...]:
    return struct.unpack("<IHHfIHHf", raw_chunks(path)[b"acid"])


@pytest.mark.parametrize(
    ("changes", "flags", "loops"),
    [
        ({}, 0x06, 1),
        ({"key": None}, 0x04, 1),
        ({"beats": Fraction(7, 2), "meter": Meter(7, 8)}, 0x03, 1),
        ({"steady": False}, 0x03, 1),
        ({"loops": False}, 0x03, 0),
        ({"frames": FRAMES - 100}, 0x03, 0),
    ],
    ids=["loop", "no pitch", "half beat", "tempo moves", "arrangement", "tail"],
)
def test_only_what_can_loop_says_that_it_loops(tmp_path: Path, changes: dict[str, Any], flags: int, loops: int) -> None:
    path = tmp_path / "a.wav"
    info = clip_info(**changes)
    write_clip(path, noise(), RATE, info)
    acid = _acid(path)
    assert acid[0] == flags
    assert acid[1] == (66 if info.key else 60)
    assert acid[5:] == (info.meter.unit, info.meter.pulses, 120.0)
    assert struct.unpack_from("<9I", raw_chunks(path)[b"smpl"])[7] == loops


def test_a_stem_is_written_block_by_block(tmp_path: Path) -> None:
    audio = noise(2, 100_001)
    taken: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, 100_001, 7777):
            taken.append(start)
            yield audio[:, start : start + 7777]

    info = WavInfo("mix", song="x", markers=(Marker(0, "intro", 50000), Marker(50000, "verse", 50001)))
    write_wav(tmp_path / "blocks.wav", blocks(), RATE, channels=2, frames=100_001, info=info)
    write_wav(tmp_path / "whole.wav", [audio], RATE, channels=2, frames=100_001, info=info)
    assert len(taken) == 13
    assert (tmp_path / "blocks.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    names = wav_reader(tmp_path / "whole.wav").cues.to_dict()
    assert [(n["frame"], n["label"]) for n in names.values()] == [(0, "intro"), (50000, "verse")]
    assert b"acid" not in raw_chunks(tmp_path / "whole.wav")


@pytest.mark.parametrize("text", ["", "x", "xy", "x\0\n\ud800y", "ü" * 3000, "]]>&\x01\x7f"])
def test_any_text_keeps_the_chunks_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.wav"
    info = clip_info(title=text, song=text, comment=text, style=text, section=text, markers=(Marker(0, text, 5),))
    write_clip(path, noise(1, 101), RATE, info)
    assert next(iter(raw_chunks(path))) == b"fmt "
    assert list(raw_chunks(path))[-1] == b"data"
    read = wav_reader(path)
    assert len(read.bext.description) <= 256
    assert (read.info.title or "") == chunks.clean(text)
    assert (read.ixml.project or "") == chunks.clean(text)
    assert soundfile.info(path).frames == 101


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    bad = noise()
    bad[1, BLOCK + 5] = np.inf
    with pytest.raises(ProjectError, match="not finite"):
        write_clip(path, bad, RATE, clip_info())
    with pytest.raises(ProjectError, match="float32 of"):
        write_clip(path, np.zeros((2, 10), np.int16), RATE, clip_info())
    with pytest.raises(ProjectError, match="its markers must lie"):
        write_clip(path, noise(2, 10), RATE, clip_info())
    for frames, word in ((FRAMES - 1, "more"), (FRAMES + 1, "fewer")):
        with pytest.raises(ProjectError, match=f"{word} than the"):
            write_wav(path, [noise()], RATE, channels=2, frames=frames, info=WavInfo("x"))
    with pytest.raises(ProjectError, match=r"it must be \(2, frames\)"):
        write_wav(path, [noise(1)], RATE, channels=2, frames=FRAMES, info=WavInfo("x"))
    with pytest.raises(ProjectError, match="does not exist"):
        write_clip(tmp_path / "none" / "a.wav", noise(), RATE, clip_info())
    assert list(tmp_path.iterdir()) == []


def test_beyond_4_gib_a_file_is_rf64(tmp_path: Path) -> None:
    frames = 2**32 // 6 + 1000
    head = chunks.file_head([chunks.fmt(1, 2, RATE, 3)], frames * 6, frames)
    path = tmp_path / "long.wav"
    with open(path, "wb") as file:  # the samples are a hole: no disk is used
        file.write(head)
        file.truncate(len(head) + frames * 6)
    assert head[:4] == b"RF64"
    assert soundfile.info(path).frames == frames
    assert soundfile.info(path).format == "RF64"
    assert struct.unpack_from("<Q", head, 20)[0] == path.stat().st_size - 8
    just_below = (2**32 - 1 - 4 - 24 - 8) // 6
    assert chunks.file_head([chunks.fmt(1, 2, RATE, 3)], just_below * 6, just_below)[:4] == b"RIFF"


def test_the_same_clip_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_clip(tmp_path / name, noise(), RATE, clip_info())
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
