"""Diffraction patterns on a page: the mean of a scan with the mask over the direct beam, the mean of every cluster."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.core.wording import quantity, symbol
from emcore.reporting.pages.layout import LEFT, frame, place
from emcore.reporting.plotting import draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 3
STRIP = 3.3
CAPTION = (
    "Mean patterns of the data as they were measured, neither masked nor normalised; the square root of the intensity "
    "is drawn, alike for all clusters, and the direct beam may be brighter than white."
)


def heads(result: Any) -> dict[str, float]:
    """The columns of a table of clusters."""
    return {"cluster": 0.3, "area": 0.62, "positions": 1.0}


def draw_mean(axes: "Axes", result: Any) -> None:
    """The mean pattern with the mask."""
    draw_pattern(axes, result, np.asarray(result.mean.data), brightest(result, np.asarray(result.mean.data)[None]))
    axes.set_title(result.mean.title + (", mask dashed" if result.beam_radius is not None else ""), loc="left")
    draw_mask(axes, result)


def draw_mask(axes: "Axes", result: Any) -> None:
    """The circle of the mask over the beam, where there is one."""
    if result.beam_radius is not None:
        ky, kx = (values(result, axis) for axis in (0, 1))
        angle = np.linspace(0, 2 * np.pi, 181)
        along = np.interp(result.beam_center[1] + result.beam_radius * np.cos(angle), np.arange(len(kx)), kx)
        across = np.interp(result.beam_center[0] + result.beam_radius * np.sin(angle), np.arange(len(ky)), ky)
        axes.plot(along, across, color="black", linewidth=1.6)
        axes.plot(along, across, color="#00E5FF", linewidth=1.3, linestyle="--", gid="beam-mask")


def draw_signals(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The mean patterns of the chosen clusters, three to a line."""
    level = brightest(result, result.signals)
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, PER_LINE)
        axes = place(figure, LEFT + 0.35 + 3.65 * column, top + STRIP * line, 2.95, 2.65)
        draw_pattern(axes, result, result.signals[index], level)
        frame(axes, index, f"Cluster {index + 1}, {100 * float(result.area[index]):.1f} %")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the patterns, by a word for it."""
    parameters = result.provenance.parameters
    compared = {
        None: "all kept pixels",
        "auto": "principal components, of a binned detector, that vary by more than noise",
    }.get(parameters["reduce"], "principal components of the kept pixels")
    how = {"none": "not normalised", "sqrt": "square roots"}
    normalize = parameters["normalize"]
    compared += f", {how.get(normalize, f'normalised by {normalize}')}"
    return size_and_beam(result) | {"compared": compared}


def size_and_beam(result: Any) -> dict[str, str]:
    """How large the patterns are, and what is masked of them."""
    ky, kx = result.mean.axes
    size = f"{kx.size} × {ky.size} px"
    if kx.calibrated:
        size += f" ({quantity(abs(kx.scale), kx.units, 4)} per pixel)"
    beam = "not masked"
    if result.beam_radius is not None:
        center_y, center_x = result.beam_center
        beam = f"at kx {center_x:.2f}, ky {center_y:.2f} px, masked to a radius of {result.beam_radius:.2f} px"
        if kx.calibrated:
            beam += f" ({quantity(result.beam_radius * abs(kx.scale), kx.units)})"
    return {"patterns": size, "beam": beam}


def cells(result: Any, index: int) -> tuple[str, ...]:
    """What a table says of a cluster besides its area: nothing."""
    return ()


def draw_pattern(axes: "Axes", result: Any, pattern: NDArray[Any], level: float, cmap: str = "magma") -> None:
    """A pattern, the root of its intensity, white from `level` on."""
    units = result.mean.axes[1].units
    shown = np.sqrt(np.clip(pattern - min(float(pattern.min()), 0.0), 0, None))
    ky, kx = (values(result, axis) for axis in (0, 1))
    draw_map(axes, shown, ky, kx, units=units, cmap=cmap, limits=(float(shown.min()), level))
    axes.set_xlabel(f"kx ({symbol(units)})")
    axes.set_ylabel(f"ky ({symbol(units)})")


def brightest(result: Any, patterns: NDArray[Any]) -> float:
    """The root of what is drawn white: nearly the brightest that is not masked."""
    _, height, width = patterns.shape
    unmasked = np.ones((height, width), dtype=bool)
    if result.beam_radius is not None:
        y, x = np.ogrid[:height, :width]
        center_y, center_x = result.beam_center
        unmasked = (y - center_y) ** 2 + (x - center_x) ** 2 > result.beam_radius**2
    shifted = patterns - np.minimum(patterns.min(axis=(1, 2), keepdims=True), 0)
    level = float(np.quantile(shifted[:, unmasked], 0.999))
    return float(np.sqrt(level if level > 0 else max(float(shifted.max()), 1.0)))


def values(result: Any, index: int) -> NDArray[np.float64]:
    """Coordinates along ky or kx: from the direct beam where it was found and the file does not say where zero is."""
    axis: Axis = result.mean.axes[index]
    if axis.calibrated and axis.offset == 0 and result.beam_center is not None:
        centre: float = result.beam_center[index]
        return axis.values - centre * axis.scale
    return axis.values
