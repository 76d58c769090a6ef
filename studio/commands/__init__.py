"""Commands that have a module of their own; `studio.cli` puts them together."""
