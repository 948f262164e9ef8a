"""Fuzzy clusters as one picture: colour says which cluster is strongest, brightness how strong it is."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.reporting.plotting.colors import component_color
from emcore.reporting.plotting.legends import draw_legend
from emcore.reporting.plotting.maps import NOT_MEASURED, clear, draw_scale_bar, hatch, reduction, show, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_memberships(
    axes: "Axes",
    memberships: NDArray[Any],
    y: NDArray[Any],
    x: NDArray[Any],
    *,
    units: str = "px",
    legend: str = "cluster",
    empty: NDArray[np.bool_] | None = None,
    missing: str = NOT_MEASURED,
) -> None:
    """Draw memberships: the colour of the strongest cluster, black where it is no stronger than all others.

    Parameters
    ----------
    axes : matplotlib Axes
    memberships : ndarray, shape (k, H, W)
        They sum to 1 over k.
    y, x : ndarray, shape (H,) and (W,)
        Coordinates of pixel centres, evenly spaced, in `units`.
    units : str, default "px"
    legend : str, default "cluster"
        What the numbers at the right count, which say which colour is which; none where it is empty.
    empty : ndarray of bool, shape (H, W), optional
        Positions that took no part, which are hatched.
    missing : str, default "not measured"
        What is said of them below the picture.
    """
    count = len(memberships)
    steps = reduction(memberships.shape[1:])
    labels = thinned(memberships.argmax(axis=0), steps)
    strength = thinned(memberships.max(axis=0), steps).astype(np.float64)
    colors = np.array([component_color(i) for i in range(count)])
    bright = np.clip((strength - 1 / count) / (1 - 1 / count), 0, 1)
    picture = (255 * bright[..., None] * colors[labels]).astype(np.uint8)
    gaps = np.zeros(labels.shape, dtype=bool) if empty is None else thinned(empty, steps)
    show(axes, clear(picture, gaps), steps, y, x)
    if gaps.any():
        hatch(axes, missing)
    axes.set_xticks([])
    axes.set_yticks([])
    draw_scale_bar(axes, units)
    if legend:
        draw_legend(axes, count, legend)
