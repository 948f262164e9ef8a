"""What was found along a line of positions: profiles, and which group is where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.quantities import in_prefix
from emcore.core.signals import Axis
from emcore.core.wording import readable, symbol
from emcore.reporting.plotting.colors import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# So few positions have a dot each.
_DOTS = 80


def draw_profiles(
    axes: "Axes",
    profiles: NDArray[Any],
    position: Axis,
    colors: Sequence[Any],
    *,
    label: str = "",
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw values against position, one curve for each row.

    Parameters
    ----------
    axes : matplotlib Axes
    profiles : ndarray, shape (k, n)
        NaN leaves a gap.
    position : Axis
        Of n positions.
    colors : sequence of k colours
    label : str
        What the values are, at their axis.
    limits : (float, float), optional
        The least and the largest value that have room.
    """
    values, _ = _along(axes, position)
    factor, said = in_prefix(float(np.nanmax(np.abs(profiles))), "")
    dots: Any = {"marker": "o", "markersize": 2.5} if len(values) <= _DOTS else {}
    for profile, color in zip(profiles, colors, strict=True):
        axes.plot(values, profile / factor, color=color, linewidth=1.0, **dots)
    if limits is not None:
        margin = 0.05 * (limits[1] - limits[0])
        axes.set_ylim((limits[0] - margin) / factor, (limits[1] + margin) / factor)
    axes.set_ylabel(f"{label} ({said})" if said else label)
    axes.locator_params(axis="y", nbins=5)


def draw_labels_along(axes: "Axes", labels: NDArray[np.integer[Any]], position: Axis, count: int, noun: str) -> None:
    """Draw which group is where along a line: a row for each group, in its colour where the line runs through it.

    Parameters
    ----------
    axes : matplotlib Axes
    labels : ndarray of int, shape (n,)
        0 to `count` - 1; where they are negative nothing is drawn.
    position : Axis
        Of n positions.
    count : int
    noun : str
        What the groups are called, at their axis.
    """
    from matplotlib.ticker import MaxNLocator

    _, edges = _along(axes, position)
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    ends = np.append(starts[1:], len(labels))
    for index in range(count):
        mine = labels[starts] == index
        runs = [(edges[a], edges[b] - edges[a]) for a, b in zip(starts[mine], ends[mine], strict=True)]
        axes.broken_barh(runs, (index + 0.6, 0.8), facecolors=[component_color(index)])
    axes.set_ylim(count + 0.5, 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_ylabel(noun)


def _along(axes: "Axes", position: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The positions in a unit that reads well, and the edges between them; the axis along them is labelled."""
    position = readable(position)
    values = position.values
    steps = np.diff(values) if len(values) > 1 else np.ones(1)
    edges = np.concatenate([[values[0] - steps[0] / 2], values[:-1] + steps[: len(values) - 1] / 2])
    edges = np.append(edges, values[-1] + steps[-1] / 2)
    axes.set_xlim(float(edges.min()), float(edges.max()))
    name = "position" if position.name in ("", "x", "y") else position.name
    axes.set_xlabel(f"{name} ({symbol(position.units)})" if position.calibrated else name)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    return values, edges
