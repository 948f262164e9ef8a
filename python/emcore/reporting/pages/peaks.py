"""Peaks of a hyperspectral stack: where which spectra are, the energies of the peaks, the spectra, the drift."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, empty, number, symbol
from emcore.reporting.pages.layout import LEFT, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_groups, draw_values, line_of, size_of
from emcore.reporting.plotting import component_color
from emcore.results.peak_map import decimals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Where three pictures begin, with room for the legend of the second, and how wide they are.
_COLUMNS, _PICTURE = (LEFT, 3.75, 8.15), 2.85
_PER_LINE, _STRIP, _PER_PAGE = 3, 3.0, 6
_ROW, _TABLE_ROWS, _KEY_LINES = 0.235, 12, 13
# Letters of a name that have room in a legend.
_LETTERS = 17
_HEADS = {"energy": 0.36, "spread": 0.53, "peaks": 0.68, "area": 0.83, "reliability": 1.0}
_SPECTRUM = {
    True: "derivative of what was measured (per unit of energy), smoothed",
    False: "mean of what was measured",
}
_CAPTION = (
    "Mean spectrum of the blocks of which a peak is the most prominent, {what}; dotted: the energies of the peaks, the "
    "band one standard deviation of single blocks to both sides; grey: the mean of the whole scan."
)
# Counts that fall to such a part of the largest are drawn on a square-root scale.
_LOW = 0.05
# Bins of the histogram in a standard deviation of the narrowest peak, and the most there are.
_FINE, _MOST = 1.5, 240


def overview(result: Any) -> "Figure":
    """One page with everything."""
    lines = -(-result.n_references // _PER_LINE)
    below = 7.55 + max(_ROW * (_TABLE_ROWS + 1), 2.9)
    drift = _STRIP if result.shifts is not None else 0.0
    figure = new_page(below + _STRIP * lines + drift)
    _draw_scan(figure, result, 0.45)
    _draw_energies(figure, result, 4.0)
    write(figure, LEFT, 7.35, _key_numbers(result), linespacing=1.6)
    _draw_table(place(figure, 6.1, 7.3, 5.1, _ROW * (_TABLE_ROWS + 1)), result)
    _draw_references(figure, result, range(result.n_references), below)
    if drift:
        _draw_drift(figure, result, below + _STRIP * lines)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """The maps and the energies, the table and the drift, then the spectra."""
    figure = new_page()
    _draw_scan(figure, result, 0.95)
    _draw_energies(figure, result, 4.5)
    yield figure
    figure = new_page()
    write(figure, LEFT, 1.0, _key_numbers(result), linespacing=1.6)
    _draw_table(place(figure, 6.1, 0.95, 5.1, _ROW * (_TABLE_ROWS + 1)), result)
    if result.shifts is not None:
        _draw_drift(figure, result, 4.75)
    yield figure
    caption = _CAPTION.format(what=_SPECTRUM[result.differentiated])
    for start in range(0, result.n_references, _PER_PAGE):
        figure = new_page()
        _draw_references(figure, result, range(start, min(start + _PER_PAGE, result.n_references)), 1.0)
        write(figure, LEFT, 7.35, "\n".join(textwrap.wrap(caption, 165)), color="0.35")
        yield figure


def _where(result: Any, values: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    """A map, NaN where there is nothing to show."""
    return np.where(there, values, np.nan)


def _units(result: Any) -> str:
    axis = result.mean.axes[0]
    return symbol(axis.units) if axis.calibrated else ""


def _energy(result: Any, peak: int) -> str:
    """A peak with its standard error."""
    digits = decimals(result.errors, result.energies)
    return f"{result.energies[peak]:.{digits}f} ± {result.errors[peak]:.{digits}f}"


def _names(result: Any) -> list[str]:
    """What the legend says of each reference: its peak with the standard error, or its peaks."""
    names = []
    for group in range(result.n_references):
        own = np.flatnonzero(result.reference_of == group)
        if len(own) == 1:
            names.append(_energy(result, int(own[0])))
            continue
        text = " + ".join(number(float(energy), 4) for energy in result.energies[own])
        names.append(text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…")
    return names


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    """The scan as a picture, the nearest reference of every position, and how reliable that is."""
    scan = result.image.axes
    axes = place(figure, _COLUMNS[0], top, _PICTURE, _PICTURE)
    draw_values(axes, _where(result, np.asarray(result.image.data), result.measured), scan, label=result.image.title)
    axes.set_title(result.image.title.capitalize(), loc="left")
    axes = place(figure, _COLUMNS[1], top, _PICTURE, _PICTURE)
    gaps = bool(result.n_empty) and bool((result.labels[result.measured] >= 0).all())
    units = _units(result)
    noun = "spectrum" if line_of(scan) is not None else f"peak ({units})" if units else "peak"
    draw_groups(axes, result.labels, scan, result.n_references, noun, gaps=gaps, names=_names(result))
    axes.set_title("Nearest spectrum, by its peak", loc="left")
    axes = place(figure, _COLUMNS[2], top, _PICTURE, _PICTURE)
    there = result.labels >= 0
    values = _where(result, result.reliability, there)
    most = max(float(np.quantile(result.reliability[there], 0.995)) if there.any() else 1.0, 1e-3)
    draw_values(axes, values, scan, label="reliability (%)", cmap="viridis", limits=(0.0, most), bar=True)
    axes.set_title("Reliability: 100 (1 - angle / second)", loc="left")


def _draw_energies(figure: "Figure", result: Any, top: float) -> None:
    """The histogram of the pooled positions, and the angle of every position."""
    axes = place(figure, LEFT + 0.45, top, 6.55, 2.6)
    axis = result.mean.axes[0]
    low, high = sorted((float(axis.values[0]), float(axis.values[-1])))
    narrow = max(float(result.spreads.min()) / _FINE, (high - low) / _MOST)
    edges = np.linspace(low, high, max(int((high - low) / narrow), 20) + 1)
    counts, _ = np.histogram(result.positions, edges)
    axes.stairs(counts, edges, color="0.8", fill=True)
    scale = len(result.positions) * (edges[1] - edges[0])
    whole = result.density.sum(axis=0) * scale
    axes.plot(result.density_energies, whole, color="black", linewidth=0.8)
    for peak in range(result.n_peaks):
        color = component_color(int(result.reference_of[peak]))
        axes.plot(result.density_energies, result.density[peak] * scale, color=color, linewidth=1.6)
    axes.plot(result.density_energies, result.density[-1] * scale, color="0.4", linewidth=0.8, linestyle="--")
    axes.set_xlabel(_label(result))
    axes.set_ylabel(f"peaks of blocks per {number(float(edges[1] - edges[0]), 2)} {_units(result)}".rstrip())
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{count_of(len(result.positions), 'peak')} of {count_of(int((result.found >= 0).sum()), 'block')}, and the "
        "mixture; dashed: spread over all energies",
        loc="left",
    )
    axes = place(figure, _COLUMNS[2], top, _PICTURE, _PICTURE)
    values = _where(result, result.angle, result.measured)
    most = max(float(np.nanquantile(values, 0.995)), 1e-3)
    draw_values(axes, values, result.image.axes, label="angle (°)", cmap="viridis", limits=(0.0, most), bar=True)
    axes.set_title("Spectral angle with the nearest (°)", loc="left")


def _label(result: Any) -> str:
    axis = result.mean.axes[0]
    return f"{axis.name} ({symbol(axis.units)})" if axis.calibrated else axis.name


def _draw_table(axes: "Axes", result: Any) -> None:
    units = _units(result)
    digits = decimals(result.errors, result.energies)
    lines = {}
    for peak in range(result.n_peaks):
        group = int(result.reference_of[peak])
        own = result.labels == group
        sure = f"{float(np.median(result.reliability[own])):.0f} %" if own.any() else "–"
        first = group not in result.reference_of[:peak]
        lines[peak] = (
            f"{_energy(result, peak)} {units}".rstrip(),
            f"{result.spreads[peak]:.{digits}f}",
            f"{100 * float(result.weights[peak]):.1f} %",
            f"{100 * float(result.area[group]):.1f} %" if first else "same",
            sure if first else "",
        )
    draw_table(axes, _HEADS, lines, _TABLE_ROWS, colors=result.reference_of.tolist())


def _draw_references(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The reference spectra, their peaks marked."""
    axis = result.mean.axes[0]
    mean = np.asarray(result.mean.data)
    for spot, group in enumerate(chosen):
        line, column = divmod(spot, _PER_LINE)
        axes = place(figure, LEFT + 0.45 + 3.65 * column, top + _STRIP * line, 2.85, 2.2)
        reference = result.references[group]
        size = float(reference @ mean / max(float(mean @ mean), 1e-300))
        axes.plot(axis.values, size * mean, color="0.7", linewidth=0.9)
        axes.plot(axis.values, reference, color=component_color(group), linewidth=1.5)
        for peak in np.flatnonzero(result.reference_of == group):
            at, spread = float(result.energies[peak]), float(result.spreads[peak])
            axes.axvspan(at - spread, at + spread, color=component_color(group), alpha=0.15, linewidth=0)
            axes.axvline(at, color="black", linewidth=0.8, linestyle=":")
        axes.set_xlabel(_label(result))
        axes.set_ylabel("spectrum")
        axes.margins(x=0)
        axes.locator_params(axis="x", nbins=5)
        _scaled(axes, result)
        many = count_of(int(result.blocks_of[group]), "block")
        frame(axes, group, f"{_short(result.names[group])}: {many}, {100 * float(result.area[group]):.1f} %")


