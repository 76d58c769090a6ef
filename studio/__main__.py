"""`python -m studio` is the command `stemwright`."""

import sys

from studio.cli import main

sys.exit(main())
