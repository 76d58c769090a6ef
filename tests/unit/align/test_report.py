"""The verdict is never kinder than what was measured, and the report survives as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from studio.align.known import KnownFit
from studio.align.measure import CLEAR, EIGHTH, Errors, GridFit
from studio.align.report import (
    FEWEST_ATTACKS,
    LEAST_DOWNBEAT_CONFIDENCE,
    LEAST_TEMPO_CONFIDENCE,
    LOCKED_P95_MS,
    Level,
    Moved,
    Report,
    Verdict,
    judge,
    judge_known,
    relation,
)
from studio.align.values import BeatMap, Heard, Material, Onsets, Pulse

FIT = GridFit(EIGHTH, Errors(64, 1.2, 4.8, 9.0), 0.3, 0.5, 2.0, 90.0, 60.0)


def heard(**changes: object) -> Heard:
    seconds = np.arange(64) / 4
    onsets = Onsets(seconds, np.ones(64), np.zeros(64), np.ones(64))
    beat_map = BeatMap(np.array([0.5, 16.5]), np.array([0.0, 32.0]))
    found = Heard(17.0, Material.PERCUSSIVE, onsets, Pulse.STEADY, beat_map, 118.4, 118.4, 0.95, 0.9, 0.5, 16.0)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_sound_with_nothing_against_it_is_locked() -> None:
    verdict, reason = judge(heard(), FIT)
    assert verdict is Verdict.LOCKED
    assert reason == "64 onsets within 1.2 ms (median) and 4.8 ms (p95) of the eighth grid"


UNSURE = [
    (heard(tempo_confidence=LEAST_TEMPO_CONFIDENCE - 0.01), FIT, "tempo is uncertain"),
    (heard(downbeat_confidence=LEAST_DOWNBEAT_CONFIDENCE - 0.01), FIT, "bar 1 begins is uncertain"),
    (heard(), replace(FIT, attacks=FEWEST_ATTACKS - 0.1), "too few attacks to prove it (8 of 8)"),
    (heard(material=Material.SUSTAINED), replace(FIT, attacks=2.0), "its sounds swell"),
    (heard(), replace(FIT, evidence=CLEAR - 0.1), "no grid more closely than chance"),
    (heard(), replace(FIT, step=None), "no grid more closely than chance"),
    (heard(), replace(FIT, errors=Errors(64, 3.0, LOCKED_P95_MS + 0.1, 40.0)), "13 ms or more off the eighth grid"),
    (heard(), replace(FIT, worst_ms=14.0), "leaves the eighth grid by 14 ms for a while"),
    (heard(), replace(FIT, drift_ms=-22.0), "drifts by 22 ms"),
    (heard(), replace(FIT, errors=None), "too few attacks"),
    (heard(), replace(FIT, rival=Fraction(4, 3)), "again after 4/3 of a bar"),
]


@pytest.mark.parametrize(("sound", "fit", "reason"), UNSURE, ids=[row[2] for row in UNSURE])
def test_one_thing_against_it_is_enough_to_be_loose(sound: Heard, fit: GridFit, reason: str) -> None:
    verdict, words = judge(sound, fit)
    assert verdict is Verdict.LOOSE
    assert reason in words


def test_without_a_pulse_a_sound_is_free() -> None:
    assert judge(heard(pulse=Pulse.NONE, beat_map=None), FIT) == (Verdict.FREE, "no steady pulse was heard")
    nothing = Onsets(*[np.zeros(0)] * 4)
    silent = heard(pulse=Pulse.NONE, beat_map=None, onsets=nothing)
    assert judge(silent, replace(FIT, errors=None)) == (Verdict.FREE, "no attacks were heard")


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        (Errors(24, 0.2, 0.4, 1.0), Verdict.LOCKED),
        (Errors(3, 0.2, 0.4, 1.0), Verdict.LOCKED),
        (Errors(1, 0.02, 0.02, 0.02), Verdict.LOCKED),
        (Errors(1, 1.0, 1.0, 1.0), Verdict.LOOSE),
        (Errors(4, 4.0, 8.0, 9.0), Verdict.LOOSE),
        (Errors(40, 4.9, 9.5, 10.0), Verdict.LOOSE),
        (None, Verdict.LOOSE),
    ],
)
def test_known_notes_are_claimed_only_beyond_chance(errors: Errors | None, verdict: Verdict) -> None:
    count = 0 if errors is None else errors.count
    assert judge_known(KnownFit(50, count, 5, errors, 0.0, 0.0))[0] is verdict


@pytest.mark.parametrize(
    ("bpm", "felt", "words"),
    [(120, 120, "x1"), (140, 70.2, "x2"), (60, 121, "/2"), (180, 60, "x3"), (90, 60, "3:2"), (80, 120, "2:3"),
     (90, 120, "3:4")],
)  # fmt: skip
def test_relations_have_their_usual_names(bpm: float, felt: float, words: str) -> None:
    assert relation(bpm, felt) == words


def report() -> Report:
    verdict, reason = judge(heard(), FIT)
    return Report(
        verdict, reason, 120.0, "4/4", heard=heard(), before=Errors(64, 30.0, 58.0, 62.0), after=FIT,
        moved=Moved("ratio", -12.5, (0.98, 0.99, 0.985), Fraction(1, 2), 8, 8), seam=0.4,
        level=Level(float("-inf"), -1.02, 1e-5), warnings=("the file ends early",),
    )  # fmt: skip


def test_the_json_has_a_schema_and_holds_what_was_asked_for() -> None:
    data = json.loads(json.dumps(report().as_json(), allow_nan=False))
    assert (data["schema"], data["version"]) == ("stemwright/bar-lock", 1)
    assert data["verdict"] == "locked"
    assert data["tempo"] == {"bpm": 118.4, "felt_bpm": 118.4, "relation": "x1", "confidence": 0.95}
    assert data["downbeat"] == {"seconds": 0.5, "confidence": 0.9}
    assert data["before"]["median_ms"] == 30.0
    assert data["after"] == {"onsets": 64, "median_ms": 1.2, "p95_ms": 4.8, "max_ms": 9.0}
    assert data["grid"]["step"] == "eighth"
    assert data["moved"]["stretch"] == {"min": 0.98, "max": 0.99, "mean": 0.985}
    assert data["moved"]["pickup_beats"] == "1/2"
    assert (data["seam_score"], data["lufs"], data["true_peak_dbtp"]) == (0.4, None, -1.02)
    assert data["warnings"] == ["the file ends early"]


def test_what_was_not_looked_at_is_left_out() -> None:
    known = KnownFit(50, 24, 5, Errors(24, 0.2, 0.4, 1.0), 0.1, 0.0)
    data = Report(*judge_known(known), 120.0, "7/8", known=known).as_json()
    assert set(data) == {
        "schema", "version", "verdict", "reason", "target_bpm", "meter", "after", "notes", "masked", "bias_ms",
        "drift_ms",
    }  # fmt: skip


def test_words_name_the_tempo_that_changed() -> None:
    assert report().words() == (
        "locked: 64 onsets within 1.2 ms (median) and 4.8 ms (p95) of the eighth grid; 118.4 -> 120 BPM"
    )
    steady = replace(report(), heard=heard(bpm=120.001, felt_bpm=60.0))
    assert steady.words().endswith("; 120 BPM as it was")
    free = replace(report(), verdict=Verdict.FREE, reason="no steady pulse was heard", heard=heard(bpm=None))
    assert free.words() == "free: no steady pulse was heard"
