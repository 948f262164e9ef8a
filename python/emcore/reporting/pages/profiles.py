"""Profiles and spectra of groups on a page: the mean ones of all groups together, then each with its spread."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.quantities import in_prefix, measured
from emcore.core.units import ENERGY, kind_of
from emcore.core.wording import count_of, number, symbol
from emcore.reporting.pages.layout import LEFT, frame, place
from emcore.reporting.pages.spectra import label_of, shown_axis
from emcore.reporting.plotting import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 3
STRIP = 3.3
CAPTION = (
    "Mean signal of each group, of the data as they were measured; dark band: one standard deviation to both sides; "
    "light band: from the 5th to the 95th percentile. Spectra over an energy are drawn on a square-root scale; dotted: "
    "the peak."
)


def heads(result: Any) -> dict[str, float]:
    """The columns of a table of groups: with the peaks of their spectra where there are some."""
    if result.peaks is None:
        return {"cluster": 0.3, "area": 0.62, "positions": 1.0}
    return {"cluster": 0.2, "area": 0.42, "positions": 0.7, f"peak ({symbol(_axis(result).units)})": 1.0}


def cells(result: Any, index: int) -> tuple[str, ...]:
    """The peak of a group, as a table has it."""
    if result.peaks is None:
        return ()
    peak = float(result.peaks[index]) * _times(result)
    return ("–" if np.isnan(peak) else number(peak, 4),)


def draw_mean(axes: "Axes", result: Any) -> None:
    """The mean signals of all groups."""
    factor = _scale(result)[0]
    for index, signal in enumerate(result.signals / factor):
        axes.plot(_axis(result).values, signal, color=component_color(index), linewidth=1.1)
    _finish(axes, result)
    axes.set_title("Mean signals", loc="left")


def draw_signals(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The mean signals of the chosen groups with their spread, three to a line, all on one scale."""
    factor = _scale(result)[0]
    x = _axis(result).values
    low, high = _range(result)
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, PER_LINE)
        axes = place(figure, LEFT + 0.45 + 3.65 * column, top + STRIP * line, 2.85, 2.45)
        color, signal = component_color(index), result.signals[index] / factor
        if result.spread is not None:
            spread = result.spread[index] / factor
            within = result.low[index] / factor, result.high[index] / factor
            axes.fill_between(x, *within, color=color, alpha=0.18, linewidth=0)
            axes.fill_between(x, signal - spread, signal + spread, color=color, alpha=0.35, linewidth=0)
        axes.plot(x, signal, color=color, linewidth=1.4)
        if result.peaks is not None and not np.isnan(result.peaks[index]):
            axes.axvline(result.peaks[index] * _times(result), color="black", linewidth=0.8, linestyle=":")
        axes.set_ylim(low / factor, high / factor)
        _finish(axes, result)
        frame(axes, index, f"Cluster {index + 1}, {100 * float(result.area[index]):.1f} %")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the signals, by a word for it."""
    axis = _axis(result)
    units = f" {symbol(axis.units)}" if axis.calibrated else ""
    ends = f"{axis.values[0]:.4g} to {axis.values[-1]:.4g}{units}"
    table = {"signals": f"{count_of(axis.size, 'point')}, {axis.name or 'point'} from {ends}"}
    if result.noise is not None and result.rule == "density":
        table["noise"] = f"{result.noise:.1%} of the positions are in no group"
    if result.grain_size is not None and len(result.grain_size):
        table["grains"] = count_of(len(result.grain_size), "connected piece") + " of at least 5 positions"
    return table


def _axis(result: Any) -> Any:
    return shown_axis(result.mean.axes[0])


def _times(result: Any) -> float:
    """What positions along the axis are multiplied by to be in the unit in which it is drawn."""
    axis, shown = result.mean.axes[0], _axis(result)
    return float(shown.scale / axis.scale) if axis.even else 1.0


def _rooted(result: Any) -> bool:
    """Whether signals are drawn on a square-root scale: spectra without negative values."""
    return kind_of(result.mean.axes[0].units) == ENERGY and float(result.signals.min()) >= 0


def _range(result: Any) -> tuple[float, float]:
    low, high = (result.signals, result.signals) if result.low is None else (result.low, result.high)
    least, most = float(min(low.min(), result.signals.min())), float(max(high.max(), result.signals.max()))
    margin = 0.04 * (most - least)
    return (max(least, 0.0) if _rooted(result) else least - margin), most + margin


def _scale(result: Any) -> tuple[float, str]:
    """By what signals are divided to read well, and the unit that they have then."""
    units = measured(result.mean).units
    largest = float(np.abs(result.signals).max())
    return in_prefix(largest, units) if units or largest >= 1e5 or largest < 1e-2 else (1.0, "")


def _finish(axes: "Axes", result: Any) -> None:
    axis = _axis(result)
    if _rooted(result):
        axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
        axes.set_ylim(bottom=0)
        top = axes.get_ylim()[1]
        axes.set_yticks([0.0, *(float(f"{top * part:.1g}") for part in (0.05, 0.3, 0.9))])
    else:
        axes.locator_params(nbins=5)
    axes.set_xlabel(label_of(axis) if axis.name else "point")
    name, units = measured(result.mean).name or "signal", _scale(result)[1]
    axes.set_ylabel(f"{name} ({symbol(units)})" if units else name)
    axes.margins(x=0)
