"""What a decoder for codec tokens looks like, whatever its checkpoint calls it."""

from __future__ import annotations

from dataclasses import dataclass

from models.api import EngineError

MOST = {"layers": 96, "hidden": 8192, "heads": 128, "ffn": 32768, "codes": 1 << 16, "codebooks": 32, "seen": 1 << 16}
"""Far beyond any published model: a configuration that claims more is broken or hostile."""


@dataclass(frozen=True)
class DecoderShape:
    """A pre-norm transformer with sinusoidal positions and cross-attention, as of MusicGen (J. Copet et al., "Simple
    and controllable music generation", NeurIPS 2023)."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    codes: int
    """Entries of a codebook. One more embedding, number `codes`, stands for nothing: where the pattern has no token."""
    codebooks: int
    seen: int
    """Dimensions of what is attended to: the text encoder's."""
    channels: int = 1
    """Of the audio. With two, codebooks 2k and 2k + 1 are the left's and the right's k-th."""

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise EngineError(f"the checkpoint's configuration has {name} {value}; it must be 1 to {most}")
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise EngineError(
                f"the checkpoint's configuration has {self.hidden} dimensions for {self.heads} heads, which does not"
                " divide evenly"
            )
        if self.channels not in (1, 2) or self.codebooks % self.channels:
            raise EngineError(
                f"the checkpoint's configuration has {self.codebooks} codebooks for {self.channels} channels"
            )

    @property
    def head(self) -> int:
        """Dimensions of one head."""
        return self.hidden // self.heads
