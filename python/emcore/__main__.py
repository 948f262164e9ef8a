"""`python -m emcore` is the command line `emcore`."""

import sys

from emcore.cli import main

sys.exit(main())
