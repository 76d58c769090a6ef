"""Teaches the network that hears onsets (studio/align/hear/attacks.py). Needs torch, on any device.

python -m tests.bench.bar_lock.learn.onsets --examples FOLDER --out studio/align/hear/data/attacks.npz
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from studio.align.hear.attacks import AROUND, DILATIONS, KERNEL, SILENCE, STEPS, bumps, silence, steps
from studio.align.hear.spectra import FINE_BANDS, FINE_PER_SECOND
from studio.align.rows import held
from tests.bench.bar_lock.learn.stored import examples, watched

SEEN = FINE_BANDS + STEPS
CHANNELS = 32
CROP, BATCH = 1500, 12
NEAR_S = 0.04


class Attacks(nn.Module):
    """Log odds that a sound begins in each fine frame: (batch, SEEN, frames) to (batch, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(SEEN)
        sizes = [SEEN, *[CHANNELS] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            nn.Conv1d(before, CHANNELS, KERNEL, dilation=d, padding=d * (KERNEL // 2))
            for before, d in zip(sizes, DILATIONS, strict=False)
        )
        self.out = nn.Conv1d(CHANNELS, 1, 1)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        x = functional.relu(self.layers[0](self.norm(seen)))
        for layer in self.layers[1:]:
            x = x + functional.relu(layer(x))
        return self.out(x)[:, 0]

    def weights(self) -> dict[str, np.ndarray]:
        """For numpy: convolutions as (kernel, in, out), the normalisation folded into the first."""
        self.eval()
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        found: dict[str, torch.Tensor] = {"scale": scale, "shift": self.norm.bias - self.norm.running_mean * scale}
        for number, layer in enumerate(self.layers):
            found[f"{number}/weight"], found[f"{number}/bias"] = layer.weight.permute(2, 1, 0), layer.bias
        found["out/weight"], found["out/bias"] = self.out.weight[:, :, 0].T, self.out.bias
        return {name: value.detach().numpy().astype(np.float32) for name, value in found.items()}


def target(onsets: np.ndarray, first: int, frames: int) -> np.ndarray:
    """(frames,): one for each onset, shared between the two frames it lies between."""
    at = onsets - first
    at = at[(at >= 0) & (at <= frames - 1.001)]
    found = np.zeros(frames, np.float32)
    low = at.astype(np.intp)
    np.add.at(found, low, 1.0 - (at - low))
    np.add.at(found, low + 1, at - low)
    return np.minimum(found, 1.0)


def lessons(folder: Path, limit: int | None) -> Iterator[dict[str, Any]]:
    """What the network sees of each, with silence before those that begin the sound."""
    for given in examples(folder, ("fine", "onsets", "first", "pitches"), limit):
        first, fine = int(given["first"]), given["fine"]
        seen = np.concatenate([fine, steps(held(given["pitches"].astype(np.float32)), first, len(fine))], axis=1)
        lead = AROUND if first == 0 else 0
        seen = np.concatenate([np.broadcast_to(silence(), (lead, SEEN)), seen])
        yield {
            "seen": seen.astype(np.float16), "onsets": given["onsets"] + lead, "material": given["material"],
            "seed": given["seed"],
        }  # fmt: skip


def crops(given: list[dict[str, Any]], random: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A pass through the lessons, a stretch of each, in batches."""
    order = random.permutation(len(given))
    nothing = silence()[:, None]
    for start in range(0, len(order) - BATCH + 1, BATCH):
        seen, wanted = np.tile(nothing, (BATCH, 1, CROP)), np.zeros((BATCH, CROP), np.float32)
        for row, number in enumerate(order[start : start + BATCH]):
            whole, onsets = given[number]["seen"], given[number]["onsets"]
            # Beginnings are looked at more often than chance would have it.
            first = int(random.integers(0, max(1, len(whole) - CROP))) if random.random() < 0.8 else 0
            piece = whole[first : first + CROP].astype(np.float32).T
            # Tone controls: no band is anywhere as loud as in the samples that the band plays.
            tilt = random.normal(0, 0.25) * np.linspace(-1, 1, FINE_BANDS) + random.normal(0, 0.08, FINE_BANDS)
            piece[:FINE_BANDS] = np.maximum(piece[:FINE_BANDS] + tilt[:, None].astype(np.float32), SILENCE)
            seen[row, :, : piece.shape[1]] = piece
            wanted[row, : piece.shape[1]] = target(onsets, first, piece.shape[1])
        yield torch.from_numpy(seen), torch.from_numpy(wanted)


def figures(net: Attacks, given: list[dict[str, Any]]) -> str:
    """Precision, recall and errors by material."""
    net.eval()
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0])
    errors: dict[str, list[float]] = defaultdict(list)
    spreads: dict[str, list[float]] = defaultdict(list)
    for lesson in given:
        with torch.no_grad():
            logits = net(torch.from_numpy(lesson["seen"].astype(np.float32).T[None]))[0].numpy()
        found = bumps(1.0 / (1.0 + np.exp(-logits)))
        at, true = found.seconds, np.unique(lesson["onsets"]) / FINE_PER_SECOND
        true = true[(true > 0.0) & (true < len(logits) / FINE_PER_SECOND)]
        keep = np.diff(true, prepend=-1.0) > 0.012
        for name in (lesson["material"], "all"):
            counts[name][1] += len(at)
            counts[name][3] += int(keep.sum())
            if len(at) and len(true):
                off = np.abs(at[:, None] - true)
                near = off.min(axis=1)
                counts[name][0] += int((near < NEAR_S).sum())
                counts[name][2] += int((off.min(axis=0)[keep] < NEAR_S).sum())
                errors[name] += (1000 * near[near < NEAR_S]).tolist()
                spreads[name] += (1000 * found.spread[near < NEAR_S]).tolist()
    rows = []
    for name, (right, claimed, heard, real) in sorted(counts.items()):
        e, s = np.array(errors[name] or [0.0]), np.array(spreads[name] or [0.0])
        rows.append(
            f"  {name:6} precision {right / max(claimed, 1):.3f} recall {heard / max(real, 1):.3f} of {real:5.0f}"
            f"  ms: median {np.median(e):5.2f} p90 {np.percentile(e, 90):5.1f} p95 {np.percentile(e, 95):5.1f}"
            f"  claimed spread {np.median(s):5.2f} (rms error {np.sqrt((e**2).mean()):.2f})"
        )
    return "\n".join(rows)


def main() -> None:
    """Learn, watch, write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--examples", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--limit", type=int)
    given = options.parse_args()
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    known = list(lessons(given.examples, given.limit))
    learned, held = [e for e in known if not watched(e)], [e for e in known if watched(e)]
    net = Attacks()
    print(len(learned), "lessons", sum(p.numel() for p in net.parameters()), "weights", flush=True)
    adam = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    pace = torch.optim.lr_scheduler.OneCycleLR(
        adam, 4e-3, total_steps=given.epochs * (len(learned) // BATCH) + 1, pct_start=0.15
    )
    for epoch in range(given.epochs):
        net.train()
        begun, total = time.time(), []
        for seen, wanted in crops(learned, random):
            loss = functional.binary_cross_entropy_with_logits(net(seen), wanted) * CROP
            adam.zero_grad()
            loss.backward()
            adam.step()
            pace.step()
            total.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(total):.3f}, {time.time() - begun:.0f} s", flush=True)
        if epoch % 3 == 2 or epoch == given.epochs - 1:
            print(figures(net, held), flush=True)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            np.savez(given.out, **net.weights())


if __name__ == "__main__":
    main()
