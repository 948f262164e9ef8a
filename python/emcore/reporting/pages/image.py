"""Regions of an image: the picture with its regions, the scree, spectrum and map of every component."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import column, count_of, direction, number, quantity, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, frame, new_page, place, write
from emcore.reporting.plotting import draw_map, draw_regions, draw_scree, shown_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STRIP = 2.38
_KEY_LINES = 10
_TABLE_ROWS = 25
_CAPTION = (
    "Each component has a spectrum, zero frequency in the middle, and a map of its strength in the window around each "
    "point. Circles mark the strongest peak in the mean spectrum of the component's region: spacing and direction, "
    "across the fringes and counter-clockwise from the right, are those of this peak."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    lines = -(-result.n_components // 2)
    figure = new_page(6.9 + _STRIP * lines)
    _draw_images(figure, result, 0.45, 3.6)
    _draw_regions_table(place(figure, LEFT, 4.45, 6.0, 1.9), result, _listed(result), rows=7, blocks=2)
    _draw_scree(place(figure, 7.2, 4.6, 4.0, 1.55), result)
    _draw_components(figure, result, range(result.n_components), 6.9)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Image and regions, then components."""
    figure = new_page()
    _draw_images(figure, result, 1.0, 4.4)
    write(figure, LEFT, 6.0, _key_numbers(result), linespacing=1.6)
    _draw_regions_table(place(figure, 4.7, 5.95, 6.5, 1.9), result, _listed(result), rows=7, blocks=2)
    yield figure
    if len(_listed(result)) < result.n_components:
        for start in range(0, result.n_components, 3 * _TABLE_ROWS):
            figure = new_page()
            chosen = range(start, min(start + 3 * _TABLE_ROWS, result.n_components))
            _draw_regions_table(place(figure, LEFT, 0.9, 10.6, 6.7), result, chosen, _TABLE_ROWS, blocks=3)
            yield figure

    figure = new_page()
    _draw_scree(place(figure, 1.1, 1.05, 4.6, 1.6), result)
    text = "\n".join([*textwrap.wrap(_chosen(result), 76), "", *textwrap.wrap(_CAPTION, 76)])
    write(figure, 6.1, 1.05, text, linespacing=1.6)
    per_page, first = 6, min(4, result.n_components)
    _draw_components(figure, result, range(first), 3.3)
    yield figure
    for start in range(first, result.n_components, per_page):
        figure = new_page()
        _draw_components(figure, result, range(start, min(start + per_page, result.n_components)), 0.95)
        yield figure


def _listed(result: Any) -> Sequence[int]:
    """The components that the first page has room for; a report has a page for all where there are more."""
    return range(min(result.n_components, 21))


def _chosen(result: Any) -> str:
    by_rule = "" if result.rule == "given" else f" by rule {result.rule}"
    return f"{count_of(result.n_components, 'component')}{by_rule}: {result.reason}."


def _key_numbers(result: Any) -> str:
    y, x = result.image.axes
    size = f"{x.size} × {y.size} px"
    if x.units != "px":
        size += f", {quantity(x.size * abs(x.scale), x.units)} × {quantity(y.size * abs(y.scale), y.units)}"
        size += f" ({quantity(abs(x.scale), x.units, 4)} per pixel)"
    parameters = result.provenance.parameters
    windows = f"{len(result.x)} × {len(result.y)} windows of {parameters['window']} px, step {parameters['step']} px"
    notes = [line for note in result.provenance.notes for line in textwrap.wrap(f"Note: {note}", 62)]
    lines = [size, windows, *textwrap.wrap(_chosen(result), 62), *notes]
    if len(lines) > _KEY_LINES:
        lines[_KEY_LINES - 1 :] = ["… (all notes stand on the last page)"]
    return "\n".join(lines)


def _draw_images(figure: "Figure", result: Any, top: float, height: float) -> None:
    """Image and regions side by side, or one above the other where that shows them larger."""
    y, x = result.image.axes
    ratio = (x.size * abs(x.scale)) / (y.size * abs(y.scale))
    full, gap = WIDTH - 2 * LEFT, 0.55
    if min((full - gap) / 2, height * ratio) >= min(full, (height - gap) / 2 * ratio):
        wide = (full - gap) / 2
        boxes = [(LEFT, top, wide, height), (LEFT + wide + gap, top, wide, height)]
    else:
        high = (height - gap) / 2
        boxes = [(LEFT, top, full, high), (LEFT, top + high + gap, full, high)]
    for box, title in zip(boxes, ("Image", "Regions"), strict=True):
        axes = place(figure, *box)
        draw_map(axes, np.asarray(result.image.data), y.values, x.values, units=x.units, ticks=False, scale_bar=True)
        axes.set_title(title, loc="left")
        if title == "Regions":
            draw_regions(axes, result.regions, y.values, x.values)


