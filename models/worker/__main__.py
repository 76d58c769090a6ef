"""Serves one program over standard input and output until it ends."""

from __future__ import annotations

import os
import sys

from models.worker.serve import Host


def main() -> None:
    """Keep the pipe to ourselves: what libraries print goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Host(sys.stdin.buffer, out).serve()


if __name__ == "__main__":
    main()
