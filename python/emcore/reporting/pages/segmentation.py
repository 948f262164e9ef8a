"""Grains of a scan: picture, segments before merging, grains, how sure each position is, sizes; then their patterns."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, empty, number, quantity, symbol
from emcore.methods.superpixels.choices import Stop
from emcore.methods.superpixels.slic import merged_to
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, frame, new_page, place, wrapped, write
from emcore.reporting.pages.patterns import brightest, draw_mask, draw_pattern, size_and_beam
from emcore.reporting.pages.scan import as_picture, draw_borders_over, draw_groups, draw_values, line_of, size_of
from emcore.reporting.plotting import draw_grains, draw_mergings, draw_sizes
from emcore.scans.reflections import AMORPHOUS, CRYSTAL, VACUUM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Grains whose numbers are on the map and whose patterns are shown, five to a line of this height.
_SHOWN, _PER_LINE, _STRIP = 20, 5, 2.55
_KEY_LINES = 14
# Other cuts that are shown, the height of their line, and the narrowest gap that makes one.
_OTHERS, _CUTS, _NARROWEST = 3, 3.75, 2.0
_TABLE_ROWS = 25
_HEADS = {"grain": 0.22, "positions": 0.52, "diameter": 0.9}
_PICTURE = 3.05
_CAPTION = (
    "Mean patterns of the largest grains as they were measured; the square root of the intensity is drawn, alike for "
    "all grains, and the direct beam may be brighter than white."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    shown = min(result.n_grains, _SHOWN)
    cuts = other_cuts(result)
    figure = new_page(11.5 + (_CUTS if cuts else 0) + _STRIP * -(-shown // _PER_LINE))
    _draw_scan(figure, result, 0.45)
    _draw_outcome(figure, result, 4.15)
    _draw_choices(figure, result, 7.95)
    if cuts:
        _draw_cuts(figure, result, cuts, 11.2)
    _draw_patterns(figure, result, 11.2 + (_CUTS if cuts else 0))
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Maps; how they came about; the patterns of the largest grains; a table of all."""
    figure = new_page()
    _draw_scan(figure, result, 0.95)
    _draw_outcome(figure, result, 4.5)
    yield figure
    figure = new_page()
    _draw_choices(figure, result, 1.0)
    if cuts := other_cuts(result):
        _draw_cuts(figure, result, cuts, 4.7)
    yield figure
    for start in range(0, min(result.n_grains, _SHOWN), 2 * _PER_LINE):
        figure = new_page()
        _draw_patterns(figure, result, 1.0, start, 2 * _PER_LINE)
        write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
        yield figure
    for start in range(0, result.n_grains, 3 * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + 3 * _TABLE_ROWS, result.n_grains))
        units = symbol(result.length_units)
        lines = {
            i: (str(i + 1), str(int(result.size[i])), f"{number(float(result.diameter[i]))} {units}") for i in chosen
        }
        draw_table(place(figure, LEFT, 0.9, 10.6, 6.7), _HEADS, lines, _TABLE_ROWS, blocks=3)
        yield figure


def _column(index: int) -> float:
    """Where one of three pictures in a line starts."""
    return LEFT + index * (WIDTH - 2 * LEFT + 0.25) / 3


def _draw_scan(figure: "Figure", result: Any, top: float) -> None:
    """The scan as a picture, the kept pixels over the mean pattern, segments before merging."""
    scan = result.image.axes
    axes = place(figure, _column(0), top, _PICTURE, _PICTURE)
    values = _measured(result, np.asarray(result.image.data))
    draw_values(axes, values, scan, label="intensity")
    axes.set_title("Virtual image of the kept pixels", loc="left")
    axes = place(figure, _column(1), top, _PICTURE, _PICTURE)
    if line_of(scan) is None:
        draw_values(axes, values, scan)
        draw_borders_over(axes, result.segments, scan, (0.0, 0.9, 1.0))
    else:
        draw_groups(axes, result.segments, scan, result.n_segments, "segment", gaps=True)
    axes.set_title(f"{count_of(result.n_segments, 'segment')} before merging", loc="left")
    _draw_kept(place(figure, _column(2) + 0.3, top, _PICTURE, _PICTURE - 0.25), result)


def _measured(result: Any, values: NDArray[Any]) -> NDArray[Any]:
    """A map, NaN where nothing was measured."""
    return np.where(result.labels < 0, np.nan, values)


def _draw_kept(axes: "Axes", result: Any) -> None:
    mean = np.asarray(result.mean.data)
    draw_pattern(axes, result, mean, brightest(result, mean[None]))
    tint = np.zeros((*result.kept.shape, 4), dtype=np.uint8)
    tint[result.kept] = (0, 229, 255, 170)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.imshow(tint, extent=(left, right, bottom, top), interpolation="none", aspect=axes.get_aspect())
    draw_mask(axes, result)
    axes.set_title(f"{count_of(int(result.kept.sum()), 'kept pixel')} over the mean", loc="left")


