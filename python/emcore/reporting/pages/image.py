"""Regions of an image: the picture with its regions, the scree, spectrum and map of every component."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import column, count_of, direction, number, quantity, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, frame, new_page, place, write
from emcore.reporting.plotting import NOT_MEASURED, draw_map, draw_regions, draw_scale_bar, draw_scree, shown_size
from emcore.reporting.plotting.maps import hatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STRIP = 2.38
_KEY_LINES = 10
# Lines of a table, and how high each is, on the first page; lines on a page of its own.
_ROWS, _ROW, _TABLE_ROWS = 7, 0.2375, 25
_CAPTION = (
    "Each component has a spectrum, zero frequency in the middle, and a map of its strength in the window around each "
    "point. Circles mark the strongest peak in the mean spectrum of the component's region: spacing and direction, "
    "across the fringes and counter-clockwise from the right, are those of this peak. Diamonds mark the strongest one "
    "that is independent of it, by which a lattice differs from fringes."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    lines = -(-result.n_components // 2)
    blocks = 1 if _has_second(result) else 2
    rows = max(7, -(-result.n_components // blocks))
    below = 5.0 + _ROW * (rows + 1)
    figure = new_page(below + _STRIP * lines)
    draw_images(figure, result, result.regions, 0.45, 3.6)
    table = place(figure, LEFT, 4.45, 6.3, _ROW * (rows + 1))
    _draw_regions_table(table, result, range(result.n_components), rows, blocks)
    _draw_scree(place(figure, 7.6, 4.6, 3.6, 1.55), result)
    _draw_components(figure, result, range(result.n_components), below)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Image and regions, then components."""
    figure = new_page()
    draw_images(figure, result, result.regions, 1.0, 4.4)
    write(figure, LEFT, 6.0, _key_numbers(result), linespacing=1.6)
    second = _has_second(result)
    # So many have room; a report has a page for all where there are more.
    whole, listed = (_ROWS, 2 * _ROWS) if second else (3 * _ROWS, 3 * _ROWS)
    chosen = range(min(result.n_components, listed))
    blocks = 1 if second and result.n_components <= whole else 2
    _draw_regions_table(place(figure, 4.7, 5.95, 6.5, 1.9), result, chosen, _ROWS, blocks)
    yield figure
    blocks = 2 if second else 3
    for start in range(0, result.n_components if result.n_components > whole else 0, blocks * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + blocks * _TABLE_ROWS, result.n_components))
        _draw_regions_table(place(figure, LEFT, 0.9, 10.6, 6.7), result, chosen, _TABLE_ROWS, blocks, full=True)
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


def peak_cells(result: Any) -> list[tuple[str, str, str, str, str]]:
    """Of every region spacing and direction of its first peak, of its second, the angle between; dashes where none."""
    count = len(result.spacing)
    second, turned, angle = (
        np.full(count, np.nan) if values is None else values
        for values in (result.second_spacing, result.second_direction, result.angle)
    )
    spacings = column([*map(float, result.spacing), *map(float, second)], result.image.axes[1].units)
    directions, turned, angles = ([direction(float(v)) for v in each] for each in (result.direction, turned, angle))
    return list(zip(spacings[:count], directions, spacings[count:], turned, angles, strict=True))


def _has_second(result: Any) -> bool:
    return result.second_spacing is not None and bool(np.isfinite(result.second_spacing).any())


def _chosen(result: Any) -> str:
    by_rule = "" if result.rule == "given" else f" by rule {result.rule}"
    return f"{count_of(result.n_components, 'component')}{by_rule}: {result.reason}."


def pixel_size(result: Any) -> str:
    """The side of a pixel, or its width and height where it is not square."""
    y, x = result.image.axes
    wide, high = (quantity(abs(axis.scale), axis.units, 4) for axis in (x, y))
    return wide if math.isclose(abs(x.scale), abs(y.scale), rel_tol=1e-3) else f"{wide} × {high}"


def _key_numbers(result: Any) -> str:
    y, x = result.image.axes
    size = f"{x.size} × {y.size} px"
    if x.units != "px":
        size += f", {quantity(x.size * abs(x.scale), x.units)} × {quantity(y.size * abs(y.scale), y.units)}"
        size += f" ({pixel_size(result)} per pixel)"
    parameters = result.provenance.parameters
    many = len(result.x) * len(result.y)
    windows = "1 window" if many == 1 else f"{len(result.x)} × {len(result.y)} windows"
    windows += f" of {parameters['window']} px, step {parameters['step']} px"
    notes = [line for note in result.provenance.notes for line in textwrap.wrap(f"Note: {note}", 62)]
    lines = [size, windows, *textwrap.wrap(_chosen(result), 62), *notes]
    if len(lines) > _KEY_LINES:
        lines[_KEY_LINES - 1 :] = ["… (all notes stand on the last page)"]
    return "\n".join(lines)


