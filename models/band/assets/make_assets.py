"""Rebuilds the bundled sounds from the packages they come from. For developers; the program never runs it.

    apt-get download musescore-general-soundfont-small    # then: dpkg-deb -x FILE.deb FONT_DIR
    npm pack supersonic-scsynth-samples                   # then: tar -xzf FILE.tgz -C SAMPLES_DIR
    python -m models.band.assets.make_assets font FONT_DIR
    python -m models.band.assets.make_assets oneshots SAMPLES_DIR
    python -m models.band.assets.make_assets trims        # measures every trim_db again

The font comes from the small package: next to the 86 MB one it differs in the orchestral strings alone,
which are 53 MB there (33 MB for the two ensembles), far above what a program can bundle.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from models.band.assets.font_cutting import Recipe, cut
from models.band.sound.index import ASSETS, presets
from models.band.sound.kits import KitVoice, kits
from models.band.sound.onsets import lead_frames
from models.band.sound.sampler import FontVoice, bundled_font
from models.band.sound.voice import Hit

FONT_RECIPE = Recipe(levels=(0.65, 0.5, 0.35), longest_seconds=8.0, fade_seconds=2.0)
TARGET_LUFS = -20.0
RATE = 48_000
#: One-shots longer than this are stored as Vorbis, the others as 16-bit FLAC.
LONGEST_FLAC_SECONDS = 1.5
ONESHOTS = [
    "bd_haus",
    "bd_808",
    "bd_klub",
    "bd_tek",
    "bd_boom",
    "bd_fat",
    "bd_gas",
    "bd_sone",
    "bd_zome",
    "bd_pure",
    "bd_jazz",
    "bd_mehackit",
    "drum_heavy_kick",
    "elec_hollow_kick",
    "elec_soft_kick",
    "sn_dub",
    "sn_dolf",
    "sn_generic",
    "sn_zome",
    "elec_snare",
    "elec_hi_snare",
    "elec_mid_snare",
    "elec_lo_snare",
    "elec_filt_snare",
    "drum_snare_soft",
    "drum_snare_hard",
    "perc_snap",
    "perc_snap2",
    "hat_bdu",
    "hat_cab",
    "hat_cats",
    "hat_gem",
    "hat_gump",
    "hat_hier",
    "hat_noiz",
    "hat_psych",
    "hat_raw",
    "hat_sci",
    "hat_star",
    "hat_zan",
    "hat_metal",
    "hat_yosh",
    "hat_snap",
    "drum_cymbal_closed",
    "drum_cymbal_open",
    "drum_cymbal_pedal",
    "elec_cymbal",
    "drum_cymbal_hard",
    "ride_tri",
    "drum_splash_hard",
    "drum_tom_hi_hard",
    "drum_tom_mid_hard",
    "drum_tom_lo_hard",
    "elec_fuzz_tom",
    "drum_cowbell",
    "elec_wood",
    "elec_pop",
    "elec_tick",
    "elec_bong",
    "elec_triangle",
    "elec_blip",
    "elec_ping",
    "elec_twip",
    "elec_bell",
    "perc_till",
    "tbd_perc_tap_2",
    "tabla_na",
    "tabla_na_o",
    "tabla_tun2",
    "tabla_ghe2",
    "tabla_ghe4",
    "tabla_ke2",
    "tabla_te1",
    "tabla_tas1",
    "tabla_re",
    "glitch_perc1",
    "glitch_perc2",
    "glitch_perc3",
    "glitch_perc4",
    "glitch_perc5",
    "glitch_robot1",
    "perc_impact1",
    "perc_impact2",
    "perc_door",
    "perc_swoosh",
    "misc_cineboom",
    "ambi_dark_woosh",
    "ambi_swoosh",
    "ambi_choir",
    "ambi_glass_rub",
    "ambi_drone",
    "vinyl_hiss",
    "vinyl_rewind",
    "vinyl_scratch",
    "vinyl_backspin",
]


def make_font(folder: Path) -> None:
    """Write general.sf3 with every preset that presets.toml names."""
    source = next(iter(sorted(folder.rglob("MuseScore_General_Lite.sf3"))), None)
    if source is None:
        raise SystemExit(f"no MuseScore_General_Lite.sf3 below {folder}; unpack the Debian package there")
    places = [(preset.bank, preset.program) for preset in presets().values()]
    data = cut(source.read_bytes(), places, FONT_RECIPE)
    (ASSETS / "general.sf3").write_bytes(data)
    print(f"general.sf3: {len(places)} presets, {len(data) / 1e6:.1f} MB")


def make_oneshots(folder: Path) -> None:
    """Write oneshots/: trimmed, at most 48 kHz, mono where both channels agree, peaks kept."""
    target = ASSETS / "oneshots"
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    total = 0
    for name in ONESHOTS:
        source = next(iter(sorted(folder.rglob(f"{name}.flac"))), None)
        if source is None:
            raise SystemExit(f"no {name}.flac below {folder}; unpack supersonic-scsynth-samples there")
        data, rate = soundfile.read(source, dtype="float32", always_2d=True)
        if rate > RATE:
            data, rate = soxr.resample(data, rate, RATE, quality="VHQ"), RATE
        data = _trimmed(_folded(data), rate)
        short = len(data) <= LONGEST_FLAC_SECONDS * rate
        path = target / (name + (".flac" if short else ".ogg"))
        if short:
            soundfile.write(path, data, rate, format="FLAC", subtype="PCM_16", compression_level=1.0)
        else:
            soundfile.write(path, data, rate, format="OGG", subtype="VORBIS", compression_level=0.5)
        total += path.stat().st_size
    print(f"oneshots: {len(ONESHOTS)} files, {total / 1e6:.1f} MB")


def _folded(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (frames, channels) as mono where the sides hold nothing, or more than the middle does."""
    if data.shape[1] == 1:
        return data
    middle, side = data.mean(axis=1, keepdims=True), (data[:, :1] - data[:, 1:2]) / 2.0
    width = float(np.sqrt((side**2).mean() / max(float((middle**2).mean()), 1e-12)))
    if width < 0.03:
        return middle
    return data[:, :1] if width > 1.0 else data


