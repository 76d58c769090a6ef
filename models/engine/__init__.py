"""The fast decoder: one transformer for all models that write codec tokens. Needs torch."""
