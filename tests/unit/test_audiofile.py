"""Sound files as users have them: what is good is read to the sample, what is not costs one line."""

from __future__ import annotations

import os
import struct
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from studio.audiofile import BLOCK, LONGEST_MINUTES, AudioFile, fold
from studio.mix.arrays import Audio
from studio.mix.errors import SourceError
from studio.scratch import ScratchSound

RATE = 44100
KINDS = {
    "WAV 16": (".wav", "PCM_16", 4e-5), "WAV 24": (".wav", "PCM_24", 2e-7), "WAV float": (".wav", "FLOAT", 0.0),
    "AIFF": (".aiff", "PCM_24", 2e-7), "FLAC": (".flac", "PCM_24", 2e-7), "OGG": (".ogg", None, 0.06),
    "MP3": (".mp3", None, 0.06),
}  # fmt: skip


def sound(seconds: float = 5.0, channels: int = 2, rate: int = RATE) -> Audio:
    """Decaying tones, other ones on each channel; longer than several blocks."""
    time = np.arange(round(seconds * rate)) / rate
    rows = [0.4 * np.exp(-4 * (time % 0.5)) * np.sin(2 * np.pi * 220 * (k + 1) * time) for k in range(channels)]
    return np.stack(rows).astype(np.float32)


def written(path: Path, audio: Audio, rate: int = RATE, subtype: str | None = "PCM_24") -> Path:
    soundfile.write(path, audio.T, rate, subtype=subtype)
    return path


def whole(path: Path, rate: int | None = None) -> Audio:
    with AudioFile(path, rate) as file:
        return file.read(0, file.frames)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_is_read_to_its_end(tmp_path: Path, kind: str, channels: int) -> None:
    """Block by block: MP3 files come out wrong when the library goes back to where it already is."""
    suffix, subtype, near = KINDS[kind]
    audio = sound(channels=channels)
    assert audio.shape[1] > 3 * BLOCK
    read = whole(written(tmp_path / f"in{suffix}", audio, subtype=subtype))
    assert read.dtype == np.float32
    assert read.shape == audio.shape
    assert np.abs(read - audio).max() <= near


@pytest.mark.parametrize("kind", ["WAV 24", "FLAC", "MP3"])
@pytest.mark.parametrize("rate", [8000, 48000, 96000])
def test_another_rate_keeps_every_moment_in_its_place(tmp_path: Path, kind: str, rate: int) -> None:
    suffix, subtype, near = KINDS[kind]
    audio = sound()
    read = whole(written(tmp_path / f"in{suffix}", audio, subtype=subtype), rate)
    expected = soxr.resample(audio.T, RATE, rate, quality="VHQ").T
    assert read.shape[1] == round(audio.shape[1] * rate / RATE)
    frames = min(read.shape[1], expected.shape[1])
    assert np.abs(read[:, :frames] - expected[:, :frames]).max() <= near + 1e-4


@pytest.mark.parametrize(("suffix", "rate"), [(".wav", None), (".flac", None), (".wav", 48000)])
def test_it_can_be_read_anywhere_and_again(tmp_path: Path, suffix: str, rate: int | None) -> None:
    with AudioFile(written(tmp_path / f"in{suffix}", sound()), rate) as file:
        first = file.read(0, file.frames)
        generator = np.random.default_rng(1)
        for _ in range(20):
            start = int(generator.integers(0, file.frames))
            frames = int(generator.integers(0, file.frames - start + 1))
            assert np.array_equal(file.read(start, frames), first[:, start : start + frames])


def test_progress_rises_to_the_whole(tmp_path: Path) -> None:
    told: list[float] = []
    AudioFile(written(tmp_path / "in.flac", sound()), progress=told.append).close()
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 10])
def test_many_channels_are_folded_to_two(tmp_path: Path, channels: int) -> None:
    audio = sound(0.1, channels)
    path = written(tmp_path / "in.wav", audio)
    with AudioFile(path) as file:
        assert file.channels == 2
        assert file.warnings == (f"in.wav: its {channels} channels are folded to two",)
        read = file.read(0, file.frames)
    matrix = fold(channels)
    assert matrix is not None
    assert np.allclose(read, matrix @ audio, atol=1e-5)
    assert np.allclose(matrix.sum(axis=1)[0], matrix.sum(axis=1)[1], atol=0.8)


def test_surround_keeps_its_sides_and_its_centre() -> None:
    matrix = fold(6)
    assert matrix is not None
    assert np.allclose(matrix[0], [1, 0, 0.7071, 0, 0.7071, 0])
    assert np.allclose(matrix[1], [0, 1, 0.7071, 0, 0, 0.7071])


# -- what is wrong with files ----------------------------------------------------------------------------------


