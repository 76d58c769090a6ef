"""The song and everything that is done to it: plan, jobs, alignment, mixing, the project on disk.

No Qt, no torch and no sockets. Of the rooms beside it, `studio` may import only `models.api`,
`models.registry` and `models.styles`; the import contracts in `pyproject.toml` hold it to that.
"""
