"""The benchmark of bar lock. From the root of the repository, with the `bench` extra installed:

    python -m tests.bench.bar_lock.run [--split tune|test] [--cases N] [--only MATERIAL ...] [--cache DIR] [--jobs 2]
        [--hear] [--draw DIR] [--json FILE]

Without more, bar lock and its peers put the same cases on their grids, and all are measured against the truth: the
method's own time map ("map") at every true onset, and its sound ("ear") against the ideal one, at every sharp note.
Nobody is told the sound's tempo but the peer that goes by labels. `--hear` scores what is heard and decided alone and
moves no audio, which is fast: the tool for tuning. Tune on `tune` alone, report on `test`. `--cache` keeps the rendered
cases (some MB each) in a folder, best outside of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"  # before numpy: the cases are spread over the cores already

from tests.bench.bar_lock import hearing, locking, material  # noqa: E402
from tests.bench.conditions import conditions  # noqa: E402


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=sorted(material.SPLITS), default="tune")
    parser.add_argument("--cases", type=int, default=20, metavar="N", help="of each material")
    parser.add_argument("--only", nargs="+", choices=material.MATERIALS, default=material.MATERIALS, metavar="MATERIAL")
    parser.add_argument("--seed", type=int, nargs="+", help="these cases of --only instead")
    parser.add_argument("--methods", nargs="+", choices=list(locking.METHODS), default=locking.INSTALLED)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--cache", type=Path, metavar="DIR")
    parser.add_argument("--hear", action="store_true", help="score the hearing alone")
    parser.add_argument("--worst", type=int, default=12, metavar="N", help="how many of the worst cases to list")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="with --hear: pictures of the cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every case's figures")
    arguments = parser.parse_args()
    wanted = [
        (name, seed)
        for name in arguments.only
        for seed in arguments.seed or material.seeds(arguments.split, name, arguments.cases)
    ]
    print(conditions("python-stretch", "librosa"))
    print(f"material   {arguments.split}, {len(wanted)} cases of {', '.join(arguments.only)}", flush=True)
    if arguments.hear:
        rows = _spread(partial(hearing.scored, cache=arguments.cache, draw=arguments.draw), wanted, arguments.jobs)
        print(hearing.report(rows, arguments.worst))
    else:
        work = partial(locking.scored, methods=arguments.methods, cache=arguments.cache)
        warm = partial(locking.warmed, arguments.methods)
        rows = [row for case in _spread(work, wanted, arguments.jobs, warm) for row in case]
        print(locking.report(rows, arguments.worst))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _spread(
    work: Callable[[str, int], Any],
    wanted: Sequence[tuple[str, int]],
    jobs: int,
    warm: Callable[[], None] = lambda: None,
) -> list[Any]:
    """The work's result for each case, in the cases' order; `warm` comes first in every process."""
    warm()  # here too: two processes at once spoil the cache of what librosa compiles
    if jobs < 2:
        return [work(*one) for one in wanted]
    with ProcessPoolExecutor(jobs, initializer=warm) as pool:
        return list(pool.map(work, *zip(*wanted, strict=True), chunksize=2))


if __name__ == "__main__":
    main()
