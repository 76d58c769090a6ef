"""Notes that were played are heard: from the bundled network itself to a MIDI file."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from models.api import Cancelled
from models.api.tools import HeardNote
from studio.jobs.neural import NeuralHost
from studio.transcribing import notes_on_ticks

pytest.importorskip("onnxruntime")

from models.analysis.pitch import HOP, KEPT, RATE, BasicPitch, notes_of
from tests.bench.transcription import INSTRUMENTS, line, matched
from tests.bench.transcription import RATE as PLAYED


def test_single_lines_are_heard_note_by_note() -> None:
    """The seeds are none that thresholds were chosen on."""
    sums = np.zeros(3)
    for name in ("piano", "nylon guitar", "jazz guitar", "bass", "trumpet", "sax"):
        counts, late = np.zeros(3), list[float]()
        for seed in (200, 201):
            audio, notes = line(INSTRUMENTS[name], seed, 12.0)
            heard = BasicPitch().notes(audio, PLAYED)
            hits = matched(heard, notes)
            late += hits
            counts += (len(hits), len(heard), len(notes))
        assert counts[2] > 20
        assert 2 * counts[0] / (counts[1] + counts[2]) >= 0.85, name
        assert abs(float(np.median(late))) < 0.03, name
        sums += counts
    assert 2 * sums[0] / (sums[1] + sums[2]) >= 0.9


def tones(pitches: list[int], starts: list[float], seconds: float) -> np.ndarray:
    """Decaying tones with some partials."""
    out = np.zeros(round(seconds * RATE))
    for pitch, start in zip(pitches, starts, strict=True):
        at = np.arange(len(out) - round(start * RATE)) / RATE
        hertz = 440.0 * 2 ** ((pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * hertz * k * at) / k**2 for k in range(1, 5))
        out[round(start * RATE) :] += 0.2 * wave * np.exp(-3 * at) * np.minimum(1.0, at / 0.005)
    return out[None].astype(np.float32)


def test_a_note_is_where_it_is_however_far_into_the_sound() -> None:
    window = KEPT * HOP / RATE
    starts = [0.05, window - 0.3, window + 0.4, 5 * window - 0.2, 20.3 * window]
    audio = tones([60, 64, 67, 72, 55], starts, 21.5 * window)
    heard = BasicPitch().notes(audio, RATE)
    late = [
        min((note.start - start for note in heard if note.pitch == pitch), key=abs)
        for pitch, start in zip([60, 64, 67, 72, 55], starts, strict=True)
    ]
    assert max(np.abs(late)) < 0.012
    assert np.ptp(late) < 0.012, "nothing drifts"


@pytest.mark.parametrize("frames", [1, 100, 43_844, 50_000])
def test_silence_and_short_sounds_have_no_notes(frames: int) -> None:
    assert BasicPitch().notes(np.zeros((2, frames), np.float32), RATE) == []


def test_it_stops_between_two_windows() -> None:
    done: list[int] = []
    with pytest.raises(Cancelled):
        BasicPitch().notes(
            np.zeros((1, 30 * RATE), np.float32), RATE, lambda at, of: done.append(at), lambda: len(done) == 2
        )
    assert done == [1, 2]


def drawn(*notes: tuple[int, int, int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Likelihoods of (begin, end, column, onset, sounding)."""
    onsets, sounding = np.zeros((400, 88), np.float32), np.zeros((400, 88), np.float32)
    for begin, end, column, onset, loud in notes:
        onsets[begin, column] = onset
        sounding[begin:end, column] = loud
    return onsets, sounding


def frames(notes: list[HeardNote]) -> list[tuple[int, int, int]]:
    return [(round(n.start * RATE / HOP), round(n.end * RATE / HOP), n.pitch) for n in notes]


def test_notes_from_likelihoods() -> None:
    plain = drawn((20, 60, 40, 0.9, 0.8), (60, 100, 40, 0.9, 0.8), (100, 160, 45, 0.9, 0.7))
    assert frames(notes_of(*plain)) == [(20, 60, 61), (60, 100, 61), (100, 160, 66)]
    stirring = drawn((20, 100, 40, 0.9, 0.8), (60, 61, 40, 0.6, 0.8))
    assert frames(notes_of(*stirring)) == [(20, 100, 61)], "vibrato is no new note"
    partial = drawn((20, 100, 40, 0.9, 0.9), (21, 40, 52, 0.7, 0.4))
    assert frames(notes_of(*partial)) == [(20, 100, 61)], "an octave that is faint is a partial"
    octave = drawn((20, 100, 40, 0.9, 0.9), (21, 100, 52, 0.9, 0.8))
    assert frames(notes_of(*octave)) == [(20, 100, 61), (21, 100, 73)]
    unheard = drawn((20, 60, 40, 0.0, 0.8))
    assert frames(notes_of(*unheard)) == [(20, 60, 61)], "what sounds for long began somewhere"
    short = drawn((20, 23, 40, 0.9, 0.8), (100, 105, 50, 0.0, 0.8))
    assert frames(notes_of(*short)) == []
    gap = drawn((20, 60, 40, 0.9, 0.8), (66, 100, 40, 0.0, 0.8))
    assert frames(notes_of(*gap)) == [(20, 100, 61)], "a note may be hardly heard for a moment"


def test_notes_lie_on_ticks_and_never_over_one_another() -> None:
    heard = [
        HeardNote(0.0, 1.0, 60, 0.5), HeardNote(0.5, 2.0, 60, 1.0), HeardNote(0.50001, 0.6, 60, 1.0),
        HeardNote(0.5, 0.50001, 62, 0.001),
    ]  # fmt: skip
    notes = notes_on_ticks(heard, Fraction(120))
    assert [(float(n.start), float(n.beats), n.pitch, n.velocity) for n in notes] == [
        (0.0, 1.0, 60, 64), (1.0, 3.0, 60, 127), (1.0, 1 / 960, 62, 1),
    ]  # fmt: skip


@pytest.mark.slow
def test_from_a_sound_file_to_a_midi_file(tmp_path: Path) -> None:
    audio, notes = line(INSTRUMENTS["piano"], 300, 8.0)
    source, out = tmp_path / "line.flac", tmp_path / "line.mid"
    soundfile.write(source, audio.T, PLAYED)
    with NeuralHost() as host:
        told: list[str] = []
        heard = host.transcribe(audio, PLAYED, told=lambda kind, done, of: told.append(kind))
        assert told[0] == "loading"
        expected = BasicPitch().notes(audio, PLAYED)
        assert [note.pitch for note in heard] == [note.pitch for note in expected]
        np.testing.assert_allclose([note.start for note in heard], [note.start for note in expected], atol=1e-5)
    command = [sys.executable, "-m", "studio", "transcribe", str(source), "-o", str(out), "--bpm", "97", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["notes"]) == len(expected)
    file = mido.MidiFile(out)
    starts, now = [], 0.0
    for message in file:
        now += message.time
        if message.type == "note_on" and message.velocity:
            starts.append((now, message.note))
    assert len(starts) == len(expected)
    near = [min((abs(at - when) for when, pitch in starts if pitch == note), default=9.9) for at, note in notes]
    assert np.median(near) < 0.02
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
