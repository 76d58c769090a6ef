"""Writes tiny soundfonts for the tests: one preset, one instrument, any number of zones and samples."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import numpy as np
import soundfile
from numpy.typing import NDArray

Modulators = tuple[tuple[int, int, int, int, int], ...]


@dataclass(frozen=True)
class TinySample:
    """A mono sample (float, +-1) with its root key and loop (half-open frames)."""

    data: NDArray[np.float64]
    rate: int = 44_100
    key: int = 69
    loop: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class TinyZone:
    """Generators (number -> 16-bit value; a range as low, high) and modulators of one zone, and its sample."""

    sample: int = 0
    generators: dict[int, int | tuple[int, int]] = field(default_factory=dict)
    modulators: Modulators = ()


def sine(seconds: float = 1.0, hertz: float = 440.0, rate: int = 44_100, level: float = 0.5) -> NDArray[np.float64]:
    """Return a sine that starts at zero."""
    return level * np.sin(2.0 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def soundfont(
    samples: list[TinySample],
    zones: list[TinyZone],
    preset: dict[int, int | tuple[int, int]] | None = None,
    vorbis: bool = False,
    pad: bool = True,
) -> bytes:
    """Return a soundfont with preset 0:0 "Tiny". `pad`: write the pad byte that RIFF wants after odd chunks."""
    smpl, heads = b"", []
    for number, sample in enumerate(samples):
        if vorbis:
            stream = io.BytesIO()
            soundfile.write(stream, sample.data, sample.rate, format="OGG", subtype="VORBIS")
            start, smpl = len(smpl), smpl + stream.getvalue()
            place = (start, len(smpl), *sample.loop)
        else:
            start = len(smpl) // 2
            smpl += np.round(sample.data * 32767).astype("<i2").tobytes() + b"\0" * 92
            place = (start, start + len(sample.data), start + sample.loop[0], start + sample.loop[1])
        name = f"s{number}".encode()
        heads.append(struct.pack("<20sIIIIIBbHH", name, *place, sample.rate, sample.key, 0, 0, 0x11 if vorbis else 1))
    heads.append(struct.pack("<20sIIIIIBbHH", b"EOS", *(0,) * 9))
    ibag, igen, imod = b"", b"", b""
    for zone in zones:
        ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
        igen += b"".join(_generator(*pair) for pair in zone.generators.items()) + _generator(53, zone.sample)
        imod += b"".join(struct.pack("<HHhHH", *row) for row in zone.modulators)
    ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
    pgen = b"".join(_generator(*pair) for pair in (preset or {}).items()) + _generator(41, 0)
    hydra = {
        "phdr": struct.pack("<20sHHHIII", b"Tiny", *(0,) * 6) + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        "pbag": struct.pack("<HHHH", 0, 0, len(pgen) // 4, 0),
        "pmod": bytes(10),
        "pgen": pgen + bytes(4),
        "inst": struct.pack("<20sH", b"tiny", 0) + struct.pack("<20sH", b"EOI", len(zones)),
        "ibag": ibag,
        "imod": imod + bytes(10),
        "igen": igen + bytes(4),
        "shdr": b"".join(heads),
    }
    body = b"sfbk" + chunk("LIST", b"INFO" + chunk("ifil", struct.pack("<HH", 2, 4), pad), pad)
    body += chunk("LIST", b"sdta" + chunk("smpl", smpl, pad), pad)
    body += chunk("LIST", b"pdta" + b"".join(chunk(name, rows, pad) for name, rows in hydra.items()), pad)
    return chunk("RIFF", body, pad)


def chunk(name: str, body: bytes, pad: bool = True) -> bytes:
    """Return one RIFF chunk."""
    return name.encode() + struct.pack("<I", len(body)) + body + (b"\0" if pad and len(body) % 2 else b"")


def _generator(number: int, value: int | tuple[int, int]) -> bytes:
    if isinstance(value, tuple):
        return struct.pack("<HBB", number, *value)
    return struct.pack("<Hh", number, value)
