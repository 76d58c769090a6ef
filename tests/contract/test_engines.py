"""What every engine of the registry promises, whatever it is made of (see `models.api`)."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from models.api import Cancelled, EngineError, StemRequest, StemResult, never_cancelled
from models.registry import ENGINES, engine_names, load_engine
from studio.jobs.cells import get_ready, play
from studio.jobs.requests import cell_request
from studio.jobs.worker import Worker
from studio.plan import PlanOptions, parse_sections, plan_song
from studio.project.folder import ProjectFolder
from studio.song import PPQ, RATES, ROLES, Timeline

PLAYS = [(name, role) for name in engine_names() for role in load_engine(name).info.roles]


@cache
def request_for(name: str, role: str, section: int = 1, rate: int = 48000, seed: int = 1) -> StemRequest:
    """A cell of a short song in an odd meter with a ramp and a pickup, as the app would ask for it."""
    from studio.song import Meter, parse_tempo_map

    options = PlanOptions(
        style="funk", meter=Meter(7, 8), tempo=parse_tempo_map("1=110 2=110..127.5"), pickup=Fraction(1, 2), seed=9,
        sections=parse_sections("intro:1 verse:2"), roles=(role,), rate=rate, engines={role: name},
    )  # fmt: skip
    song = plan_song("a song", options).song
    timeline = Timeline(song)
    return cell_request(song, timeline, timeline.spans[section], song.stems[0], seed, {})


@cache
def result_for(name: str, role: str) -> StemResult:
    return load_engine(name).generate(request_for(name, role))


@pytest.mark.parametrize("name", engine_names())
def test_an_engine_says_what_it_is(name: str) -> None:
    engine = load_engine(name)
    info = engine.info
    assert info.name == name
    assert info.version
    assert info.roles
    assert set(info.roles) <= set(ROLES)
    assert len(set(info.roles)) == len(info.roles)
    assert info.code_licence
    assert info.output_licence
    assert bool(info.weights_licence) == info.needs_weights
    assert hasattr(engine, "compose") == info.composes
    assert load_engine(name) is engine


@pytest.mark.parametrize(("name", "role"), PLAYS)
def test_sound_is_stereo_finite_and_covers_the_cell(name: str, role: str) -> None:
    request, result = request_for(name, role), result_for(name, role)
    assert result.audio is not None or result.notes is not None
    if result.audio is not None:
        assert (result.audio.dtype, result.audio.ndim) == (np.float32, 2)
        assert result.audio.shape[0] == 2
        assert result.audio.shape[1] >= request.frames
        assert np.isfinite(result.audio).all()
        assert 0 < np.abs(result.audio).max() < 8
        assert np.abs(result.audio[:, -1]).max() < 1e-3  # it ends rather than breaks off


@pytest.mark.parametrize(("name", "role"), PLAYS)
def test_notes_lie_in_the_cell_and_on_the_grid(name: str, role: str) -> None:
    request, result = request_for(name, role), result_for(name, role)
    for note in result.notes or ():
        assert (note.start * PPQ).denominator == 1
        assert (note.beats * PPQ).denominator == 1
        assert note.beats > 0
        assert 0 <= note.start < note.end <= request.beats
        assert 0 <= note.pitch <= 127
        assert 1 <= note.velocity <= 127
        assert 0 <= note.layer < len(result.layers)
    assert list(result.notes or ()) == sorted(result.notes or ())
    assert all(words and -1 <= program <= 127 for words, program in result.layers)


@pytest.mark.parametrize(("name", "role"), PLAYS)
def test_a_result_says_how_it_was_made(name: str, role: str) -> None:
    request, result = request_for(name, role), result_for(name, role)
    info = load_engine(name).info
    assert (result.engine, result.version) == (info.name, info.version)
    assert (result.rate, result.seed) == (request.rate, request.seed)
    assert result.licence == info.output_licence
    assert bool(result.weights) == info.needs_weights
    assert json.loads(json.dumps(dict(result.parameters), allow_nan=False)) == dict(result.parameters)
    assert result.parameters


@pytest.mark.parametrize(("name", "role"), PLAYS)
def test_equal_requests_give_equal_results(name: str, role: str) -> None:
    first, again = result_for(name, role), load_engine(name).generate(replace(request_for(name, role)))
    assert again.notes == first.notes
    assert (again.audio is None) == (first.audio is None)
    if first.audio is not None and again.audio is not None:
        assert again.audio.tobytes() == first.audio.tobytes()


@pytest.mark.parametrize(("name", "role"), [(name, role) for name, role in PLAYS if role != "fx"])
def test_another_seed_gives_another_take(name: str, role: str) -> None:
    """Seed by seed a part may by chance be the same; of five not all are. (An fx part is given by the form.)"""
    first = result_for(name, role)
    engine = load_engine(name)
    others = [engine.generate(replace(request_for(name, role), seed=seed)) for seed in range(2, 7)]
    assert any(other.notes != first.notes for other in others)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", engine_names())
def test_an_engine_renders_at_the_rate_asked_for(name: str, rate: int) -> None:
    role = load_engine(name).info.roles[0]
    request = request_for(name, role, 0, rate)
    result = load_engine(name).generate(request)
    assert result.rate == rate
    assert result.audio is None or result.audio.shape[1] >= request.frames


@pytest.mark.parametrize(("name", "role"), PLAYS)
def test_cancel_stops_the_work(name: str, role: str) -> None:
    engine, request = load_engine(name), request_for(name, role)
    with pytest.raises(Cancelled):
        engine.generate(request, lambda: True)
    asked = 0

    def later() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    with pytest.raises(Cancelled):
        engine.generate(request, later)
    assert asked == 2


@pytest.mark.parametrize("name", [name for name in engine_names() if load_engine(name).info.light])
def test_a_light_engine_plays_the_same_in_another_process(name: str, tmp_path: Path) -> None:
    request, folder = request_for(name, load_engine(name).info.roles[0]), ProjectFolder(tmp_path)
    with closing(Worker(partial(get_ready, ENGINES, [name]))) as worker:
        there = worker.do(play, name, request, folder, never_cancelled)
    here = play(name, request, folder)
    assert (there.result, there.media, there.frames) == (here.result, here.media, here.frames)
    assert here.media is not None  # the digest of its samples
    assert here.energies is not None
    assert np.array_equal(there.energies, here.energies)


@pytest.mark.parametrize("name", engine_names())
def test_what_an_engine_cannot_do_is_an_engine_error(name: str) -> None:
    engine = load_engine(name)
    role = engine.info.roles[0]
    for other in ("kazoo", *(role for role in ROLES if role not in engine.info.roles)):
        with pytest.raises(EngineError, match=other):
            engine.generate(replace(request_for(name, role), role=other))
    with pytest.raises(EngineError):
        engine.generate(replace(request_for(name, role), style="no such style"))


@pytest.mark.parametrize(("name", "role"), [(name, role) for name, role in PLAYS if load_engine(name).info.composes])
def test_a_composer_plays_the_notes_it_is_given(name: str, role: str) -> None:
    engine, request = load_engine(name), request_for(name, role)
    notes = engine.compose(request)  # type: ignore[attr-defined]
    assert result_for(name, role).notes == notes
    fewer = notes[: len(notes) // 2 or 1]
    assert engine.generate(replace(request, notes=fewer)).notes == fewer


def test_an_unknown_engine_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match=f"use one of {', '.join(engine_names())}"):
        load_engine("no such engine")
