"""Regions followed through a series: some frames with their regions, and how much each region covers over time."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, quantity, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, new_page, place, write
from emcore.reporting.pages.symmetry import chosen, said_of_scores
from emcore.reporting.plotting import component_color, draw_legend, draw_map, draw_regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PER_LINE, _GAP, _KEY_LINES = 3, 0.3, 9
_DOTS = 80


def overview(result: Any) -> "Figure":
    """One page with everything."""
    figure = new_page()
    _draw_frames(figure, result, 0.5, 4.7)
    _draw_shares(place(figure, LEFT + 0.5, 5.8, 5.6, 1.85), result)
    write(figure, 7.3, 5.6, "\n".join(_lines(result, 58)), linespacing=1.5)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Shares and frames."""
    figure = new_page()
    _draw_frames(figure, result, 1.0, 4.7)
    _draw_shares(place(figure, LEFT + 0.5, 6.15, 5.6, 1.3), result)
    lines = [
        *_lines(result, 58),
        *(line for note in result.provenance.notes for line in textwrap.wrap(f"Note: {note}", 58)),
    ]
    if len(lines) > _KEY_LINES:
        lines[_KEY_LINES - 1 :] = ["… (all notes stand on the last page)"]
    write(figure, 7.3, 6.0, "\n".join(lines), linespacing=1.5)
    yield figure


def _lines(result: Any, width: int) -> list[str]:
    y, x = result.image.axes
    size = f"{count_of(len(result.labels), 'frame')} of {x.size} × {y.size} px"
    if x.calibrated:
        size += f", {quantity(x.size * abs(x.scale), x.units)} × {quantity(y.size * abs(y.scale), y.units)}"
    texts = (size, f"Compared: {said_of_scores(result)}.", f"Sizes: {result.sizes}.", f"{chosen(result)}.")
    return [line for text in texts for line in textwrap.wrap(text, width)]


def _draw_frames(figure: "Figure", result: Any, top: float, height: float) -> None:
    """Some frames with their regions."""
    y, x = result.image.axes
    count = len(result.shown_frames)
    columns = min(_PER_LINE, count)
    lines = -(-count // columns)
    wide, high = (WIDTH - 2 * LEFT - _GAP * (columns - 1)) / columns, (height - 0.45 * (lines - 1)) / lines
    for spot, number in enumerate(result.shown_frames.tolist()):
        line, column = divmod(spot, columns)
        axes = place(figure, LEFT + (wide + _GAP) * column, top + (high + 0.45) * line, wide, high)
        picture = np.asarray(result.shown.data[spot])
        draw_map(axes, picture, y.values, x.values, units=x.units, ticks=False, scale_bar=True)
        draw_regions(axes, result.regions(number), y.values, x.values)
        axes.set_title(f"Frame {number}{_when(result, number)}", loc="left")


def _when(result: Any, number: int) -> str:
    return f", {quantity(float(result.frame[number]), result.frame_units)}" if result.frame_units else ""


def _draw_shares(axes: "Axes", result: Any) -> None:
    """The part of every frame that each region covers."""
    dots: Any = {"marker": "o", "markersize": 2.5} if len(result.frame) <= _DOTS else {}
    for index, share in enumerate(result.share.T):
        axes.plot(result.frame, 100 * share, color=component_color(index), linewidth=1.2, **dots)
    axes.axvline(float(result.frame[result.reference]), color="0.75", linewidth=0.8, linestyle="--", zorder=0)
    units = result.frame_units
    axes.set_xlabel(f"time ({symbol(units)})" if units else "frame")
    axes.set_ylabel("area (%)")
    axes.set_ylim(-3, 103)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Area of each region; dashed: the frame in which regions were found", loc="left")
    draw_legend(axes, result.n_regions, "region")
