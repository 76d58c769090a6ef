"""What a song's files hold: chunks for DAWs, sound without clicks or offset at its loudness, and MIDI that agrees."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray

from tests.support.command import make, stemwright
from tests.support.riff import read_wave, true_peak_db

Sound = NDArray[np.float64]
ROLES = ("drums", "bass", "harmony", "lead", "fx")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A short song in two meters, tails wrapped."""
    return make(
        tmp_path_factory.mktemp("made") / "song", "--seed", "3", "--bpm", "97.3", prompt="synthwave in F# minor",
        sections="intro:1 verse:2@7/8 chorus:2",
    )  # fmt: skip


def clip(song: dict[str, Any], section: int, role: str) -> dict[str, Any]:
    [row] = [row for row in song["clips"] if (row["section"], row["role"]) == (section, role)]
    assert isinstance(row, dict)
    return row


# -- chunks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_clips_say_where_they_belong_and_how_they_loop(made: dict[str, Any], role: str) -> None:
    for section in made["sections"]:
        row = clip(made, section["index"], role)
        wave = read_wave(Path(row["path"]))
        pulses, unit = map(int, section["meter"].split("/"))
        acid = wave.acid()
        beats = Fraction(4 * pulses * section["bars"], unit)
        assert beats.denominator == 1
        assert (acid["beats"], acid["pulses"], acid["unit"]) == (beats, pulses, unit)
        assert acid["bpm"] == pytest.approx(97.3, abs=1e-5)
        assert int(acid["flags"]) & 0x05 == 0x04  # stretches, and is no one-shot
        pitched = role not in ("drums", "fx")
        assert bool(int(acid["flags"]) & 0x02) == pitched
        if pitched:
            assert acid["root"] % 12 == 6
        assert wave.loops() == [(0, row["frames"] - 1)]
        assert wave.time_reference() == row["start_frame"]
        assert wave.markers() == [(0, section["kind"])]
        assert wave.info()["IPRD"] == made["title"]
        user = {element.tag: element.text for element in wave.ixml().find("USER") or ()}
        assert (user["SECTION"], user["SECTION_NUMBER"]) == (section["kind"], str(section["index"]))
        assert (user["START_BAR"], user["METER"]) == (str(section["start_bar"]), section["meter"])
        low = wave.ixml().findtext("SPEED/TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO")
        assert low == str(row["start_frame"])
        assert wave.ixml().findtext("PROJECT") == made["title"]


def test_stems_and_mix_mark_the_sections(made: dict[str, Any]) -> None:
    sections = [(row["start_frame"], row["kind"]) for row in made["sections"]]
    for path in (*made["stems"].values(), made["mix"]):
        wave = read_wave(Path(path))
        assert wave.markers() == sections
        assert wave.time_reference() == 0


def test_a_clip_whose_tempo_moves_is_not_offered_for_stretching(tmp_path: Path) -> None:
    song = make(tmp_path / "song", "--tempo-map", "1=100 3=100..120", "--stems", "bass", sections="verse:2 chorus:2")
    steady, moving = (read_wave(Path(row["path"])).acid() for row in song["clips"])
    assert int(steady["flags"]) & 0x05 == 0x04
    assert int(moving["flags"]) & 0x05 == 0x01


# -- sound -------------------------------------------------------------------------------------------------


def check_sum(song: dict[str, Any]) -> None:
    """The stems add up to the mix within one step of 24 bits."""
    mix = read_wave(Path(song["mix"]))
    total = sum(read_wave(Path(path)).samples.astype(np.int64) for path in song["stems"].values())
    assert np.abs(total - mix.samples).max() <= 1


def whole(song: dict[str, Any]) -> list[str]:
    return [*song["stems"].values(), song["mix"]]


def check_levels(paths: list[str]) -> None:
    """Peaks under -1 dBTP, nothing off centre."""
    for path in paths:
        audio = read_wave(Path(path)).audio
        assert true_peak_db(audio) < -1.0, path
        # Over whole beats bass may lean a little; a step that clicks is far above this.
        assert np.abs(audio.mean(axis=1)).max() < 2e-3, path


def test_stems_sum_to_the_mix_and_keep_their_peaks(made: dict[str, Any]) -> None:
    check_sum(made)
    check_levels(whole(made) + [row["path"] for row in made["clips"]])


def test_what_ends_with_the_song_ends_at_zero(made: dict[str, Any]) -> None:
    for path in (*made["stems"].values(), made["mix"]):
        assert np.abs(read_wave(Path(path)).samples[:, -1]).max() <= 1


