"""Regions of differing local symmetry: the picture with its regions, what was compared, and how clear it is."""

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, quantity
from emcore.reporting.pages.image import draw_images, peak_cells, pixel_size
from emcore.reporting.pages.layout import HEIGHT, LEFT, draw_table, frame, new_page, place, write
from emcore.reporting.pages.scan import draw_color_bar
from emcore.reporting.plotting import component_color, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS, _ROW, _KEY_LINES = 8, 0.2375, 11
# Maps in a line, how wide a place for one is, and how high one and what is below.
_PER_LINE, _WIDE, _MAP, _STRIP = 5, 2.15, 1.7, 2.35
_CAPTIONS = {
    "translation": "Mean correlation of a patch with its copies, by the shift of the copy: ± {window} px to all sides.",
    "max": "The largest correlations of a patch with its shifted copies, falling: mean of each region.",
    "rotation": "Mean correlation of a patch with copies turned by full turns over n: the best axis in a cell.",
    "reflection": "Mean correlation of a patch with its mirror images, by the direction of the mirror line: the best "
    "line in a cell.",
}


def overview(result: Any) -> "Figure":
    """One page with everything."""
    rows = min(max(result.n_regions, 6), 20)
    tall = 4.45 + _ROW * (rows + 1) + 0.4
    figure = new_page(tall + _height(result))
    draw_images(figure, result, result.labels, 0.45, 3.6)
    _draw_table(place(figure, LEFT, 4.45, 6.5, _ROW * (rows + 1)), result, rows)
    write(figure, 7.6, 4.5, "\n".join(_lines(result, 56)[: rows + 2]), linespacing=1.5)
    _draw_maps(figure, result, tall)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Image and regions, then what they were found by."""
    figure = new_page()
    draw_images(figure, result, result.labels, 1.0, 4.4)
    lines = [*_lines(result, 62), *(line for note in result.provenance.notes for line in _wrapped(f"Note: {note}", 62))]
    if len(lines) > _KEY_LINES:
        lines[_KEY_LINES - 1 :] = ["… (all notes stand on the last page)"]
    write(figure, LEFT, 6.0, "\n".join(lines), linespacing=1.5)
    _draw_table(place(figure, 4.9, 5.95, 6.3, 1.9), result, _ROWS)
    yield figure
    figure = new_page(max(HEIGHT, 1.0 + _height(result)))
    _draw_maps(figure, result, 1.05)
    yield figure


def said_of_scores(result: Any) -> str:
    """What was compared, in words."""
    names = {"translation": "shifted copies", "rotation": "turned copies", "reflection": "mirror images"}
    said = names[result.score] + (f", the {len(result.features)} most alike" if result.pool else "")
    window = f"window ± {result.window} px, " if result.window else ""
    return f"{said}; {window}patch ± {result.patch} px, points {result.stride} px apart"


def chosen(result: Any) -> str:
    """How many regions, and why."""
    by = "" if result.rule == "given" else f" by rule {result.rule}"
    return f"{count_of(result.n_regions, 'region')}{by}: {result.reason}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width)


def _lines(result: Any, width: int) -> list[str]:
    y, x = result.image.axes
    size = f"{x.size} × {y.size} px"
    if x.units != "px":
        size += f", {quantity(x.size * abs(x.scale), x.units)} × {quantity(y.size * abs(y.scale), y.units)}"
        size += f" ({pixel_size(result)} per pixel)"
    texts = (size, f"Compared: {said_of_scores(result)}.", f"Sizes: {result.sizes}.", f"{chosen(result)}.")
    return [line for text in texts for line in _wrapped(text, width)]


def _draw_table(axes: "Axes", result: Any, rows: int) -> None:
    """Colour, share, spacings and directions of the regions; what has no room is said."""
    heads = {"region": 0.11, "share": 0.24, "spacing": 0.4, "direction": 0.55}
    heads |= {"2nd spacing": 0.73, "2nd direction": 0.9, "angle": 1.0}
    cells = peak_cells(result)
    listed = min(result.n_regions, rows if result.n_regions <= rows else rows - 1)
    lines = {i: (str(i + 1), f"{100 * float(result.share[i]):.1f} %", *cells[i]) for i in range(listed)}
    draw_table(axes, heads, lines, rows, 1)
    if listed < result.n_regions:
        axes.text(0, rows + 0.5, f"… {result.n_regions - listed} more, in the results file", fontsize=7, va="center")


def _height(result: Any) -> float:
    """Of the maps and the mean scores."""
    return (_lines_of(1 + len(result.maps)) + _lines_of(_score_pictures(result))) * _STRIP + 0.75


def _lines_of(count: int) -> int:
    return -(-count // _PER_LINE)


def _score_pictures(result: Any) -> int:
    return min(int(result.n_regions), 10) if result.features.ndim == 2 else 1


def _draw_maps(figure: "Figure", result: Any, top: float) -> None:
    """Confidence, components, and the mean scores of regions."""
    y, x = result.image.axes
    for spot in range(1 + len(result.maps)):
        line, column = divmod(spot, _PER_LINE)
        axes = place(figure, LEFT + _WIDE * column, top + _STRIP * line, _WIDE - 0.55, _MAP)
        if spot == 0:
            values = np.where(result.labels < 0, np.nan, result.confidence)
            image = draw_map(
                axes, values, y.values, x.values, units=x.units, cmap="viridis", limits=(0.0, 1.0), ticks=False
            )
            axes.set_title("Confidence", loc="left")
        else:
            image = draw_map(
                axes, result.maps[spot - 1], result.y, result.x, units=x.units, cmap="viridis", ticks=False
            )
            axes.set_title(f"Component {spot}, {100 * float(result.evr[spot - 1]):.1f} %", loc="left")
        draw_color_bar(axes, image)
    top += _STRIP * _lines_of(1 + len(result.maps))
    name = result.pool or result.score
    write(
        figure,
        LEFT,
        top - 0.2,
        "Components of the scores, and their part of the variance. " + _CAPTIONS[name].format(window=result.window),
    )
    if result.features.ndim == 2:
        _draw_shifts(figure, result, top + 0.25)
    else:
        draw_scores(place(figure, LEFT + 0.5, top + 0.25, 4.2, _MAP), result)


def _draw_shifts(figure: "Figure", result: Any, top: float) -> None:
    """The mean scores of each region as a picture over the window of shifts."""
    shifts = np.unique(result.features[:, 1]).astype(np.float64)
    side = len(shifts)
    limits = (min(float(result.scores.min()), 0.0), float(result.scores.max()))
    for spot in range(_score_pictures(result)):
        line, column = divmod(spot, _PER_LINE)
        picture = np.full((side, side), np.nan)
        rows, columns = (np.searchsorted(shifts, result.features[:, i]) for i in (0, 1))
        picture[rows, columns] = result.scores[spot]
        axes = place(figure, LEFT + _WIDE * column, top + _STRIP * line, _WIDE - 0.55, _MAP)
        image = draw_map(axes, picture, shifts, shifts, units="px", cmap="magma", limits=limits, ticks=False)
        draw_color_bar(axes, image)
        frame(axes, spot, f"Region {spot + 1}")


def draw_scores(axes: "Axes", result: Any) -> None:
    """The mean scores of all regions against what they are of, where that is one number."""
    places = np.asarray(result.features, dtype=np.float64)
    if result.score == "rotation":
        places = np.arange(len(places), dtype=np.float64)
        axes.set_xticks(places, [str(int(order)) for order in result.features])
    for index, scores in enumerate(result.scores):
        axes.plot(places, scores, marker="o", markersize=3, linewidth=1.2, color=component_color(index))
    named = {"rotation": "order n of the axis", "reflection": "mirror line (°)", "translation": "rank"}
    axes.set_xlabel(named[result.score])
    axes.set_ylabel("mean score")
    low, high = float(result.scores.min()), float(result.scores.max())
    axes.set_ylim(min(0.0, low) - 0.03, max(high, low + 0.1) * 1.08 if math.isfinite(high) else 1.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Mean scores of the regions", loc="left")
