"""Cells to requests to takes: what is asked of engines, in which order, and how it can be stopped."""

from studio.jobs.cells import CellJob, make_cells, written_requests
from studio.jobs.requests import ROLE_ORDER, cell_request, cell_seed

__all__ = ["ROLE_ORDER", "CellJob", "cell_request", "cell_seed", "make_cells", "written_requests"]