STYLES = ("house", "metal", "ambient", "jazz_swing", "trap", "waltz")


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_whole_songs_have_the_loudness_they_should(tmp_path: Path, style: str) -> None:
    song = make(tmp_path / "song", "--style", style, "--seed", "11", sections="intro:4 verse:8 chorus:8 outro:4")
    check_sum(song)
    check_levels(whole(song))
    mix = read_wave(Path(song["mix"]))
    loudness = pyloudnorm.Meter(song["rate"]).integrated_loudness(mix.audio.T)
    assert -15 <= loudness <= -13


def seam_steps(audio: Sound) -> tuple[float, float]:
    """How far the sound bends where its end meets its start (the largest second difference there), and how far it
    bends at the most within 50 ms on either side."""
    around = np.concatenate((audio[:, -2400:], audio[:, :2400]), axis=1)
    bends = np.abs(np.diff(around, 2, axis=1)).max(axis=0)
    middle = slice(2397, 2401)
    inside = np.delete(bends, np.arange(middle.start, middle.stop))
    return float(bends[middle].max()), float(inside.max())


def test_wrapped_clips_join_their_own_start(made: dict[str, Any]) -> None:
    for row in made["clips"]:
        audio = read_wave(Path(row["path"])).audio
        assert audio.shape[1] == row["frames"]
        if np.abs(audio).max() < 1e-3:
            continue
        seam, inside = seam_steps(audio)
        assert seam <= max(inside, 0.02), row["path"]


@pytest.mark.slow
def test_cut_and_rung_clips_begin_and_end_at_zero(tmp_path: Path) -> None:
    for tails in ("cut", "ring"):
        song = make(tmp_path / tails, "--tails", tails, "--seed", "3", "--bpm", "97.3", prompt="synthwave in F# minor",
                    sections="verse:2 chorus:2")  # fmt: skip
        check_sum(song)
        check_levels([row["path"] for row in song["clips"]])
        rung = 0
        for row in song["clips"]:
            wave = read_wave(Path(row["path"]))
            assert wave.frames == row["frames"] + row["tail_frames"]
            rung += row["tail_frames"]
            assert np.abs(wave.audio[:, -1]).max() < 1e-3, row["path"]
            assert np.abs(wave.audio[:, 0]).max() < 1e-2, row["path"]
            assert wave.loops() == ([] if row["tail_frames"] else wave.loops())
        assert (rung > 0) == (tails == "ring")


# -- reports -----------------------------------------------------------------------------------------------


def test_every_clip_has_a_report_that_proves_where_its_notes_begin(made: dict[str, Any]) -> None:
    reports = {(row["section"], row["role"]): row["report"] for row in made["clips"]}
    for (section, role), report in reports.items():
        assert (report["schema"], report["version"]) == ("stemwright/bar-lock", 1)
        assert report["target_bpm"] == 97.3
        assert report["meter"] == made["sections"][section - 1]["meter"]
        assert report["seam_score"] < 1.0
        if role == "drums":
            assert report["verdict"] == "locked", report
            assert report["after"]["median_ms"] < 2.0
    # A clip is called loose where nothing in it stands out, as under pads and in swells.
    assert sum(report["verdict"] == "locked" for report in reports.values()) >= 0.5 * len(reports)
    stored = json.loads((Path(made["mix"]).parent / "song.json").read_text("utf-8"))["clips"]
    assert [clip["report"] for clip in stored] == [row["report"] for row in made["clips"]]


def test_a_report_tells_the_loudness_of_its_clip(made: dict[str, Any]) -> None:
    for row in made["clips"]:
        audio = read_wave(Path(row["path"])).audio
        said = row["report"]["lufs"]
        if audio.shape[1] < made["rate"] or said is None or said < -60:
            continue
        assert said == pytest.approx(pyloudnorm.Meter(made["rate"]).integrated_loudness(audio.T), abs=1.0), row["path"]


def test_a_clip_that_is_made_again_has_a_report_of_its_own(tmp_path: Path) -> None:
    song = make(tmp_path / "song", "--stems", "drums,bass", sections="verse:2")
    before = song["clips"][1]["report"]
    words = ("regenerate", tmp_path / "song", "--section", "1", "--role", "bass", "--seed", "9", "--json")
    after = stemwright(*words).value["clips"]
    assert after[0]["report"] == song["clips"][0]["report"]
    assert after[1]["report"] != before
    assert after[1]["report"]["verdict"] == "locked"


