"""Clusters of a scan: its picture, the map of labels and the mean signal; then the mean signal of every cluster.

How one signal is drawn is told by its axes: two make a pattern (`patterns`), one a curve (`curves`), of which slopes
are known, or any other profile (`profiles`). What a grouping by density found besides is in `density`.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, empty
from emcore.reporting.pages import curves, density, patterns, profiles
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_groups, draw_values, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KEY_LINES = 11
_TABLE_ROWS, _ROW = 25, 0.235
_PICTURES = 3.15


def overview(result: Any) -> "Figure":
    """One page with everything."""
    part = _part(result)
    rows = max(8, -(-result.n_clusters // (2 if _narrow(result) else 1)))
    below = 4.7 + _ROW * (rows + 1)
    signals = part.STRIP * -(-result.n_clusters // part.PER_LINE)
    figure = new_page(below + signals + density.HEIGHT * -(-len(density.parts(result)) // 3))
    _draw_scan(figure, result, 0.45)
    write(figure, LEFT, 4.35, key_lines(result, _part(result).key_numbers(result)), linespacing=1.6)
    table = place(figure, 6.1, 4.3, 5.1, _ROW * (rows + 1))
    _draw_table(table, result, range(result.n_clusters), rows, 2 if _narrow(result) else 1)
    part.draw_signals(figure, result, range(result.n_clusters), below)
    density.draw(figure, result, below + signals)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """The scan with its clusters, then their signals."""
    part = _part(result)
    figure = new_page()
    _draw_scan(figure, result, 1.0)
    write(figure, LEFT, 5.2, key_lines(result, _part(result).key_numbers(result)), linespacing=1.6)
    rows, blocks = (8, 2) if _narrow(result) else (10, 1)
    listed = 24 if _narrow(result) else rows
    table = place(figure, 6.1, 5.15, 5.1, _ROW * (rows + 1))
    _draw_table(table, result, range(min(result.n_clusters, listed)), rows, blocks)
    yield figure
    blocks = 3 if _narrow(result) else 2
    for start in range(0, result.n_clusters if result.n_clusters > listed else 0, blocks * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + blocks * _TABLE_ROWS, result.n_clusters))
        _draw_table(place(figure, LEFT, 0.9, 10.6, 6.7), result, chosen, _TABLE_ROWS, blocks)
        yield figure
    if density.parts(result):
        figure = new_page()
        density.draw(figure, result, 1.0)
        yield figure
    per_page = 2 * part.PER_LINE
    for start in range(0, result.n_clusters, per_page):
        figure = new_page()
        part.draw_signals(figure, result, range(start, min(start + per_page, result.n_clusters)), 0.95)
        write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(part.CAPTION, 165)), color="0.35")
        yield figure


def _narrow(result: Any) -> bool:
    """Whether two blocks of the table have room beside the key numbers."""
    return len(_part(result).heads(result)) <= 3


def _part(result: Any) -> Any:
    """The file that draws one signal of that kind."""
    if len(result.mean.axes) == 2:
        return patterns
    return profiles if result.conductance is None else curves


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    """The scan, its labels, the mean signal."""
    scan = result.image.axes
    wide = (WIDTH - 2 * LEFT - 2 * 0.75) / 3
    axes = place(figure, LEFT, top, wide, _PICTURES)
    gaps = result.n_empty > 0 and result.n_empty == np.count_nonzero(result.labels < 0)
    values = np.asarray(result.image.data)
    draw_values(axes, np.where(result.labels < 0, np.nan, values) if gaps else values, scan, label=result.image.title)
    axes.set_title(result.image.title.capitalize(), loc="left")
    axes = place(figure, LEFT + wide + 0.45, top, wide, _PICTURES)
    draw_groups(axes, result.labels, scan, result.n_clusters, gaps=gaps)
    noise = f", {result.noise:.1%} noise" if result.noise else ""
    axes.set_title(count_of(result.n_clusters, "cluster").capitalize() + noise, loc="left")
    _part(result).draw_mean(place(figure, LEFT + 2 * wide + 1.5, top, wide, _PICTURES), result)


def _draw_table(axes: "Axes", result: Any, chosen: range, rows: int, blocks: int) -> None:
    counts = np.bincount(result.labels[result.labels >= 0], minlength=result.n_clusters)
    part = _part(result)
    lines = {
        i: (str(i + 1), f"{100 * float(result.area[i]):.1f} %", str(int(counts[i])), *part.cells(result, i))
        for i in chosen
    }
    draw_table(axes, part.heads(result), lines, rows, blocks)


def key_lines(result: Any, numbers: Mapping[str, str]) -> str:
    """The scan, these numbers, how many clusters and why, and the notes, in lines."""
    by_rule = "" if result.rule == "given" else f" by rule {result.rule}"
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}",
        *(f"{name}: {text}" for name, text in numbers.items()),
        f"{count_of(result.n_clusters, 'cluster')}{by_rule}: {result.reason}.",
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return "\n".join(wrapped(texts, 76, _KEY_LINES))
