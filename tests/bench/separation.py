"""How fast a mix is taken apart, and in how much memory, beside the package's own front end.

    python -m tests.bench.separation [--seconds 30 120] [--device cpu]

The published separator's full size with random weights: the time does not depend on what they are. Both in a process
of their own, with the same threads, overlap and no shifts; the package holds the whole of its input and output.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from tests.bench.conditions import conditions
from tests.bench.spending import row, run
from tests.support.separators import saved

ROOT = Path(__file__).resolve().parents[2]
RATE = 44_100
PACKAGE = """
import sys, torch
from demucs.apply import apply_model
from models.analysis.demucs_weights import read_bag
import soundfile
weights, source, out, device = sys.argv[1:]
from pathlib import Path
mix = torch.from_numpy(soundfile.read(source, dtype="float32", always_2d=True)[0].T.copy())
alike = mix.mean(0)
mean, spread = alike.mean(), alike.std() + 1e-8
with torch.no_grad():
    model = read_bag(Path(weights)).models[0]
    found = apply_model(model, ((mix - mean) / spread)[None], shifts=0, overlap=0.25, device=device)[0] * spread + mean
for name, stem in zip(model.sources, found):
    soundfile.write(f"{out}/{name}.wav", stem.T.numpy(), 44100, subtype="PCM_24")
"""


def full_size(folder: Path) -> Path:
    """A separator of the published shape (htdemucs: 42 million weights)."""
    from demucs.htdemucs import HTDemucs

    arguments = {
        "sources": ["drums", "bass", "other", "vocals"], "audio_channels": 2, "samplerate": RATE, "channels": 48,
        "segment": Fraction(39, 5), "bottom_channels": 512, "t_layers": 5, "t_heads": 8, "dconv_comp": 8, "nfft": 4096,
    }  # fmt: skip
    return saved(folder, (HTDemucs(**arguments).eval(), arguments))


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 120.0])
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    print(conditions("torch", "demucs"))
    print(f"device     {given.device}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        weights = full_size(folder / "weights")
        random = np.random.Generator(np.random.PCG64(1))
        for seconds in given.seconds:
            source = folder / "mix.wav"
            soundfile.write(source, 0.1 * random.standard_normal((round(seconds * RATE), 2)), RATE)
            ours = [
                sys.executable, "-m", "studio", "separate", str(source), "--out", str(folder / "stems"), "--weights",
                str(weights), "--device", given.device, "--force",
            ]  # fmt: skip
            theirs = [sys.executable, "-c", PACKAGE, str(weights), str(source), str(folder), given.device]
            for name, command in (("stemwright separate", ours), ("the package", theirs)):
                took = run(command, ROOT)
                print(row(f"{seconds:g} s, {name}, {seconds / took.wall:.2f} x", [took]), flush=True)


if __name__ == "__main__":
    main()
