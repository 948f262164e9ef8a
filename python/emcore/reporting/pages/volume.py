"""Textures of a volume: three cuts with their labels; the spectrum of each class; profiles, the table, turned pairs."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, number, quantity, symbol
from emcore.reporting.pages.layout import LEFT, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.plotting import component_color, draw_labels, draw_map
from emcore.reporting.plotting.graphs import label_decades

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Side of a cut, of a spectrum, and the room that a line of each takes, in inches.
_CUT, _CUT_LINE = 1.95, 2.3
_SPECTRUM, _SPECTRUM_LINE, _PER_LINE = 1.3, 1.72, 2
_SHOWN, _PER_PAGE = 20, 8
_TABLE_ROWS = 22
_KEY_LINES = 16
_PLANES = ("z", "y", "x")


def overview(result: Any) -> "Figure":
    """One page with everything."""
    shown = min(result.n_classes, _SHOWN)
    lines = -(-shown // _PER_LINE)
    figure = new_page(8.1 + 3.2 + _SPECTRUM_LINE * lines + 4.2)
    _draw_cuts(figure, result, 0.45)
    _draw_profiles(figure, result, 7.9)
    _draw_spectra(figure, result, range(shown), 11.3)
    _draw_tables(figure, result, range(result.n_classes), 11.3 + _SPECTRUM_LINE * lines)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Cuts and labels; profiles and the numbers that matter; spectra; tables."""
    figure = new_page()
    _draw_cuts(figure, result, 0.85)
    yield figure
    figure = new_page()
    _draw_profiles(figure, result, 1.0)
    _draw_crossed(figure, result, 4.7)
    yield figure
    for start in range(0, min(result.n_classes, _SHOWN), _PER_PAGE):
        figure = new_page()
        _draw_spectra(figure, result, range(start, min(start + _PER_PAGE, result.n_classes, _SHOWN)), 1.0)
        yield figure
    for start in range(0, result.n_classes, _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + _TABLE_ROWS, result.n_classes))
        _draw_tables(figure, result, chosen, 0.9, with_pairs=start == 0)
        yield figure


