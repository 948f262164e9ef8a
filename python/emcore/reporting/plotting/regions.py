"""Labels laid over a picture, a tint, a border and a number for each; or by themselves, with a legend."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.reporting.plotting.colors import component_color
from emcore.reporting.plotting.legends import draw_legend
from emcore.reporting.plotting.maps import NOT_MEASURED, clear, draw_scale_bar, hatch, middles, reduction, show, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_regions(axes: "Axes", regions: NDArray[np.integer[Any]], y: NDArray[Any], x: NDArray[Any]) -> None:
    """Lay a tint, a border and a number for every region over the picture in `axes`; negative labels stay clear."""
    steps = reduction(regions.shape)
    labels = thinned(regions, steps)
    count = int(labels.max()) + 1
    colors = np.array([[*component_color(i), 0.4] for i in range(count)] + [[0.0, 0.0, 0.0, 0.0]])
    tint = colors[np.where(labels < 0, count, labels)]
    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:-1] |= border[1:]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[:, :-1] |= border[:, 1:]
    tint[border & (labels >= 0), 3] = 1.0
    show(axes, (tint * 255).astype(np.uint8), steps, y, x)
    steps = reduction(regions.shape, 96)
    coarse = thinned(regions, steps)
    for index in range(count):
        row, column = _deepest(coarse == index)
        if row >= 0:
            axes.annotate(
                str(index + 1),
                (x[middles(len(x), steps[1])[column]], y[middles(len(y), steps[0])[row]]),
                ha="center",
                va="center",
                fontsize=10,
                color="white" if sum(component_color(index)) < 1.4 else "black",
                bbox={"boxstyle": "circle,pad=0.25", "facecolor": component_color(index), "edgecolor": "white"},
            )


def _deepest(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel that outlives erosion the longest, a place for a number; (-1, -1) in an empty region."""
    place = (-1, -1)
    while inside.any():
        rows, columns = np.nonzero(inside)
        middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        place = int(rows[middle]), int(columns[middle])
        padded = np.pad(inside, 1)
        inside = inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return place


# Least dots along the longer side of a map with borders, two of which make a line.
_FINE = 500


def draw_borders(
    axes: "Axes", labels: NDArray[np.integer[Any]], y: NDArray[Any], x: NDArray[Any], color: tuple[float, float, float]
) -> None:
    """Draw thin lines between labels over the picture in `axes`."""
    shown, steps = _fine(labels)
    lines = np.zeros((*shown.shape, 4), dtype=np.uint8)
    lines[_between(shown)] = [*(round(255 * channel) for channel in color), 255]
    show(axes, lines, steps, y, x)


def draw_grains(
    axes: "Axes",
    labels: NDArray[np.integer[Any]],
    y: NDArray[Any],
    x: NDArray[Any],
    numbered: int,
    units: str,
    said: str = NOT_MEASURED,
) -> None:
    """Draw a map of many labels, black lines between them, the first of them numbered, a scale bar below.

    What has no label is hatched, and a legend says what that is: by default, not measured.

    Parameters
    ----------
    axes : matplotlib Axes
    labels : ndarray of int, shape (H, W)
    y, x : ndarray, shape (H,) and (W,)
        Coordinates of pixel centres, evenly spaced, in `units`.
    numbered : int
        So many labels get their number, from 1 on.
    units, said : str
    """
    shown, steps = _fine(labels)
    count = int(labels.max()) + 1
    colors = np.array([component_color(i) for i in range(count)])
    picture = (colors[shown] * 255).astype(np.uint8)
    picture[_between(shown)] = 0
    missing = shown < 0
    show(axes, clear(picture, missing), steps, y, x)
    axes.set_xticks([])
    axes.set_yticks([])
    draw_scale_bar(axes, units)
    if missing.any():
        hatch(axes, said)
    for index in range(min(numbered, count)):
        row, column = _deepest(labels == index)
        axes.annotate(
            str(index + 1),
            (x[column], y[row]),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if sum(component_color(index)) < 1.4 else "black",
        )


def _fine(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], Any]:
    """Labels on so fine a grid that a line of one dot is thin, and how many rows and columns make a dot."""
    steps = reduction(labels.shape)
    times = max(1, -(-_FINE // max(labels.shape)))
    if times == 1:
        return thinned(labels, steps), steps
    return labels.repeat(times, axis=0).repeat(times, axis=1), (1 / times, 1 / times)


def _between(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """On both sides of where labels differ."""
    border = np.zeros(labels.shape, dtype=bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[here] != labels[there]
        border[here] |= differ
        border[there] |= differ
    return border


def draw_labels(
    axes: "Axes",
    labels: NDArray[np.integer[Any]],
    y: NDArray[Any],
    x: NDArray[Any],
    count: int,
    *,
    noun: str = "cluster",
    units: str = "px",
    gaps: bool = False,
    names: Sequence[str] | None = None,
) -> None:
    """Draw a map of labels in the colours of the components, with a scale bar below and a legend at its right.

    Parameters
    ----------
    axes : matplotlib Axes
    labels : ndarray of int, shape (H, W)
        0 to `count` - 1; negative ones are drawn white, and the legend says so of -1.
    y, x : ndarray, shape (H,) and (W,)
        Coordinates of pixel centres, evenly spaced, in `units`.
    count : int
    noun : str, default "cluster"
    units : str, default "px"
    gaps : bool, default False
        Hatch what has -1: nothing was measured there.
    names : sequence of str, optional
        Of the labels, in place of numbers.
    """
    colors = np.array([component_color(i) for i in range(count)] + [(1.0, 1.0, 1.0)])
    steps = reduction(labels.shape)
    shown = thinned(labels, steps)
    picture = (colors[np.where(shown < 0, count, shown)] * 255).astype(np.uint8)
    missing = shown == -1
    show(axes, clear(picture, missing) if gaps else picture, steps, y, x)
    axes.set_xticks([])
    axes.set_yticks([])
    draw_scale_bar(axes, units)
    if gaps and missing.any():
        hatch(axes, NOT_MEASURED)
    draw_legend(axes, count, noun, empty=not gaps and bool(missing.any()), names=names)
