"""Fuzzy clusters of several signals: the map, the signals of each cluster, the components, each signal alone."""

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.wording import count_of, empty, number, symbol
from emcore.methods.selection.agreement import adjusted_rand_index
from emcore.reporting.pages.layout import LEFT, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_shares, draw_values, size_of
from emcore.reporting.plotting import component_color, draw_map, draw_scree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Clusters in one block of the table, and in all; height of a line.
_LISTED, _MOST, _ROW = 10, 24, 0.2
_ROWS = 3
_STRIP = 2.2
_MAP = (
    "Colour: the cluster with the largest membership. Brightness: that membership, from 1/k (black: no cluster is "
    "stronger than another) to 1."
)
_SIGNALS = (
    "Means of the measured data over the positions with a membership above {threshold:g}, weighted by it. Patterns: "
    "square root of the intensity, alike for all clusters, the direct beam beyond white. Grey: mean over the scan."
)
_COMPONENTS = (
    "Map of the scores, and the part that each signal has in the component, in the units of the scaled features: red "
    "and blue change in opposite senses."
)
_ALONE = (
    "The same steps with one signal only. Colours are those of the clusters above which they overlap most. The "
    "adjusted Rand index is 1 for the same groups as all signals give together and about 0 for unrelated ones."
)


def overview(result: Any) -> "Figure":
    """One page with everything but the components."""
    below = 4.3 + max(2.5, _ROW * (_lines(result) + 1) + 0.3)
    figure = new_page(below + _STRIP * result.n_clusters)
    _draw_summary(figure, result, 0.45)
    for index in range(result.n_clusters):
        _draw_cluster(figure, result, index, below + _STRIP * index)
    return figure


def _lines(result: Any) -> int:
    """Lines of the table of clusters, in two blocks where one has no room."""
    listed = min(int(result.n_clusters), _MOST)
    return listed if listed <= _LISTED else -(-listed // 2)


def pages(result: Any) -> "Iterator[Figure]":
    """Map and key numbers, memberships, signals of the clusters, components, each signal alone."""
    figure = new_page()
    _draw_summary(figure, result, 1.0)
    write(figure, LEFT, 7.45, _wrapped(_MAP), color="0.35")
    yield figure
    for drawn, count, caption in (
        (_draw_cluster, result.n_clusters, _SIGNALS.format(threshold=result.threshold)),
        (_draw_component, result.n_components, _COMPONENTS),
    ):
        for start in range(0, count, _ROWS):
            figure = new_page()
            for index in range(start, min(start + _ROWS, count)):
                drawn(figure, result, index, 0.95 + _STRIP * (index - start))
            write(figure, LEFT, 7.5, _wrapped(caption), color="0.35")
            yield figure
    figure = new_page()
    _draw_alone(figure, result)
    write(figure, LEFT, 7.5, _wrapped(_ALONE), color="0.35")
    yield figure


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 165))


def _draw_summary(figure: "Figure", result: Any, top: float) -> None:
    axes = place(figure, LEFT, top, 3.1, 3.2)
    draw_values(axes, _measured(result, np.asarray(result.image.data)), result.image.axes, label="mean")
    axes.set_title(f"Mean of {result.image.title or 'the first signal'}", loc="left")
    axes = place(figure, LEFT + 3.4, top, 3.1, 3.2)
    draw_shares(axes, result.memberships, result.image.axes, measured=result.labels >= 0)
    axes.set_title(count_of(result.n_clusters, "cluster").capitalize(), loc="left")
    axes = place(figure, LEFT + 7.85, top + 0.05, 2.75, 2.6)
    draw_scree(axes, result.evr, result.n_components)
    axes.set_title(f"Scree: {count_of(result.n_components, 'component')}", loc="left")
    write(figure, LEFT, top + 3.75, "\n".join(key_lines(result, 84)), linespacing=1.6)
    lines = {
        i: (str(i + 1), f"{100 * float(result.area[i]):.1f} %", str(int(result.positions[i])))
        for i in range(min(result.n_clusters, _MOST))
    }
    rows, blocks = _lines(result), 1 if result.n_clusters <= _LISTED else 2
    heads = {"cluster": 0.25, "area": 0.5, f"positions above {result.threshold:g}" if blocks == 1 else "positions": 1.0}
    draw_table(place(figure, 7.0, top + 3.7, 4.1, _ROW * (rows + 1)), heads, lines, rows, blocks)


def key_lines(result: Any, width: int) -> list[str]:
    """What was clustered, how, and how distinct the clusters are."""
    parameters = result.provenance.parameters
    inputs = [f"{mean.title} {' × '.join(map(str, mean.shape))}" for mean in result.means]
    by_rule = "" if result.rule == "given" else f" by rule {result.rule}"
    validity = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in result.validity.items())
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}; signals: {', '.join(inputs)}",
        f"merged: {parameters['scaling']} scaling, balance {parameters['balance']}",
        f"{count_of(result.n_components, 'component')}{by_rule}: {result.reason}",
        *([f"clusters: {result.number}"] if result.number else []),
        f"clustered: {parameters['method']}, m = {parameters['m']:.3g}",
        f"validity: {validity}",
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return wrapped(texts, width, 13)


def _draw_cluster(figure: "Figure", result: Any, index: int, top: float) -> None:
    """A row: the membership map of a cluster and its signals."""
    axes = place(figure, LEFT, top, 1.6, 1.6)
    style: Any = {"label": "membership", "color": component_color(index), "limits": (0.0, 1.0)}
    draw_values(axes, _measured(result, result.memberships[index]), result.image.axes, **style)
    frame(axes, index, f"Cluster {index + 1}, {100 * float(result.area[index]):.1f} %")
    for spot, (signals, mean) in enumerate(zip(result.signals, result.means, strict=True)):
        axes = _signal_axes(figure, result, top, spot)
        title = f"{mean.title}, {count_of(int(result.positions[index]), 'position')}"
        _draw_signal(axes, signals, index, mean)
        axes.set_title(title, loc="left")