# -- MIDI --------------------------------------------------------------------------------------------------


def absolute(track: mido.MidiTrack) -> list[tuple[int, Any]]:
    at, rows = 0, []
    for message in track:
        at += message.time
        rows.append((at, message))
    return rows


def test_the_song_as_midi_has_tempo_meters_key_markers_and_named_tracks(made: dict[str, Any]) -> None:
    file = mido.MidiFile(made["midi"])
    assert (file.type, file.ticks_per_beat) == (1, 960)
    head = absolute(file.tracks[0])
    assert [(at, m.tempo) for at, m in head if m.type == "set_tempo"] == [(0, round(60e6 / 97.3))]
    meters = [(at, m.numerator, m.denominator) for at, m in head if m.type == "time_signature"]
    assert meters == [(0, 4, 4), (3840, 7, 8), (3840 + 2 * 3360, 4, 4)]
    assert [m.key for _, m in head if m.type == "key_signature"] == ["F#m"]
    markers = [(at, m.text) for at, m in head if m.type == "marker"]
    assert markers == [(0, "intro"), (3840, "verse"), (3840 + 6720, "chorus")]
    assert [track.name for track in file.tracks[1:]] == list(made["stems"])
    notes = [sum(m.type == "note_on" and m.velocity > 0 for m in track) for track in file.tracks[1:]]
    assert all(count > 0 for count in notes[:4])


def check_notes(track: mido.MidiTrack, end: int) -> int:
    """No note twice at once on a channel, none left hanging, none beyond the end; how many there are."""
    sounding: set[tuple[int, int]] = set()
    count = 0
    for at, message in absolute(track):
        if message.type not in ("note_on", "note_off"):
            continue
        assert at <= end
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity:
            assert key not in sounding
            sounding.add(key)
            count += 1
        else:
            assert key in sounding
            sounding.discard(key)
    assert not sounding
    return count


def test_no_note_hangs_or_overlaps_itself(made: dict[str, Any]) -> None:
    whole = mido.MidiFile(made["midi"])
    end = 3840 + 2 * 3360 + 2 * 3840
    totals = {track.name: check_notes(track, end) for track in whole.tracks[1:]}
    for role in ROLES:
        count = 0
        for section in made["sections"]:
            pulses, unit = map(int, section["meter"].split("/"))
            length = 3840 * pulses // unit * section["bars"]
            file = mido.MidiFile(clip(made, section["index"], role)["midi"])
            count += sum(check_notes(track, length) for track in file.tracks)
        assert count == totals[role]


def onset(audio: Sound, near: int, rate: int) -> int | None:
    """Where within 30 ms of `near` the sound leaves what rang before: 2 % of what it then rises to, above that.

    None where what rang before covers the rise: more than a fifth of it.
    """
    reach = round(0.03 * rate)
    first = max(near - reach, 0)
    before = np.abs(audio[:, max(near - 2 * reach, 0) : max(near - reach // 10, 1)]).max()
    window = np.abs(audio[:, first : near + reach]).max(axis=0)
    if before > 0.2 * window.max():
        return None
    return first + int(np.argmax(window > before * 1.25 + 0.02 * window.max()))


@pytest.mark.slow
@pytest.mark.parametrize(("style", "rate"), [("house", 48000), ("rock", 44100)])
def test_drums_sound_when_their_midi_says(tmp_path: Path, style: str, rate: int) -> None:
    song = make(tmp_path / "song", "--style", style, "--seed", "2", "--stems", "drums", "--tails", "cut", "--bpm",
                "97.3", "--rate", str(rate), sections="verse:8 chorus:8")  # fmt: skip
    off: list[float] = []
    for row in song["clips"]:
        audio = read_wave(Path(row["path"])).audio
        [track] = [track for track in mido.MidiFile(row["midi"]).tracks if any(m.type == "note_on" for m in track)]
        hits = [(at, m) for at, m in absolute(track) if m.type == "note_on" and m.velocity]
        times = sorted({at for at, _ in hits})
        for at, message in hits:
            k = times.index(at)
            alone = k > 0 and at - times[k - 1] > 200
            if message.note not in (35, 36) or not alone:
                continue
            expected = round(at / 960 * 60 / 97.3 * rate)
            found = onset(audio, expected, rate)
            if found is not None:
                off.append((found - expected) / rate * 1000)
    assert len(off) >= 16
    assert np.median(np.abs(off)) < 1.0
    assert np.max(np.abs(off)) < 3.0
