"""Our own files read back: to the bit, in slices, and nothing believed that a head says."""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.project.errors import ProjectError
from studio.project.pcm import Float32
from studio.project.wav import WavInfo, write_sound, write_wav
from studio.project.wavread import WavReader

RATE = 44_100
NOISE = np.random.Generator(np.random.PCG64(4)).uniform(-1.0, 1.0, (2, 70_000)).astype(np.float32)


def stem(path: Path, frames: int = 70_000, channels: int = 2) -> Path:
    info = WavInfo("a stem", "a song", comment="with chunks before its samples")
    write_wav(path, [NOISE[:channels, :frames]], RATE, channels=channels, frames=frames, info=info)
    return path


def take(path: Path, channels: int = 2) -> Path:
    with open(path, "wb") as file:
        write_sound(file, [NOISE[:channels]], RATE, channels, NOISE.shape[1], Float32(channels))
    return path


@pytest.mark.parametrize("channels", [1, 2])
def test_whole_numbers_are_those_of_a_library(tmp_path: Path, channels: int) -> None:
    path = stem(tmp_path / "a.wav", channels=channels)
    plain = soundfile.read(path, dtype="int32", always_2d=True)[0] >> 8
    assert plain.min() < -8_000_000 < 8_000_000 < plain.max()
    with WavReader(path) as file:
        assert (file.rate, file.frames, file.channels, file.is_float) == (RATE, 70_000, channels, False)
        assert np.array_equal(file.integers(0, 70_000), plain)
        assert np.array_equal(file.integers(123, 4567), plain[123 : 123 + 4567])
        assert file.integers(70_000, 0).shape == (0, channels)


@pytest.mark.parametrize("channels", [1, 2])
def test_floats_come_back_to_the_bit(tmp_path: Path, channels: int) -> None:
    with WavReader(take(tmp_path / "a.wav", channels)) as file:
        assert (file.rate, file.frames, file.channels, file.is_float) == (RATE, 70_000, channels, True)
        assert np.array_equal(file.floats(0, 70_000), NOISE[:channels])
        part = file.floats(69_990, 10)
        assert np.array_equal(part, NOISE[:channels, -10:])
        assert part.flags.c_contiguous


def test_a_file_of_more_than_four_gigabytes_is_read(tmp_path: Path) -> None:
    """Its sizes stand in a chunk of their own. Here it is the head of one that would be so long, put right."""
    plain = stem(tmp_path / "a.wav", 1000)
    data = plain.read_bytes()
    samples, size = data.index(b"data") + 8, 1000 * 6
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, len(data) + 36 - 8, size, 1000, 0)
    long = b"RF64" + b"\xff" * 4 + b"WAVE" + ds64 + data[12 : samples - 4] + b"\xff" * 4 + data[samples:]
    (tmp_path / "b.wav").write_bytes(long)
    with WavReader(plain) as a, WavReader(tmp_path / "b.wav") as b:
        assert np.array_equal(a.integers(0, 1000), b.integers(0, 1000))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: b"", "no WAV file"),
        (lambda d: b"nonsense, and nothing else", "no WAV file"),
        (lambda d: d[:-1], "bytes of"),
        (lambda d: d + b"more", "bytes of"),
        (lambda d: d.replace(b"fmt ", b"fmx "), "does not say what its samples are"),
        (lambda d: d.replace(b"data", b"dota", 1), "holds no samples"),
        (lambda d: d[:20] + struct.pack("<H", 6) + d[22:], "of kind 6"),
        (lambda d: d[:22] + struct.pack("<H", 99) + d[24:], "99 channels"),
        (lambda d: d[:24] + struct.pack("<I", 0) + d[28:], "at 0 Hz"),
        (lambda d: d[: d.index(b"data") + 4] + b"\xff\xff\xff\x7f" + d[d.index(b"data") + 8 :], "do not all lie in it"),
        (lambda d: b"RF64" + d[4:12] + struct.pack("<4sI", b"ds64", 28), "ends in its head"),
        (lambda d: d[:12] + struct.pack("<4sI", b"junk", 0) * 2000 + d[12:], "too many chunks"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, change, words) -> None:
    path = stem(tmp_path / "a.wav", 500)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ProjectError, match=rf"a\.wav is damaged: .*{words}.*; make the take again"):
        WavReader(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="does not exist"):
        WavReader(tmp_path / "a.wav")


def test_a_file_that_is_cut_while_it_is_open_is_an_error(tmp_path: Path) -> None:
    path = take(tmp_path / "a.wav")
    with WavReader(path) as file:
        with open(path, "r+b") as other:
            other.truncate(3000)
        assert file.floats(0, 100).shape == (2, 100)
        with pytest.raises(ProjectError, match="ends before its 70000 frames"):
            file.floats(1000, 100)


def test_no_head_makes_it_read_beyond_the_file_or_fail_otherwise(tmp_path: Path) -> None:
    """Bytes of the head changed at random (always the same ones): either it is refused in words, or it is sound."""
    draw = random.Random(11)
    path = tmp_path / "a.wav"
    for whole in (stem(path, 300).read_bytes(), take(path).read_bytes()[:2000]):
        head = whole.index(b"data") + 8
        for _ in range(600):
            data = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                data[draw.randrange(head)] = draw.choice((0, 1, 3, 0x7F, 0x80, 0xFF, draw.randrange(256)))
            path.write_bytes(data)
            with suppress(ProjectError), WavReader(path) as file:
                assert file.frames * file.channels * (4 if file.is_float else 3) <= len(data)
                if file.is_float:
                    assert file.floats(0, file.frames).shape == (file.channels, file.frames)
                else:
                    assert file.integers(0, file.frames).shape == (file.frames, file.channels)