def _draw_component(figure: "Figure", result: Any, index: int, top: float) -> None:
    """A row: the scores of a component and the part that each signal has in it."""
    axes = place(figure, LEFT, top, 1.6, 1.6)
    values = _measured(result, result.scores[index])
    draw_values(axes, values, result.image.axes, label="score", limits=_symmetric(values, 0.995), cmap="RdBu_r")
    axes.set_title(f"Component {index + 1}, {100 * float(result.evr[index]):.3g} %", loc="left")
    for spot, part in enumerate(result.components):
        axes = _signal_axes(figure, result, top, spot)
        values = _plane(np.asarray(part.data[index]))
        if values.ndim == 2:
            ky, kx = part.axes[-2:]
            limits = _symmetric(values, 0.999)
            draw_map(axes, values, ky.values, kx.values, units=kx.units, cmap="RdBu_r", limits=limits)
            _name_axes(axes, ky, kx)
        else:
            (along,) = part.axes[1:]
            axes.plot(along.values, values, color="0.2", linewidth=0.8, marker=_marker(values))
            axes.axhline(0, color="0.75", linewidth=0.6, zorder=0)
            _line_axes(axes, along, "")
        axes.set_title(part.title, loc="left")


def _draw_alone(figure: "Figure", result: Any) -> None:
    """The clusters of all signals together beside those of each alone."""
    drawn = [("All together", result.memberships), *zip([m.title for m in result.means], result.alone, strict=True)]
    per_line, there = min(len(drawn), 3), result.labels >= 0
    for spot, (title, memberships) in enumerate(drawn):
        line, column = divmod(spot, per_line)
        high = 5.0 if len(drawn) <= 3 else 2.5
        axes = place(figure, LEFT + 3.7 * column, 1.1 + 3.2 * line, 3.1, high)
        draw_shares(axes, memberships, result.image.axes, legend=spot == min(len(drawn), per_line) - 1, measured=there)
        if spot:
            agreement = adjusted_rand_index(result.labels[there], memberships.argmax(axis=0)[there])
            title = f"{title} alone, adjusted Rand index {agreement:.2f}"
        axes.set_title(title, loc="left")


def _signal_axes(figure: "Figure", result: Any, top: float, spot: int) -> "Axes":
    """Room for a signal beside a map: patterns take what they need, lines share what is left."""
    patterns = [len(mean.axes) > 1 for mean in result.means]
    full, gap = 8.3, 0.75
    pattern = min(1.75, full / len(patterns) - gap)
    line = (full - (pattern + gap) * sum(patterns)) / max(patterns.count(False), 1) - gap
    widths = [pattern if is_pattern else min(line, 5.0) for is_pattern in patterns]
    return place(figure, LEFT + 2.5 + sum(widths[:spot]) + gap * spot, top, widths[spot], 1.6)


def _draw_signal(axes: "Axes", signals: Signal, index: int, mean: Signal) -> None:
    values, over_all = _plane(np.asarray(signals.data[index])), _plane(np.asarray(mean.data))
    if values.ndim == 2:
        ky, kx = mean.axes[-2:]
        stack = np.asarray(signals.data)
        brightest = math.sqrt(max(float(np.quantile(stack - min(float(stack.min()), 0), 0.98)), 1e-30))
        shown = np.sqrt(np.clip(values - min(float(values.min()), 0.0), 0, None))
        draw_map(axes, shown, ky.values, kx.values, units=kx.units, cmap="magma", limits=(0.0, brightest))
        _name_axes(axes, ky, kx)
        return
    (along,) = mean.axes
    axes.plot(along.values, over_all, color="0.7", linewidth=0.8, marker=_marker(values))
    axes.plot(along.values, values, color=component_color(index), linewidth=1.0, marker=_marker(values))
    axes.set_ylim(min(0.0, float(np.min(signals.data))), 1.05 * max(float(np.max(signals.data)), 1e-30))
    _line_axes(axes, along, "mean")


def _marker(values: NDArray[Any]) -> str:
    """Dots for a signal of a few values, such as an image's one, of which no line is seen."""
    return "o" if len(values) < 5 else ""


def _plane(values: NDArray[Any]) -> NDArray[Any]:
    """A picture or a line: more axes than two are averaged."""
    return values if values.ndim <= 2 else values.mean(axis=tuple(range(values.ndim - 2)))


def _name_axes(axes: "Axes", y: Axis, x: Axis) -> None:
    axes.set_xlabel(f"{x.name} ({symbol(x.units)})")
    axes.set_ylabel(f"{y.name} ({symbol(y.units)})")


def _line_axes(axes: "Axes", along: Axis, label: str) -> None:
    axes.set_xlabel(f"{along.name} ({symbol(along.units)})" if along.calibrated else along.name)
    axes.set_ylabel(label)
    axes.margins(x=0)
    axes.locator_params(axis="y", nbins=4)


def _measured(result: Any, values: NDArray[Any]) -> NDArray[Any]:
    """A map, NaN where nothing was measured."""
    return np.where(result.labels < 0, np.nan, values)


def _symmetric(values: NDArray[Any], part: float) -> tuple[float, float]:
    largest = float(np.nanquantile(np.abs(values), part)) or 1.0
    return -largest, largest