def refused(path: Path, *says: str, rate: int | None = None) -> None:
    with pytest.raises(SourceError) as told:
        whole(path, rate)
    assert "\n" not in str(told.value)
    for words in says:
        assert words in str(told.value)


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".ogg", ".mp3", ".raw", ""])
@pytest.mark.parametrize(
    "content", [b"", b"a text and no sound\n" * 5000, bytes(100_000), b"RIFF", b"ID3" + bytes(5000)]
)
def test_what_is_no_sound_is_told(
    tmp_path: Path, suffix: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(content)
    refused(path, str(path), "save it as WAV, AIFF, FLAC, OGG or MP3")
    assert capfd.readouterr() == ("", "")  # also of what the decoders write by themselves


def test_paths_that_are_no_files_are_told(tmp_path: Path) -> None:
    refused(tmp_path / "none.wav", "no such file", "check its name")
    refused(tmp_path, "is a folder")
    refused(Path("nul\0.wav"), "check its name")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")
        refused(tmp_path / "pipe.wav", "not an ordinary file")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("rate", [None, 48000])
def test_samples_that_are_no_sound_are_told(tmp_path: Path, bad: float, rate: int | None) -> None:
    audio = sound()
    audio[1, 3 * BLOCK] = bad
    path = written(tmp_path / "in.wav", audio, subtype="FLOAT")
    refused(path, "save it again with full scale at 1.0", rate=rate)


def test_limits_are_told(tmp_path: Path) -> None:
    refused(written(tmp_path / "slow.wav", sound(0.1), 4000), "4000 Hz", "8000 to 384000")
    refused(written(tmp_path / "fast.wav", sound(0.1), 400_000), "400000 Hz", "8000 to 384000")
    refused(written(tmp_path / "empty.wav", sound(0.1)[:, :0]), "holds no sound")
    refused(written(tmp_path / "many.wav", sound(0.01, 70)), "70 channels", "at most 64")
    refused(written(tmp_path / "good.wav", sound(0.1)), "a rate of 1000 Hz", "8000 to 384000", rate=1000)
    soundfile.write(tmp_path / "old.voc", sound(0.1).T, RATE, subtype="PCM_16")
    refused(tmp_path / "old.voc", "VOC", "save it as")


def test_a_length_that_cannot_be_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "in.flac", sound(0.2), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the 36 bits of STREAMINFO that count the samples
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    refused(path, f"at most {LONGEST_MINUTES}", "cut it into parts")


@pytest.mark.parametrize("kind", ["WAV 16", "WAV float", "AIFF", "FLAC", "MP3"])
@pytest.mark.parametrize("rate", [None, 48000])
def test_of_a_file_that_ends_early_what_is_there_is_read(tmp_path: Path, kind: str, rate: int | None) -> None:
    suffix, subtype, near = KINDS[kind]
    audio = sound()
    path = written(tmp_path / f"in{suffix}", audio, subtype=subtype)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with AudioFile(path, rate) as file:
        [warning] = file.warnings
        assert warning.startswith(f"in{suffix}: it ends early, ")
        read = file.read(0, file.frames)
    seconds = read.shape[1] / (rate or RATE)
    assert f"{seconds:.2f} s" in warning
    assert 1.0 < seconds < 4.0
    if rate is None:
        assert np.abs(read - audio[:, : read.shape[1]])[:, :-2000].max() <= near


def test_a_length_that_a_recorder_left_open_is_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path / "in.wav", sound(0.5), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    with AudioFile(path) as file:
        assert (file.frames, file.warnings) == (round(0.5 * RATE), ())


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_never_crash(tmp_path: Path, kind: str) -> None:
    """Heads and bodies changed at random, always alike: read, or refused."""
    suffix, subtype, _ = KINDS[kind]
    good = written(tmp_path / f"in{suffix}", sound(0.1), subtype=subtype).read_bytes()
    generator = np.random.default_rng(len(kind))
    for number in range(150):
        data = bytearray(good)
        for _ in range(int(generator.integers(1, 6))):
            at = int(generator.integers(0, min(len(data), 120 if number % 4 else len(data))))
            value = int(generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.integers(0, 256)]))
            data[at : at + int(generator.integers(1, 5))] = bytes([value])
        if number % 5 == 0:
            data = data[: int(generator.integers(0, len(data)))]
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(data)
        with suppress(SourceError), AudioFile(path, (None, 48000)[number % 2]) as file:
            last = file.read(max(0, file.frames - BLOCK), min(BLOCK, file.frames))
            assert np.isfinite(last).all()


# -- sound that waits ----------------------------------------------------------------------------------------------


def test_scratch_gives_back_what_was_added() -> None:
    audio = sound(2.0)
    with closing(ScratchSound(2)) as scratch:
        for start in range(0, audio.shape[1], 10_000):
            scratch.append(audio[:, start : start + 10_000])
        assert (scratch.frames, scratch.channels) == (audio.shape[1], 2)
        assert np.array_equal(scratch.read(0, scratch.frames), audio)
        assert np.array_equal(scratch.read(12_345, 23_456), audio[:, 12_345 : 12_345 + 23_456])
        with pytest.raises(ValueError, match="rows of 2"):
            scratch.append(audio[:1])
        with pytest.raises(SourceError, match="on the disk ended"):
            scratch.read(scratch.frames - 5, 10)


def test_scratch_tells_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="TMPDIR"):
        ScratchSound(2)
