"""Clusters of a scan by its reflections: where they are, the reflections in the deviation pattern, the mean patterns.

Every reflection is circled in the colour of the cluster in which it is strongest, the same colour as on the map.
"""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of
from emcore.reporting.pages import patterns
from emcore.reporting.pages.clustering import key_lines
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, frame, new_page, place, write
from emcore.reporting.pages.scan import draw_groups, draw_values
from emcore.reporting.plotting import component_color
from emcore.scans.reflections import CRYSTAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TABLE_ROWS, _ROW, _PICTURES, _SHOWN = 25, 0.235, 3.15, 8
_CAPTION = (
    "Mean patterns of the data as they were measured; the square root of the intensity is drawn, alike for all "
    "clusters. Circled are the reflections that are stronger there than in any other cluster."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    rows = max(_SHOWN, -(-result.n_clusters // 2))
    below = 4.75 + _ROW * (rows + 1)
    figure = new_page(below + patterns.STRIP * -(-result.n_clusters // patterns.PER_LINE))
    _draw_scan(figure, result, 0.45)
    write(figure, LEFT, 4.35, key_lines(result, key_numbers(result)), linespacing=1.6)
    _draw_table(place(figure, 6.1, 4.3, 5.1, _ROW * (rows + 1)), result, range(result.n_clusters), rows, 2)
    _draw_signals(figure, result, range(result.n_clusters), below)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """The scan with its clusters and reflections, then their patterns."""
    figure = new_page()
    _draw_scan(figure, result, 1.0)
    write(figure, LEFT, 5.2, key_lines(result, key_numbers(result)), linespacing=1.6)
    listed = 2 * _SHOWN
    table = place(figure, 6.1, 5.15, 5.1, _ROW * (_SHOWN + 1))
    _draw_table(table, result, range(min(result.n_clusters, listed)), _SHOWN, 2)
    yield figure
    for start in range(0, result.n_clusters if result.n_clusters > listed else 0, 3 * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + 3 * _TABLE_ROWS, result.n_clusters))
        _draw_table(place(figure, LEFT, 0.9, 10.6, 6.7), result, chosen, _TABLE_ROWS, 3)
        yield figure
    per_page = 2 * patterns.PER_LINE
    for start in range(0, result.n_clusters, per_page):
        figure = new_page()
        _draw_signals(figure, result, range(start, min(start + per_page, result.n_clusters)), 0.95)
        write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
        yield figure


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of patterns and reflections, by a word for it."""
    used = f"{count_of(len(result.reflections), 'reflection')}, discs of a radius of {result.disc_radius:.3g} px"
    how = {"ward": "Ward's linkage of positions that touch", "kmeans": "k-means"}[
        result.provenance.parameters["method"]
    ]
    by = {"noise": "over the deviation of their noise", "mean": "over their means"}
    compared = f"{how}, strengths {by[result.provenance.parameters['scaling']]}"
    return patterns.size_and_beam(result) | {"used": used, "compared": compared}


def _strongest(result: Any) -> Any:
    """The cluster in which each reflection is strongest."""
    return result.strength.argmax(axis=0) if len(result.reflections) else np.zeros(0, dtype=np.intp)


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    """The picture of the scan, its labels, the deviation pattern with its reflections."""
    scan = result.image.axes
    wide = (WIDTH - 2 * LEFT - 2 * 0.75) / 3
    axes = place(figure, LEFT, top, wide, _PICTURES)
    values = np.asarray(result.image.data)
    draw_values(
        axes, np.where(result.labels < 0, np.nan, values) if result.n_empty else values, scan, label=result.image.title
    )
    axes.set_title(result.image.title.capitalize(), loc="left")
    axes = place(figure, LEFT + wide + 0.45, top, wide, _PICTURES)
    draw_groups(axes, result.labels, scan, result.n_clusters, gaps=result.n_empty > 0)
    axes.set_title(count_of(result.n_clusters, "cluster").capitalize(), loc="left")
    axes = place(figure, LEFT + 2 * wide + 1.5, top, wide, _PICTURES)
    deviation = np.asarray(result.deviation.data)
    patterns.draw_pattern(axes, result, deviation, patterns.brightest(result, deviation[None]), cmap="gray")
    axes.set_title("Standard deviation, reflections used", loc="left")
    patterns.draw_mask(axes, result)
    _circle(axes, result, np.ones(len(result.reflections), dtype=bool))


def _circle(axes: "Axes", result: Any, chosen: Any) -> None:
    """Circles around some reflections, in the colour of the cluster in which each is strongest."""
    from matplotlib.collections import EllipseCollection

    places, colors = result.reflections[chosen], [component_color(int(i)) for i in _strongest(result)[chosen]]
    if not len(places):
        return
    ky, kx = (patterns.values(result, axis) for axis in (0, 1))
    x, y = np.interp(places[:, 1], np.arange(len(kx)), kx), np.interp(places[:, 0], np.arange(len(ky)), ky)
    size = 2 * result.disc_radius + 1.5
    wide, high = size * abs(float(kx[1] - kx[0])), size * abs(float(ky[1] - ky[0]))
    circles = EllipseCollection(
        np.full(len(x), wide), np.full(len(x), high), np.zeros(len(x)), units="xy", offsets=np.stack([x, y], axis=1),
        transOffset=axes.transData, facecolors="none", edgecolors=colors, linewidths=1.1, gid="reflections",
    )  # fmt: skip
    axes.add_collection(circles, autolim=False)


def _draw_signals(figure: "Figure", result: Any, chosen: range, top: float) -> None:
    """The mean patterns of the chosen clusters, three to a line."""
    level, strongest = patterns.brightest(result, result.signals), _strongest(result)
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, patterns.PER_LINE)
        axes = place(figure, LEFT + 0.35 + 3.65 * column, top + patterns.STRIP * line, 2.95, 2.65)
        patterns.draw_pattern(axes, result, result.signals[index], level)
        _circle(axes, result, strongest == index)
        frame(axes, index, f"{_name(result, index)}, {100 * float(result.area[index]):.1f} %")


def _name(result: Any, index: int) -> str:
    kind = result.kinds[index]
    return f"Cluster {index + 1}" + ("" if kind == CRYSTAL else f", {kind}")


def _draw_table(axes: "Axes", result: Any, chosen: range, rows: int, blocks: int) -> None:
    counts = np.bincount(result.labels[result.labels >= 0], minlength=result.n_clusters)
    heads = {"cluster": 0.25, "area": 0.55, "positions": 0.95}
    lines: dict[int, tuple[str, ...]]
    lines = {i: (str(i + 1), f"{100 * float(result.area[i]):.1f} %", str(int(counts[i]))) for i in chosen}
    if any(kind != CRYSTAL for kind in result.kinds):
        heads = {"cluster": 0.2, "area": 0.42, "positions": 0.72, "kind": 1.0}
        lines = {i: (*line, result.kinds[i].replace(CRYSTAL, "")) for i, line in lines.items()}
    draw_table(axes, heads, lines, rows, blocks)
