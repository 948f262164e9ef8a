"""Particles on a page: the image with their outlines, classes of shape, sizes; spectra by composition; the table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, number, quantity, symbol
from emcore.methods.xray.peaks import xray_energies
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_borders_over, draw_groups, draw_values, size_of
from emcore.reporting.pages.spectra import draw_spectrum, label_of, shown_axis, xray_peaks
from emcore.reporting.plotting import component_color, draw_sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURE, _STRIP = 3.1, 2.6
_KEY_LINES, _TABLE_ROWS = 13, 25
_SPECTRA = 6
_HEADS = {"particle": 0.14, "diameter": 0.36, "perimeter": 0.58, "aspect": 0.72, "shape": 0.86, "cut": 1.0}


def overview(result: Any) -> "Figure":
    """One page with everything but the table."""
    spectra = 0 if result.spectra is None else _STRIP * _groups(result)
    figure = new_page(8.2 + spectra)
    _draw_maps(figure, result, 0.45)
    _draw_shapes(figure, result, 4.3)
    if result.spectra is not None:
        _draw_spectra(figure, result, 7.7)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Maps and shapes; spectra; the table."""
    figure = new_page()
    _draw_maps(figure, result, 0.95)
    _draw_shapes(figure, result, 4.75)
    yield figure
    if result.spectra is not None:
        figure = new_page(max(8.27, 1.4 + _STRIP * _groups(result)))
        _draw_spectra(figure, result, 1.0)
        yield figure
    for start in range(0, result.n_particles, 2 * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + 2 * _TABLE_ROWS, result.n_particles))
        lines = {i: _cells(result, i) for i in chosen}
        axes = place(figure, LEFT, 0.9, 10.6, 6.7)
        draw_table(axes, _HEADS, lines, _TABLE_ROWS, blocks=2)
        yield figure


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the particles, by a word for it."""
    units = result.length_units
    low, middle, high = (quantity(float(q), units) for q in np.quantile(result.diameter, (0.1, 0.5, 0.9)))
    share = float(np.mean(result.labels >= 0))
    cut = int(result.cut.sum())
    table = {
        "diameter": f"equivalent, {middle} (median; 10 % below {low}, 10 % above {high})",
        "area": f"{share:.1%} of the image; {count_of(cut, 'particle')} cut by the border",
    }
    shares = ", ".join(f"{100 * float(each):.0f} %" for each in result.shape_share)
    table["shapes"] = f"{count_of(len(result.shape_share), 'class')} ({shares}): {result.shape_reason}".replace(
        "classs", "classes"
    )
    if result.spectra is not None:
        counts = result.spectra.sum(axis=1)
        said = f"{number(float(np.median(counts)))} counts in the median particle"
        table["spectra"] = f"{said}; {count_of(_groups(result), 'composition')}: {result.group_reason}"
    return table


def _groups(result: Any) -> int:
    return max(int(result.group.max()) + 1, 1)


def _draw_maps(figure: "Figure", result: Any, top: float) -> None:
    """The image with outlines, classes of shape, and of composition or sizes."""
    scan, step = result.image.axes, (WIDTH - 2 * LEFT + 0.2) / 3
    axes = place(figure, LEFT, top, _PICTURE, _PICTURE)
    draw_values(axes, np.asarray(result.image.data), scan)
    draw_borders_over(axes, result.labels, scan, (0.0, 0.9, 1.0))
    axes.set_title(count_of(result.n_particles, "particle"), loc="left")
    axes = place(figure, LEFT + step, top, _PICTURE - 0.35, _PICTURE)
    draw_groups(axes, _mapped(result, result.shape_class), scan, len(result.shape_share), "shape")
    axes.set_title("Classes of shape", loc="left")
    if result.group is not None:
        axes = place(figure, LEFT + 2 * step, top, _PICTURE - 0.35, _PICTURE)
        draw_groups(axes, _mapped(result, result.group), scan, _groups(result), "group")
        axes.set_title("Compositions", loc="left")
    else:
        axes = place(figure, LEFT + 2 * step + 0.45, top, _PICTURE - 0.6, _PICTURE - 0.7)
        _draw_sizes(axes, result)


def _mapped(result: Any, of_particle: Any) -> Any:
    """What each particle has, at its pixels; -1 elsewhere."""
    return np.append(of_particle, -1)[result.labels]


def _draw_sizes(axes: "Axes", result: Any) -> None:
    draw_sizes(axes, result.diameter, symbol(result.length_units))
    axes.set_ylabel("particles")
    axes.set_title("Sizes, median dashed", loc="left")


def _draw_shapes(figure: "Figure", result: Any, top: float) -> None:
    """The outline that the mean fingerprint of each class makes, and the numbers that matter."""
    many = min(len(result.shape_share), 4)
    for index in range(many):
        axes = place(figure, LEFT + 1.35 * index, top, 1.25, 1.25)
        mean = result.fingerprints[result.shape_class == index].mean(axis=0) if len(result.shape_share) else None
        if mean is None or np.isnan(mean).any():
            continue
        angle = 2 * np.pi / len(mean) * np.arange(len(mean) + 1)
        closed = np.append(mean, mean[0])
        axes.fill(closed * np.cos(angle), closed * np.sin(angle), color=component_color(index), alpha=0.6)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_xlim(-2.2, 2.2)
        axes.set_ylim(-2.2, 2.2)
        axes.set_title(f"Shape {index + 1}, {100 * float(result.shape_share[index]):.0f} %", loc="left", fontsize=8)
    axes = place(figure, LEFT + 0.35, top + 1.6, 3.6, 1.15)
    for index in range(len(result.shape_share)):
        prints = result.fingerprints[result.shape_class == index]
        if len(prints):
            axes.plot(prints.mean(axis=0), color=component_color(index), linewidth=1.2)
    axes.set_xlabel("direction from the longest (°)")
    axes.set_xticks([0, 90, 180, 270, 360], ["-180", "-90", "0", "90", "180"])
    axes.set_ylabel("length / radius")
    axes.spines[["top", "right"]].set_visible(False)
    texts = [f"image: {size_of(result.image.axes).replace('positions', 'pixels')}"]
    texts += [f"{name}: {text}" for name, text in key_numbers(result).items()]
    texts += [f"Note: {note}" for note in result.provenance.notes]
    write(figure, 6.1, top - 0.05, "\n".join(wrapped(texts, 84, _KEY_LINES)), linespacing=1.6)


def _draw_spectra(figure: "Figure", result: Any, top: float) -> None:
    """The sum of the spectra of the particles of each composition, the rest behind in grey."""
    axis = result.mean.axes[0]
    energy = xray_energies(axis)
    for index in range(_groups(result)):
        mine = result.group == index
        axes = place(figure, LEFT + 0.45, top + _STRIP * index + 0.2, 10.0, _STRIP - 0.9)
        spectrum = result.spectra[mine].sum(axis=0)
        behind = result.rest * (spectrum.sum() / max(float(result.rest.sum()), 1e-300))
        title = f"Composition {index + 1}: {count_of(int(mine.sum()), 'particle')}; grey: beside particles, as bright"
        if float(min(spectrum.min(), behind.min())) >= 0:
            peaks = [] if energy is None else xray_peaks(spectrum, energy)
            draw_spectrum(axes, spectrum, axis, component_color(index), behind=behind, peaks=peaks)
        else:
            shown = shown_axis(axis)
            axes.plot(shown.values, behind, color="0.75", linewidth=0.8)
            axes.plot(shown.values, spectrum, color=component_color(index), linewidth=1.0)
            axes.set_xlabel(label_of(shown))
        axes.set_title(title, loc="left")


def _cells(result: Any, index: int) -> tuple[str, ...]:
    units = symbol(result.length_units)
    shape = int(result.shape_class[index])
    return (
        str(index + 1),
        f"{number(float(result.diameter[index]))} {units}",
        f"{number(float(result.perimeter[index]))} {units}",
        f"{float(result.aspect[index]):.2f}",
        "–" if shape < 0 else str(shape + 1),
        "cut" if result.cut[index] else "",
    )
