"""Reader of SoundFont 2.04 (16-bit PCM) and SF3 (Ogg Vorbis) files, which are treated as hostile input.

Sources: SoundFont Technical Specification 2.04, sections 4 (RIFF), 7 (the nine hydra chunks), 8.1
(generators), 9.4 (how zones combine). SF3 is the same structure with bit 4 of the sample type set: start
and end are then byte offsets of an Ogg stream in `smpl`, and the loop points count from the sample's first
frame.

Samples are decoded when first asked for and only as far as needed. Every fault is a one-line `FontError`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.band.sound.cache import ByteCache
from models.band.sound.modulators import VELOCITY_TO_ATTENUATION, Modulator
from models.band.sound.voice import SoundError

MAX_FILE_BYTES = 2 << 30
DECODED_BYTES = 96 << 20  # a song of five instruments decodes 20 to 60 MB
MAX_SAMPLE_FRAMES = 1 << 24  # 6 minutes at 44.1 kHz: far above any instrument sample, far below trouble
_LEAST_DECODED = 1 << 16  # opening a stream costs as much as decoding a second of it
MAX_ZONES = 20_000  # a preset's zones after combination; the largest known preset has about a thousand

# Generator numbers, SF2 2.04 section 8.1.2.
START, END, LOOP_START, LOOP_END, START_COARSE = 0, 1, 2, 3, 4
MOD_LFO_TO_PITCH, VIB_LFO_TO_PITCH, MOD_ENV_TO_PITCH = 5, 6, 7
CUTOFF, RESONANCE, MOD_LFO_TO_CUTOFF, MOD_ENV_TO_CUTOFF, END_COARSE, MOD_LFO_TO_VOLUME = 8, 9, 10, 11, 12, 13
PAN, MOD_LFO_DELAY, MOD_LFO_RATE, VIB_LFO_DELAY, VIB_LFO_RATE = 17, 21, 22, 23, 24
MOD_ENV, MOD_ENV_KEY_TO_HOLD, MOD_ENV_KEY_TO_DECAY = (
    25,
    31,
    32,
)  # 25..30: delay attack hold decay sustain release
VOL_ENV, VOL_ENV_KEY_TO_HOLD, VOL_ENV_KEY_TO_DECAY = 33, 39, 40  # 33..38, the same order
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, LOOP_START_COARSE, FIXED_KEY, FIXED_VELOCITY = 41, 43, 44, 45, 46, 47
ATTENUATION, LOOP_END_COARSE, COARSE_TUNE, FINE_TUNE, SAMPLE, SAMPLE_MODES = 48, 50, 51, 52, 53, 54
SCALE_TUNING, EXCLUSIVE_CLASS, ROOT_KEY = 56, 57, 58
GENERATORS = 61

_DEFAULTS = {
    CUTOFF: 13500,
    MOD_LFO_DELAY: -12000,
    VIB_LFO_DELAY: -12000,
    FIXED_KEY: -1,
    FIXED_VELOCITY: -1,
    SCALE_TUNING: 100,
    ROOT_KEY: -1,
    **dict.fromkeys((25, 26, 27, 28, 30, 33, 34, 35, 36, 38), -12000),
}
#: Generators that have no meaning in a preset zone (section 8.5) and are ignored there.
_INSTRUMENT_ONLY = {0, 1, 2, 3, 4, 12, 45, 46, 47, 50, 54, 57, 58}
_VORBIS = 0x10
_ROM = 0x8000

_RECORDS = {
    "phdr": np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("_", "V12")]),
    "pbag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    "pmod": np.dtype([("src", "<u2"), ("dst", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("trans", "<u2")]),
    "pgen": np.dtype([("op", "<u2"), ("value", "<i2")]),
    "inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    "ibag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    "imod": np.dtype([("src", "<u2"), ("dst", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("trans", "<u2")]),
    "igen": np.dtype([("op", "<u2"), ("value", "<i2")]),
    "shdr": np.dtype([
        ("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
        ("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2"),
    ]),
}  # fmt: skip
_CHUNK_IDS = {name.encode() for name in _RECORDS} | {b"LIST", b"smpl", b"sm24"}


class FontError(SoundError):
    """A soundfont that cannot be read, or that lacks what was asked of it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Decoded mono frames (float32, +-1.0) of one sample and how they are meant to be played."""

    data: NDArray[np.float32]
    rate: int
    key: int  #: MIDI key at which the data sounds as recorded; 60 when the font says "unpitched"
    correction: int  #: cents
    loop_start: int  #: first frame of the loop
    loop_end: int  #: one past its last frame
    total: int  #: frames the whole sample has; `data` may be shorter when less was asked for


@dataclass(frozen=True)
class Zone:
    """One sample of a preset, where it sounds, and its 61 generators and modulators, already combined."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: tuple[int, ...]
    attenuation_cb: float  #: generator 48 in centibels at 0.4 of its face value, see `_combined`
    modulators: tuple[Modulator, ...]
    sample: int

    def matches(self, key: int, velocity: int) -> bool:
        """Tell whether a note sounds this zone."""
        low, high = self.keys
        soft, loud = self.velocities
        return low <= key <= high and soft <= velocity <= loud


