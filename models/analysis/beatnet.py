"""Beats as BeatNet hears them (M. Heydari, F. Cwitkowitz and Z. Duan, "BeatNet: CRNN and particle filtering for online
joint beat downbeat and meter tracking", ISMIR 2021).

Its weights ship in its wheel, under CC-BY 4.0; nothing else of that package is used, which asks for much that is old:

    pip install madmom-infer && pip install --no-deps BeatNet==1.1.3
"""

from __future__ import annotations

import importlib.util
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.analysis.counting import RATE, counted, heard_at
from models.api import Audio, Cancel, Cancelled, EngineError, never_cancelled
from models.api.tools import Beats

FILE = "model_1_weights.pt"
"""The one that was taught on GTZAN."""
HOP, WINDOW = 441, 1411
BANDS, LOWEST, HIGHEST = 24, 30, 17_000
SEEN, CELLS, LAYERS, KERNEL = 272, 150, 2, 10
"""What it sees: 24 bands an octave, each once as it is and once as it rises."""
EARLY_S = 0.005
"""By how much its beats are early in the middle, on the tuning set of bar lock's benchmark."""


class BeatNet:
    """The network with its own weights."""

    def __init__(self, folder: Path | None = None, device: str = "cpu", dtype: str = "float32") -> None:
        """`folder` holds FILE; None is the installed wheel's. It is so small that it always works on the CPU. Raises
        EngineError."""
        path = (folder or _in_wheel()) / FILE
        if not path.is_file():
            raise EngineError(f"there is no {FILE} in {path.parent}: pip install --no-deps BeatNet==1.1.3")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self._net = _Network()
            # What it remembers from what it heard last is stored as well.
            self._net.load_state_dict({k: v for k, v in state.items() if k in self._net.state_dict()})
        except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, OSError, ValueError) as error:
            words = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise EngineError(f"{path} cannot be read as BeatNet's weights ({words:.100})") from error
        self._net.eval()

    def beats(
        self, audio: Audio, rate: int, units: int, slowest: float, fastest: float, cancel: Cancel = never_cancelled
    ) -> Beats:
        """Beats of float32 (channels, frames) at `rate` Hz; see `models.api.tools.Listener`."""
        seen = torch.from_numpy(np.asarray(_features()(heard_at(audio, rate)), np.float32))
        if cancel():
            raise Cancelled("cancelled")
        with torch.inference_mode():
            odds = torch.softmax(self._net(seen), dim=1)[:, :2].double().numpy()
        if cancel():
            raise Cancelled("cancelled")
        return counted(odds, units, slowest, fastest, EARLY_S)


class _Network(nn.Module):
    """(frames, SEEN) to (frames, 3): beat, downbeat, neither."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 2, KERNEL)
        self.linear0 = nn.Linear(2 * ((SEEN - KERNEL + 1) // 2), CELLS)
        self.lstm = nn.LSTM(CELLS, CELLS, LAYERS, batch_first=True)
        self.linear = nn.Linear(CELLS, 3)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool1d(torch.relu(self.conv1(seen[:, None])), 2)
        x, _ = self.lstm(self.linear0(x.flatten(1))[None])
        found: torch.Tensor = self.linear(x)[0]
        return found


def _in_wheel() -> Path:
    """Where the wheel keeps its weights. It is not imported: it would ask for what need not be there."""
    found = importlib.util.find_spec("BeatNet")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise EngineError("BeatNet is not installed: pip install madmom-infer && pip install --no-deps BeatNet==1.1.3")
    return Path(places[0]) / "models"


@cache
def _features() -> Any:
    from madmom_infer.audio.signal import FramedSignalProcessor, SignalProcessor
    from madmom_infer.audio.spectrogram import (
        FilteredSpectrogramProcessor,
        LogarithmicSpectrogramProcessor,
        SpectrogramDifferenceProcessor,
    )
    from madmom_infer.audio.stft import ShortTimeFourierTransformProcessor
    from madmom_infer.processors import SequentialProcessor

    return SequentialProcessor(
        (
            SignalProcessor(num_channels=1, sample_rate=RATE),
            FramedSignalProcessor(frame_size=WINDOW, hop_size=HOP),
            ShortTimeFourierTransformProcessor(),
            FilteredSpectrogramProcessor(num_bands=BANDS, fmin=LOWEST, fmax=HIGHEST, norm_filters=True),
            LogarithmicSpectrogramProcessor(mul=1, add=1),
            SpectrogramDifferenceProcessor(diff_ratio=0.5, positive_diffs=True, stack_diffs=np.hstack),
        )
    )
