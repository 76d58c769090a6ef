"""Joins pieces of sound at bar lines, closes loops, and measures that no join stands out."""

from studio.align.seam.assemble import Seamed, assemble
from studio.align.seam.crossfade import REACH_S
from studio.align.seam.join import Join, Side, join
from studio.align.seam.score import CONTEXT_S, SeamScore, seam_score
from studio.align.seam.voices import Laid, Patch, Shifted, Voice, Voices

__all__ = [
    "CONTEXT_S", "REACH_S", "Join", "Laid", "Patch", "SeamScore", "Seamed", "Shifted", "Side", "Voice", "Voices",
    "assemble", "join", "seam_score",
]  # fmt: skip
