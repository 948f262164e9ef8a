"""Values on a regular grid: images, maps, spectra and patterns, with calibrated axes or a scale bar."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import quantity, symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

NOT_MEASURED = "not measured"
"""What is said of positions without a measurement."""

# How they look.
_HATCHED: Any = {"facecolor": "0.95", "edgecolor": "0.7", "hatch": "/////", "linewidth": 0}
# Most dots along a side of a picture on paper, about 200 per inch.
_DOTS = 1200


def scale_bar_length(width: float) -> float:
    """Length of a picture's scale bar: the largest of 1, 2, 5 times a power of ten up to a quarter of its width.

    Examples
    --------
    >>> from emcore.reporting.plotting import scale_bar_length
    >>> scale_bar_length(83.1), scale_bar_length(40.0)
    (20.0, 10.0)
    """
    quarter = width / 4 * (1 + 1e-9)
    power = 10.0 ** math.floor(math.log10(quarter))
    return float(f"{max(step for step in (1, 2, 5) if step * power <= quarter) * power:.3g}")


def draw_map(
    axes: "Axes",
    values: NDArray[Any],
    y: NDArray[np.floating[Any]],
    x: NDArray[np.floating[Any]],
    *,
    units: str = "px",
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
    ticks: bool = True,
    scale_bar: bool = False,
) -> "AxesImage":
    """Draw values on a regular grid: an image, a map or a spectrum.

    Parameters
    ----------
    axes : matplotlib Axes
    values : ndarray, shape (H, W)
        Larger than 1200 a side, it is averaged over whole pixels. NaN is hatched: nothing was measured there.
    y, x : ndarray, shape (H,) and (W,)
        Coordinates of pixel centres, evenly spaced, in `units`.
    units : str, default "px"
    cmap : str, default "gray"
    limits : (float, float), default the 0.5 % and 99.5 % quantiles
        Values shown as the first and the last colour.
    ticks : bool, default True
        Draw calibrated axes.
    scale_bar : bool, default False
        Draw a scale bar of round length below the picture, where `units` are of a length.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    from matplotlib.ticker import MaxNLocator

    steps = reduction(values.shape)
    shown = _averaged(values, steps)
    low, high = limits if limits is not None else _contrast(shown)
    image = show(axes, shown, steps, y, x, cmap=cmap, vmin=low, vmax=high)
    if np.isnan(shown).any():
        hatch(axes)
    if ticks:
        axes.set_xlabel(f"x ({symbol(units)})")
        axes.set_ylabel(f"y ({symbol(units)})")
        wide, high = shown_size(axes)
        for axis, values, most in ((axes.xaxis, x, 2.5 * wide), (axes.yaxis, y, 4 * high)):
            if most < 1:
                axis.set_ticks([values.mean()], [f"{values.mean():.3g}"])
            else:
                axis.set_major_locator(MaxNLocator(nbins=min(4, round(most))))
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    if scale_bar:
        draw_scale_bar(axes, units)
    return image


def show(
    axes: "Axes", shown: NDArray[Any], steps: tuple[float, float], y: NDArray[Any], x: NDArray[Any], **colors: Any
) -> "AxesImage":
    """Put a picture, reduced by `steps`, where its coordinates say."""
    dy, dx = _spacing(y, x), _spacing(x, y)
    left, top = float(x[0] - dx / 2), float(y[0] - dy / 2)
    right, bottom = left + shown.shape[1] * steps[1] * dx, top + shown.shape[0] * steps[0] * dy
    image = axes.imshow(shown, extent=(left, right, bottom, top), origin="upper", interpolation="none", **colors)
    # The last reduced pixel may reach beyond the picture.
    axes.set_xlim(left, float(x[-1] + dx / 2))
    axes.set_ylim(float(y[-1] + dy / 2), top)
    return image


def hatch(axes: "Axes", said: str = "") -> None:
    """Hatch what the pictures in `axes` leave clear, and say below them at the right what that is."""
    from matplotlib.patches import Patch

    axes.patch.set(**_HATCHED)
    if said:
        patch = Patch(**_HATCHED, label=said)
        place: Any = {"loc": "upper right", "bbox_to_anchor": (1.02, 0.01), "handlelength": 1.2, "handleheight": 1.0}
        axes.add_artist(axes.legend(handles=[patch], frameon=False, **place))


