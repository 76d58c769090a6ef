"""The exceptions of the sound room; all of them are `MixError`."""

from __future__ import annotations


class MixError(ValueError):
    """Audio or a setting the sound room cannot work with; the message gives the limit and the remedy."""


class SourceError(MixError):
    """A sound file or reader did not deliver the frames it promised."""