def _draw_outcome(figure: "Figure", result: Any, top: float) -> None:
    """Grains, and how sure each position is of its own."""
    scan = result.image.axes
    axes = place(figure, _column(0), top, _PICTURE, _PICTURE)
    if line_of(scan) is None:
        labels, y, x = as_picture(result.labels, scan)
        draw_grains(axes, labels, y.values, x.values, _SHOWN, x.units)
    else:
        draw_groups(axes, result.labels, scan, result.n_grains, "grain", gaps=True)
    axes.set_title(count_of(result.n_grains, "grain").capitalize(), loc="left")
    axes = place(figure, _column(1), top, _PICTURE, _PICTURE)
    if result.n_grains == 1 or result.confidence is None:
        axes.set_axis_off()
        why = "there is no other grain" if result.n_grains == 1 else "needs the data"
        axes.set_title(f"Confidence: {why}", loc="left")
    else:
        values = _measured(result, result.confidence)
        limits = (0.0, max(float(np.nanquantile(values, 0.995)), 1e-3))
        draw_values(axes, values, scan, label="confidence", cmap="viridis", limits=limits, bar=True)
        draw_borders_over(axes, result.labels, scan, (1.0, 1.0, 1.0))
        axes.set_title("Confidence: own grain less the next best", loc="left")
    axes = place(figure, _column(2) + 0.75, top, _PICTURE - 0.7, _PICTURE - 0.5)
    draw_sizes(axes, result.diameter, symbol(result.length_units))
    axes.set_title("Grain sizes, median dashed", loc="left")


def _draw_choices(figure: "Figure", result: Any, top: float) -> None:
    """Mergings, and the numbers that matter."""
    left = LEFT
    if len(result.history):
        axes = place(figure, LEFT + 0.35, top, 3.9, 2.5)
        draw_mergings(axes, result.history, result.n_segments, result.min_correlation)
        axes.set_title("Mergings, where they end dashed", loc="left")
        left += 4.9
    write(figure, left, top - 0.05, "\n".join(_key_numbers(result)), linespacing=1.6)


def other_cuts(result: Any) -> list[tuple[Stop, NDArray[np.int32]]]:
    """Where else merging might have ended, the widest gaps first, and the grains there."""
    chosen = [stop for stop in result.stops if stop.width >= _NARROWEST]
    cuts = [(stop, merged_to(result.segments, result.history, stop.min_correlation)) for stop in chosen[: _OTHERS + 1]]
    return [(stop, labels) for stop, labels in cuts if int(labels.max()) + 1 != result.n_grains][:_OTHERS]


def _draw_cuts(figure: "Figure", result: Any, cuts: list[tuple[Stop, NDArray[np.int32]]], top: float) -> None:
    """Maps of the grains at the next widest gaps, and how to get them."""
    scan = result.image.axes
    for column, (stop, labels) in enumerate(cuts):
        axes = place(figure, _column(column), top + 0.4, _PICTURE, _PICTURE)
        count = int(labels.max()) + 1
        if line_of(scan) is None:
            picture, y, x = as_picture(labels, scan)
            draw_grains(axes, picture, y.values, x.values, 0, x.units)
        else:
            draw_groups(axes, labels, scan, count, "grain", gaps=True)
        gap = f"gap {stop.below:.0f}° to {stop.above:.0f}°"
        axes.set_title(
            f"Other cut, {gap}: {count_of(count, 'grain')}\nmin_correlation={stop.min_correlation:.3f}", loc="left"
        )


def _draw_patterns(figure: "Figure", result: Any, top: float, start: int = 0, most: int = _SHOWN) -> None:
    """The mean patterns of the largest grains, alike in brightness."""
    chosen = range(start, min(start + most, result.n_grains, _SHOWN))
    level = brightest(result, result.signals[: min(result.n_grains, _SHOWN)])
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, _PER_LINE)
        axes = place(figure, LEFT + 2.16 * column, top + _STRIP * line, 2.0, 2.0)
        draw_pattern(axes, result, result.signals[index], level)
        axes.set_xlabel("")
        axes.set_ylabel("")
        if index % _PER_LINE or line:
            axes.set_xticks([])
            axes.set_yticks([])
        kind = result.kinds[index] if result.kinds else CRYSTAL
        size = str(int(result.size[index])) if kind != CRYSTAL else count_of(int(result.size[index]), "position")
        frame(axes, index, f"Grain {index + 1}, {'' if kind == CRYSTAL else f'{kind}, '}{size}")


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the grains, by a word for it."""
    how = {"significant": "more variation than noise", "all": "any variation", "variance": "the largest variance"}
    by = how.get(str(result.provenance.parameters["detector_pixels"]), "the largest range")
    low, middle, high = (quantity(float(q), result.length_units) for q in np.quantile(result.diameter, (0.1, 0.5, 0.9)))
    table = size_and_beam(result) | {"compared": f"{count_of(int(result.kept.sum()), 'detector pixel')} of {by}"}
    if result.n_grains == 1:
        return table | {"grains": f"1, equivalent diameter {middle}"}
    grains = f"{result.n_grains}, equivalent diameter {middle} (median; 10 % below {low}, 10 % above {high})"
    without = [f"{many} {kind}" for kind in (AMORPHOUS, VACUUM) if (many := result.kinds.count(kind))]
    table |= {"grains": grains + (f"; without reflections: {', '.join(without)}" if without else "")}
    if result.confidence is None:
        return table
    sure = 100 * float((result.confidence[result.labels >= 0] > 0).mean())
    return table | {"sure": f"{sure:.1f} % of the positions correlate best with their own grain"}


def _key_numbers(result: Any) -> list[str]:
    texts = [f"{name}: {text}" for name, text in key_numbers(result).items()]
    texts = [f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}", *texts, f"why: {result.reason}."]
    return wrapped([*texts, *(f"Note: {note}" for note in result.provenance.notes)], 88, _KEY_LINES)