def clear(colors: NDArray[np.uint8], missing: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours (H, W, 3) with an opacity where some are missing, which have none."""
    if not missing.any():
        return colors
    opaque: NDArray[np.uint8] = np.where(missing, 0, 255).astype(np.uint8)
    return np.dstack([colors, opaque])


def draw_scale_bar(axes: "Axes", units: str, above: bool = False) -> None:
    """A bar of round length with its label below the picture in `axes`; none where a length is not known.

    `above` puts it over the right end of the picture, where ticks are below.
    """
    from matplotlib.transforms import blended_transform_factory

    if units in ("px", ""):
        return
    # In data units along x, so that it is right at any zoom; in points below the picture, so that it hides nothing.
    left, right = axes.get_xlim()
    length = scale_bar_length(abs(right - left))
    along = math.copysign(length, right - left)
    ends = [right - along, right] if above else [left, left + along]
    level, up = (1, 7) if above else (0, -11)
    axes.plot(
        ends,
        [level, level],
        transform=blended_transform_factory(axes.transData, axes.transAxes + _points(axes, 0, up)),
        color="black",
        linewidth=3.5,
        solid_capstyle="butt",
        clip_on=False,
        gid="scale-bar",
    )
    axes.annotate(
        quantity(length, units),
        (ends[0] if above else ends[1], level),
        xycoords=blended_transform_factory(axes.transData, axes.transAxes),
        xytext=(-4 if above else 5, up),
        textcoords="offset points",
        ha="right" if above else "left",
        va="center",
        fontsize=8 if above else 9,
        annotation_clip=False,
    )


def _points(axes: "Axes", right: float, up: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    return ScaledTranslation(right / 72, up / 72, axes.figure.dpi_scale_trans)


def shown_size(axes: "Axes") -> tuple[float, float]:
    """Width and height in inches of the picture in `axes`: its true aspect may leave part of their box empty."""
    box = axes.get_position(original=True).transformed(axes.figure.transSubfigure)
    wide, high = float(box.width / axes.figure.dpi), float(box.height / axes.figure.dpi)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ratio = abs((right - left) / (top - bottom))
    return min(wide, high * ratio), min(high, wide / ratio)


def reduction(shape: tuple[int, ...], dots: int = _DOTS) -> tuple[int, int]:
    """How many rows and columns become one so that no side has more than `dots`."""
    return -(-shape[0] // dots), -(-shape[1] // dots)


def _averaged(values: NDArray[Any], steps: tuple[int, int]) -> NDArray[np.floating[Any]]:
    if max(steps) > 1 and values.dtype.kind == "f" and (missing := np.isnan(values)).any():
        # The mean of what there is, and nothing where there is nothing.
        sums, parts = _averaged(np.where(missing, 0, values), steps), _averaged(~missing, steps)
        values = np.divide(sums, parts, out=np.full_like(sums, np.nan), where=parts > 0)
        return values
    for axis, step in enumerate(steps):
        if step > 1:
            edges = np.arange(0, values.shape[axis], step)
            sizes = np.diff(np.append(edges, values.shape[axis]))
            sums = np.add.reduceat(values, edges, axis=axis, dtype=np.float64)
            values = sums / (sizes[:, None] if axis == 0 else sizes)
    return values.astype(np.float64)


def thinned(values: NDArray[Any], steps: tuple[int, int]) -> NDArray[Any]:
    """Of so many rows and columns the middle ones: for labels, which have no mean."""
    rows, columns = (middles(size, step) for size, step in zip(values.shape, steps, strict=True))
    thinned: NDArray[Any] = values[rows[:, None], columns]
    return thinned


def middles(size: int, step: int) -> NDArray[np.intp]:
    """The middle one of every `step` rows or columns."""
    return np.minimum(np.arange(0, size, step) + step // 2, size - 1)


def _contrast(values: NDArray[Any]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(q) for q in np.quantile(values, (0.005, 0.995)))
    if high > low:
        return low, high
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _spacing(along: NDArray[Any], across: NDArray[Any]) -> float:
    """Step of evenly spaced coordinates; that of the other axis, or 1, where there is only one."""
    for values in (along, across):
        if len(values) > 1:
            return float(values[-1] - values[0]) / (len(values) - 1)
    return 1.0
