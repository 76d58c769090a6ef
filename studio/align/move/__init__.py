"""Moves sound through a warp: copied where it can be, spliced where it is noise, vocoded where it has a pitch."""

from studio.align.move.choose import Method, choose_method
from studio.align.move.render import render, stretch_ratios, whole_shift

__all__ = ["Method", "choose_method", "render", "stretch_ratios", "whole_shift"]
