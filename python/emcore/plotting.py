"""What does a result look like? Every picture that emcore draws, on the screen and in a report, is drawn here.

Figures are made without pyplot: nothing global changes and no window opens. Pictures have their origin at the top left,
a true aspect ratio and calibrated coordinates; a component has one colour everywhere.
"""

import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.wording import quantity, symbol

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
    "axes.titley": 1.0,
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
# Most dots along a side of a picture on paper, about 200 per inch.
_DOTS = 1200


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

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import lattice_micrograph
    >>> result = emcore.analyze_image(lattice_micrograph(shape=(256, 320)).image, window=64, n_components=2)
    >>> [axes.get_title("left") for axes in result.plot().axes][:2]
    ['Image', 'Regions']
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
    """Draw values on a regular grid: an image, a map or a spectrum.

    Parameters
    ----------
    axes : matplotlib Axes
    values : ndarray, shape (H, W)
        Larger than 1200 a side, it is averaged over whole pixels.
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
    from matplotlib.ticker import MaxNLocator

    steps = _steps(values.shape)
    shown = _averaged(values, steps)
    low, high = limits if limits is not None else _contrast(shown)
    image = _show(axes, shown, steps, y, x, cmap=cmap, vmin=low, vmax=high)
    if ticks:
        axes.set_xlabel(f"x ({symbol(units)})")
        axes.set_ylabel(f"y ({symbol(units)})")
        wide, high = shown_size(axes)
        for axis, values, room in ((axes.xaxis, x, 2.5 * wide), (axes.yaxis, y, 4 * high)):
            if room < 1:
                axis.set_ticks([values.mean()], [f"{values.mean():.3g}"])
            else:
                axis.set_major_locator(MaxNLocator(nbins=min(4, round(room))))
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    if scale_bar:
        _draw_scale_bar(axes, units)
    return image


def _show(
    axes: "Axes", shown: NDArray[Any], steps: tuple[int, int], y: NDArray[Any], x: NDArray[Any], **colors: Any
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


def _draw_scale_bar(axes: "Axes", units: str) -> None:
    from matplotlib.transforms import blended_transform_factory

    # In data units along x, so that it is right at any zoom; in points below the picture, so that it hides nothing.
    left, right = axes.get_xlim()
    length = scale_bar_length(abs(right - left))
    end = left + math.copysign(length, right - left)
    below = axes.transAxes + _points(axes, 0, -11)
    axes.plot(
        [left, end],
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
        (end, 0),
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


def shown_size(axes: "Axes") -> tuple[float, float]:
    """Width and height in inches of the picture in `axes`: its true aspect may leave part of their box empty."""
    box = axes.get_position(original=True).transformed(axes.figure.transSubfigure)
    wide, high = float(box.width / axes.figure.dpi), float(box.height / axes.figure.dpi)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ratio = abs((right - left) / (top - bottom))
    return min(wide, high * ratio), min(high, wide / ratio)


def draw_regions(axes: "Axes", regions: NDArray[np.integer[Any]], y: NDArray[Any], x: NDArray[Any]) -> None:
    """Lay a tint, a border and a number for every region over the picture in `axes`; negative labels stay clear."""
    steps = _steps(regions.shape)
    labels = _thinned(regions, steps)
    count = int(labels.max()) + 1
    colors = np.array([[*component_color(i), 0.4] for i in range(count)] + [[0.0, 0.0, 0.0, 0.0]])
    tint = colors[np.where(labels < 0, count, labels)]
    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:-1] |= border[1:]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[:, :-1] |= border[:, 1:]
    tint[border & (labels >= 0), 3] = 1.0
    _show(axes, (tint * 255).astype(np.uint8), steps, y, x)
    steps = _steps(regions.shape, 96)
    coarse = _thinned(regions, steps)
    for index in range(count):
        row, column = _deepest(coarse == index)
        if row >= 0:
            axes.annotate(
                str(index + 1),
                (x[_middles(len(x), steps[1])[column]], y[_middles(len(y), steps[0])[row]]),
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


def _steps(shape: tuple[int, ...], dots: int = _DOTS) -> tuple[int, int]:
    return -(-shape[0] // dots), -(-shape[1] // dots)


def _averaged(values: NDArray[Any], steps: tuple[int, int]) -> NDArray[np.floating[Any]]:
    for axis, step in enumerate(steps):
        if step > 1:
            edges = np.arange(0, values.shape[axis], step)
            sizes = np.diff(np.append(edges, values.shape[axis]))
            sums = np.add.reduceat(values, edges, axis=axis, dtype=np.float64)
            values = sums / (sizes[:, None] if axis == 0 else sizes)
    return values.astype(np.float64)


def _thinned(values: NDArray[Any], steps: tuple[int, int]) -> NDArray[Any]:
    rows, columns = (_middles(size, step) for size, step in zip(values.shape, steps, strict=True))
    thinned: NDArray[Any] = values[rows[:, None], columns]
    return thinned


def _middles(size: int, step: int) -> NDArray[np.intp]:
    return np.minimum(np.arange(0, size, step) + step // 2, size - 1)


def _contrast(values: NDArray[Any]) -> tuple[float, float]:
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
