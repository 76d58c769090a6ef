"""Beats as other networks hear them: theirs and ours agree, and what they hear is what a sound is counted by."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from models.api import Audio, Cancelled, EngineError
from studio.jobs.neural import NeuralHost
from tests.unit.align.bars import struck

pytest.importorskip("BeatNet")
beat_this = pytest.importorskip("models.analysis.beat_this")
beatnet = pytest.importorskip("models.analysis.beatnet")

RATE = 44_100
TINY = {"transformer_dim": 32, "n_layers": 1, "head_dim": 8, "stem_dim": 8}


def rock(bpm: float, bars: int, late: float = 0.0) -> Audio:
    """A kick on 1 and 3, a snare on 2 and 4 that is louder and longer, and eighths."""
    beat = 60.0 / bpm
    frames = round((late + bars * 4 * beat) * RATE)
    quarters = late + np.arange(4 * bars) * beat
    eighths = late + np.arange(8 * bars) * beat / 2
    return (
        struck(frames, quarters[::2], 0.12)
        + struck(frames, quarters[1::2], 0.2, 2)
        + 0.3 * struck(frames, eighths, 0.01)
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beat_this")
    torch.manual_seed(0)
    network = beat_this.Network(**TINY).eval()
    write(folder, TINY, network)
    return folder


def write(folder: Path, said: Any, network: Any) -> None:
    state = {f"model.{name}": weight for name, weight in network.state_dict().items()}
    said = said | {"fps": 50, "dropout": {"frontend": 0.1, "transformer": 0.2}, "lr": 0.0008}
    torch.save({"hyper_parameters": said, "state_dict": state, "pytorch-lightning_version": "2.4"}, folder / "x.ckpt")


def test_beatnet_hears_a_plain_beat() -> None:
    found = beatnet.BeatNet().beats(rock(100.0, 8), RATE, 4, 80.0, 125.0)
    assert 30 <= len(found.seconds) <= 33
    steady = np.diff(found.seconds)
    assert np.median(steady) == pytest.approx(0.6, abs=0.021)
    off = (found.seconds + 0.3) % 0.6 - 0.3
    assert np.median(np.abs(off)) < 0.02
    assert np.all(np.diff(np.flatnonzero(found.downbeats)) == 4)


def test_our_network_is_beatnets() -> None:
    from BeatNet.model import BDA

    ours = beatnet.BeatNet()._net
    theirs = BDA(beatnet.SEEN, beatnet.CELLS, beatnet.LAYERS, "cpu").eval()
    theirs.load_state_dict(torch.load(beatnet._in_wheel() / beatnet.FILE, weights_only=True), strict=False)
    theirs.hidden, theirs.cell = (torch.zeros(2, 1, beatnet.CELLS) for _ in range(2))
    seen = torch.rand(200, beatnet.SEEN)
    with torch.no_grad():
        torch.testing.assert_close(ours(seen), theirs(seen[None])[0].T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [1, 100, 1488, 1489, 4000])
def test_chunks_are_the_packages(checkpoint: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("torchaudio") is None:  # which the package asks for, but not for this
        monkeypatch.setitem(sys.modules, "torchaudio", ModuleType("torchaudio"))
    inference = importlib.import_module("beat_this.inference")
    found = beat_this.BeatThis(checkpoint)
    seen = torch.rand(count, 128) * 3
    with torch.inference_mode():
        expected = inference.split_predict_aggregate(seen, 1500, 6, "keep_first", found._net)
    beat, downbeat = found._odds(seen, lambda: False)
    assert torch.equal(beat, expected["beat"])
    assert torch.equal(downbeat, expected["downbeat"])


def test_the_spectrogram_is_torchaudios() -> None:
    transforms = pytest.importorskip("torchaudio.transforms")
    theirs = transforms.MelSpectrogram(
        sample_rate=22_050, n_fft=1024, hop_length=441, f_min=30, f_max=11_000, n_mels=128, mel_scale="slaney",
        normalized="frame_length", power=1,
    )  # fmt: skip
    sound = 0.1 * torch.randn(50_000)
    torch.testing.assert_close(
        beat_this.spectrogram(sound), torch.log1p(1000 * theirs(sound).T), atol=1e-4, rtol=0
    )  # fmt: skip


def test_the_spectrogram_places_a_tone_in_its_band() -> None:
    for hertz in (100.0, 440.0, 3000.0, 9000.0):
        sound = torch.sin(torch.arange(22_050) * (2 * np.pi * hertz / 22_050))
        loudest = int(beat_this.spectrogram(sound).mean(dim=0).argmax())
        mels = np.linspace(beat_this._mel(30.0), beat_this._mel(11_000.0), 130)[1:-1]
        assert abs(loudest - int(np.abs(mels - beat_this._mel(hertz)).argmin())) <= 1


def test_a_checkpoint_of_beat_this_is_heard_with(checkpoint: Path) -> None:
    listener = beat_this.BeatThis(checkpoint)
    found = listener.beats(rock(100.0, 4), RATE, 4, 80.0, 125.0)
    assert np.all(np.diff(found.seconds) > 0.4)
    assert len(listener.beats(np.zeros((1, 3), np.float32), RATE, 4, 80.0, 125.0).seconds) <= 1
    with pytest.raises(Cancelled):
        listener.beats(rock(100.0, 4), RATE, 4, 80.0, 125.0, lambda: True)


def test_checkpoints_that_cannot_be(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="needs the folder"):
        beat_this.BeatThis(None)
    with pytest.raises(EngineError, match="needs the folder"):
        beat_this.BeatThis(tmp_path)
    network = beat_this.Network(**TINY)
    for said, words in (
        (TINY | {"n_layers": 2}, "other weights"), (TINY | {"n_layers": 10**9}, "cannot be"),
        (TINY | {"head_dim": 7}, "other weights"), (TINY | {"stem_dim": "x"}, "other weights"),
    ):  # fmt: skip
        write(tmp_path, said, network)
        with pytest.raises(EngineError, match=words):
            beat_this.BeatThis(tmp_path)
    next(network.parameters()).data.fill_(torch.nan)
    write(tmp_path, TINY, network)
    with pytest.raises(EngineError, match="no number"):
        beat_this.BeatThis(tmp_path)
    for data in (b"", b"garbage", (checkpoint / "x.ckpt").read_bytes()[:1000]):
        (tmp_path / "x.ckpt").write_bytes(data)
        with pytest.raises(EngineError, match="weights alone"):
            beat_this.BeatThis(tmp_path)
    (tmp_path / beatnet.FILE).write_bytes(b"garbage")
    with pytest.raises(EngineError, match="BeatNet's weights"):
        beatnet.BeatNet(tmp_path)


@pytest.mark.slow
def test_through_the_engines_process(checkpoint: Path) -> None:
    audio = rock(100.0, 4)
    with NeuralHost() as host:
        found = host.listen(audio, RATE, "beatnet", None, units=4, slowest=80.0, fastest=125.0)
        expected = beatnet.BeatNet().beats(audio, RATE, 4, 80.0, 125.0)
        np.testing.assert_allclose(found.seconds, expected.seconds, atol=1e-6)
        np.testing.assert_array_equal(found.downbeats, expected.downbeats)
        assert len(host.listen(audio, RATE, "beat_this", checkpoint, units=4, slowest=80.0, fastest=125.0).seconds)
        for wrong in ({"units": 0}, {"slowest": 1.0}, {"slowest": 200.0}, {"fastest": float("nan")}):
            with pytest.raises(EngineError, match="cannot be listened for"):
                host.listen(audio, RATE, "beatnet", None, **({"units": 4, "slowest": 80.0, "fastest": 125.0} | wrong))
        with pytest.raises(EngineError, match="is not known"):
            host.listen(audio, RATE, "ears", None, units=4, slowest=80.0, fastest=125.0)


@pytest.mark.slow
def test_bar_lock_counts_by_a_listener(tmp_path: Path) -> None:
    source = tmp_path / "rock.wav"
    soundfile.write(source, rock(100.0, 8, 0.21).T, RATE)
    command = [
        sys.executable, "-m", "studio", "align", str(source), "--bpm", "110", "--json", "-o", str(tmp_path / "out.wav"),
    ]  # fmt: skip
    done = subprocess.run([*command, "--listener", "beatnet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["tempo"]["bpm"] == pytest.approx(100.0, abs=0.1)
    assert report["after"]["median_ms"] < 2.0
    refused = subprocess.run([*command, "--force", "--listener", "ears"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "'ears' is not known" in refused.stderr
