"""The decoder beside transformers' `generate`, at the shapes of published models, with random weights.

    python -m tests.bench.decoder [--size small] [--steps 60] [--clips 1 8] [--dtypes float32 bfloat16 int8]
        [--device cpu] [--threads N]

In an environment with the `neural` extra. A step writes one token of every codebook, with guidance; 50 steps make a
second of sound. Weights are random: only time is measured, and how far int8 strays.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import torch

from models.engine.decoder import Decoder
from models.engine.generate import Order, generate
from models.engine.int8 import in_int8
from models.engine.sampling import Sampling, drawn
from models.engine.shape import DecoderShape
from tests.bench.conditions import conditions

SIZES = {  # layers, hidden, heads
    "small": (24, 1024, 16), "medium": (48, 1536, 24), "large": (48, 2048, 32), "tiny": (4, 256, 4),
}  # fmt: skip
WORDS, SEEN = 24, 768
CODES, BOOKS = 2048, 4
WARM = 4


def shape_of(size: str) -> DecoderShape:
    """A published shape."""
    layers, hidden, heads = SIZES[size]
    return DecoderShape(layers, hidden, heads, 4 * hidden, CODES, BOOKS, SEEN)


def random_decoder(shape: DecoderShape, device: str, dtype: torch.dtype) -> Decoder:
    """Weights of a size that keeps what goes through them of about one size."""
    torch.manual_seed(0)
    decoder = Decoder(shape)
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            if weight.ndim >= 2:
                weight.normal_(0.0, 0.5 * weight.shape[-1] ** -0.5)
            elif name.endswith("bias"):
                weight.zero_()
    return decoder.to(device, dtype).eval()


def orders(clips: int, frames: int, device: str, dtype: torch.dtype) -> list[Order]:
    """Requests with the words of a usual prompt."""
    chance = torch.Generator().manual_seed(1)
    return [Order(torch.randn(WORDS, SEEN, generator=chance).to(device, dtype), frames, seed) for seed in range(clips)]


def pace(run: Callable[[int], None], steps: int) -> float:
    """Steps a second, of a run that takes a number of them; what comes before the first is taken out."""
    run(WARM)
    begun = time.perf_counter()
    run(WARM)
    middle = time.perf_counter()
    run(WARM + steps)
    return steps / max((time.perf_counter() - middle) - (middle - begun), 1e-9)


def ours(decoder: Decoder, clips: int, steps: int, device: str, dtype: torch.dtype) -> float:
    """Steps a second of our decoder."""
    frames = orders(clips, 1, device, dtype)

    def run(count: int) -> None:
        asked = [Order(order.seen, count - BOOKS + 1, order.seed) for order in frames]
        generate(decoder, asked, Sampling())
        if device != "cpu":
            torch.cuda.synchronize()

    return pace(run, steps)


def theirs(size: str, clips: int, steps: int, device: str, dtype: torch.dtype) -> float:
    """Steps a second of transformers' MusicGen, decoder alone."""
    import transformers

    layers, hidden, heads = SIZES[size]
    config = transformers.MusicgenConfig(
        text_encoder=transformers.T5Config(d_model=SEEN, num_layers=1, num_heads=4, d_ff=64).to_dict(),
        audio_encoder=transformers.EncodecConfig(
            target_bandwidths=[2.2], sampling_rate=32_000, codebook_size=CODES, upsampling_ratios=[8, 5, 4, 4],
            num_filters=4, num_lstm_layers=1, hidden_size=16, codebook_dim=16, normalize=False,
        ).to_dict(),
        decoder=transformers.MusicgenDecoderConfig(
            vocab_size=CODES, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            ffn_dim=4 * hidden, num_codebooks=BOOKS,
        ).to_dict(),
    )  # fmt: skip
    model = transformers.MusicgenForConditionalGeneration(config).to(device, dtype).eval()
    for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, name, CODES)
    # Its codec is not what is measured.
    silent = type("Heard", (), {"audio_values": torch.zeros(clips, 1, 1)})
    model.audio_encoder.decode = lambda codes, **more: silent
    words = torch.ones(clips, WORDS, dtype=torch.long, device=device)

    def run(count: int) -> None:
        model.generate(
            input_ids=words, attention_mask=words, do_sample=True, top_k=250, guidance_scale=3.0, max_new_tokens=count
        )
        if device != "cpu":
            torch.cuda.synchronize()

    return pace(run, steps)


def strayed(size: str) -> str:
    """How far int8 is from float32: of logits with the same tokens before them."""
    shape = shape_of(size)
    decoder = random_decoder(shape, "cpu", torch.float32)
    codes = torch.randint(0, CODES, (2, BOOKS, 32), generator=torch.Generator().manual_seed(3))
    seen, there = torch.randn(2, WORDS, SEEN, generator=torch.Generator().manual_seed(4)), torch.ones(2, WORDS).bool()
    at = torch.rand(64, BOOKS, generator=torch.Generator().manual_seed(5))
    found = []
    with torch.inference_mode():
        for _ in range(2):
            logits = decoder.logits(decoder.states(codes, decoder.begin(seen, there, 32)).flatten(0, 1))
            found.append(logits)
            in_int8(decoder)
        same = (drawn(found[0], Sampling(), at) == drawn(found[1], Sampling(), at)).float().mean()
    error = float((found[1] - found[0]).square().mean().sqrt() / found[0].std())
    return (
        f"int8 against float32: logits stray by {100 * error:.1f} % of their spread; {100 * float(same):.0f} % of"
        " tokens are drawn alike from flat distributions, as random weights give them"
    )


def line(clips: int, dtype: str, who: str, found: float) -> str:
    """One row of the table."""
    return f"{clips:3} clips  {dtype:9} {who:13} {found:7.1f} steps/s  {clips * found:7.1f} clip-steps/s"


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", choices=SIZES, default="small")
    options.add_argument("--steps", type=int, default=60)
    options.add_argument("--clips", type=int, nargs="+", default=[1, 8])
    options.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "int8"])
    options.add_argument("--device", default="cpu")
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--no-peer", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(conditions("torch", "transformers"))
    print(
        f"{given.size}, {given.device}, {given.threads} threads, guidance, {given.steps} steps after the first {WARM}"
    )
    shape = shape_of(given.size)
    for clips in given.clips:
        for name in given.dtypes:
            dtype = torch.float32 if name == "int8" else getattr(torch, name)
            decoder = random_decoder(shape, given.device, dtype)
            decoder = in_int8(decoder) if name == "int8" else decoder
            found = ours(decoder, clips, given.steps, given.device, dtype)
            print(line(clips, name, "ours", found), flush=True)
            del decoder
        if not given.no_peer:
            found = theirs(given.size, clips, given.steps, given.device, torch.float32)
            print(line(clips, "float32", "transformers", found), flush=True)
    if "int8" in given.dtypes:
        print(strayed(given.size))
    print(f"load after {' '.join(f'{value:.2f}' for value in os.getloadavg())}")


if __name__ == "__main__":
    main()
