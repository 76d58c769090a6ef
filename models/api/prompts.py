"""Words to sound, without bars: what `stemwright generate` asks for, and what neural engines are given in the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Protocol

from models.api import Cancel, EngineError, StemResult

LONGEST_PROMPT = 4000
"""Characters. Text encoders hear some hundreds of words at most."""
LONGEST_S = 600.0
HIGHEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class PromptRequest:
    """A sound to be made from words. Raises EngineError for what no engine can do."""

    prompt: str
    seconds: float = 8.0
    seed: int = 0
    greedy: bool = False
    """The likeliest tokens, whatever the seed."""
    guidance: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    """None is the engine's own."""

    WAY: ClassVar = ("greedy", "guidance", "temperature", "top_k", "top_p")
    """How it draws: requests that differ in these cannot be made in one batch."""

    def __post_init__(self) -> None:
        if len(self.prompt) > LONGEST_PROMPT:
            raise EngineError(f"the prompt has {len(self.prompt)} characters; say it in {LONGEST_PROMPT} or fewer")
        if not (math.isfinite(self.seconds) and 0.0 < self.seconds <= LONGEST_S):
            raise EngineError(f"{self.seconds:g} seconds: a sound lasts more than 0 and up to {LONGEST_S:g}")
        if not 0 <= self.seed <= HIGHEST_SEED:
            raise EngineError(f"seed {self.seed}: it must be 0 to {HIGHEST_SEED}")

    def as_json(self) -> dict[str, Any]:
        """JSON values, of which `from_json` makes the same request."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PromptRequest:
        """Raises EngineError for values that are unknown or of another type."""
        kinds: dict[str, tuple[type, ...]] = {
            "prompt": (str,), "seconds": (int, float), "seed": (int,), "greedy": (bool,),
            "guidance": (int, float, type(None)), "temperature": (int, float, type(None)),
            "top_k": (int, type(None)), "top_p": (int, float, type(None)),
        }  # fmt: skip
        known = {field.name for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise EngineError(f"a request says {name!r:.40}, which is not known")
            if not isinstance(value, kinds[name]) or (isinstance(value, bool) and bool not in kinds[name]):
                raise EngineError(f"a request says {name} {value!r:.40}, which is not what that can be")
        if "prompt" not in values:
            raise EngineError("a request has no prompt")
        return cls(**values)


Step = Callable[[int, int], None]
"""Told after each step of the work how many are done, of how many."""


class PromptEngine(Protocol):
    """Makes sounds from words. Raises EngineError (or Cancelled)."""

    @property
    def most_at_once(self) -> int:
        """How many requests are best made in one batch."""
        ...

    def sound(self, requests: Sequence[PromptRequest], step: Step, cancel: Cancel) -> list[StemResult]:
        """A sound for each request, all made at once."""
        ...
