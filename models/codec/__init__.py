"""Codecs: sound to tokens and back. Needs torch and transformers."""
