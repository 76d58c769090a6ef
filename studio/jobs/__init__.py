"""Cells to requests to takes: what is asked of engines, in which order, by which hands, and how it can be stopped."""

from studio.jobs.cells import CellJob, Played, get_ready, make_cells, play, release, written_requests
from studio.jobs.hands import Hands, cores, result_of
from studio.jobs.requests import ROLE_ORDER, cell_request, cell_seed

__all__ = [
    "ROLE_ORDER", "CellJob", "Hands", "Played", "cell_request", "cell_seed", "cores", "get_ready", "make_cells", "play",
    "release", "result_of", "written_requests",
]  # fmt: skip
