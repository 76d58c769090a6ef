"""Compares the band's sampler with the `fluidsynth` program: same MIDI, same bundled soundfont. Run by hand.

    python tests/bench/sampler_vs_fluidsynth.py [--presets piano,finger_bass] [--speed SONG.mid]

For each preset it plays one key at several velocities, two seconds held, and prints how far the sampler is
from FluidSynth in level (after one common offset), brightness (spectral centroid), attack, decay and
release. It then checks the hi-hat choke, and with --speed renders a song's channels in both.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from models.band.sound.index import ASSETS, Preset, find_preset, presets
from models.band.sound.sampler import FontVoice, bundled_font
from models.band.sound.voice import Hit

RATE = 48_000
VELOCITIES = (20, 40, 60, 80, 100, 120)
HELD, GAP = 2.0, 3.0
CHOSEN = (
    "piano,electric_piano,drawbar_organ,nylon_guitar,clean_guitar,distortion_guitar,finger_bass,slap_bass,"
    "synth_bass_1,fast_strings,slow_strings,choir,trumpet,brass_section,alto_sax,flute,vibraphone,warm_pad,standard_kit"
)
Sound = NDArray[np.float64]


def fluidsynth(notes: list[tuple[float, float, int, int]], bank: int, program: int) -> Sound:
    """Return (2, frames) of notes (start, end, key, velocity; seconds) played by the fluidsynth program."""
    channel = 9 if bank == 128 else 0
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000, time=0)])
    track.append(mido.Message("control_change", channel=channel, control=7, value=127, time=0))
    track.append(mido.Message("program_change", channel=channel, program=program, time=0))
    events = sorted(
        event
        for start, end, key, velocity in notes
        for event in ((round(start * 1920), 1, key, velocity), (round(end * 1920), 0, key, 0))
    )
    now = 0
    for tick, on, key, velocity in events:
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, channel=channel, note=key, velocity=velocity, time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=round(GAP * 1920)))
    with tempfile.TemporaryDirectory() as folder:
        song, wave = Path(folder) / "a.mid", Path(folder) / "a.wav"
        mido.MidiFile(ticks_per_beat=960, tracks=[track]).save(song)
        play(song, wave, "0.6")
        return np.asarray(soundfile.read(wave, dtype="float64")[0].T)


def play(song: Path, wave: Path, gain: str = "0.2") -> None:
    """Render a MIDI file with the fluidsynth program: no reverb, no chorus, float samples."""
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", gain, "-r", str(RATE), "-O", "float"]
    subprocess.run([*command, "-F", str(wave), str(ASSETS / "general.sf3"), str(song)], check=True, capture_output=True)


def ours(notes: list[tuple[float, float, int, int]], preset: Preset) -> Sound:
    """Return the same notes played by the sampler, without its trim."""
    voice = FontVoice(bundled_font(), preset.bank, preset.program, RATE, sharp=preset.sharp)
    hits = [Hit(round(a * RATE), round((b - a) * RATE), key, velocity) for a, b, key, velocity in notes]
    return voice.render(hits, int((notes[-1][1] + GAP) * RATE)).astype(np.float64)


def decibels(power: float) -> float:
    """Return 10 log10, with a floor."""
    return float(10.0 * np.log10(max(power, 1e-14)))


def level(sound: Sound, start: float, end: float) -> float:
    """Return the level in dB between two times."""
    part = sound[:, int(start * RATE) : int(end * RATE)]
    return decibels(float((part**2).mean()))


def centroid(sound: Sound, start: float, end: float) -> float:
    """Return the power-weighted mean frequency in Hz between two times."""
    part = sound[:, int(start * RATE) : int(end * RATE)].mean(axis=0)
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    return float((power * np.fft.rfftfreq(len(part), 1.0 / RATE)).sum() / max(power.sum(), 1e-20))


def fall(sound: Sound, start: float, drop: float) -> float:
    """Return the seconds after `start` until the 10 ms level has fallen by `drop` dB."""
    before = level(sound, start - 0.05, start)
    step = 0.01
    for number in range(int(GAP / step) - 2):
        if level(sound, start + number * step, start + (number + 1) * step) < before - drop:
            return number * step
    return float("nan")


def rise(sound: Sound, start: float) -> float:
    """Return the seconds after `start` until the 10 ms level is within 3 dB of the first second's highest."""
    levels = [level(sound, start + n * 0.01, start + (n + 1) * 0.01) for n in range(100)]
    return 0.01 * int(np.argmax(np.array(levels) > max(levels) - 3.0))


