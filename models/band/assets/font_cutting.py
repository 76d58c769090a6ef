"""Cuts an SF3 soundfont down to some presets and re-encodes its samples; used by `make_assets.py` only."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soundfile
from numpy.typing import NDArray

_FORMATS = {
    "phdr": "<20sHHHIII", "pbag": "<HH", "pmod": "<HHhHH", "pgen": "<HH",
    "inst": "<20sH", "ibag": "<HH", "imod": "<HHhHH", "igen": "<HH", "shdr": "<20sIIIIIBbHH",
}  # fmt: skip
_INSTRUMENT, _SAMPLE, _SAMPLE_MODES = 41, 53, 54
_SEAM = 0.03
_LINKED = 2 | 4  # sample types "right" and "left"
Rows = list[tuple]


@dataclass(frozen=True)
class Recipe:
    """How samples are stored: Vorbis levels to try, 0 best, 1 smallest; long ones are cut, without a loop."""

    levels: tuple[float, ...]
    longest_seconds: float
    fade_seconds: float


def cut(data: bytes, places: Iterable[tuple[int, int]], recipe: Recipe) -> bytes:
    """Return a soundfont that holds the presets at `places` (bank, program) of the soundfont `data`."""
    chunks = _chunks(data)
    tables = {name: list(struct.iter_unpack(form, chunks[name])) for name, form in _FORMATS.items()}
    kept, instruments, samples = _kept_presets(tables, set(places))
    _keep_instruments(tables, kept, instruments, samples)
    _keep_partners(tables["shdr"], samples)
    smpl, short = _encode(tables["shdr"], chunks["smpl"], samples, kept, recipe)
    _unloop(kept, short)
    ends = {
        "phdr": (b"EOP", 0, 0, len(kept["pbag"]), 0, 0, 0), "pbag": (len(kept["pgen"]), len(kept["pmod"])),
        "pgen": (0, 0), "pmod": (0,) * 5, "inst": (b"EOI", len(kept["ibag"])),
        "ibag": (len(kept["igen"]), len(kept["imod"])), "igen": (0, 0), "imod": (0,) * 5,
        "shdr": (b"EOS",) + (0,) * 9,
    }  # fmt: skip
    hydra = b"".join(
        _chunk(name, b"".join(struct.pack(form, *row) for row in [*kept[name], ends[name]]))
        for name, form in _FORMATS.items()
    )
    body = b"sfbk" + _chunk("LIST", chunks["INFO"]) + _chunk("LIST", b"sdta" + _chunk("smpl", smpl))
    return _chunk("RIFF", body + _chunk("LIST", b"pdta" + hydra))


def _chunk(name: str, body: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}

    def walk(at: int, end: int) -> None:
        while at + 8 <= end:
            name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
            body = data[at + 8 : at + 8 + size]
            if name == b"LIST" and body[:4] == b"INFO":
                found["INFO"] = body
            elif name == b"LIST":
                walk(at + 12, at + 8 + size)
            else:
                found[name.decode()] = body
            at += 8 + size
            if size % 2 and not data[at : at + 4].isalpha():  # the source font leaves pad bytes out
                at += 1

    walk(12, len(data))
    return found


def _kept_presets(
    tables: dict[str, Rows], places: set[tuple[int, int]]
) -> tuple[dict[str, Rows], dict[int, int], dict[int, int]]:
    kept: dict[str, Rows] = {name: [] for name in _FORMATS}
    instruments: dict[int, int] = {}
    heads = tables["phdr"]
    for number, head in enumerate(heads[:-1]):
        if (head[2], head[1]) not in places:
            continue
        kept["phdr"].append((head[0], head[1], head[2], len(kept["pbag"]), *head[4:]))
        for bag in range(head[3], heads[number + 1][3]):
            kept["pbag"].append((len(kept["pgen"]), len(kept["pmod"])))
            (gen, mod), (gen_end, mod_end) = tables["pbag"][bag], tables["pbag"][bag + 1]
            for operator, value in tables["pgen"][gen:gen_end]:
                if operator == _INSTRUMENT:
                    value = instruments.setdefault(value, len(instruments))
                kept["pgen"].append((operator, value))
            kept["pmod"] += tables["pmod"][mod:mod_end]
    missing = places - {(head[2], head[1]) for head in kept["phdr"]}
    if missing:
        raise SystemExit(f"the soundfont has no preset {sorted(missing)}; is it MuseScore General?")
    return kept, instruments, {}


def _keep_instruments(
    tables: dict[str, Rows], kept: dict[str, Rows], instruments: dict[int, int], samples: dict[int, int]
) -> None:
    for number in instruments:
        name, first = tables["inst"][number]
        kept["inst"].append((name, len(kept["ibag"])))
        for bag in range(first, tables["inst"][number + 1][1]):
            kept["ibag"].append((len(kept["igen"]), len(kept["imod"])))
            (gen, mod), (gen_end, mod_end) = tables["ibag"][bag], tables["ibag"][bag + 1]
            for operator, value in tables["igen"][gen:gen_end]:
                if operator == _SAMPLE:
                    value = samples.setdefault(value, len(samples))
                kept["igen"].append((operator, value))
            kept["imod"] += tables["imod"][mod:mod_end]


def _keep_partners(heads: Rows, samples: dict[int, int]) -> None:
    """Keep the other half of each stereo pair, so that no link points nowhere."""
    for number in list(samples):
        partner, kind = heads[number][8], heads[number][9]
        if kind & _LINKED and partner < len(heads) - 1:
            samples.setdefault(partner, len(samples))


def _encode(
    heads: Rows, smpl: bytes, samples: dict[int, int], kept: dict[str, Rows], recipe: Recipe
) -> tuple[bytes, set[int]]:
    """Return the sample chunk and the new numbers of samples that were cut short; fill `kept["shdr"]`."""
    out = bytearray()
    short: set[int] = set()
    for number, place in samples.items():
        name, start, end, loop_start, loop_end, rate, key, correction, link, kind = heads[number]
        raw = smpl[start:end]
        sound, _ = soundfile.read(io.BytesIO(raw), dtype="float32")
        longest = int(recipe.longest_seconds * rate)
        if len(sound) > longest:
            fade = int(recipe.fade_seconds * rate)
            sound = sound[:longest].copy()
            sound[-fade:] *= (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, fade))).astype(np.float32)
            loop_start = loop_end = 0
            short.add(place)
        # A loop whose ends no longer meet is heard as a buzz: such a sample is stored better, or as it was.
        for level in recipe.levels:
            packed = _vorbis(sound, rate, level)
            if not _seam_worse(sound, packed, loop_start, loop_end):
                break
        else:
            packed = raw
        if place not in short and len(packed) >= len(raw):
            packed = raw
        if soundfile.info(io.BytesIO(packed)).frames != len(sound):
            raise SystemExit(f"sample {name!r} changed its length when encoded; its loop would be wrong")
        at = len(out)
        out += packed
        kept["shdr"].append(
            (name, at, len(out), loop_start, loop_end, rate, key, correction, samples.get(link, 0), kind)
        )
    out += b"\0" * (len(out) % 2)  # padded inside the chunk: some readers do not skip RIFF pad bytes
    return bytes(out), short


def _vorbis(sound: NDArray[np.float32], rate: int, level: float) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format="OGG", subtype="VORBIS", compression_level=level)
    return stream.getvalue()


def _seam_worse(sound: NDArray[np.float32], packed: bytes, loop_start: int, loop_end: int) -> bool:
    """Tell whether encoding moved the step across a loop's ends by more than 3 % of the loop's RMS."""
    if not 0 < loop_start < loop_end <= len(sound):
        return False
    again, _ = soundfile.read(io.BytesIO(packed), dtype="float32")
    steps = [x[loop_end - 1] - x[loop_start] for x in (sound, again)]
    power = float(np.sqrt((sound[loop_start:loop_end] ** 2).mean()))
    return abs(float(steps[0] - steps[1])) > _SEAM * power


def _unloop(kept: dict[str, Rows], short: set[int]) -> None:
    """Turn the loop off in every instrument zone whose sample was cut short."""
    bags = [*kept["ibag"], (len(kept["igen"]), len(kept["imod"]))]
    heads = [*kept["inst"], (b"", len(kept["ibag"]))]
    rebuilt: Rows = []
    new_bags: Rows = []
    for (_, first), (_, last) in pairwise(heads):
        for bag in range(first, last):
            rows = kept["igen"][bags[bag][0] : bags[bag + 1][0]]
            new_bags.append((len(rebuilt), bags[bag][1]))
            if rows and rows[-1][0] == _SAMPLE and rows[-1][1] in short:
                rows = [row for row in rows[:-1] if row[0] != _SAMPLE_MODES] + [(_SAMPLE_MODES, 0), rows[-1]]
            rebuilt += rows
    kept["igen"], kept["ibag"] = rebuilt, new_bags
