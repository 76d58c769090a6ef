"""The one root of errors about styles."""

from __future__ import annotations


class StyleError(ValueError):
    """A style file that cannot be used. One line: the file, the key, what is wrong and what is allowed."""