def _draw_scree(axes: "Axes", result: Any) -> None:
    draw_scree(axes, result.evr, result.n_components)
    how = "as asked for" if result.rule == "given" else f"rule {result.rule}"
    axes.set_title(f"Scree: {count_of(result.n_components, 'component')}, {how}", loc="left")


def _draw_components(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """Spectrum and map of each component side by side, two components to a line."""
    part = _shown_part(result.spectra)
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, 2)
        left, above = LEFT + 0.5 + 5.45 * column, top + _STRIP * line
        _draw_spectrum(place(figure, left, above, 1.75, 1.75), result, index, part)
        _draw_component_map(figure, left + 2.45, above, result, index)


def _levels(spectrum: NDArray[Any]) -> tuple[float, float]:
    """What is drawn black and what white: the background, and peaks a few pixels wide."""
    low, high = (float(level) for level in np.quantile(spectrum, (0.5, 0.9995)))
    return low, max(high, low + abs(low) * 1e-6 + 1e-30)


def _shown_part(spectra: NDArray[Any]) -> float:
    """The part of the axes worth drawing: a quarter, a half or all, with everything bright of every spectrum."""
    size = spectra.shape[-1]
    away = np.abs(np.arange(size) - size // 2) / (size / 2)
    radius = np.maximum(away[:, None], away)
    bright = [radius[spectrum > low + 0.4 * (high - low)] for spectrum in spectra for low, high in [_levels(spectrum)]]
    farthest = max((float(each.max()) for each in bright if each.size), default=1.0)
    return next(part for part in (0.25, 0.5, 1.0) if part == 1.0 or farthest < 0.9 * part)


def _draw_spectrum(axes: "Axes", result: Any, index: int, part: float) -> None:
    draw_map(
        axes,
        result.spectra[index],
        result.frequency_y,
        result.frequency_x,
        units=f"1/{result.image.axes[1].units}",
        cmap="magma",
        limits=_levels(result.spectra[index]),
    )
    units = symbol(f"1/{result.image.axes[1].units}")
    axes.set_xlabel(f"kx ({units})")
    axes.set_ylabel(f"ky ({units})")
    period, angle = float(result.spacing[index]), math.radians(float(result.direction[index]))
    if math.isfinite(period) and period > 0 and math.isfinite(angle):
        # Directions count with y upwards, the picture's y points down.
        kx, ky = math.cos(angle) / period, -math.sin(angle) / period
        axes.plot([kx, -kx], [ky, -ky], "o", color="#00E5FF", markersize=9, fillstyle="none", markeredgewidth=1.1)
    axes.set_xlim(*(part * edge for edge in axes.get_xlim()))
    axes.set_ylim(*(part * edge for edge in axes.get_ylim()))
    frame(axes, index, f"Spectrum {index + 1}" + ("" if part == 1 else " (centre)"))


def _draw_component_map(figure: "Figure", left: float, top: float, result: Any, index: int) -> None:
    axes = place(figure, left, top, 2.05, 1.75)
    values = result.maps[index]
    limits = (0.0, float(np.max(values)) or 1.0)
    units = result.image.axes[1].units
    image = draw_map(axes, values, result.y, result.x, units=units, cmap="viridis", limits=limits)
    wide, high = shown_size(axes)
    bar = place(figure, left + wide + 0.08, top, 0.1, max(high, 0.6))
    figure.colorbar(image, cax=bar, ticks=limits)
    bar.set_yticklabels([number(level) for level in limits])
    bar.tick_params(length=2, labelsize=6)
    frame(axes, index, f"Map {index + 1}")


def _draw_regions_table(axes: "Axes", result: Any, chosen: Sequence[int], rows: int, blocks: int) -> None:
    """Colour, area, spacing and direction of the chosen regions."""
    spacings = column(result.spacing, result.image.axes[1].units)
    lines = {
        index: (
            str(index + 1),
            f"{100 * float(result.area[index]):.1f} %",
            spacings[index],
            direction(float(result.direction[index])),
        )
        for index in chosen
    }
    heads = {"region": 0.22, "area": 0.45, "spacing": 0.73, "direction": 1.0}
    draw_table(axes, heads, lines, rows, blocks)
