"""How what was found at every position of a scan is drawn: as a picture, or as profiles along a line of positions."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.core.wording import count_of, number, quantity, readable
from emcore.reporting.pages.layout import inset, place, whole
from emcore.reporting.plotting import (
    NOT_MEASURED,
    component_color,
    draw_borders,
    draw_labels,
    draw_labels_along,
    draw_legend,
    draw_map,
    draw_memberships,
    draw_profiles,
    shown_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A profile needs no more height, but room for what stands at its axes, in inches.
_HIGH, _BESIDE, _BELOW = 2.2, 0.55, 0.42


def line_of(scan: Sequence[Axis]) -> Axis | None:
    """The axis of a scan along a line, of which there is one, or one with more than a position; None of a picture."""
    longer = [axis for axis in scan if axis.size > 1] or list(scan[-1:])
    return longer[0] if len(longer) == 1 else None


def as_picture(
    values: NDArray[Any], scan: Sequence[Axis], fill: float | None = None
) -> tuple[NDArray[Any], Axis, Axis]:
    """A map of the scan with its axes y and x in one unit, in pixels where they measure different things.

    A scan of more axes is laid out plane below plane; what is missing in the last line is `fill`, by default the
    smallest value.
    """
    if values.ndim == 2:
        return values, *alike(scan[0], scan[1])
    width = math.ceil(math.sqrt(1.3 * values.size)) if values.ndim == 1 else values.shape[-1]
    rest = np.full(-values.size % width, np.nanmin(values) if fill is None else fill, dtype=values.dtype)
    folded = np.append(values.ravel(), rest).reshape(-1, width)
    return folded, Axis("y", len(folded)), Axis("x", width)


def alike(y: Axis, x: Axis) -> tuple[Axis, Axis]:
    """Two axes in the unit of the second; in pixels where one cannot be converted to the other."""
    converted = y if y.units == x.units else y.to(x.units)
    if converted is None or not (converted.even and x.even):
        return Axis(y.name, y.size), Axis(x.name, x.size)
    return converted, x


def size_of(scan: Sequence[Axis]) -> str:
    """How many positions a scan has and how large it is, in words."""
    count = math.prod(axis.size for axis in scan)
    line = line_of(scan)
    if line is not None:
        shown = readable(line)
        length = f", {quantity(shown.size * abs(shown.scale), shown.units)}" if line.calibrated and count > 1 else ""
        return count_of(count, "position") + (f" along a line{length}" if count > 1 else "")
    said = f"{' × '.join(str(axis.size) for axis in reversed(scan))} positions"
    if len(scan) != 2:
        return said
    y, x = alike(scan[0], scan[1])
    if not x.calibrated:
        return said
    said += f", {quantity(x.size * abs(x.scale), x.units)} × {quantity(y.size * abs(y.scale), y.units)}"
    if not math.isclose(abs(x.scale), abs(y.scale), rel_tol=1e-3):
        said += f" (steps of {quantity(abs(x.scale), x.units, 4)} × {quantity(abs(y.scale), y.units, 4)})"
    return said


def draw_values(
    axes: "Axes",
    values: NDArray[Any],
    scan: Sequence[Axis],
    *,
    label: str = "",
    color: Any = "0.2",
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
    bar: bool = False,
) -> None:
    """Draw a value at every position.

    Parameters
    ----------
    axes : matplotlib Axes
    values : ndarray, shape of the scan
        NaN where nothing was measured.
    scan : sequence of Axis
    label, color : str, colour
        What a profile is called at its axis, and how it is drawn.
    cmap, limits : see `emcore.reporting.plotting.draw_map`
        Of a picture; a profile leaves room for the limits.
    bar : bool, default False
        A bar of the colours at the right of a picture.
    """
    line = line_of(scan)
    if line is not None:
        draw_profiles(_for_profile(axes), values.reshape(1, -1), line, [color], label=label, limits=limits)
        return
    picture, y, x = as_picture(values, scan)
    image = draw_map(
        axes, picture, y.values, x.values, units=x.units, cmap=cmap, limits=limits, ticks=False, scale_bar=True
    )
    if bar:
        draw_color_bar(axes, image)


def draw_groups(
    axes: "Axes",
    labels: NDArray[Any],
    scan: Sequence[Axis],
    count: int,
    noun: str = "cluster",
    gaps: bool = False,
    names: Sequence[str] | None = None,
) -> None:
    """Draw the label of every position, in the colours of the components; with `gaps` -1 was not measured.

    The legend of a picture has the `names` of the labels, or their numbers.
    """
    line = line_of(scan)
    if line is not None:
        draw_labels_along(_for_profile(axes), labels.ravel(), line, count, noun)
        return
    picture, y, x = as_picture(labels, scan, fill=-2)
    draw_labels(axes, picture, y.values, x.values, count, noun=noun, units=x.units, gaps=gaps, names=names)


def draw_shares(
    axes: "Axes",
    shares: NDArray[Any],
    scan: Sequence[Axis],
    *,
    noun: str = "cluster",
    label: str = "membership",
    legend: bool = True,
    measured: NDArray[np.bool_] | None = None,
    missing: str = NOT_MEASURED,
) -> None:
    """Draw how much of every position each group has, shape (k, ...): the strongest in a picture, all along a line.

    Positions that are not `measured` are hatched in a picture, which says that they are `missing`, and gaps of a line.
    """
    count, line = len(shares), line_of(scan)
    there = np.ones(shares.shape[1:], dtype=bool) if measured is None else measured
    if line is not None:
        shares = np.where(there, shares, np.nan)
        colors = [component_color(i) for i in range(count)]
        draw_profiles(_for_profile(axes), shares.reshape(count, -1), line, colors, label=label, limits=(0.0, 1.0))
        if legend:
            draw_legend(axes, count, noun)
        return
    pictures, y, x = zip(*(as_picture(each, scan) for each in shares), strict=True)
    draw_memberships(
        axes,
        np.stack(pictures),
        y[0].values,
        x[0].values,
        units=x[0].units,
        legend=noun if legend else "",
        empty=as_picture(~there, scan, fill=False)[0],
        missing=missing,
    )


def draw_borders_over(
    axes: "Axes", labels: NDArray[Any], scan: Sequence[Axis], color: tuple[float, float, float]
) -> None:
    """Draw lines between labels over what `draw_values` drew: over a picture, or across profiles."""
    line = line_of(scan)
    if line is None:
        picture, y, x = as_picture(labels, scan)
        draw_borders(axes, picture, y.values, x.values, color)
        return
    values = readable(line).values
    for i in np.flatnonzero(np.diff(labels.ravel())):
        axes.axvline((values[i] + values[i + 1]) / 2, color="0.7", linewidth=0.6, zorder=0)


def numbers_apart(low: float, most: float) -> list[str]:
    """Two numbers to two digits, or as many as tell them apart.

    Examples
    --------
    >>> numbers_apart(0.0, 23.4), numbers_apart(129812.0, 131250.0), numbers_apart(1.0, 1.0)
    (['0', '23'], ['130000', '131000'], ['1', '1'])
    """
    texts = [[number(level, digits) for level in (low, most)] for digits in range(2, 8)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


def draw_color_bar(axes: "Axes", image: Any) -> None:
    """A bar of an image's colours at its right, with the values at its ends."""
    figure = whole(axes)
    box = axes.get_position(original=True)
    wide, high = shown_size(axes)
    width, height = figure.get_size_inches()
    bar = place(figure, box.x0 * width + wide + 0.08, height - box.y1 * height, 0.1, max(high, 0.6))
    low, most = image.get_clim()
    figure.colorbar(image, cax=bar, ticks=[low, most])
    bar.set_yticklabels(numbers_apart(low, most))
    bar.tick_params(length=2, labelsize=6)


def _for_profile(axes: "Axes") -> "Axes":
    inset(axes, _BESIDE, _BELOW, _HIGH)
    return axes
