"""Phases of a spectrum image: the scan, what the model leaves, how many components; map and spectrum of each."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, empty, number, symbol
from emcore.methods.xray.peaks import xray_energies
from emcore.reporting.pages.layout import LEFT, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_shares, draw_values, line_of, size_of
from emcore.reporting.pages.spectra import (
    NamedPeak,
    draw_spectrum,
    label_of,
    peaks_of,
    peaks_said,
    shown_axis,
)
from emcore.reporting.plotting import NOT_MEASURED, component_color, draw_scree
from emcore.results.unmixing import ENERGY, NOISE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Components in the table of the first page, on a page with spectra, in the table of their peaks; a line of the first.
_LISTED, _COMPONENTS, _TABLE_ROWS, _ROW = 10, 3, 25, 0.18
# Letters of the name of a reference that have room above its spectrum.
_LETTERS = 60
_STRIP = 2.2
_PICTURES = 3.2
# Spectra are drawn up to where this part of all counts is.
_SHOWN = 0.998
_CAPTION = (
    "Map: counts of the component. Spectrum: all its counts, on a square-root scale, on which counting noise is the "
    "same everywhere; peaks have their energies and, of X-rays, the lines that they may be. Grey: mean over the scan, "
    "to the same sum."
)
_FIRST = (
    "Phases: the colour of the component that is strongest, each measured by its own largest counts; darker where "
    "others come near. Residual: where it stands out, the model lacks something: at a place, or at an energy."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    peaks = peaks_of(result)
    more = max(_rows(result.n_components) - 5, 0) * _ROW
    figure = new_page(7.3 + more + _STRIP * result.n_components)
    _draw_scan(figure, result, 0.45)
    _draw_choice(figure, result, 4.35, result.n_components)
    for index in range(result.n_components):
        _draw_component(figure, result, index, 7.3 + more + _STRIP * index, peaks[index])
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """The scan, then components, then a table of their peaks."""
    peaks = peaks_of(result)
    figure = new_page()
    _draw_scan(figure, result, 0.95)
    _draw_choice(figure, result, 4.75, _LISTED)
    write(figure, LEFT, 7.55, "\n".join(textwrap.wrap(_FIRST, 165)), color="0.35")
    yield figure
    for start in range(0, result.n_components, _COMPONENTS):
        figure = new_page()
        for index in range(start, min(start + _COMPONENTS, result.n_components)):
            _draw_component(figure, result, index, 0.95 + _STRIP * (index - start), peaks[index])
        write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
        yield figure
    if any(peaks) or result.n_components > _LISTED:
        for start in range(0, result.n_components, _TABLE_ROWS):
            figure = new_page()
            _draw_table(figure, result, range(start, min(start + _TABLE_ROWS, result.n_components)), peaks)
            yield figure


def _draw_table(figure: "Figure", result: Any, chosen: Sequence[int], peaks: Sequence[Sequence[NamedPeak]]) -> None:
    """Every component with its counts and its peaks."""
    (axis,) = result.mean.axes
    lines = {}
    for i in chosen:
        said = peaks_said(peaks[i], axis, len(peaks[i]))
        cut = textwrap.wrap(said, 130) or ["–"]
        lines[i] = (str(i + 1), f"{100 * float(result.fraction[i]):.3g} %", cut[0] + (" …" if len(cut) > 1 else ""))
    heads = {"component": 0.1, amount(result): 0.17, "peaks": -0.19}
    draw_table(place(figure, LEFT, 0.9, 10.6, 6.7), heads, lines, _TABLE_ROWS)


def _rows(listed: int) -> int:
    """Lines of the table beside the scree, which has two blocks."""
    return min(max(listed, 3), max(5, -(-listed // 2)))


def key_lines(result: Any, width: int) -> list[str]:
    """What was unmixed, how, and what is left."""
    (energy,) = result.mean.axes
    parameters = result.provenance.parameters
    values = energy.values
    span = count_of(energy.size, "channel")
    if energy.calibrated:
        span += f", {values[0]:.5g} to {values[-1]:.5g} {symbol(energy.units)}"
    counts = f"{number(float(np.sum(result.image.data, dtype=np.float64)), 4)}"
    counts += " counts" if result.residual_unit == NOISE else " in all"
    by_rule = "" if result.rule == "given" else f" by rule {result.rule}"
    weighting = "weighted for noise" if parameters["weighting"] == "poisson" else "not weighted"
    loss = "least squares" if parameters["loss"] == "frobenius" else "Poisson likelihood"
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}; {span}; {counts}",
        f"spectra: {weighting}, {loss}"
        + (f", blocks of {_sides(parameters['blocks'])}" if parameters["blocks"] else ""),
        f"{count_of(result.n_components, 'component')}{by_rule}: {result.reason}",
    ]
    if result.above_edge:
        texts.append(f"above the bare edge of counting noise: {result.above_edge}")
    texts.append(f"residual, {result.residual_unit}: {number(float(residuals(result).mean()))} on average")
    if not energy.calibrated and xray_energies(energy) is not None:
        texts.append("energies have no unit: taken as keV to name lines")
    texts += [f"Note: {note}" for note in result.provenance.notes]
    return wrapped(texts, width, 12)


def residuals(result: Any) -> NDArray[np.float32]:
    """What is left at the positions that took part."""
    left: NDArray[np.float32] = result.residual_map[_measured(result)]
    return left


def _measured(result: Any) -> NDArray[np.bool_]:
    """The positions that took part, as far as the result says."""
    return np.ones(result.image.shape, dtype=bool) if result.measured is None else result.measured


def amount(result: Any) -> str:
    """What maps are sums of."""
    return "counts" if result.residual_unit == NOISE else "signal"


def _sides(blocks: Sequence[int]) -> str:
    return " × ".join(str(side) for side in reversed(tuple(blocks)))


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    scan = result.image.axes
    axes = place(figure, LEFT, top, 3.3, _PICTURES)
    counts, there = np.asarray(result.image.data), _measured(result)
    draw_values(axes, np.where(counts == 0, np.nan, counts) if result.n_empty else counts, scan, label=amount(result))
    axes.set_title(amount(result).capitalize(), loc="left")
    axes = place(figure, LEFT + 3.55, top, 3.3, _PICTURES)
    if result.n_components > 1:
        tops = np.quantile(result.maps[:, there], 0.999, axis=1)
        parts = np.stack([m / (top if top > 0 else 1) for m, top in zip(result.maps, tops, strict=True)])
        if line_of(scan) is None:
            parts **= 2
            parts /= np.maximum(parts.sum(axis=0), 1e-30)
        missing = NOT_MEASURED if np.count_nonzero(~there) == result.n_empty else "left out"
        style: Any = {"noun": "phase", "label": "part of its largest", "missing": missing}
        draw_shares(axes, parts, scan, measured=there, **style)
        axes.set_title("Phases", loc="left")
    else:
        values = np.where(there, result.maps[0], np.nan)
        draw_values(axes, values, scan, label=amount(result), color=component_color(0))
        axes.set_title("The only component", loc="left")
    axes = place(figure, LEFT + 7.5, top, 2.75, _PICTURES)
    values = np.where(there, result.residual_map, np.nan)
    limits = (0.0, max(2.0, float(np.nanquantile(values, 0.999)))) if result.residual_unit != ENERGY else None
    draw_values(axes, values, scan, label="residual", cmap="magma", limits=limits, bar=True)
    axes.set_title("Residual", loc="left")


def _draw_choice(figure: "Figure", result: Any, top: float, listed: int) -> None:
    write(figure, LEFT, top, "\n".join(key_lines(result, 64)), linespacing=1.5)
    axes = place(figure, 5.35, top + 0.15, 2.4, 1.9)
    if result.blocks is None:
        draw_scree(axes, result.evr, result.n_components)
        axes.set_title(f"Scree: {count_of(result.n_components, 'component')}", loc="left")
    else:
        _draw_blocks(axes, result)
    axes = place(figure, 8.55, top + 0.15, 2.6, 1.0)
    axis = shown_axis(result.mean.axes[0])
    axes.plot(axis.values, result.residual_spectrum, color="0.3", linewidth=0.6)
    if result.residual_unit != ENERGY:
        axes.axhline(1, color="#D55E00", linewidth=0.8, linestyle="--")
    axes.set_xlabel(label_of(axis))
    axes.set_xlim(axis.values[0], axis.values[_last(result) - 1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, max(1.15 * float(np.max(result.residual_spectrum)), 1e-6))
    axes.set_title(f"Residual, {result.residual_unit}", loc="left")
    chosen = range(min(result.n_components, listed))
    lines = {i: (str(i + 1), f"{100 * float(result.fraction[i]):.3g} %") for i in chosen}
    heads = {"component": 0.55, amount(result): 1.0}
    rows = _rows(len(lines))
    draw_table(place(figure, 8.35, top + 1.65, 3.0, _ROW * (rows + 1)), heads, lines, rows)


def _draw_blocks(axes: "Axes", result: Any) -> None:
    """How many components every block has by itself."""
    height, width = result.image.data.shape
    ranks = np.zeros((height, width))
    for (first, last, left, right), rank in zip(result.blocks, result.block_ranks, strict=True):
        ranks[first:last, left:right] = rank
    top = max(int(result.block_ranks.max()), 2)
    axes.imshow(ranks, cmap="viridis", vmin=0, vmax=top, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    if len(result.blocks) <= 100:
        for (first, last, left, right), rank in zip(result.blocks, result.block_ranks, strict=True):
            shade = "black" if rank > 0.6 * top else "white"
            axes.text(
                (left + right) / 2, (first + last) / 2, str(rank), ha="center", va="center", color=shade, fontsize=6
            )
    axes.set_title(f"Components of each of {count_of(len(result.blocks), 'block')}", loc="left")


def _draw_component(figure: "Figure", result: Any, index: int, top: float, peaks: Sequence[NamedPeak]) -> None:
    """A row: map and spectrum of a component."""
    values = np.where(_measured(result), result.maps[index], np.nan)
    axes = place(figure, LEFT, top, 2.1, 1.7)
    limits = (0.0, max(float(np.nanquantile(values, 0.9999)), 1e-30))
    style: Any = {"color": component_color(index), "cmap": "viridis", "limits": limits}
    draw_values(axes, values, result.image.axes, label=amount(result), bar=True, **style)
    frame(axes, index, f"Component {index + 1}, {100 * float(result.fraction[index]):.3g} % of the {amount(result)}")
    axes = place(figure, LEFT + 3.4, top, 7.2, 1.55)
    counts = float(result.maps[index].sum(dtype=np.float64))
    mean = np.asarray(result.mean.data)
    draw_spectrum(
        axes,
        result.spectra[index] * counts,
        result.mean.axes[0],
        component_color(index),
        behind=mean * (counts / max(float(mean.sum()), 1e-300)),
        peaks=peaks,
        last=_last(result),
        label=amount(result),
    )
    axes.set_title(f"Spectrum {index + 1}{_given(result, index)}", loc="left")


def _given(result: Any, index: int) -> str:
    """Which reference the spectrum of a component is."""
    return f", given: {result.references[index][:_LETTERS]}" if index < len(result.references) else ""


def _last(result: Any) -> int:
    """The channel behind which next to nothing is."""
    sums = np.cumsum(np.asarray(result.mean.data))
    behind = int(np.searchsorted(sums, _SHOWN * sums[-1])) + 1
    return int(np.clip(math.ceil(1.05 * behind), min(20, len(sums)), len(sums)))
