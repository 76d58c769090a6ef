"""Teaches the network that hears where in the bar a sound is (studio/align/hear/phases.py). Needs torch.

    python -m tests.bench.bar_lock.learn.bars --examples FOLDER --out studio/align/hear/data/phases.npz [--hold]
        [--start FILE [--share S]]

`--hold` keeps some styles and patterns from learning, to see what becomes of music that was never heard.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from studio.align.hear.phases import DILATIONS, KERNEL, METER_TRAITS, PLACES
from studio.align.hear.spectra import BANDS, PITCHES
from tests.bench.bar_lock.learn.stored import examples, unknown, watched

SEEN = 2 * BANDS + PITCHES
CHANNELS = 48
DROPPED = 0.1
BATCH_FRAMES = 16_000


class Phases(nn.Module):
    """Log odds of the places of the bar: (batch, SEEN, frames) and (batch, METER_TRAITS) to (batch, PLACES, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(SEEN)
        self.first = nn.Conv1d(SEEN, CHANNELS, 3, padding=1)
        self.wide = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, KERNEL, dilation=d, padding=d * (KERNEL // 2)) for d in DILATIONS
        )
        self.mixed = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 1) for _ in DILATIONS)
        self.told = nn.ModuleList(nn.Linear(METER_TRAITS, CHANNELS) for _ in range(len(DILATIONS) + 1))
        self.out = nn.Conv1d(CHANNELS, PLACES, 1)
        self.drop = nn.Dropout1d(DROPPED)

    def forward(self, seen: torch.Tensor, traits: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        x = functional.elu(self.first(self.norm(seen)) + self.told[0](traits)[:, :, None])
        for wide, mixed, told in zip(self.wide, self.mixed, self.told[1:], strict=True):
            x = x + mixed(self.drop(functional.elu(wide(x + told(traits)[:, :, None]))))
        return self.out(functional.elu(x))

    def weights(self) -> dict[str, np.ndarray]:
        """For numpy: convolutions as (kernel, in, out), the normalisation as a scale and a shift."""
        self.eval()
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        found: dict[str, torch.Tensor] = {"scale": scale, "shift": self.norm.bias - self.norm.running_mean * scale}
        for name, layers in (("wide", self.wide), ("mixed", self.mixed)):
            for number, layer in enumerate(layers):
                found[f"{name}/{number}/weight"] = layer.weight.permute(2, 1, 0)
                found[f"{name}/{number}/bias"] = layer.bias
        for name, layer in (("first", self.first), ("out", self.out)):
            found[f"{name}/weight"], found[f"{name}/bias"] = layer.weight.permute(2, 1, 0), layer.bias
        for number, layer in enumerate(self.told):
            found[f"told/{number}/weight"], found[f"told/{number}/bias"] = layer.weight.T, layer.bias
        return {name: value.detach().numpy().astype(np.float16) for name, value in found.items()}

    def go_on_from(self, stored: Mapping[str, np.ndarray], lessons: list[dict[str, Any]]) -> None:
        """Take over weights that were written, their normalisation as of some lessons."""
        given = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored}
        seen = torch.from_numpy(np.concatenate([e["view"] for e in lessons[:300]]).astype(np.float32))
        mean, variance = seen.mean(0), seen.var(0)
        with torch.no_grad():
            self.norm.running_mean.copy_(mean)
            self.norm.running_var.copy_(variance)
            self.norm.weight.copy_(given["scale"] * torch.sqrt(variance + self.norm.eps))
            self.norm.bias.copy_(given["shift"] + mean * given["scale"])
            for name, layers in (("wide", self.wide), ("mixed", self.mixed)):
                for number, layer in enumerate(layers):
                    layer.weight.copy_(given[f"{name}/{number}/weight"].permute(2, 1, 0))
                    layer.bias.copy_(given[f"{name}/{number}/bias"])
            for name, layer in (("first", self.first), ("out", self.out)):
                layer.weight.copy_(given[f"{name}/weight"].permute(2, 1, 0))
                layer.bias.copy_(given[f"{name}/bias"])
            for number, layer in enumerate(self.told):
                layer.weight.copy_(given[f"told/{number}/weight"].T)
                layer.bias.copy_(given[f"told/{number}/bias"])


