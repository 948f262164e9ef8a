"""How many threads compute, and who is told how far they are."""

import contextvars
import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from emcore import _emcore
from emcore.core.files import begun
from emcore.core.validation import check_count

MAX_THREADS = 1024


def set_num_threads(n: int) -> None:
    """
    Set the number of threads of every later call in this process.

    It goes before the environment variables ``EMCORE_NUM_THREADS`` and ``RAYON_NUM_THREADS``,
    which go before the number of available cores. Results are the same to the last bit for any
    number.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> import emcore
    >>> before = emcore.get_num_threads()
    >>> emcore.set_num_threads(2)
    >>> emcore.get_num_threads()
    2
    >>> emcore.set_num_threads(before)
    """
    _emcore.set_num_threads(check_count(n, "n", 1, MAX_THREADS))


def get_num_threads() -> int:
    """
    The number of threads that a call from here would use.

    Examples
    --------
    >>> import emcore
    >>> emcore.get_num_threads() >= 1
    True
    """
    return _emcore.get_num_threads()


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """
    Use `n` threads for the calls inside the ``with`` block made from this Python thread; others
    are not touched.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> import emcore
    >>> with emcore.num_threads(1):
    ...     emcore.get_num_threads()
    1
    """
    former = _emcore.set_num_threads_here(check_count(n, "n", 1, MAX_THREADS))
    try:
        yield
    finally:
        _emcore.set_num_threads_here(former)


@contextmanager
def steps(total: int) -> Iterator[Callable[[int], None]]:
    """
    Report the steps of a loop to the caller of `progress`, in place of what kernels do in each; gives what reports.

    Examples
    --------
    >>> from emcore.core.control import progress, steps
    >>> with progress(lambda done, total: print(f"{done}/{total}")), steps(2) as done:
    ...     done(1)
    1/2
    """
    callback = _emcore.set_progress(None)

    def report(done: int) -> None:
        if callback is not None:
            callback(done, total)

    try:
        yield report
    finally:
        _emcore.set_progress(callback)


def progress(callback: Callable[[int, int], object] | bool) -> AbstractContextManager[None]:
    """
    Call ``callback(done, total)`` about every 100 ms while a call from this Python thread
    computes.

    `done` and `total` count units of work (rows visited, all passes together); `total` may grow
    while an iterative method goes on. An exception raised by `callback` ends the computation
    and is raised.

    Parameters
    ----------
    callback : callable or bool
        Takes two ints. ``emcore.progress(False)``, without ``with``, switches off the bar that
        workflows show on a terminal or in a notebook once they take over two seconds, where
        tqdm is installed; True switches it on again.

    Examples
    --------
    >>> import emcore
    >>> with emcore.progress(lambda done, total: print(f"{done}/{total}")):
    ...     pass
    """
    if isinstance(callback, bool):
        _shown[:] = [callback]
        return nullcontext()
    return _told(callback)


@contextmanager
def _told(callback: Callable[[int, int], object]) -> Iterator[None]:
    former = _emcore.set_progress(callback)
    try:
        yield
    finally:
        _emcore.set_progress(former)


_shown = [True]


def shows_progress() -> bool:
    """Whether workflows may show a bar."""
    return _shown[0]


_ENDING = (signal.SIGINT, signal.SIGTERM)
_program: list[bool] = []


@contextmanager
def as_program() -> Iterator[None]:
    """In the block the process does nothing else: what hears neither Ctrl-C nor a request to end may end with it."""
    _program.append(True)
    try:
        yield
    finally:
        _program.pop()


@contextmanager
def deaf() -> Iterator[None]:
    """For what other packages compute in one piece, during which Python hears no signal.

    Of a program, see `as_program`, that has nothing half-written, the system ends the process meanwhile.

    Examples
    --------
    >>> import signal
    >>> from emcore.core.control import deaf
    >>> with deaf():
    ...     signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # not in a notebook
    False
    """
    if not _program or begun() or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, signal.SIG_DFL)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


_T = TypeVar("_T")
_LISTENS = 0.1  # seconds


def hearing(call: Callable[[], _T]) -> _T:
    """What `call` returns, which computes with other packages in long pieces that leave the interpreter to others.

    It has a thread of its own, so that Ctrl-C, of which only the main thread hears, ends the wait for it at once; the
    piece that it is in is its last.

    Examples
    --------
    >>> from emcore.core.control import hearing
    >>> hearing(lambda: sum(range(4)))
    6
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_LISTENS)
    except BaseException:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        raise
    if errors:
        raise errors[0]
    return results[0]
