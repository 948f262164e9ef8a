"""`python -m emcore` is the command line `emcore`."""

import sys

from emcore.cli import program

if __name__ == "__main__":  # not where it is only looked at
    sys.exit(program())