def _scaled(axes: "Axes", result: Any) -> None:
    """A square-root scale for counts, whose peaks are of very different height."""
    low, high = float(result.references.min()), float(result.references.max())
    if result.differentiated or not 0 <= low < _LOW * high:
        axes.locator_params(axis="y", nbins=5)
        return
    axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    axes.set_yticks([0.0, *(float(f"{top * part:.1g}") for part in (0.05, 0.3, 0.9))])


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _draw_drift(figure: "Figure", result: Any, top: float) -> None:
    """By how much each image lies off the first."""
    axes = place(figure, LEFT + 0.45, top, 4.6, 2.2)
    axis = result.mean.axes[0]
    for i, (name, color) in enumerate((("y", "#0072B2"), ("x", "#D55E00"))):
        axes.plot(axis.values, result.shifts[:, i], color=color, linewidth=1.2, label=name)
    axes.legend(frameon=False, fontsize=7)
    axes.set_xlabel(_label(result))
    axes.set_ylabel("drift (px)")
    axes.margins(x=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Drift taken out", loc="left")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the peaks, by a word for it."""
    axis = result.mean.axes[0]
    units = f" {symbol(axis.units)}" if axis.calibrated else ""
    blocks = int((result.found >= 0).sum())
    none = int((result.found == 0).sum())
    spread = 1 - float(result.weights.sum())
    table = {
        "spectra": f"{count_of(axis.size, 'point')}, {axis.name} from {axis.values[0]:.4g} to {axis.values[-1]:.4g}"
        f"{units}, {'derivatives' if result.differentiated else 'as measured'}",
        "blocks": f"{blocks} of {' × '.join([str(result.block)] * result.found.ndim)} positions, smoothed by fits of "
        f"{result.width:g} channels' width",
        "found": f"{count_of(len(result.positions), 'peak')}, each {result.prominence:.1f} deviations of noise or "
        f"more; {count_of(none, 'block')} with none; {100 * spread:.1f} % spread over all energies",
    }
    there = result.labels >= 0
    measured = int(result.measured.sum())
    limit = "noise explains" if result.max_angle is None else f"{result.max_angle:g}°"
    table["without"] = (
        f"{measured - int(there.sum())} of {measured} measured positions are farther from every spectrum than {limit}"
    )
    if there.any():
        low, middle = np.quantile(result.reliability[there], (0.1, 0.5))
        table["reliable"] = f"{middle:.0f} % in the median; a tenth of the positions below {low:.0f} %"
    return table


def _key_numbers(result: Any) -> str:
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}",
        f"{count_of(result.n_peaks, 'peak')}: {result.reason}",
        *(f"{name}: {text}" for name, text in key_numbers(result).items()),
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return "\n".join(wrapped(texts, 76, _KEY_LINES))