def compare(preset: Preset) -> None:
    """Print one line about one preset."""
    key = 38 if preset.bank == 128 else (preset.low + preset.high) // 2
    notes = [(0.5 + n * (HELD + GAP), 0.5 + n * (HELD + GAP) + HELD, key, v) for n, v in enumerate(VELOCITIES)]
    a, b = ours(notes, preset), fluidsynth(notes, preset.bank, preset.program)
    count = min(a.shape[1], b.shape[1])
    a, b = a[:, :count], b[:, :count]
    length = 0.3 if preset.bank == 128 else 1.5
    levels = np.array([[level(x, n[0], n[0] + length) for n in notes] for x in (a, b)])
    apart = levels[0] - levels[1]
    apart -= np.median(apart)
    bright = np.array([[centroid(x, n[0], n[0] + length) for n in notes] for x in (a, b)])
    tone = 12.0 * np.log2(bright[0] / bright[1])
    held = notes[4]
    decay = [level(x, held[0] + 1.5, held[0] + 1.9) - level(x, held[0] + 0.1, held[0] + 0.4) for x in (a, b)]
    rises = [rise(x, held[0]) for x in (a, b)]
    falls = [[fall(x, held[1], drop) for x in (a, b)] for drop in (20, 40)]
    columns = [
        f"{preset.name:18s} {np.ptp(levels[1]):5.1f} dB",
        f"{apart[0]:+5.1f} {apart[2]:+5.1f} {apart[5]:+5.1f}  {np.abs(apart).max():4.1f}",
        f"{bright[1][1]:5.0f}->{bright[1][5]:5.0f}  {tone[1]:+5.1f} {tone[5]:+5.1f}",
        f"{rises[0]:4.2f}/{rises[1]:4.2f}  {decay[0]:6.1f}/{decay[1]:6.1f}",
        *(f"{mine:4.2f}/{theirs:4.2f}" for mine, theirs in falls),
    ]
    print("   ".join(columns))


def choke() -> None:
    """Print how far an open hi-hat is down after a closed one, in both."""
    alone, both = [(0.5, 0.7, 46, 110)], [(0.5, 0.7, 46, 110), (0.7, 0.8, 44, 20)]
    kit = find_preset("standard_kit")
    for name, sound in (
        ("sampler", [ours(n, kit) for n in (alone, both)]),
        ("fluidsynth", [fluidsynth(n, 128, 0) for n in (alone, both)]),
    ):
        drops = [level(sound[1], 0.7 + t, 0.72 + t) - level(sound[0], 0.7 + t, 0.72 + t) for t in (0.02, 0.05, 0.1)]
        print(f"open hat after a pedal hat, {name}: " + ", ".join(f"{drop:+.1f} dB" for drop in drops))


def speed(song: Path) -> None:
    """Print the time to render every channel of a song apart, beside fluidsynth rendering its mix once."""
    started = time.perf_counter()
    now, down, channels, programs = 0.0, {}, {}, {}  # type: ignore[var-annotated]
    for message in mido.MidiFile(song):
        now += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "note_on" and message.velocity:
            down.setdefault((message.channel, message.note), []).append((now, message.velocity))
        elif message.type in ("note_off", "note_on") and down.get((message.channel, message.note)):
            start, velocity = down[message.channel, message.note].pop(0)
            hit = Hit(round(start * RATE), max(1, round((now - start) * RATE)), message.note, velocity)
            channels.setdefault(message.channel, []).append(hit)
    read = time.perf_counter() - started
    bundled_font.cache_clear()
    started = time.perf_counter()
    known = {(p.bank, p.program) for p in presets().values()}
    for channel, hits in sorted(channels.items()):
        place = (128 if channel == 9 else 0, programs.get(channel, 0))
        place = place if place in known else (0, 4)  # General MIDI's synth leads are not bundled
        FontVoice(bundled_font(), *place, RATE).render(hits, int((now + 2.0) * RATE))
    mine = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        play(song, Path(folder) / "a.wav")
        theirs = time.perf_counter() - started
    notes = len([hit for hits in channels.values() for hit in hits])
    print(f"{notes} notes, {now:.0f} s, {len(channels)} stems (reading the MIDI took {read:.2f} s besides):")
    print(f"sampler, all stems {mine:.2f} s; fluidsynth, the mix {theirs:.2f} s; ratio {mine / theirs:.2f}")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=CHOSEN)
    parser.add_argument("--speed", type=Path)
    arguments = parser.parse_args()
    if shutil.which("fluidsynth") is None:
        sys.exit("the fluidsynth program is not installed; on Debian: apt-get install fluidsynth")
    version = subprocess.run(["fluidsynth", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")
    print(f"{version[0]}; general.sf3, {RATE} Hz, no effects; {HELD:.0f} s notes at {VELOCITIES}")
    print(
        "preset               span   level apart at 20, 60, 120; most   brightness 40->120, apart (semitones)"
        "   rise s   1.7 s vs 0.25 s dB   -20 dB   -40 dB after release"
    )
    for name in arguments.presets.split(","):
        compare(find_preset(name))
    choke()
    if arguments.speed:
        speed(arguments.speed)


if __name__ == "__main__":
    main()
