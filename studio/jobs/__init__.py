"""Cells to requests to takes: what is asked of engines, in which order, by which hands, and how it can be stopped.

`cells` makes takes, `requests` says what an engine is asked, `hands` and `worker` do the work. Nothing is imported
here: a worker is started before the rest is loaded.
"""
