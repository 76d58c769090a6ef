"""Serves one program over standard input and output until it ends.

python -m models.worker [--memory GB]
"""

from __future__ import annotations

import argparse
import os
import sys

from models.worker.serve import Host


def main() -> None:
    """Keep the pipe to ourselves: what libraries print goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=float, metavar="GB", help="that engines may take (default: half of all)")
    given = parser.parse_args()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Host(sys.stdin.buffer, out, None if given.memory is None else int(given.memory * 1e9)).serve()


if __name__ == "__main__":
    main()
