"""Styles as data: how popular styles are built. Read by the planner and by the embedded band; imports nothing heavy."""

from models.styles.errors import StyleError
from models.styles.load import load_heads, load_style, load_styles, parse_style, read_style, style_digest
from models.styles.schema import Style, StyleHead

__all__ = [
    "Style",
    "StyleError",
    "StyleHead",
    "load_heads",
    "load_style",
    "load_styles",
    "parse_style",
    "read_style",
    "style_digest",
]
