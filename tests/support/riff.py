"""Reads WAV files by walking their chunks, independently of what wrote them and of every sound library."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly


@dataclass(frozen=True)
class Wave:
    """A WAV file: its format, its chunks by name (LIST by its type), its samples as integers (channels, frames)."""

    rate: int
    bits: int
    chunks: dict[str, bytes]
    samples: NDArray[np.int32]

    @property
    def frames(self) -> int:
        return int(self.samples.shape[1])

    @property
    def audio(self) -> NDArray[np.float64]:
        """The samples with full scale at 1.0."""
        return self.samples / float(1 << (self.bits - 1))

    def acid(self) -> dict[str, float]:
        names = ("flags", "root", "_", "_", "beats", "unit", "pulses", "bpm")
        return dict(zip(names, struct.unpack("<IHHfIHHf", self.chunks["acid"]), strict=True))

    def loops(self) -> list[tuple[int, int]]:
        """Loops of `smpl`: first and last frame."""
        count = struct.unpack_from("<I", self.chunks["smpl"], 28)[0]
        rows = [struct.unpack_from("<6I", self.chunks["smpl"], 36 + 24 * k) for k in range(count)]
        return [(row[2], row[3]) for row in rows]

    def time_reference(self) -> int:
        """`bext`: the first frame on the song's timeline."""
        low, high = struct.unpack_from("<II", self.chunks["bext"], 338)
        return int(low | high << 32)

    def markers(self) -> list[tuple[int, str]]:
        """`cue ` points in order: frame and label."""
        names: dict[int, str] = {}
        for name, data in _walk(self.chunks["LIST adtl"]):
            if name == "labl":
                names[struct.unpack_from("<I", data)[0]] = _text(data[4:])
        count = struct.unpack_from("<I", self.chunks["cue "])[0]
        points = [struct.unpack_from("<II4sIII", self.chunks["cue "], 4 + 24 * k) for k in range(count)]
        return [(point[5], names[point[0]]) for point in points]

    def info(self) -> dict[str, str]:
        return {name: _text(data) for name, data in _walk(self.chunks["LIST INFO"])}

    def ixml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.chunks["iXML"])


def read_wave(path: Path) -> Wave:
    """Read a 24-bit PCM WAV file; its chunks must fill it to the last byte."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF", path
    assert data[8:12] == b"WAVE", path
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8, path
    chunks: dict[str, bytes] = {}
    for name, payload in _walk(data[12:]):
        if name == "LIST":
            name, payload = f"LIST {payload[:4].decode('ascii')}", payload[4:]
        assert name not in chunks, (path, name)
        chunks[name] = payload
    tag, channels, rate, second, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunks["fmt "])
    assert (tag, bits, frame_bytes, second) == (1, 24, 3 * channels, 3 * channels * rate), path
    raw = np.frombuffer(chunks["data"], np.uint8).reshape(-1, channels, 3).astype(np.int32)
    values = (raw[..., 0] << 8 | raw[..., 1] << 16 | raw[..., 2] << 24) >> 8
    return Wave(rate, bits, chunks, np.ascontiguousarray(values.T))


def true_peak_db(audio: NDArray[np.float64]) -> float:
    """dBTP of (channels, frames) by four times oversampling (ITU-R BS.1770-4, annex 2)."""
    peak = float(np.abs(resample_poly(audio, 4, 1, axis=1)).max())
    return 20 * float(np.log10(max(peak, 1e-12)))


def _walk(data: bytes) -> list[tuple[str, bytes]]:
    found, at = [], 0
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        assert at + 8 + size <= len(data), name
        found.append((name.decode("ascii"), data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8")
