"""Hears beats, downbeats and tempo in a sound, with the grid it is meant for as what is expected."""

from studio.align.hear.hearing import hear

__all__ = ["hear"]
