"""Which pictures and tables show a result of each kind: its one-page overview and the pages of its report.

There is one file for each result class, which the class names in its attribute `page`, with two functions:
`overview(result)`, a figure, and `pages(result)`, the figures of the report that are particular to it. `layout` is what
they share.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emcore.results import RESULT_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure


def overview(result: object) -> "Figure":
    """One page with everything that has a picture; see `emcore.reporting.pictures.plot`."""
    figure: Figure = _file(result, "picture").overview(result)
    return figure


def pages(result: object) -> "Iterator[Figure]":
    """The pages of the report (`emcore.reporting.report`) that are particular to the kind of `result`."""
    yield from _file(result, "report").pages(result)


def _file(result: object, what: str) -> Any:
    page = getattr(type(result), "page", None)
    if page is None:
        raise TypeError(f"result has no {what}: found {type(result).__name__}, expected {' or '.join(RESULT_CLASSES)}")
    return import_module(f"emcore.reporting.pages.{page}")
