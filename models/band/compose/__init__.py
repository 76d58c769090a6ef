"""Composes the parts of the embedded band: a request and a style in, notes out. Pure and repeatable."""

from __future__ import annotations

from collections.abc import Callable

from models.api import EngineError, Note, StemRequest
from models.band.compose import bass, drums, fx, harmony, lead
from models.styles.schema import Style

PARTS: dict[str, Callable[[StemRequest, Style], tuple[Note, ...]]] = {
    "drums": drums.compose,
    "bass": bass.compose,
    "harmony": harmony.compose,
    "lead": lead.compose,
    "fx": fx.compose,
}


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The notes of a cell. Raises EngineError for a role that the band does not play."""
    if request.role not in PARTS:
        raise EngineError(f"the band does not play {request.role}; it plays {', '.join(PARTS)}")
    return PARTS[request.role](request, style)
