"""Phases of a scan by correlation: where they are, how reliable that is, their mean signals beside the references."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, empty, number, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_groups, draw_values, size_of
from emcore.reporting.plotting import component_color, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PER_LINE, _STRIP, _PICTURE = 3, 3.0, 3.05
_ROWS, _ROW, _TABLE_ROWS, _KEY_LINES = 8, 0.235, 25, 9
_HEADS = {"phase": -0.1, "area": 0.62, "positions": 0.8, "reliability": 1.0}
# Letters of a name that have room in the table.
_LETTERS = 24
_CAPTION = {
    1: "Mean signal of each phase as measured, in colour; its reference, dashed, of the same mean and deviation.",
    2: "Left: mean signal of each phase as it was measured. Right: its reference. The square root of the intensity.",
}


def overview(result: Any) -> "Figure":
    """One page with everything."""
    rows = max(_ROWS, result.n_phases)
    below = 7.75 + _ROW * (rows + 1)
    figure = new_page(below + _STRIP * -(-result.n_phases // _per_line(result)))
    _draw_scan(figure, result, 0.45)
    _draw_choices(figure, result, 4.0)
    write(figure, LEFT, 7.4, _key_numbers(result), linespacing=1.6)
    _draw_table(place(figure, 6.1, 7.35, 5.1, _ROW * (rows + 1)), result, range(result.n_phases), rows)
    _draw_signals(figure, result, range(result.n_phases), below)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """The maps, how sure they are, the table, then the signals."""
    figure = new_page()
    _draw_scan(figure, result, 0.95)
    _draw_choices(figure, result, 4.5)
    yield figure
    figure = new_page()
    write(figure, LEFT, 1.0, _key_numbers(result), linespacing=1.6)
    _draw_table(place(figure, 6.1, 0.95, 5.1, 6.5), result, range(min(result.n_phases, _TABLE_ROWS)), _TABLE_ROWS)
    yield figure
    per_page = 2 * _per_line(result)
    for start in range(0, result.n_phases, per_page):
        figure = new_page()
        _draw_signals(figure, result, range(start, min(start + per_page, result.n_phases)), 1.0)
        caption = _CAPTION[len(result.mean.axes)]
        write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(caption, 165)), color="0.35")
        yield figure


def _column(index: int) -> float:
    return LEFT + index * (WIDTH - 2 * LEFT + 0.25) / 3


def _where(result: Any, values: NDArray[Any], there: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """A map, NaN where nothing was measured or is to be shown."""
    return np.where(result.measured if there is None else there, values, np.nan)


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    """The scan as a picture, its phases, the correlation with them."""
    scan = result.image.axes
    axes = place(figure, _column(0), top, _PICTURE, _PICTURE)
    draw_values(axes, _where(result, np.asarray(result.image.data)), scan, label=result.image.title)
    axes.set_title(result.image.title.capitalize(), loc="left")
    axes = place(figure, _column(1), top, _PICTURE, _PICTURE)
    gaps = bool(result.n_empty) and _all_assigned(result)
    draw_groups(axes, result.labels, scan, result.n_phases, "phase", gaps=gaps)
    axes.set_title(count_of(result.n_phases, "phase").capitalize(), loc="left")
    axes = place(figure, _column(2), top, _PICTURE, _PICTURE)
    values = _where(result, result.correlation)
    limits = (max(float(np.nanquantile(values, 0.005)), -1.0), float(np.nanmax(values)))
    draw_values(axes, values, scan, label="correlation", cmap="viridis", limits=limits, bar=True)
    axes.set_title("Correlation r1 with the own phase", loc="left")


def _all_assigned(result: Any) -> bool:
    """Whether every measured position has a phase, so that -1 says that nothing was measured."""
    return bool((result.labels[result.measured] >= 0).all())


def _draw_choices(figure: "Figure", result: Any, top: float) -> None:
    """Both reliabilities, and their distribution."""
    scan, there = result.image.axes, result.labels >= 0
    maps = ((result.difference, "difference", "r1 - r2"), (result.reliability, "reliability (%)", "100 (1 - r2 / r1)"))
    for column, (values, label, formula) in enumerate(maps):
        axes = place(figure, _column(column), top, _PICTURE, _PICTURE)
        most = max(float(np.quantile(values[there], 0.995)) if there.any() else 1.0, 1e-3)
        draw_values(
            axes, _where(result, values, there), scan, label=label, cmap="viridis", limits=(0.0, most), bar=True
        )
        axes.set_title(f"{label.capitalize()}: {formula}", loc="left")
    axes = place(figure, _column(2) + 0.55, top, _PICTURE - 0.55, _PICTURE - 0.5)
    edges = np.linspace(0, max(float(result.reliability.max()), 1.0), 41)
    for phase in range(result.n_phases):
        counts, _ = np.histogram(result.reliability[result.labels == phase], edges)
        axes.stairs(counts, edges, color=component_color(phase), linewidth=1.3)
    axes.set_xlabel("reliability (%)")
    axes.set_ylabel("positions")
    axes.margins(x=0)
    axes.set_title("How reliable each phase is", loc="left")


def _draw_table(axes: "Axes", result: Any, chosen: Sequence[int], rows: int) -> None:
    lines = {}
    for i in chosen:
        own = result.labels == i
        sure = f"{float(np.median(result.reliability[own])):.1f} %" if own.any() else "–"
        lines[i] = _short(result.names[i]), f"{100 * float(result.area[i]):.1f} %", str(int(own.sum())), sure
    draw_table(axes, _HEADS, lines, rows)


def _short(name: str) -> str:
    return textwrap.shorten(name, _LETTERS, placeholder="…") or name[:_LETTERS]


def _per_line(result: Any) -> int:
    return _PER_LINE if len(result.mean.axes) == 1 else 2


def _draw_signals(figure: "Figure", result: Any, chosen: Sequence[int], top: float) -> None:
    """The mean signal of each phase and its first reference."""
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, _per_line(result))
        at = top + _STRIP * line
        reference = result.references[int(np.flatnonzero(result.phase_of == index)[0])]
        title = f"{_short(result.names[index])}, {100 * float(result.area[index]):.1f} %"
        if len(result.mean.axes) == 1:
            axes = place(figure, LEFT + 0.45 + 3.65 * column, at, 2.85, 2.2)
            _draw_spectrum(axes, result, index, reference)
            frame(axes, index, title)
            continue
        for i, pattern in enumerate((result.signals[index], reference)):
            axes = place(figure, LEFT + 0.3 + 5.4 * column + 2.55 * i, at, 2.3, 2.3)
            _draw_pattern(axes, result, pattern, label=not i)
            frame(axes, index, title if not i else "reference")


def _draw_spectrum(axes: "Axes", result: Any, index: int, reference: NDArray[Any]) -> None:
    (axis,) = result.mean.axes
    mean, like = result.signals[index], reference
    if result.area[index] > 0:
        axes.plot(axis.values, mean, color=component_color(index), linewidth=1.5)
        like = mean.mean() + (reference - reference.mean()) * (mean.std() / reference.std())
    axes.plot(axis.values, like, color="black", linewidth=0.9, linestyle="--")
    axes.set_xlabel(f"{axis.name} ({symbol(axis.units)})" if axis.calibrated else axis.name)
    axes.set_ylabel("mean signal")
    axes.margins(x=0)
    axes.locator_params(nbins=5)


def _draw_pattern(axes: "Axes", result: Any, pattern: NDArray[Any], label: bool) -> None:
    ky, kx = result.mean.axes
    shown = np.sqrt(np.clip(pattern - min(float(pattern.min()), 0.0), 0, None))
    most = float(np.quantile(shown, 0.999)) or max(float(shown.max()), 1.0)
    limits = (float(shown.min()), max(most, float(shown.min()) + 1e-12))
    draw_map(axes, shown, ky.values, kx.values, units=kx.units, cmap="magma", limits=limits)
    axes.set_xlabel(f"{kx.name} ({symbol(kx.units)})")
    axes.set_ylabel(f"{ky.name} ({symbol(ky.units)})" if label else "")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the phases, by a word for it."""
    said = " × ".join(str(axis.size) for axis in reversed(result.mean.axes))
    one = len(result.mean.axes) == 1
    many = count_of(len(result.references), "reference")
    there = result.labels >= 0
    table = {"compared": f"{said} {'points' if one else 'pixels'} of each signal with {many}"}
    measured = int(result.measured.sum())
    table["without"] = (
        f"{measured - int(there.sum())} of {measured} measured positions have no phase: "
        f"no correlation of {number(max(result.min_correlation, 0.0))} or more"
    )
    if there.any():
        low, middle = np.quantile(result.reliability[there], (0.1, 0.5))
        table["reliable"] = f"{middle:.1f} % in the median; a tenth of the positions below {low:.1f} %"
        r = np.quantile(result.correlation[there], (0.1, 0.5))
        table["r"] = f"{r[1]:.3f} in the median; a tenth of the positions below {r[0]:.3f}"
    return table


def _key_numbers(result: Any) -> str:
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}",
        *(f"{name}: {text}" for name, text in key_numbers(result).items()),
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return "\n".join(wrapped(texts, 76, _KEY_LINES))
