"""WAV files as DAWs read them: clips, stems, the mix, and the takes in `media/`.

A clip says in its own chunks where it belongs (`bext`, `iXML`), how it loops (`acid`, `smpl`), what is where
in it (`cue `, `LIST adtl`) and what it is (`LIST INFO`). Files are written in one pass, block by block, and
appear whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from studio.project import chunks
from studio.project.atomic import atomic_file
from studio.project.chunks import Loudness, Marker
from studio.project.errors import ProjectError
from studio.project.pcm import BLOCK, Packer, Pcm24, check_block
from studio.song import Key, Meter
from studio.version import __version__

SOFTWARE = f"Stemwright {__version__}"
MOST_CHANNELS = 8
HIGHEST_RATE = 768_000

Block = npt.NDArray[Any]


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes | bytearray | memoryview) -> int: ...


class Written(NamedTuple):
    """What was written: frames, and how many samples were clipped at full scale (0 is what one wants)."""

    frames: int
    clipped: int


@dataclass(frozen=True)
class WavInfo:
    """What a sound file says about itself. `start_frame` is its first frame on the song's timeline."""

    title: str
    song: str = ""
    style: str = ""
    comment: str = ""
    role: str = ""
    start_frame: int = 0
    markers: tuple[Marker, ...] = ()
    loudness: Loudness = field(default_factory=Loudness)


@dataclass(frozen=True)
class ClipInfo(WavInfo):
    """What a clip says besides: its section, its bars, and how it loops.

    `frames` is the exact length of its bars and `beats` the same in quarter notes; with a tail the file holds
    more frames. `bpm` is the tempo at its start; `steady` False says that the tempo moves inside the clip,
    which a host cannot stretch as a loop. `key` is None for what has no pitch (drums).
    """

    section: str = ""
    section_index: int = 0
    start_bar: int = 1
    bars: int = 1
    beats: Fraction = Fraction(4)
    frames: int = 0
    bpm: Fraction = Fraction(120)
    steady: bool = True
    meter: Meter = field(default_factory=Meter)
    key: Key | None = None
    loops: bool = True


def write_clip(path: Path, audio: Block, rate: int, info: ClipInfo, *, durable: bool = False) -> Written:
    """Write a clip, `audio` of shape (channels, frames), as a 24-bit WAV with all its chunks. Raises ProjectError.

    `durable` False leaves it to the system when the disk holds it: a clip can be made again from its take.
    """
    channels, frames = _shape(audio)
    return write_wav(path, [audio], rate, channels=channels, frames=frames, info=info, durable=durable)


def write_wav(
    path: Path,
    blocks: Iterable[Block],
    rate: int,
    *,
    channels: int,
    frames: int,
    info: WavInfo,
    durable: bool = False,
) -> Written:
    """Write a 24-bit WAV of exactly `frames` frames from blocks of shape (channels, any). Raises ProjectError.

    The blocks are taken one by one, so a mix may be rendered while it is written.
    """
    packer = Pcm24(channels)
    with atomic_file(path, durable=durable) as file:
        return write_sound(file, blocks, rate, channels, frames, packer, info_chunks(info, rate, channels, frames))


def write_sound(
    file: Sink,
    blocks: Iterable[Block],
    rate: int,
    channels: int,
    frames: int,
    packer: Packer,
    extra_chunks: Iterable[bytes] = (),
) -> Written:
    """Write head, chunks and samples into an open file. Raises ProjectError."""
    if not 1 <= channels <= MOST_CHANNELS or not 1 <= rate <= HIGHEST_RATE or frames < 1:
        raise ProjectError(
            f"sound of {channels} channels and {frames} frames at {rate}: a file has 1 to {MOST_CHANNELS} channels, "
            f"at least 1 frame and a rate of 1 to {HIGHEST_RATE}"
        )
    data_bytes = frames * channels * packer.sample_bytes
    head = [chunks.fmt(packer.format_tag, channels, rate, packer.sample_bytes)]
    if packer.format_tag != 1:
        head.append(chunks.fact(frames))
    file.write(chunks.file_head([*head, *extra_chunks], data_bytes, frames))
    done = 0
    for block in blocks:
        samples = check_block(block, channels)
        done += samples.shape[1]
        if done > frames:
            break
        for start in range(0, samples.shape[1], BLOCK):
            file.write(packer.pack(samples[:, start : start + BLOCK]))
    if done != frames:
        raise ProjectError(f"the sound has {'more' if done > frames else 'fewer'} than the {frames} frames announced")
    if data_bytes % 2:
        file.write(b"\0")
    return Written(frames, packer.clipped)


