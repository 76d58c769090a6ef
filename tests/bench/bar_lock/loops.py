"""Bar lock on recorded loops that nobody here made: the CC0 loops of Sonic Pi.

    npm pack supersonic-scsynth-samples@0.84.2 && tar xzf supersonic-scsynth-samples-*.tgz
    python -m tests.bench.bar_lock.loops --from package/samples [--json FILE]

They are cut at bar lines, so the truth is known: the first frame is a downbeat, the last frame's end another, and so
many beats lie between them. Each is put on grids 10 % slower and faster than it is, and on its own. Loops that have no
pulse of their own (a drone) or whose meter is disputed (tabla) are listed but not counted. Where BeatNet is installed
(see `beatnet.py`), it hears them as well.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from studio.align.grid import Grid  # noqa: E402
from studio.align.lock import lock  # noqa: E402
from studio.align.values import BeatMap, Wish  # noqa: E402
from studio.mix.sources import ArraySource  # noqa: E402
from studio.song.meter import Meter  # noqa: E402
from tests.bench.bar_lock import beatnet  # noqa: E402
from tests.bench.bar_lock.locking import INSTALLED  # noqa: E402
from tests.bench.bar_lock.tables import columns  # noqa: E402
from tests.bench.conditions import conditions  # noqa: E402

BEATS = {
    "amen": 4, "amen_full": 16, "breakbeat": 4, "compus": 16, "electric": 4, "garzul": 16, "industrial": 2,
    "mehackit1": 4, "mehackit2": 4, "mika": 16, "perc1": 4, "perc2": 4, "safari": 16, "weirdo": 8, "3d_printer": 16,
}  # fmt: skip
UNCOUNTED = {"tabla": 24, "drone_g_97": 8}
OURS, BEATNET = "bar lock", "BeatNet's beats"
FACTORS = (0.9, 1.0, 1.1)


def tried(path: Path, beats: int, factor: float) -> list[dict[str, object]]:
    """What each method makes of one loop on one grid: how far its two ends come to lie from their bar lines, in
    beats."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    bpm = 60.0 * beats / (len(audio) / rate)
    meter = Meter(beats, 4) if beats < 4 else Meter(4, 4)
    grid = Grid.steady(f"{bpm * factor:.3f}", meter, beats // meter.pulses, rate)
    done = lock(ArraySource(audio.T.copy()), rate, Wish(grid, loop=True))
    said = {"verdict": str(done.report.verdict), "seam": done.report.seam}
    rows = [_row(OURS, path, beats, factor, len(audio) / rate, done.heard.beat_map) | said]
    if BEATNET in INSTALLED:
        heard = beatnet.course_of(audio.T.copy(), grid)
        rows.append(_row(BEATNET, path, beats, factor, len(audio) / rate, heard) | {"verdict": "", "seam": None})
    return rows


def _row(
    method: str, path: Path, beats: int, factor: float, seconds: float, heard: BeatMap | None
) -> dict[str, object]:
    ends = None if heard is None else heard.beats_at(np.array([0.0, seconds])).tolist()
    right = ends is not None and abs(ends[0]) < 0.25 and abs(ends[1] - beats) < 0.25
    return {"method": method, "loop": path.stem, "factor": factor, "ends": ends, "right": right}


def main() -> None:
    """Print a line for each loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(conditions("python-stretch"))
    lines, counted, rows = [["loop", "heard by", *(f"x{factor:g}" for factor in FACTORS), "verdicts"]], [], []
    for name, beats in (BEATS | UNCOUNTED).items():
        found = [row for factor in FACTORS for row in tried(given.folder / f"loop_{name}.flac", beats, factor)]
        rows += found
        counted += found if name in BEATS else []
        for method in dict.fromkeys(row["method"] for row in found):
            own = [row for row in found if row["method"] == method]
            marks = ["right" if r["right"] else "-" if r["ends"] is None else "wrong" for r in own]
            lines.append([name, str(method), *marks, ", ".join(str(r["verdict"]) for r in own)])
    print(columns(lines))
    for method in dict.fromkeys(row["method"] for row in counted):
        own = [row for row in counted if row["method"] == method]
        print(f"{method}: right {sum(bool(r['right']) for r in own)} of {len(own)}")
    ours = [row for row in counted if row["method"] == OURS]
    seams = [r["seam"] for r in ours if r["seam"] is not None]
    false = sum(r["verdict"] == "locked" and not r["right"] for r in ours)
    print(f"{OURS}: falsely locked {false}, seams below 1: {sum(s < 1 for s in seams)} of {len(seams)}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
