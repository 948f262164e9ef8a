"""What Ctrl-C does while `emcore` is imported as a program: the system ends it, as it would any, without a traceback.

Imported before all else. `emcore.cli` listens itself as soon as it is there.
"""

import os
import signal
import sys


def is_program() -> bool:
    """Whether the process is `emcore` or `python -m emcore`, not one that imports the package."""
    name, words = sys.argv[0] if sys.argv else "", sys.orig_argv
    if name == "-m":  # as long as what it runs is looked for
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["emcore"]
    return os.path.basename(name).lower() in ("emcore", "emcore.exe")


if is_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