@dataclass
class _Layer:
    """One bag of generators and modulators before combination."""

    generators: dict[int, int] = field(default_factory=dict)
    modulators: dict[tuple[int, int, int, int], Modulator] = field(default_factory=dict)
    target: int = -1

    def over(self, base: _Layer) -> _Layer:
        """Return this local zone on top of the global zone of its preset or instrument."""
        return _Layer({**base.generators, **self.generators}, {**base.modulators, **self.modulators}, self.target)

    def span(self, generator: int) -> tuple[int, int]:
        """Return a key or velocity range as (lowest, highest), 0..127 each."""
        if generator not in self.generators:
            return 0, 127
        value = self.generators[generator] & 0xFFFF
        return value & 0xFF, min(value >> 8, 127)


class Font:
    """A soundfont in memory. `presets` maps (bank, program) to the preset's name."""

    def __init__(self, data: bytes, label: str = "soundfont") -> None:
        """Read the structure (not the samples) of a file; raise `FontError` when it is not a soundfont."""
        self.label = label
        self._data = memoryview(data)
        chunks = self._chunks()
        self._smpl = chunks.pop("smpl", memoryview(b""))
        self._tables = {name: self._table(name, chunks) for name in _RECORDS}
        self.presets: dict[tuple[int, int], str] = {}
        self._index: dict[tuple[int, int], int] = {}
        for number, row in enumerate(self._tables["phdr"][:-1]):
            place = (int(row["bank"]), int(row["program"]))
            if place not in self._index:
                self._index[place] = number
                self.presets[place] = _name(row["name"])
        self._zones: dict[tuple[int, int], tuple[Zone, ...]] = {}
        self._decoded = ByteCache(DECODED_BYTES)

    @classmethod
    def open(cls, path: Path) -> Font:
        """Read a .sf2 or .sf3 file."""
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise FontError(f"{path.name}: larger than {MAX_FILE_BYTES >> 30} GiB; use a smaller soundfont")
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise FontError(f"{path.name}: cannot be read ({error.strerror}); check the path") from error

    def zones(self, bank: int, program: int) -> tuple[Zone, ...]:
        """Return the zones of a preset, instrument and preset level combined (section 9.4)."""
        place = (bank, program)
        if place not in self._index:
            raise self._fault(f"has no preset {bank}:{program}; it has {len(self._index)} others")
        if place not in self._zones:
            self._zones[place] = tuple(self._preset_zones(self._index[place]))
        return self._zones[place]

    def sample(self, number: int, frames: int = MAX_SAMPLE_FRAMES) -> Sample:
        """Return a sample with at least its first `frames` frames decoded (all when it is shorter)."""
        known = self._decoded.get(number)
        if known is None or len(known[0]) < min(frames, int(known[1][-1])):
            known = self._decode(number, max(frames, _LEAST_DECODED))
            self._decoded.put(number, known)
        return Sample(known[0], *(int(value) for value in known[1]))

    # -- structure -----------------------------------------

    def _fault(self, what: str) -> FontError:
        return FontError(f"{self.label}: {what}")

    def _chunks(self) -> dict[str, memoryview]:
        data = self._data
        if len(data) < 12 or bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"sfbk":
            raise self._fault("not a SoundFont file (RIFF sfbk expected); give an .sf2 or .sf3 file")
        found: dict[str, memoryview] = {}
        for ident, body in self._walk(data[12:]):
            if ident == b"LIST" and bytes(body[:4]) in (b"sdta", b"pdta"):
                for inner, content in self._walk(body[4:]):
                    if inner in _CHUNK_IDS:
                        found.setdefault(inner.decode(), content)
        return found

    def _walk(self, data: memoryview) -> list[tuple[bytes, memoryview]]:
        chunks = []
        at = 0
        while at + 8 <= len(data):
            ident, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
            if size > len(data) - at - 8:
                raise self._fault(f"chunk {ident!r} of {size} bytes runs past the end; the file is cut or damaged")
            chunks.append((ident, data[at + 8 : at + 8 + size]))
            at += 8 + size
            # Some writers leave out the pad byte that RIFF wants after an odd chunk.
            if size % 2 and bytes(data[at : at + 4]) not in _CHUNK_IDS:
                at += 1
        return chunks

    def _table(self, name: str, chunks: dict[str, memoryview]) -> NDArray[np.void]:
        kind = _RECORDS[name]
        raw = chunks.get(name, memoryview(b""))
        if not len(raw) or len(raw) % kind.itemsize:
            raise self._fault(f"chunk {name} has {len(raw)} bytes, not a multiple of {kind.itemsize}; it is damaged")
        return np.frombuffer(raw, kind)

    def _span(self, table: str, row: int, column: str, limit: int) -> tuple[int, int]:
        """Return the half-open index range that a row and its successor describe, checked against `limit`."""
        rows = self._tables[table]
        if not 0 <= row < len(rows) - 1:
            raise self._fault(f"index {row} into {table} of {len(rows) - 1}; the file is damaged")
        first, last = int(rows[row][column]), int(rows[row + 1][column])
        if not first <= last <= limit:
            raise self._fault(f"{table} {row} spans {first}..{last} of {limit}; the file is damaged")
        return first, last

    def _layers(self, kind: str, table: str, row: int, target: int) -> list[_Layer]:
        """Return the zones of a preset (`kind` "p") or instrument ("i"), each over its global zone."""
        bags, gens, mods = kind + "bag", self._tables[kind + "gen"], self._tables[kind + "mod"]
        layers: list[_Layer] = []
        base = _Layer()
        first, last = self._span(table, row, "bag", len(self._tables[bags]) - 1)
        for number in range(first, last):
            low, high = self._span(bags, number, "gen", len(gens))
            if high - low > 4 * GENERATORS:
                raise self._fault(f"zone {number} lists {high - low} generators; the file is damaged")
            layer = _Layer({int(gen["op"]): int(gen["value"]) for gen in gens[low:high]})
            low, high = self._span(bags, number, "mod", len(mods))
            if high - low > 4 * GENERATORS:
                raise self._fault(f"zone {number} lists {high - low} modulators; the file is damaged")
            for m in mods[low:high]:
                modulator = Modulator(int(m["src"]), int(m["dst"]), int(m["amount"]), int(m["by"]), int(m["trans"]))
                layer.modulators[modulator.identity()] = modulator
            if target in layer.generators:
                layer.target = layer.generators[target] & 0xFFFF
                layers.append(layer.over(base))
            elif number == first:
                base = layer  # only the first zone may be global; a later one without a target is ignored (7.3)
            if len(layers) > MAX_ZONES:
                raise self._fault(f"more than {MAX_ZONES} zones in one preset; use a simpler soundfont")
        return layers

    def _preset_zones(self, number: int) -> list[Zone]:
        zones: list[Zone] = []
        instruments: dict[int, list[_Layer]] = {}
        for preset in self._layers("p", "phdr", number, INSTRUMENT):
            if preset.target not in instruments:
                instruments[preset.target] = self._layers("i", "inst", preset.target, SAMPLE)
            for instrument in instruments[preset.target]:
                zone = _combined(preset, instrument)
                if zone is not None:
                    self._sample_row(zone.sample)
                    zones.append(zone)
                if len(zones) > MAX_ZONES:
                    raise self._fault(f"more than {MAX_ZONES} zones in one preset; use a simpler soundfont")
        return zones

    # -- samples -----------------------------------------

    def _sample_row(self, number: int) -> np.void:
        rows = self._tables["shdr"]
        if not 0 <= number < len(rows) - 1:
            raise self._fault(f"sample {number} of {len(rows) - 1}; the file is damaged")
        row = rows[number]
        start, end, kind = int(row["start"]), int(row["end"]), int(row["type"])
        unit = 1 if kind & _VORBIS else 2
        if kind & _ROM:
            raise self._fault(f"sample {number} lives in a sound card's ROM; use another soundfont")
        if not start < end or end * unit > len(self._smpl):
            raise self._fault(f"sample {number} lies at {start}..{end}, outside the sample data; the file is damaged")
        if unit == 2 and end - start > MAX_SAMPLE_FRAMES:
            raise self._fault(f"sample {number} is longer than {MAX_SAMPLE_FRAMES} frames; use a shorter one")
        if not 400 <= int(row["rate"]) <= 192_000:
            raise self._fault(f"sample {number} has a rate of {row['rate']}; 400 to 192000 are readable")
        return row

    def _decode(self, number: int, frames: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the data of a sample, and the other fields of `Sample`."""
        row = self._sample_row(number)
        start, end = int(row["start"]), int(row["end"])
        loop_start, loop_end = int(row["loop_start"]), int(row["loop_end"])
        if int(row["type"]) & _VORBIS:
            data, total = self._vorbis(number, start, end, frames)
        else:
            pcm = np.frombuffer(self._smpl[2 * start : 2 * end], "<i2")
            data, total = pcm.astype(np.float32) / np.float32(32768), end - start
            loop_start, loop_end = loop_start - start, loop_end - start
        key = int(row["key"]) if row["key"] < 128 else 60
        fields = (int(row["rate"]), key, int(row["correction"]), loop_start, loop_end, total)
        return data, np.array(fields, np.int64)

    def _vorbis(self, number: int, start: int, end: int, frames: int) -> tuple[NDArray[np.float32], int]:
        import soundfile

        try:
            with soundfile.SoundFile(io.BytesIO(self._smpl[start:end])) as stream:
                total = int(stream.frames)
                if not 0 < total <= MAX_SAMPLE_FRAMES or stream.channels > 2:
                    raise self._fault(f"sample {number}: {total} frames, {stream.channels} channels; it is damaged")
                # Reading a little at a time keeps a false length from reserving memory that nothing fills.
                parts = []
                left = min(frames, total)
                while left > 0:
                    part = stream.read(min(left, 1 << 18), dtype="float32", always_2d=True)[:, 0]
                    if not len(part):
                        break
                    parts.append(part)
                    left -= len(part)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise self._fault(f"sample {number} is not a Vorbis stream; the file is damaged") from error
        if not parts:
            raise self._fault(f"sample {number} is empty; the file is damaged")
        data = np.nan_to_num(np.concatenate(parts), nan=0.0, posinf=1.0, neginf=-1.0)
        return data.astype(np.float32, copy=False), total if left <= 0 else len(data)


def _combined(preset: _Layer, instrument: _Layer) -> Zone | None:
    """Add a preset zone to an instrument zone (9.4); None where their ranges do not meet."""
    spans = []
    for generator in (KEY_RANGE, VELOCITY_RANGE):
        outer, inner = preset.span(generator), instrument.span(generator)
        spans.append((max(outer[0], inner[0]), min(outer[1], inner[1])))
    if any(low > high for low, high in spans):
        return None
    values = [0] * GENERATORS
    for generator, value in {**_DEFAULTS, **instrument.generators}.items():
        if generator < GENERATORS:
            values[generator] = value
    for generator, value in preset.generators.items():
        if generator < GENERATORS and generator not in _INSTRUMENT_ONLY:
            values[generator] += value
    # The cards for which fonts were balanced apply 0.4 of the written attenuation; so does FluidSynth.
    attenuation = 0.4 * values[ATTENUATION]
    base = {VELOCITY_TO_ATTENUATION.identity(): VELOCITY_TO_ATTENUATION, **instrument.modulators}
    modulators = tuple(m for m in (*base.values(), *preset.modulators.values()) if m.amount)
    return Zone(spans[0], spans[1], tuple(values), attenuation, modulators, instrument.target)


def _name(raw: bytes) -> str:
    return bytes(raw).split(b"\0")[0].decode("latin-1").strip()