def _trimmed(data: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return the sound without the silence around it (-50 dB of its peak before, -66 dB behind)."""
    loudest = np.abs(data).max(axis=1)
    audible = np.flatnonzero(loudest > 0.0005 * loudest.max())
    first = max(0, lead_frames(loudest, rate, sharp=False) - 8)
    out = data[first : int(audible[-1]) + 1].copy()
    fade = min(len(out), int(0.005 * rate))
    out[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    return out * min(1.0, 0.97 / float(np.abs(out).max()))


def phrase(low: int, high: int, sharp: bool) -> list[Hit]:
    """Return a plain phrase in the middle of a register: struck notes at 120 BPM, sustained ones at 60."""
    step = RATE // 2 if sharp else RATE
    middle = (low + high) // 2
    return [
        Hit(number * step, int(step * 0.9), middle + offset, 100)
        for number, offset in enumerate((0, 4, 7, 2, -3, -7, -5, 0) * 2)
    ]


def beat() -> list[Hit]:
    """Return four bars of a plain beat at 120 BPM."""
    step = RATE // 4
    hits = []
    for eighth in range(32):
        hits.append(Hit(eighth * step, step, 42, 100))
        if eighth % 4 in (0, 2):
            hits.append(Hit(eighth * step, step, 36 if eighth % 4 == 0 else 38, 100))
    return hits


def loudness(sound: NDArray[np.float32]) -> float:
    """Return the integrated loudness of (2, frames) at 48 kHz in LUFS."""
    import pyloudnorm

    return float(pyloudnorm.Meter(RATE).integrated_loudness(sound.T.astype(np.float64)))


def measure_trims() -> None:
    """Write trim_db of every preset and every kit so that phrase or beat comes out at -20 LUFS."""
    trims = {}
    for name, preset in presets().items():
        voice = FontVoice(bundled_font(), preset.bank, preset.program, RATE, 0.0, preset.sharp)
        hits = beat() if preset.bank == 128 else phrase(preset.low, preset.high, preset.sharp)
        trims[f"preset.{name}"] = TARGET_LUFS - loudness(voice.render(hits, hits[-1].frame + RATE))
    _write_trims(ASSETS / "presets.toml", trims)
    presets.cache_clear()
    kits.cache_clear()
    trims = {}
    for name, kit in kits().items():
        if not kit.preset:
            keys = sorted(kit.pieces)
            spread = [Hit(n * RATE, RATE, key, 100) for n, key in enumerate(keys)]
            hits = beat() if {36, 38, 42} <= set(keys) else spread
            sound = KitVoice(kit, RATE).render(hits, hits[-1].frame + RATE)
            trims[f"kit.{name}"] = TARGET_LUFS + kit.trim_db - loudness(sound)
    _write_trims(ASSETS / "kits.toml", trims)
    print("trims measured")


def _write_trims(path: Path, trims: dict[str, float]) -> None:
    text = path.read_text(encoding="utf-8")
    for table, value in trims.items():
        pattern = rf"(\[{re.escape(table)}\]\n(?:[^\[\n]*(?:\[[^\n]*)?\n)*?trim_db = )-?[0-9.]+"
        text, count = re.subn(pattern, rf"\g<1>{value:.1f}", text, count=1)
        if count != 1:
            raise SystemExit(f"{path.name}: [{table}] has no trim_db line; add one")
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Rebuild the bundled sounds.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("font", "oneshots"):
        commands.add_parser(name).add_argument("folder", type=Path)
    commands.add_parser("trims")
    arguments = parser.parse_args()
    if arguments.command == "font":
        make_font(arguments.folder)
    elif arguments.command == "oneshots":
        make_oneshots(arguments.folder)
    else:
        measure_trims()


if __name__ == "__main__":
    main()
