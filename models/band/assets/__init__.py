"""Bundled sounds and the script that rebuilds them."""
