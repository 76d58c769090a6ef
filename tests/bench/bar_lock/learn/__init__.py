"""Teaches the networks that hear onsets and bars: draws material, trains, and writes the weights that are shipped."""
