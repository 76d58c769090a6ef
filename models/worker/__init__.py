"""The process that hosts neural engines: `python -m models.worker`."""
