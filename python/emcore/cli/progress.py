"""How far is a long call, shown on a terminal?"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import emcore


@contextmanager
def progress_bar(name: str, quiet: bool) -> Iterator[None]:
    """A bar on a terminal while the block computes, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield
        return
    shown = "{desc} {percentage:3.0f}% |{bar}| {elapsed}"
    with tqdm(desc=name, total=1, leave=False, bar_format=shown) as bar:
        part_done = never_falling()

        def update(done: int, total: int) -> None:
            bar.n = part_done(done, total)
            bar.refresh()

        with emcore.progress(update):
            yield


def never_falling() -> Callable[[int, int], float]:
    """Turns the `(done, total)` of one call after another into a part of the whole that never falls.

    How much is still to come is not known: a kernel announces work pass by pass, a workflow calls one kernel after
    another. So each call fills half of what those before it have left, and a growing total holds the part where it is.

    Examples
    --------
    >>> from emcore.cli.progress import never_falling
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
