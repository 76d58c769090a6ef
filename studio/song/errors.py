"""The one root of errors about a song's contents."""

from __future__ import annotations


class SongError(ValueError):
    """A value that no song can have. The message is one line: the value, the limit and the remedy."""
