"""A bar for whoever waits: of a call that takes over two seconds, on a terminal or in a notebook."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from emcore import _emcore
from emcore.core.control import progress, shows_progress

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Seconds after which a bar appears, and between its changes.
_PATIENCE, _TICK = 2.0, 0.1


def with_progress_bar(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Show a bar while the function computes, if that takes a while and nobody else is told; see `emcore.progress`."""

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _bar(function.__name__):
            return function(*args, **kwargs)

    return call


@contextmanager
def _bar(name: str) -> Iterator[None]:
    if not shows_progress() or not _somebody_looks() or _is_told():
        yield
        return
    begun, part_done = time.monotonic(), never_falling()
    bars: list[Any] = []

    def update(done: int, total: int) -> None:
        if not bars:
            if time.monotonic() - begun < _PATIENCE:
                part_done(done, total)
                return
            bars.append(_new_bar(name))
        if bars[0] is not None:
            bars[0].n = part_done(done, total)
            bars[0].refresh()

    try:
        with progress(update):
            yield
    finally:
        for bar in filter(None, bars):
            bar.close()


def _new_bar(name: str) -> Any:
    """None where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    shown = "{desc} {percentage:3.0f}% |{bar}| {elapsed}"
    return tqdm(desc=name, total=1, leave=False, bar_format=shown, mininterval=_TICK)


def _somebody_looks() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    return "ipykernel" in sys.modules or bool(sys.stderr and sys.stderr.isatty())


def _is_told() -> bool:
    """Whether a caller has asked to be told."""
    former = _emcore.set_progress(None)
    _emcore.set_progress(former)
    return former is not None


def never_falling() -> Callable[[int, int], float]:
    """Turns the `(done, total)` of one call after another into a part of the whole that never falls.

    How much is still to come is not known: a kernel announces work pass by pass, a workflow calls one kernel after
    another. So each call fills half of what those before it have left, and a growing total holds the part where it is.

    Examples
    --------
    >>> from emcore.core.progress_bar import never_falling
    >>> part = never_falling()
    >>> [part(*told) for told in [(5, 10), (10, 10), (12, 30), (25, 30), (1, 8), (4, 8)]]
    [0.25, 0.5, 0.5, 0.5, 0.53125, 0.625]
    """
    before, shown, last = 0.0, 0.0, (0, 0)

    def part(done: int, total: int) -> float:
        nonlocal before, shown, last
        if done < last[0] or total < last[1]:  # a new call counts from zero
            before = shown
        last = done, total
        shown = max(shown, before + (1 - before) / 2 * done / max(total, 1))
        return shown

    return part
