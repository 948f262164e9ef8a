"""`python -m emcore` is the command line `emcore`."""

import sys

from emcore.cli import program

sys.exit(program())