def draw_images(figure: "Figure", result: Any, regions: NDArray[Any], top: float, height: float) -> None:
    """Image and regions side by side, or one above the other where that shows them larger."""
    y, x = result.image.axes
    ratio = (x.size * abs(x.scale)) / (y.size * abs(y.scale))
    square = math.isclose(abs(x.scale), abs(y.scale), rel_tol=1e-3)
    full, gap = WIDTH - 2 * LEFT, 0.55
    if min((full - gap) / 2, height * ratio) >= min(full, (height - gap) / 2 * ratio):
        wide = (full - gap) / 2
        boxes = [(LEFT, top, wide, height), (LEFT + wide + gap, top, wide, height)]
    else:
        high = (height - gap) / 2
        boxes = [(LEFT, top, full, high), (LEFT, top + high + gap, full, high)]
    picture = np.asarray(result.image.data)
    if result.measured is not None:
        picture = np.where(result.measured, picture, np.nan)
    for box, title in zip(boxes, ("Image", "Regions"), strict=True):
        axes = place(figure, *box)
        draw_map(axes, picture, y.values, x.values, units=x.units, ticks=False, scale_bar=True)
        axes.set_title(title + (f", pixels of {pixel_size(result)}" if y.calibrated and not square else ""), loc="left")
        if title == "Image" and result.measured is not None:
            hatch(axes, NOT_MEASURED)
        if title == "Regions":
            draw_regions(axes, regions, y.values, x.values)


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
    _mark_peak(axes, result.spacing[index], result.direction[index], "o", 11.0)
    if result.second_spacing is not None:
        _mark_peak(axes, result.second_spacing[index], result.second_direction[index], "D", 8.5)
    axes.set_xlim(*(part * edge for edge in axes.get_xlim()))
    axes.set_ylim(*(part * edge for edge in axes.get_ylim()))
    frame(axes, index, f"Spectrum {index + 1}" + ("" if part == 1 else " (centre)"))


def _mark_peak(axes: "Axes", spacing: float, degrees: float, marker: str, size: float) -> None:
    """Both twins of a peak, none where there is none."""
    from matplotlib.patheffects import withStroke

    period, angle = float(spacing), math.radians(float(degrees))
    if math.isfinite(period) and period > 0 and math.isfinite(angle):
        # Directions count with y upwards, the picture's y points down.
        kx, ky = math.cos(angle) / period, -math.sin(angle) / period
        look: Any = {"color": "#00E5FF", "markersize": size, "fillstyle": "none", "markeredgewidth": 1.2}
        (twins,) = axes.plot([kx, -kx], [ky, -ky], marker, **look)
        # Seen on white too.
        twins.set_path_effects([withStroke(linewidth=2.4, foreground="black")])


def _draw_component_map(figure: "Figure", left: float, top: float, result: Any, index: int) -> None:
    axes = place(figure, left, top, 2.05, 1.75)
    values = result.maps[index]
    limits = (0.0, float(np.max(values)) or 1.0)
    units = result.image.axes[1].units
    image = draw_map(axes, values, result.y, result.x, units=units, cmap="viridis", limits=limits)
    wide, high = shown_size(axes)
    if wide > 1.3:  # beside the title
        draw_scale_bar(axes, units, above=True)
    bar = place(figure, left + wide + 0.08, top, 0.1, max(high, 0.6))
    figure.colorbar(image, cax=bar, ticks=limits)
    bar.set_yticklabels([number(level) for level in limits])
    bar.tick_params(length=2, labelsize=6)
    frame(axes, index, f"Map {index + 1}")


def _draw_regions_table(
    axes: "Axes", result: Any, chosen: Sequence[int], rows: int, blocks: int, full: bool = False
) -> None:
    """Colour, area, spacings and directions of the chosen regions; in two blocks beside a text no second direction."""
    heads, columns = {"region": 0.22, "area": 0.45, "spacing": 0.73, "direction": 1.0}, [0, 1]
    if _has_second(result) and (full or blocks == 1):
        heads = {"region": 0.11, "area": 0.24, "spacing": 0.4, "direction": 0.55}
        heads |= {"2nd spacing": 0.73, "2nd direction": 0.9, "angle": 1.0}
        columns = [0, 1, 2, 3, 4]
    elif _has_second(result):
        heads = {"region": 0.12, "area": 0.28, "spacing": 0.48, "direction": 0.64, "2nd": 0.85, "angle": 1.0}
        columns = [0, 1, 2, 4]
    cells = peak_cells(result)
    lines = {
        i: (str(i + 1), f"{100 * float(result.area[i]):.1f} %", *(cells[i][column] for column in columns))
        for i in chosen
    }
    draw_table(axes, heads, lines, rows, blocks)
