"""How the command line ends when it is asked to: at once, with nothing half-written."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from emcore.core.control import as_program
from emcore.core.files import discard_all

# Seconds for what runs to clean up by itself. What other packages run, decoders, imports, may hear nothing for long.
_GRACE = 0.1
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@contextmanager
def ends_when_asked() -> Iterator[None]:
    """Ctrl-C and a request to end raise KeyboardInterrupt; what does not end by that soon is ended.

    The exit code, 128 and the number of the signal, is `asked_by` then. While another package computes in one piece,
    see `emcore.core.control.deaf`, the signal itself ends the process, of which a shell says the same.
    """
    _asked.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    done = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        _asked.append(_CODES[signal.Signals(number)])
        threading.Thread(target=_leave_after, args=(done, _asked[-1]), daemon=True).start()
        raise KeyboardInterrupt

    # What ignores one, as a job in the background of a shell does Ctrl-C, goes on to.
    before = {each: signal.getsignal(each) for each in _CODES if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, end)
    ignored, sys.unraisablehook = sys.unraisablehook, _tell_others
    try:
        with as_program():
            yield
    finally:
        done.set()
        sys.unraisablehook = ignored
        for each, handler in before.items():
            signal.signal(each, handler)


_asked: list[int] = []


def was_asked() -> bool:
    """Whether it was asked to end: what fails after that, as a lock that is left amid its release, is no error."""
    return bool(_asked)


def asked_by() -> int:
    """The exit code for an interrupt: that of the signal which was the last."""
    return _asked[-1] if _asked else 130


def say_so() -> None:
    """What is said of an interrupt."""
    # A terminal has just shown ^C.
    print("\n" * sys.stderr.isatty() + "emcore: interrupted, nothing half-written", file=sys.stderr, flush=True)


def _tell_others(unraisable: "sys.UnraisableHookArgs") -> None:
    # Raised amid what cannot raise, it is lost, and the process ends a little later.
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _leave_after(done: threading.Event, code: int) -> None:
    if not done.wait(_GRACE):
        discard_all()
        say_so()
        os._exit(code)
