"""Curves on a page: the mean curves of all groups together, then each with the spread of its curves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import in_thousands, number, symbol
from emcore.reporting.pages.layout import LEFT, frame, place
from emcore.reporting.plotting import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 3
STRIP = 3.3
CAPTION = (
    "Mean curve of each group, of the curves as they were measured; dark band: one standard deviation to both sides; "
    "light band: from the 5th to the 95th percentile. Where a straight line (dashed) explains 99 % of the mean curve, "
    "its slope is the conductance."
)
HEADS = {"cluster": 0.16, "area": 0.32, "positions": 0.5, "conductance": 0.81, "R²": 0.97}


def draw_mean(axes: "Axes", result: Any) -> None:
    """The mean curves of all groups."""
    scale = _scale(result)[0]
    for index, curve in enumerate(result.signals / scale):
        axes.plot(result.x, curve, color=component_color(index), linewidth=1.3)
    _label(axes, result)
    axes.set_title("Mean curves", loc="left")


def draw_signals(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The mean curves of the chosen groups with their spread, three to a line, all on one scale."""
    scale = _scale(result)[0]
    low, high = float(result.low.min()) / scale, float(result.high.max()) / scale
    margin = 0.04 * (high - low)
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, PER_LINE)
        axes = place(figure, LEFT + 0.45 + 3.65 * column, top + STRIP * line, 2.85, 2.45)
        color, curve, spread = component_color(index), result.signals[index] / scale, result.spread[index] / scale
        within = result.low[index] / scale, result.high[index] / scale
        axes.fill_between(result.x, *within, color=color, alpha=0.18, linewidth=0)
        axes.fill_between(result.x, curve - spread, curve + spread, color=color, alpha=0.35, linewidth=0)
        axes.plot(result.x, curve, color=color, linewidth=1.6)
        slope = float(result.conductance[index]) / scale
        if math.isfinite(slope):
            straight = curve.mean() + slope * (result.x - result.x.mean())
            axes.plot(result.x, straight, color="black", linewidth=0.8, linestyle="--")
        axes.set_ylim(low - margin, high + margin)
        _label(axes, result)
        frame(axes, index, f"Cluster {index + 1}, {100 * float(result.area[index]):.1f} %")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the curves, by a word for it."""
    (axis,) = result.mean.axes
    units = f" {symbol(axis.units)}" if axis.calibrated else ""
    span = f"{len(result.x)} points, {_name(axis)} from {result.x[0]:.4g} to {result.x[-1]:.4g}{units}"
    normalize = result.provenance.parameters["normalize"]
    compared = {None: "as they were measured", "max": "divided by their largest modulus", "l2": "divided by their norm"}
    return {"curves": span, "compared": compared[normalize]}


def cells(result: Any, index: int) -> tuple[str, ...]:
    """Conductance and R squared of a group, as a table has them."""
    slope, spread = float(result.conductance[index]), float(result.conductance_spread[index])
    said = f"{number(slope)} ± {number(spread, 2)}" if math.isfinite(slope) else "not straight"
    # Rounded down: 0.9996 is not 1.
    return said, f"{math.floor(1000 * float(result.r_squared[index])) / 1000:.3f}"


def _label(axes: "Axes", result: Any) -> None:
    (axis,) = result.mean.axes
    axes.set_xlabel(f"{_name(axis)} ({symbol(axis.units)})" if axis.calibrated else _name(axis))
    axes.set_ylabel((result.mean.title or "signal") + _scale(result)[1])
    axes.margins(x=0)
    axes.locator_params(nbins=5)
    if np.ptp(result.signals) > 0:
        axes.axhline(0, color="0.75", linewidth=0.6, zorder=0)


def _scale(result: Any) -> tuple[float, str]:
    """The power of a thousand in which the curves read well, and how an axis says it."""
    return in_thousands(max(abs(float(result.low.min())), abs(float(result.high.max()))))


def _name(axis: Any) -> str:
    return axis.name or "point"
