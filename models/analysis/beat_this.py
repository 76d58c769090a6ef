"""Beats as Beat This! hears them (F. Foscarin, J. Schlüter and G. Widmer, "Beat this! Accurate beat tracking without
DBN postprocessing", ISMIR 2024), from a checkpoint that its authors publish:

    pip install madmom-infer einops && pip install --no-deps beat-this==1.1.0 rotary-embedding-torch

Its network is the package's own; its spectrogram is made here, for the package takes that from torchaudio.
"""

from __future__ import annotations

import inspect
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from beat_this.model.beat_tracker import BeatThis as Network

from models.analysis.counting import RATE, counted, heard_at
from models.api import Audio, Cancel, Cancelled, EngineError, never_cancelled
from models.api.tools import Beats

WINDOW, HOP = 1024, 441
BANDS, LOWEST, HIGHEST = 128, 30.0, 11_000.0
LOUD = 1000.0
CHUNK, BORDER = 1500, 6
"""Frames that it hears at a time, and those at either end of these that it has not learned to judge."""
MOST = 4096
"""Of any number among its parameters."""
EARLY_S = 0.0


class BeatThis:
    """The network with the weights of a checkpoint."""

    def __init__(self, folder: Path | None = None, device: str = "cpu", dtype: str = "float32") -> None:
        """`folder` holds one `.ckpt` file, as published. Raises EngineError."""
        files = sorted(folder.glob("*.ckpt")) if folder is not None else []
        if len(files) != 1:
            raise EngineError(
                "beat_this needs the folder that holds its checkpoint, such as final0.ckpt: get one from its authors "
                "(github.com/CPJKU/beat_this)"
            )
        self._net, self._device = _read(files[0]), device
        try:
            self._net.to(device)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"device {device!r:.20}: {str(error).splitlines()[0]:.160}") from error

    def beats(
        self, audio: Audio, rate: int, units: int, slowest: float, fastest: float, cancel: Cancel = never_cancelled
    ) -> Beats:
        """Beats of float32 (channels, frames) at `rate` Hz; see `models.api.tools.Listener`."""
        seen = spectrogram(torch.from_numpy(np.ascontiguousarray(heard_at(audio, rate))))
        beat, downbeat = (torch.sigmoid(odds.double()).numpy() for odds in self._odds(seen, cancel))
        return counted(np.stack([np.maximum(beat - downbeat, 0.0), downbeat], axis=1), units, slowest, fastest, EARLY_S)

    def _odds(self, seen: torch.Tensor, cancel: Cancel) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of each frame, (frames,) of beats and of downbeats: where chunks overlap, the earlier one's."""
        count, own = len(seen), CHUNK - 2 * BORDER
        found = torch.full((2, count), -1000.0)
        starts = list(range(0, max(count, 1), own))
        if count > own:
            starts[-1] = count - own  # the last one is as long as the others
        for start in reversed(starts):
            if cancel():
                raise Cancelled("cancelled")
            low, high = start - BORDER, min(start + own, count) + BORDER
            piece = seen[max(low, 0) : min(high, count)]
            piece = torch.nn.functional.pad(piece, (0, 0, max(-low, 0), max(high - count, 0)))
            with torch.inference_mode():
                heard = self._net(piece[None].to(self._device))
            for row, name in enumerate(("beat", "downbeat")):
                found[row, start : high - BORDER] = heard[name][0, BORDER:-BORDER].float().cpu()
        return found[0], found[1]


def _read(path: Path) -> Any:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(f"{path.name} cannot be read as weights alone ({words:.120})") from error
    said, weights = (
        stored.get(name) if isinstance(stored, dict) else None for name in ("hyper_parameters", "state_dict")
    )
    if not isinstance(said, dict) or not isinstance(weights, dict):
        raise EngineError(f"{path.name} is no checkpoint of beat_this")
    known = inspect.signature(Network.__init__).parameters
    given = {name: value for name, value in said.items() if name in known}
    state = {str(name).removeprefix("model."): value for name, value in weights.items()}
    if any(isinstance(value, int | float) and not 0 <= value <= MOST for value in given.values()):
        raise EngineError(f"{path.name} has parameters that cannot be: fetch it again")
    try:
        network = Network(**given)
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError, AttributeError) as error:
        raise EngineError(f"{path.name} has other weights than its parameters say: fetch it again") from error
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise EngineError(f"{path.name} holds what is no number: fetch it again")
    return network.eval()


def spectrogram(mono: torch.Tensor) -> torch.Tensor:
    """(frames,) at RATE to (n, BANDS): logarithms of mel bands, HOP frames apart."""
    if len(mono) <= WINDOW // 2:  # else there is nothing to mirror
        mono = torch.nn.functional.pad(mono, (0, WINDOW // 2 + 1 - len(mono)))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(mono, WINDOW, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    return torch.log1p(LOUD * (spectrum.abs() / WINDOW**0.5).T @ _bands())


@cache
def _bands() -> torch.Tensor:
    """(bins, BANDS): triangles on the mel scale of M. Slaney's "Auditory toolbox" (1998), of height 1."""
    edges = torch.linspace(float(_mel(LOWEST)), float(_mel(HIGHEST)), BANDS + 2, dtype=torch.float64)
    hertz = torch.where(edges < 15.0, edges * 200.0 / 3.0, 1000.0 * torch.exp((edges - 15.0) * (np.log(6.4) / 27.0)))
    bins = torch.linspace(0.0, RATE // 2, WINDOW // 2 + 1, dtype=torch.float64)
    rising = (bins[:, None] - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - bins[:, None]) / (hertz[2:] - hertz[1:-1])
    return torch.clamp(torch.minimum(rising, falling), min=0.0).float()


def _mel(hertz: float) -> float:
    return hertz * 3.0 / 200.0 if hertz < 1000.0 else 15.0 + float(np.log(hertz / 1000.0)) * 27.0 / float(np.log(6.4))
