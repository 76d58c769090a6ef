"""Limits of titles."""

LONGEST_TITLE = 60
"""Characters."""
