"""A published neural beat tracker as a peer: what its beats and downbeats would make of a sound.

BeatNet (M. Heydari, F. Cwitkowitz and Z. Duan, "BeatNet: CRNN and particle filtering for online joint beat downbeat and
meter tracking", ISMIR 2021) was taught on recordings; its weights ship in its wheel. They are decoded over the whole
sound by the dynamic Bayesian network of S. Böck, F. Krebs and G. Widmer ("Joint beat and downbeat tracking with
recurrent neural networks", ISMIR 2016). It needs, in an environment of its own:

    pip install torch && pip install --no-deps BeatNet==1.1.3 madmom-infer==0.2.0

It is given every benefit of the doubt: it knows the meter, its tempo is looked for where bar lock's is, its constant
earliness is taken out, and its beats are moved by `studio.align.move`, so that only what is heard differs. Its first
beat counts as bar 1: on the tuning set that is right more often than its own downbeats are (62 cases of 140, and 47).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from studio.align.grid import Grid
from studio.align.hear.bars import BarShape
from studio.align.move import render
from studio.align.values import Audio, BeatMap, Floats, Material, Warp
from studio.mix.sources import ArraySource
from tests.bench.bar_lock.case import Case
from tests.bench.bar_lock.score import Answer

RATE, HOP, WINDOW = 22_050, 441, 1411
BANDS, LOWEST, HIGHEST = 24, 30, 17_000
CELLS, LAYERS = 150, 2
REACH = 2**0.5
EARLY_S = 0.005
"""By how much its beats are early in the middle, on the tuning set."""
MODEL = 1


def beatnet_beats(case: Case) -> Answer:
    """The case with BeatNet's beats on the grid's."""
    grid = case.grid
    audio = case.at_grid_rate()
    course = course_of(audio, grid)
    if course is None:
        return Answer(audio, 0, lambda seconds: np.asarray(seconds * grid.rate))
    warp = Warp(course.seconds * grid.rate, grid.frame_at(course.beats))
    first, last = (int(at) for at in np.rint(warp.target_at(np.array([0.0, audio.shape[1]]))))
    lead = max(0, -first)
    blocks = render(ArraySource(audio), grid.rate, warp, -lead, max(last, grid.frames), np.zeros(0), Material.PITCHED)
    moved = np.concatenate(list(blocks), axis=1)
    return Answer(moved, lead, lambda seconds: np.asarray(warp.target_at(np.asarray(seconds) * grid.rate)))


def course_of(audio: Audio, grid: Grid) -> BeatMap | None:
    """What BeatNet hears in (channels, frames) at the grid's rate, as positions in quarter notes from bar 1 on; None
    for fewer than two beats."""
    shape = BarShape.of(grid.meter)
    mono = soxr.resample(audio.mean(axis=0), grid.rate, RATE).astype(np.float32)
    unit = float(shape.unit)
    found = _decoder(shape.units, grid.bpm / unit)(_activations(mono))
    if len(found) < 2:
        return None
    return BeatMap(found[:, 0] + EARLY_S, np.arange(len(found)) * unit)


@cache
def _network() -> Any:
    import BeatNet
    import torch
    from BeatNet.model import BDA

    # 24 bands an octave, each once as it is and once as it rises.
    net = BDA(2 * 136, CELLS, LAYERS, "cpu")
    path = Path(next(iter(BeatNet.__path__))) / "models" / f"model_{MODEL}_weights.pt"
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=False)
    return net.eval()


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


def _activations(mono: Audio) -> Floats:
    """(frames, 2): how likely each is a beat, and a downbeat."""
    import torch

    net = _network()
    net.hidden, net.cell = (torch.zeros(LAYERS, 1, CELLS) for _ in range(2))
    with torch.no_grad():
        odds = net(torch.from_numpy(np.asarray(_features()(mono), np.float32))[None])[0]
        return np.asarray(torch.softmax(odds, 0).numpy()[:2].T, np.float64)


@cache
def _decoder(units: int, bpm: float) -> Any:
    from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor

    return DBNDownBeatTrackingProcessor(beats_per_bar=[units], min_bpm=bpm / REACH, max_bpm=bpm * REACH, fps=RATE / HOP)