def _draw_cuts(figure: "Figure", result: Any, top: float) -> None:
    """The planes through the middle across z, y and x: grey, textures, oriented classes."""
    cuts = (result.cut_z, result.cut_y, result.cut_x)
    middles = [axis.values[axis.size // 2] for axis in (result.cut_y.axes[0], *result.cut_z.axes)]
    for column, (cut, plane) in enumerate(zip(cuts, _PLANES, strict=True)):
        left = LEFT + 3.5 * column
        rows, columns = cut.axes
        where = f"{plane} = {quantity(float(middles[column]), rows.units)}"
        axes = place(figure, left, top, _CUT, _CUT)
        units = columns.units
        draw_map(axes, np.asarray(cut.data), rows.values, columns.values, units=units, ticks=False, scale_bar=True)
        axes.set_title(f"{where}; {columns.name} right, {rows.name} down", loc="left")
        for line, (labels, count, noun, title) in enumerate(
            (
                (result.texture_cuts[column], result.n_textures, "texture", "Textures"),
                (result.oriented_cuts[column], result.n_classes, "class", "Oriented classes"),
            ),
            start=1,
        ):
            axes = place(figure, left, top + line * _CUT_LINE, _CUT, _CUT)
            values = np.asarray(labels.data)
            draw_labels(axes, values, rows.values, columns.values, count, noun=noun, units=units)
            axes.set_title(title, loc="left")
            if column < 2:
                axes.get_legend().remove()  # type: ignore[union-attr]


def _draw_profiles(figure: "Figure", result: Any, top: float) -> None:
    """Radial profiles of the textures, their power by degree, and the numbers that matter."""
    axes = place(figure, LEFT + 0.35, top, 3.2, 2.5)
    profiles = result.texture_profiles / max(float(result.texture_profiles.max()), 1e-300)
    for index, profile in enumerate(profiles):
        axes.semilogy(result.frequency, np.maximum(profile, 1e-6), color=component_color(index), linewidth=1.2)
    label_decades(axes, np.maximum(profiles, 1e-6))
    axes.set_xlabel(f"spatial frequency (1/{symbol(_units(result))})")
    axes.set_ylabel("mean power over the largest")
    axes.set_title("Radial profiles of the textures", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes = place(figure, LEFT + 4.2, top, 2.4, 2.5)
    degrees = 2 * np.arange(1, result.degree_power.shape[2])
    width = 1.7 / result.n_textures
    for index, power in enumerate(result.degree_power):
        total = np.sqrt(power.sum(axis=0))
        place_of = degrees + width * (index - (result.n_textures - 1) / 2)
        axes.bar(place_of, total[1:] / max(total[0], 1e-300), width, color=component_color(index))
    axes.set_xticks(degrees)
    axes.set_xlabel("degree l")
    axes.set_title("Power in each degree over that of l = 0", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    write(figure, LEFT + 7.0, top - 0.1, "\n".join(_key_numbers(result)), linespacing=1.5)


def _draw_spectra(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The mean spectrum of each class, the largest value along z, y and x."""
    k = (result.frequency_z, result.frequency_y, result.frequency_x)
    across = ((1, 2), (0, 2), (0, 1))
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, _PER_LINE)
        spectrum = np.asarray(result.spectra[index], dtype=np.float64)
        level = max(float(np.quantile(spectrum, 0.9)), 1e-30)
        for part, (plane, (rows, columns)) in enumerate(zip(range(3), across, strict=True)):
            left = LEFT + 0.5 + 5.4 * column + (_SPECTRUM + 0.4) * part
            axes = place(figure, left, top + _SPECTRUM_LINE * line, _SPECTRUM, _SPECTRUM)
            shown = np.log1p(spectrum.max(axis=plane) / level)
            limits = (float(np.quantile(shown, 0.6)), max(float(shown.max()), 1e-6))
            draw_map(axes, shown, k[rows], k[columns], cmap="gray_r", limits=limits, ticks=False)
            title = f"Class {index + 1}, texture {int(result.texture_of[index]) + 1}" if part == 0 else ""
            frame(axes, index, title or f"along {_PLANES[plane]}")
            axes.set_xlabel(f"k{_PLANES[columns]}", labelpad=1)
            axes.set_ylabel(f"k{_PLANES[rows]}", labelpad=1)
    if chosen and chosen[0] == 0:
        edge = f"{number(float(abs(k[2][0])))} 1/{symbol(_units(result))}"
        text = f"Mean power, logarithmic, the largest value along z, y and x; frequencies reach {edge}"
        write(figure, LEFT, top - 0.38, text, color="0.35")


def _draw_tables(figure: "Figure", result: Any, chosen: Sequence[int], top: float, with_pairs: bool = True) -> None:
    """Classes with shares and spacings; pairs of classes that are one texture."""
    heads = {"class": 0.12, "texture": 0.26, "share": 0.4, "strongest spacings": 0.74, "direction (z, y, x)": 0.98}
    lines = {i: class_cells(result, i) for i in chosen}
    draw_table(place(figure, LEFT, top, 6.3, 0.3 * (_TABLE_ROWS + 1)), heads, lines, _TABLE_ROWS)
    if not with_pairs or not len(result.pairs):
        return
    axes = place(figure, LEFT + 6.6, top, 4.1, 0.3 * (_TABLE_ROWS + 1))
    heads = {"class": 0.12, "is class": 0.28, "turned by": 0.48, "about (z, y, x)": 0.86, "r": 0.98}
    draw_table(axes, heads, dict(enumerate(map(list, pair_cells(result)))), _TABLE_ROWS)
    for mark in axes.lines[1:]:
        mark.set_visible(False)


def _draw_crossed(figure: "Figure", result: Any, top: float) -> None:
    """The table of textures and oriented classes, as parts of the labelled voxels."""
    shown = min(result.n_classes, 14)
    axes = place(figure, LEFT, top, 10.6, 0.3 * min(result.n_textures + 2, 10))
    axes.set_axis_off()
    axes.set_xlim(0, shown + 1.4)
    axes.set_ylim(result.n_textures + 1, -0.6)
    total = max(int(result.table.sum()), 1)
    axes.set_title("Share of the volume by texture (lines) and oriented class (columns), %", loc="left")
    for k in range(shown):
        axes.text(k + 2, 0.3, str(k + 1), ha="right", va="center", color="0.35")
    if shown < result.n_classes:
        axes.text(shown + 1.3, 0.3, "…", va="center", color="0.35")
    for t in range(result.n_textures):
        axes.plot(0.1, t + 1.1, "s", color=component_color(t), markersize=8)
        axes.text(0.3, t + 1.1, f"texture {t + 1}", va="center")
        for k in range(shown):
            value = 100 * float(result.table[t, k]) / total
            axes.text(k + 2, t + 1.1, f"{value:.1f}" if value else "–", ha="right", va="center")


def class_cells(result: Any, index: int) -> list[str]:
    """A line of the table of classes."""
    units = _units(result)
    spacings = ", ".join(number(float(d)) for d in result.spacing[index] if math.isfinite(d))
    first = result.direction[index, 0]
    direction = "(" + ", ".join(f"{c:.2f}" for c in first) + ")" if np.isfinite(first).all() else "–"
    share = f"{100 * float(result.share[index]):.1f} %"
    texture = str(int(result.texture_of[index]) + 1)
    return [str(index + 1), texture, share, f"{spacings} {symbol(units)}" if spacings else "–", direction]


def pair_cells(result: Any) -> Iterator[list[str]]:
    """Lines of the table of pairs."""
    for (a, b), angle, axis, r in zip(
        result.pairs, result.pair_angle, result.pair_axis, result.pair_correlation, strict=True
    ):
        about = "(" + ", ".join(f"{c:.2f}" for c in axis) + ")"
        yield [str(int(a) + 1), str(int(b) + 1), f"{angle:.1f}°", about, f"{r:.2f}"]


def size_of(result: Any) -> str:
    """How large the volume is, in words."""
    axes = (result.cut_y.axes[0], *result.cut_z.axes)
    said = " × ".join(str(axis.size) for axis in reversed(axes)) + " voxels"
    if axes[2].calibrated:
        said += ", " + " × ".join(quantity(axis.size * abs(axis.scale), axis.units) for axis in reversed(axes))
    return said


def _units(result: Any) -> str:
    units: str = result.overview.axes[2].units
    return units


def _key_numbers(result: Any) -> list[str]:
    parameters = result.provenance.parameters
    count = result.parts.shape[0] * result.parts.shape[1] * result.parts.shape[2]
    texts = [
        size_of(result),
        f"{count_of(count, 'window')} of {parameters['window']} voxels",
        f"{result.n_classes} oriented class{'es' * (result.n_classes != 1)}: {result.reason}",
        f"{count_of(result.n_textures, 'texture')}: {result.texture_reason}",
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return wrapped(texts, 62, _KEY_LINES)
