"""Separation against the package's own, through the engines' process, and from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from demucs.apply import BagOfModels, apply_model

from models.analysis.demucs import Demucs
from models.api import Audio, Cancelled, EngineError
from studio.jobs.neural import NeuralHost
from tests.support.separators import RATE, SOURCES, forerunner, pickled, saved, separator


def noise(frames: int, channels: int = 2, seed: int = 1) -> Audio:
    random = np.random.Generator(np.random.PCG64(seed))
    swell = 0.5 - 0.5 * np.cos(np.arange(frames) / 3000)
    return (0.1 * swell * random.standard_normal((channels, frames))).astype(np.float32)


def expected(model: Any, audio: Audio, segment: float | None = None) -> Audio:
    """What the package makes of it, with the normalisation of its own front end."""
    mix = torch.from_numpy(audio)
    alike = mix.mean(0)
    mean, spread = alike.mean(), alike.std() + 1e-8
    with torch.no_grad():
        found = apply_model(model, ((mix - mean) / spread)[None], shifts=0, overlap=0.25, segment=segment)[0]
    return (found * spread + mean).numpy()


def together(parts: Any) -> Audio:
    return np.concatenate(list(parts), axis=2)


def half(model: Any) -> Any:
    """As it is published: in half precision."""
    model.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    return model


@pytest.mark.parametrize("seconds", [0.3, 1.5, 5.77])
def test_it_finds_what_the_package_finds(tmp_path: Path, seconds: float) -> None:
    model, arguments = separator()
    found = Demucs(saved(tmp_path, (model, arguments)))
    audio = noise(round(seconds * RATE))
    assert found.stems == SOURCES
    stems = together(found.separated(audio, RATE))
    assert stems.shape == (4, *audio.shape)
    np.testing.assert_allclose(stems, expected(half(model), audio), atol=1e-6)


def test_models_work_together_as_in_the_package(tmp_path: Path) -> None:
    weights = [[1.0, 0.0, 0.5, 1.0], [0.0, 2.0, 0.5, 1.0]]
    both = [separator(seed) for seed in (1, 2)]
    found = Demucs(saved(tmp_path, *both, extra=f"weights: {weights}\nsegment: 1\n"))
    audio = noise(3 * RATE)
    bag = BagOfModels([half(model) for model, _ in both], weights)
    np.testing.assert_allclose(together(found.separated(audio, RATE)), expected(bag, audio, 1.0), atol=1e-6)


def test_forerunners_and_older_files_are_read(tmp_path: Path) -> None:
    model, arguments = forerunner()
    audio = noise(3 * RATE)
    for folder in (saved(tmp_path / "a", (model, arguments)), pickled(tmp_path / "b", model, arguments).parent):
        stems = together(Demucs(folder).separated(audio, RATE))
        np.testing.assert_allclose(stems, expected(model, audio), atol=2e-4)  # one is in half precision


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (RATE, 1), (8_000, 2)])
def test_any_rate_and_one_channel_come_back_as_they_went(tmp_path: Path, rate: int, channels: int) -> None:
    found = Demucs(saved(tmp_path, separator()))
    stems = together(found.separated(noise(4 * rate + 7, channels), rate))
    assert stems.shape == (4, channels, 4 * rate + 7)
    assert stems.dtype == np.float32
    assert np.isfinite(stems).all()


@pytest.mark.parametrize("frames", [1, 2, 999])
def test_the_shortest_sounds_and_silence(tmp_path: Path, frames: int) -> None:
    found = Demucs(saved(tmp_path, separator()))
    assert together(found.separated(noise(frames), RATE)).shape == (4, 2, frames)
    silent = together(found.separated(np.zeros((2, frames), np.float32), RATE))
    assert np.abs(silent).max() < 1e-6


def test_it_stops_between_two_segments(tmp_path: Path) -> None:
    found, done = Demucs(saved(tmp_path, separator())), []
    parts = found.separated(noise(20 * RATE), RATE, lambda at, of: done.append(at), lambda: len(done) == 2)
    with pytest.raises(Cancelled):
        list(parts)
    assert done == [1, 2]


def test_what_is_done_comes_while_the_rest_is_worked_on(tmp_path: Path) -> None:
    found, done = Demucs(saved(tmp_path, separator())), []
    parts = found.separated(noise(20 * RATE), RATE, lambda at, of: done.append((at, of)))
    next(parts)
    assert done == [(1, 18)]


def test_what_cannot_be(tmp_path: Path) -> None:
    folder = saved(tmp_path, separator())
    with pytest.raises(EngineError, match="float32 alone"):
        Demucs(folder, dtype="int8")
    with pytest.raises(EngineError, match="cuda:9"):
        Demucs(folder, device="cuda:9")


@pytest.mark.slow
def test_through_the_engines_process(tmp_path: Path) -> None:
    folder, audio = saved(tmp_path, separator()), noise(5 * RATE)
    told: list[tuple[str, int, int]] = []
    parts: list[dict[str, Audio]] = []
    with NeuralHost() as host:
        host.separate(audio, RATE, "demucs", folder, take=parts.append, told=lambda *at: told.append(at))
        assert told == [("loading", 0, 0), *(("step", k, 5) for k in range(1, 6))]
        stems = np.stack([np.concatenate([part[name] for part in parts], axis=1) for name in SOURCES])
        np.testing.assert_array_equal(stems, together(Demucs(folder).separated(audio, RATE)))
        with pytest.raises(Cancelled):
            host.separate(noise(60 * RATE), RATE, "demucs", folder, take=lambda part: None, cancel=lambda: True)

        def full(part: dict[str, Audio]) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space"):
            host.separate(noise(60 * RATE), RATE, "demucs", folder, take=full)
        with pytest.raises(EngineError, match="there is no separator"):
            host.separate(audio, RATE, "demucs", tmp_path / "none", take=parts.append)
        again: list[dict[str, Audio]] = []
        host.separate(audio, RATE, "demucs", folder, take=again.append)
        assert all(np.array_equal(a[name], b[name]) for a, b in zip(parts, again, strict=True) for name in SOURCES)


def stemwright(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_from_file_to_files(tmp_path: Path) -> None:
    folder, source, out = saved(tmp_path / "tiny", separator()), tmp_path / "mix.flac", tmp_path / "stems"
    soundfile.write(source, noise(3 * 44_100, 2).T, 44_100)
    asked = ["separate", source, "--out", out, "--weights", folder]
    done = stemwright(*asked, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert list(said["stems"]) == list(SOURCES)
    assert sum(said["shares"].values()) == pytest.approx(1.0, abs=1e-3)
    mix, _ = soundfile.read(source, dtype="float32", always_2d=True)
    stems = {name: soundfile.read(path, dtype="float32", always_2d=True)[0] for name, path in said["stems"].items()}
    assert all(stem.shape == mix.shape for stem in stems.values())
    left = mix - sum(stems.values())
    assert said["residual_db"] == pytest.approx(10 * np.log10(np.sum(left**2) / np.sum(mix**2)), abs=0.1)
    assert "of the energy" in done.stderr
    refused = stemwright(*asked)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert stemwright(*asked, "--force").returncode == 0
    for arguments, words in (
        (["separate", source, "--out", out, "--weights", tmp_path / "none"], "there is no separator"),
        (["separate", tmp_path / "no.wav", "--out", out, "--weights", folder], "no.wav"),
        (["separate", source, "--out", out, "--weights", folder, "--engine", "scissors"], "'scissors' is not known"),
    ):
        failed = stemwright(*arguments)
        assert failed.returncode == 2
        assert words in failed.stderr
        assert failed.stderr.strip().splitlines()[-1].startswith("stemwright: ")


@pytest.mark.slow
def test_bar_lock_asks_a_separator_how_pure_a_stem_is(tmp_path: Path) -> None:
    folder, source = saved(tmp_path / "tiny", separator()), tmp_path / "bass.wav"
    audio = noise(8 * RATE)
    soundfile.write(source, audio.T, RATE, subtype="FLOAT")
    asked = ["align", source, "--bpm", 120, "--bars", 4, "-o", tmp_path / "out.wav", "--json", "--separator", folder]
    done = stemwright(*asked, "--role", "bass")
    assert done.returncode == 0, done.stderr
    purity = json.loads(done.stdout)["purity"]
    assert purity["method"] == "separation"
    assert 0.0 < purity["share"] < 1.0
    refused = stemwright(*asked)
    assert refused.returncode == 2
    assert "--role" in refused.stderr
