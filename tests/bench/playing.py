"""Plays cells whose notes are written, as `stemwright make` does. Started and timed by `render_vs_fluidsynth.py`.

    python tests/bench/playing.py effects|dry REQUESTS

REQUESTS is a file with a pickled list of `models.api.StemRequest`; each is played and kept as a take of a project in a
temporary folder.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from functools import partial
from pathlib import Path

from studio.jobs.worker import Ahead, cores


def play(how: str, file: Path, ahead: Ahead) -> None:
    """Play all cells by as many hands as a song is made by, and keep the takes as that does."""
    from models.registry import ENGINES
    from studio.jobs.cells import get_ready
    from studio.jobs.cells import play as play_cell
    from studio.jobs.hands import Hands
    from studio.project.folder import ProjectFolder

    if how == "dry":
        ENGINES["band"] = "dry:Dry"
    with (
        tempfile.TemporaryDirectory() as folder,
        Hands(prepare=partial(get_ready, dict(ENGINES), ["band"]) if cores() > 1 else None, ahead=ahead) as hands,
    ):
        takes = ProjectFolder(Path(folder))
        requests = pickle.loads(file.read_bytes())  # noqa: S301 (ours, a moment old)
        for future in [hands.submit(play_cell, "band", request, takes, kind=request.role) for request in requests]:
            if future.result().media is None:
                raise SystemExit("a cell came back without sound")


if __name__ == "__main__":
    with Ahead(("studio.jobs.cells", "models.band.engine")) as ahead:
        play(sys.argv[1], Path(sys.argv[2]), ahead)