def loss_of(odds: torch.Tensor, phase: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Cross entropy, a phase between two places counting as both in part. Without bars (-1) all places are alike."""
    likely = functional.log_softmax(odds, 1)
    bars = phase >= 0
    at = phase.clamp(min=0.0) * PLACES
    low = torch.floor(at).long()
    share = at - low
    left = likely.gather(1, (low % PLACES)[:, None])[:, 0]
    right = likely.gather(1, ((low + 1) % PLACES)[:, None])[:, 0]
    nats = torch.where(bars, (1 - share) * left + share * right, likely.mean(1))
    return -(nats * inside).sum() / inside.sum()


def batches(lessons: list[dict[str, Any]], random: np.random.Generator) -> Iterator[list[dict[str, Any]]]:
    """Lessons of about one length together."""
    sizes = np.array([len(e["view"]) for e in lessons]) + random.integers(0, 120, len(lessons))
    groups: list[list[dict[str, Any]]] = [[]]
    for number in np.argsort(sizes, kind="stable"):
        groups[-1].append(lessons[number])
        if len(groups[-1]) * max(len(e["view"]) for e in groups[-1]) > BATCH_FRAMES:
            groups.append([])
    groups = [group for group in groups if group]
    for k in random.permutation(len(groups)):
        yield groups[k]


def together(group: list[dict[str, Any]], random: np.random.Generator | None) -> tuple[torch.Tensor, ...]:
    """Padded to one length; with `random` louder, softer and transposed."""
    frames = max(len(e["view"]) for e in group)
    seen = np.zeros((len(group), SEEN, frames), np.float32)
    phase, inside = np.zeros((len(group), frames), np.float32), np.zeros((len(group), frames), bool)
    for row, lesson in enumerate(group):
        view = lesson["view"].astype(np.float32).T
        if random is not None:
            if random.random() < 0.5:
                view = view * np.float32(random.uniform(0.8, 1.2))
            if random.random() < 0.5:
                view = np.concatenate([view[: 2 * BANDS], np.roll(view[2 * BANDS :], random.integers(-3, 4), axis=0)])
        count = view.shape[1]
        seen[row, :, :count], phase[row, :count], inside[row, :count] = view, lesson["phase"], lesson["inside"]
    told = np.stack([e["traits"] for e in group])
    return tuple(torch.from_numpy(array) for array in (seen, told, phase, inside))


def figures(net: Phases, lessons: list[dict[str, Any]]) -> str:
    """By material: nats, and how often the right rotation of the bars is the likeliest."""
    net.eval()
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for lesson in (e for e in lessons if e["phase"][0] >= 0):
        seen, told, phase, inside = together([lesson], None)
        with torch.no_grad():
            odds = net(seen, told)
        likely = functional.log_softmax(odds, 1)[0]
        at = (phase[0] * PLACES).round().long()
        turns = [likely.gather(0, ((at + k) % PLACES)[None])[0][inside[0]].mean() for k in range(PLACES)]
        best = int(torch.stack(turns).argmax())
        for name in (lesson["material"], "all"):
            found[name].append((loss_of(odds, phase, inside).item(), best in (0, 1, PLACES - 1)))
    return "  ".join(
        f"{name} {np.mean([a for a, _ in v]):.2f} {np.mean([b for _, b in v]):.0%} of {len(v)}"
        for name, v in sorted(found.items())
    )


def meant(learned: dict[str, np.ndarray], start: Path | None, share: float) -> dict[str, np.ndarray]:
    """A mean of weights and of those from which they came, which is better than either on what neither has heard:
    P. Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018."""
    if start is None or share >= 1.0:
        return learned
    with np.load(start) as stored:
        before = {name: stored[name].astype(np.float32) for name in learned}
    mean = {name: before[name] + share * (value.astype(np.float32) - before[name]) for name, value in learned.items()}
    return {name: value.astype(np.float16) for name, value in mean.items()}


def main() -> None:
    """Learn, watch, write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--examples", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--epochs", type=int, default=12)
    options.add_argument("--limit", type=int)
    options.add_argument("--hold", action="store_true")
    options.add_argument("--start", type=Path, help="weights to go on from")
    options.add_argument("--pace", type=float, default=3e-3, help="the highest learning rate")
    options.add_argument("--share", type=float, default=1.0, help="of what was learned in the mean with --start's")
    given = options.parse_args()
    torch.manual_seed(0)
    random = np.random.default_rng(1)
    lessons = list(examples(given.examples, ("view", "phase", "inside", "traits"), given.limit))
    held = [e for e in lessons if watched(e)]
    strange = [e for e in lessons if given.hold and unknown(e)][:300]
    learned = [e for e in lessons if not watched(e) and not (given.hold and unknown(e))]
    net = Phases()
    if given.start is not None:
        with np.load(given.start) as stored:
            net.go_on_from(stored, learned)
    print(len(learned), "lessons", sum(p.numel() for p in net.parameters()), "weights", flush=True)
    adam = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    steps = given.epochs * (len(list(batches(learned, random))) + 3)
    pace = torch.optim.lr_scheduler.OneCycleLR(adam, given.pace, total_steps=steps, pct_start=0.15)
    for epoch in range(given.epochs):
        net.train()
        begun, total = time.time(), []
        for group in batches(learned, random):
            seen, told, phase, inside = together(group, random)
            loss = loss_of(net(seen, told), phase, inside)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
            pace.step()
            total.append(loss.item())
        print(f"epoch {epoch}: {np.mean(total):.3f} nats, {time.time() - begun:.0f} s", flush=True)
        if epoch % 3 == 2 or epoch == given.epochs - 1:
            print("  watched:", figures(net, held[:250]), flush=True)
            if strange:
                print("  unknown:", figures(net, strange), flush=True)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            np.savez(given.out, **meant(net.weights(), given.start, given.share))


if __name__ == "__main__":
    main()
