"""`stemwright generate` from the command line, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.api.prompts import PromptRequest
from models.musicgen.engine import MusicGen
from tests.support import checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.saved(checkpoints.musicgen(2), tmp_path_factory.mktemp("tiny-musicgen"))


def generate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "studio", "generate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_writes_what_the_engine_makes(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "take.wav"
    asked = ["warm piano", "--engine", "musicgen", "--weights", folder, "--seconds", 0.7, "--seed", 5, "--top-k", 20]
    done = generate(*asked, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    expected = MusicGen(folder).sound([PromptRequest("warm piano", 0.7, 5, top_k=20)])[0].audio
    audio, rate = soundfile.read(out, dtype="float32", always_2d=True)
    assert (rate, audio.shape) == (32_000, (22_400, 2))
    assert expected is not None
    np.testing.assert_allclose(audio.T, expected, rtol=0, atol=2.0**-23)
    said = json.loads(done.stdout)
    assert (said["seed"], said["prompt"], said["top_k"], said["file"]) == (5, "warm piano", 20, str(out))
    assert "seed 5" in done.stderr
    assert generate(*asked, "-o", out).returncode == 2, "a file that is there is kept"
    louder = generate(*asked, "-o", out, "--force", "--rate", 48_000, "--lufs", -20)
    assert louder.returncode == 0, louder.stderr
    assert soundfile.info(out).samplerate == 48_000
    assert soundfile.info(out).frames == 33_600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "--engine", "nothing"], "'nothing' is not known"),
        (["a", "--engine", "musicgen", "--weights", "nowhere"], "nowhere"),
        (["a", "--engine", "musicgen", "--seconds", "0"], "from 0.01"),
        (["a", "--engine", "musicgen", "--seconds", "600"], "up to 30"),
        (["a", "--engine", "musicgen", "--temperature", "-1"], "from 0 to 10"),
        (["a", "--engine", "musicgen", "--device", "cuda:9"], "cuda:9"),
        (["a" * 100_000, "--engine", "musicgen"], "4000 or fewer"),
    ],
)
def test_what_cannot_be_is_one_line(folder: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    weights = [] if "--weights" in arguments else ["--weights", folder]
    done = generate(*arguments, *weights, "-o", tmp_path / "take.wav")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("stemwright: ")
    assert says in last
    assert not list(tmp_path.iterdir())
