"""What does a result look like? Every picture that emcore draws, on the screen and in a report, is drawn here.

Figures are made without pyplot: nothing global changes and no window opens. Pictures have their origin at the top left,
a true aspect ratio and calibrated coordinates; a component has one colour everywhere.
"""

import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.signals import LENGTHS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Okabe & Ito's palette for every kind of colour vision, without black; then the same darker, then lighter.
_PALETTE = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "text.usetex": False,
    "pdf.fonttype": 42,
}
# Longest side of a picture on paper, in dots: 200 per inch at half the width of a page.
_DOTS = 1000


def plot(result: object) -> "Figure":
    """One page that shows a whole result.

    Parameters
    ----------
    result : ImageAnalysis
        What a workflow returned.

    Returns
    -------
    matplotlib.figure.Figure
        Not tied to pyplot; ``figure.savefig("overview.png")`` writes it.

    Raises
    ------
    ImportError
        Without matplotlib (``pip install emcore[plot]``).
    TypeError
        If `result` is of a kind that has no picture.
    """
    from emcore.pages import overview

    with style():
        return overview(result)


def style() -> AbstractContextManager[None]:
    """The look of every figure, independent of the user's matplotlib settings while it lasts."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install emcore[plot]") from error
    return matplotlib.rc_context(_STYLE)


def component_color(index: int) -> tuple[float, float, float]:
    """Colour of component `index` (from 0) as red, green and blue in 0..1; 21 differ, then they repeat.

    Examples
    --------
    >>> from emcore.plotting import component_color
    >>> tuple(round(255 * channel) for channel in component_color(1))
    (0, 114, 178)
    """
    code = _PALETTE[index % len(_PALETTE)]
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    scale, shift = ((1.0, 0.0), (0.55, 0.0), (0.5, 0.5))[index // len(_PALETTE) % 3]
    return red * scale + shift, green * scale + shift, blue * scale + shift


def quantity(value: float, units: str, digits: int = 3) -> str:
    """A number with its unit as one reads it: a length far from 1 changes its prefix, a missing value is a dash.

    Examples
    --------
    >>> from emcore.plotting import quantity
    >>> quantity(2.5e-7, "m"), quantity(0.39051, "nm"), quantity(9.0, "px"), quantity(float("nan"), "nm")
    ('250 nm', '0.391 nm', '9 px', '–')
    """
    if not math.isfinite(value):
        return "–"
    rounded = float(f"{value:.{digits}g}")
    if units in LENGTHS and rounded and not 0.1 <= abs(rounded) < 1000:
        metres = abs(rounded) * LENGTHS[units] * (1 + 1e-9)
        units = next((name for name in ("m", "mm", "um", "nm") if LENGTHS[name] <= metres), "pm")
        rounded = math.copysign(float(f"{metres / LENGTHS[units]:.{digits}g}"), value)
    number = f"{rounded:.0f}" if 1000 <= abs(rounded) < 1e6 else f"{rounded:g}"
    return f"{number} {symbol(units)}"


def angle(degrees: float) -> str:
    """An angle to a tenth of a degree; a dash where there is none."""
    return f"{degrees:.1f}°" if math.isfinite(degrees) else "–"


def symbol(units: str) -> str:
    """A unit as it is printed: "um" is µm, "1/A" is 1/Å."""
    return {"um": "µm", "A": "Å", "1/um": "1/µm", "1/A": "1/Å"}.get(units, units)


def scale_bar_length(width: float) -> float:
    """Length of a picture's scale bar: the largest of 1, 2, 5 times a power of ten up to a quarter of its width.

    Examples
    --------
    >>> from emcore.plotting import scale_bar_length
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
    """Draw values on a regular grid: an image, a map, a spectrum, or colours (H, W, 4) over one of them.

    Parameters
    ----------
    axes : matplotlib Axes
    values : ndarray, shape (H, W), or (H, W, 4) for colours with opacity
        Larger than about 1000 a side, it is averaged (values) or thinned (colours) to that.
    y, x : ndarray, shape (H,) and (W,)
        Coordinates of pixel centres, evenly spaced, in `units`.
    units : str, default "px"
    cmap : str, default "gray"
    limits : (float, float), default the 0.5 % and 99.5 % quantiles
        Values shown as the first and the last colour.
    ticks : bool, default True
        Draw calibrated axes.
    scale_bar : bool, default False
        Draw a scale bar of round length below the picture.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    shown = _thinned(values) if values.ndim == 3 else _averaged(values)
    low, high = limits if limits is not None else _contrast(shown)
    dy, dx = _spacing(y, x), _spacing(x, y)
    extent = (float(x[0] - dx / 2), float(x[-1] + dx / 2), float(y[-1] + dy / 2), float(y[0] - dy / 2))
    image = axes.imshow(
        shown, cmap=cmap, vmin=low, vmax=high, extent=extent, origin="upper", interpolation="none", aspect="equal"
    )
    if ticks:
        axes.set_xlabel(f"x ({symbol(units)})")
        axes.set_ylabel(f"y ({symbol(units)})")
        axes.locator_params(nbins=4)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    if scale_bar:
        _draw_scale_bar(axes, abs(extent[1] - extent[0]), units)
    return image


def _draw_scale_bar(axes: "Axes", width: float, units: str) -> None:
    from matplotlib.transforms import blended_transform_factory

    # In data units along x, so that it is right at any zoom; in points below the picture, so that it hides nothing.
    length = scale_bar_length(width)
    left = min(axes.get_xlim())
    below = axes.transAxes + _points(axes, 0, -11)
    axes.plot(
        [left, left + length],
        [0, 0],
        transform=blended_transform_factory(axes.transData, below),
        color="black",
        linewidth=3.5,
        solid_capstyle="butt",
        clip_on=False,
        gid="scale-bar",
    )
    axes.annotate(
        quantity(length, units),
        (left + length, 0),
        xycoords=blended_transform_factory(axes.transData, axes.transAxes),
        xytext=(5, -11),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def _points(axes: "Axes", right: float, up: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    return ScaledTranslation(right / 72, up / 72, axes.figure.dpi_scale_trans)


def draw_regions(axes: "Axes", regions: NDArray[np.integer[Any]], y: NDArray[Any], x: NDArray[Any]) -> None:
    """Lay a tint, a border and a number for every region over the picture in `axes`; negative labels stay clear."""
    labels = _thinned(regions)
    count = int(labels.max()) + 1
    colors = np.array([[*component_color(i), 0.35] for i in range(count)] + [[0.0, 0.0, 0.0, 0.0]])
    tint = colors[np.where(labels < 0, count, labels)]
    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:-1] |= border[1:]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[:, :-1] |= border[:, 1:]
    tint[border & (labels >= 0), 3] = 1.0
    draw_map(axes, (tint * 255).astype(np.uint8), y, x, ticks=False)
    coarse = _thinned(regions, 96)
    for index in range(count):
        row, column = _deepest(coarse == index)
        if row >= 0:
            axes.annotate(
                str(index + 1),
                ((column + 0.5) / coarse.shape[1], 1 - (row + 0.5) / coarse.shape[0]),
                xycoords="axes fraction",
                ha="center",
                va="center",
                fontsize=10,
                fontweight="bold",
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


def draw_scree(axes: "Axes", evr: NDArray[Any], n_components: int) -> None:
    """Explained variance against component number on a logarithmic scale; the chosen components are filled."""
    shown = np.asarray(evr[:30], dtype=float)
    number = np.arange(1, len(shown) + 1)
    kept = number <= n_components
    shown = np.maximum(shown, shown[shown > 0].min(initial=1.0))
    axes.semilogy(number, shown, color="0.6", linewidth=0.8, zorder=1)
    axes.scatter(number[kept], shown[kept], s=22, color="#0072B2", zorder=2)
    axes.scatter(number[~kept], shown[~kept], s=18, facecolor="white", edgecolor="0.4", zorder=2)
    if n_components < len(shown):
        axes.axvline(n_components + 0.5, color="#D55E00", linewidth=1, linestyle="--")
    axes.set_xlabel("component")
    axes.set_ylabel("explained variance ratio")
    axes.set_xlim(0.4, max(len(shown), 2) + 0.6)
    axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)


def _averaged(values: NDArray[Any], dots: int = _DOTS) -> NDArray[np.float32]:
    for axis in (0, 1):
        if values.shape[axis] > dots:
            edges = np.linspace(0, values.shape[axis], dots, endpoint=False).astype(np.intp)
            sizes = np.diff(np.append(edges, values.shape[axis]))
            sums = np.add.reduceat(values, edges, axis=axis, dtype=np.float64)
            values = sums / (sizes[:, None] if axis == 0 else sizes)
    return values.astype(np.float32)


def _thinned(values: NDArray[Any], dots: int = _DOTS) -> NDArray[Any]:
    rows, columns = (
        ((np.arange(min(size, dots)) + 0.5) * size / min(size, dots)).astype(np.intp) for size in values.shape[:2]
    )
    thinned: NDArray[Any] = values[rows[:, None], columns]
    return thinned


def _contrast(values: NDArray[Any]) -> tuple[float, float]:
    if values.ndim == 3:
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
