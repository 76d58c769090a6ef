"""Codecs: tokens to sound. Needs torch and transformers."""
