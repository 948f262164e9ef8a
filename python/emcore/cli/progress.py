"""How far is a long call, shown on a terminal?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import emcore
from emcore.core.control import shows_progress
from emcore.core.progress_bar import never_falling


@contextmanager
def progress_bar(name: str, quiet: bool) -> Iterator[None]:
    """A bar on a terminal while the block computes, nothing elsewhere."""
    before = shows_progress()
    emcore.progress(False)  # this one is there from the beginning, or none is wanted
    try:
        with _bar(name, quiet):
            yield
    finally:
        emcore.progress(before)


@contextmanager
def _bar(name: str, quiet: bool) -> Iterator[None]:
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
