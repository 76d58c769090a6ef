"""Puts any sound on the bar grid and says in milliseconds how well it sits: arrays in, arrays and a report out."""
