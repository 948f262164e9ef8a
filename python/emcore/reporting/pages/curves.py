"""Curves on a page: the mean curves of all groups together, then each with the spread of its curves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.quantities import Quantity, in_prefix, measured, slope
from emcore.core.wording import count_of, number, symbol
from emcore.reporting.pages.layout import LEFT, frame, place
from emcore.reporting.plotting import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 3
STRIP = 3.3
CAPTION = (
    "Mean curve of each group, of the curves as they were measured; dark band: one standard deviation to both sides; "
    "light band: from the 5th to the 95th percentile. Dashed: a straight line, where it explains 99 % of the mean one."
)


def heads(result: Any) -> dict[str, float]:
    """The columns of a table of groups: with the slopes of their curves where it is known what these are."""
    slope = slope_of(result)
    if slope is None:
        return {"cluster": 0.3, "area": 0.62, "positions": 1.0}
    return {"cluster": 0.16, "area": 0.32, "positions": 0.5, slope.name: 0.81, "R²": 0.97}


def slope_of(result: Any) -> Quantity | None:
    """What the slope of the curves is, in the unit in which it reads well; None where that is not known."""
    return _slope(result)[0]


def _slope(result: Any) -> tuple[Quantity | None, float]:
    quantity = slope(measured(result.mean), result.mean.axes[0])
    known = np.abs(result.conductance[np.isfinite(result.conductance)])
    if quantity is None or not known.size or not quantity.units:
        return quantity, 1.0
    factor, units = in_prefix(float(known.max()), quantity.units)
    return Quantity(quantity.name, units), factor


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
    span = f"{count_of(len(result.x), 'point')}, {_name(axis)} from {result.x[0]:.4g} to {result.x[-1]:.4g}{units}"
    normalize = result.provenance.parameters["normalize"]
    compared = {None: "as they were measured", "max": "divided by their largest modulus", "l2": "divided by their norm"}
    about = {"curves": span, "compared": compared[normalize]}
    slope = slope_of(result)
    return about | ({slope.name: f"in {symbol(slope.units)}"} if slope is not None and slope.units else {})


def cells(result: Any, index: int) -> tuple[str, ...]:
    """Slope and R squared of a group, as a table has them; nothing where it is not known what the slope is."""
    quantity, factor = _slope(result)
    if quantity is None:
        return ()
    slope, spread = (float(each[index]) / factor for each in (result.conductance, result.conductance_spread))
    said = f"{number(slope)} ± {number(spread, 2)}" if math.isfinite(slope) else "not straight"
    # Rounded down: 0.9996 is not 1.
    return said, f"{math.floor(1000 * float(result.r_squared[index])) / 1000:.3f}"


def _label(axes: "Axes", result: Any) -> None:
    (axis,) = result.mean.axes
    axes.set_xlabel(f"{_name(axis)} ({symbol(axis.units)})" if axis.calibrated else _name(axis))
    name, units = measured(result.mean).name or "signal", _scale(result)[1]
    axes.set_ylabel(f"{name} ({symbol(units)})" if units else name)
    axes.margins(x=0)
    axes.locator_params(nbins=5)
    if np.ptp(result.signals) > 0:
        axes.axhline(0, color="0.75", linewidth=0.6, zorder=0)


def _scale(result: Any) -> tuple[float, str]:
    """By what curves are divided to read well, and the unit that they have then."""
    largest = max(abs(float(result.low.min())), abs(float(result.high.max())))
    return in_prefix(largest, measured(result.mean).units)


def _name(axis: Any) -> str:
    return axis.name or "point"