def info_chunks(info: WavInfo, rate: int, channels: int, frames: int) -> list[bytes]:
    """The chunks that `info` asks for, in the order in which they are written. Raises ProjectError."""
    if info.start_frame < 0 or any(not 0 <= marker.frame <= frames for marker in info.markers):
        raise ProjectError(f"{info.title}: its start and its markers must lie at frame 0 or later and inside the sound")
    mode = {1: "mono", 2: "stereo"}.get(channels, "multitrack")
    result = [
        chunks.bext(
            description=" / ".join(part for part in (info.song, info.title, info.comment) if part),
            originator="Stemwright",
            start_frame=info.start_frame,
            loudness=info.loudness,
            history=f"A=PCM,F={rate},W=24,M={mode},T={SOFTWARE}",
        )
    ]
    fields = {"PROJECT": info.song, "SCENE": info.title, "TAKE": "1", "NOTE": info.comment}
    user = {"ROLE": info.role}
    if isinstance(info, ClipInfo):
        result += _loop_chunks(info, rate, frames)
        fields["SCENE"] = info.section
        user |= {
            "SECTION": info.section, "SECTION_NUMBER": str(info.section_index + 1), "START_BAR": str(info.start_bar),
            "BARS": str(info.bars), "BEATS": str(info.beats), "FRAMES": str(info.frames or frames),
            "TEMPO": f"{float(info.bpm):.10g}", "METER": str(info.meter), "KEY": str(info.key) if info.key else "",
        }  # fmt: skip
    if info.markers:
        result += [chunks.cue(info.markers), chunks.adtl(info.markers)]
    tags = {
        "INAM": info.title, "IPRD": info.song, "IGNR": info.style, "IKEY": info.role, "ICMT": info.comment,
        "ISFT": SOFTWARE,
    }  # fmt: skip
    result.append(chunks.info(tags))
    name = info.role or info.title
    tracks = [name] if channels == 1 else [f"{name} {side}" for side in _sides(channels)]
    result.append(chunks.ixml(fields, start_frame=info.start_frame, rate=rate, bits=24, tracks=tracks, user=user))
    return result


def _sides(channels: int) -> list[str]:
    return ["L", "R"] if channels == 2 else [str(index) for index in range(1, channels + 1)]


def _loop_chunks(info: ClipInfo, rate: int, frames: int) -> list[bytes]:
    """`acid` and `smpl`. Only a file that is exactly its bars long loops: a tail would be looped too."""
    loops = info.loops and frames == (info.frames or frames)
    root = None if info.key is None else 60 + info.key.tonic_pitch_class
    return [
        chunks.acid(
            loop=loops and info.steady,
            root=root,
            beats=info.beats,
            pulses=info.meter.pulses,
            unit=info.meter.unit,
            bpm=float(info.bpm),
        ),
        chunks.smpl(rate=rate, root=60 if root is None else root, loop_frames=frames if loops else None),
    ]


def _shape(audio: Block) -> tuple[int, int]:
    if audio.ndim != 2 or not np.issubdtype(audio.dtype, np.floating):
        raise ProjectError(f"sound of shape {audio.shape}, {audio.dtype}: it must be float32 of (channels, frames)")
    return audio.shape[0], audio.shape[1]
