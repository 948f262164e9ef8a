"""A mosaic on a page: the images with outlines of the scans, grains, seams; transforms and pairs; maps; the table."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, number, symbol
from emcore.methods.registration.transforms import angle_of, apply, corners, scale_of
from emcore.reporting.pages.layout import LEFT, WIDTH, draw_table, new_page, place, wrapped, write
from emcore.reporting.pages.scan import alike, draw_borders_over, draw_values, size_of
from emcore.reporting.plotting import component_color, draw_grains

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURE, _ROW, _TABLE_ROWS, _KEY_LINES, _LETTERS = 3.3, 0.235, 25, 14, 22
_NUMBERED = 60
_OF_SCANS = {"scan": -0.12, "y": 0.5, "x": 0.62, "turn": 0.74, "scale": 0.86, "±": 1.0}
_OF_PAIRS = {"pair": 0.16, "by": -0.2, "overlap": 0.48, "r": 0.58, "score": 0.7, "points": 0.84, "miss": 1.0}


def overview(result: Any) -> "Figure":
    """One page with everything but the table of grains."""
    rows = max(result.n_scans, len(result.pairs), 3)
    maps = len(result.map_names)
    height = 4.5 + _ROW * (rows + 2) + 2.7
    figure = new_page(height + (_PICTURE + 0.8) * -(-maps // 3))
    _draw_pictures(figure, result, 0.45)
    _draw_tables(figure, result, 4.2, range(result.n_scans), range(len(result.pairs)), rows)
    _write_numbers(figure, result, 4.5 + _ROW * (rows + 2))
    _draw_maps(figure, result, height, range(maps))
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Pictures and numbers; transforms and pairs; maps; the grains."""
    figure = new_page()
    _draw_pictures(figure, result, 0.95)
    _write_numbers(figure, result, 5.0)
    yield figure
    for start in range(0, max(result.n_scans, len(result.pairs)), _TABLE_ROWS):
        figure = new_page()
        scans = range(start, min(start + _TABLE_ROWS, result.n_scans))
        pairs = range(start, min(start + _TABLE_ROWS, len(result.pairs)))
        _draw_tables(figure, result, 0.95, scans, pairs, _TABLE_ROWS)
        yield figure
    for start in range(0, len(result.map_names), 6):
        figure = new_page()
        _draw_maps(figure, result, 0.95, range(start, min(start + 6, len(result.map_names))))
        yield figure
    blocks = 1 if result.map_names else 2
    for start in range(0, result.n_grains, blocks * _TABLE_ROWS):
        figure = new_page()
        chosen = range(start, min(start + blocks * _TABLE_ROWS, result.n_grains))
        heads = _heads_of_grains(result)
        axes = place(figure, LEFT, 0.9, 10.6, 6.7)
        draw_table(axes, heads, {i: _cells_of_grain(result, i) for i in chosen}, _TABLE_ROWS, blocks=blocks)
        yield figure


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the mosaic, by a word for it."""
    low, high = float(result.pair_correlation.min()), float(result.pair_correlation.max())
    turn = [abs(angle_of(each)) for each in result.transforms]
    table = {
        "scans": f"{result.n_scans}, held together by {count_of(len(result.pairs), 'overlap')}",
        "transform": f"{result.model}: {result.reason}",
        "turned": f"by up to {max(turn):.1f}° against the first",
        "sure to": f"{float(result.uncertainty.max()):.2f} positions at the corner that is known least",
        "overlaps": f"correlation {low:.2f} to {high:.2f}, score {float(result.pair_score.min()):.1f} or more",
    }
    if len(result.pairs) > result.n_scans - 1:
        table["loops"] = f"pairs are missed by up to {float(result.pair_miss.max()):.2f} positions"
    if result.labels is not None:
        joined = int((result.in_scan.sum(axis=1) > 1).sum())
        table["grains"] = f"{result.n_grains}, {joined} of them in several scans"
        seen = result.seam[np.isfinite(result.seam)]
        if seen.size:
            table["seams"] = f"scans agree on the grain at {float(seen.mean()):.1%} of {seen.size} positions"
        table["patterns"] = "turn with the scans" if result.patterns_turn else "do not turn with the scans"
    for name, r in zip(result.map_names, result.map_correlation, strict=True):
        table[name] = f"registered with a correlation of {float(r):.2f}"
    return table


def _column(index: int) -> float:
    return LEFT + index * (WIDTH - 2 * LEFT + 0.2) / 3


def _draw_pictures(figure: "Figure", result: Any, top: float) -> None:
    """The images with outlines of the scans, the grains, and the seams."""
    axes = place(figure, _column(0), top, _PICTURE, _PICTURE)
    draw_values(axes, np.asarray(result.image.data), result.image.axes)
    _draw_outlines(axes, result)
    axes.set_title(f"{count_of(result.n_scans, 'scan')}, blended", loc="left")
    axes = place(figure, _column(1), top, _PICTURE, _PICTURE)
    if result.labels is None:
        draw_values(axes, _covered(result), result.image.axes, cmap="viridis", bar=True)
        axes.set_title("Scans at each position", loc="left")
        return
    y, x = alike(*result.image.axes)
    draw_grains(axes, result.labels, y.values, x.values, _NUMBERED, x.units)
    _draw_outlines(axes, result, numbers=False)
    axes.set_title(count_of(result.n_grains, "grain").capitalize(), loc="left")
    axes = place(figure, _column(2), top, _PICTURE, _PICTURE)
    draw_values(axes, result.seam, result.image.axes, cmap="RdYlGn", limits=(0.0, 1.0))
    draw_borders_over(axes, result.labels, result.image.axes, (0.4, 0.4, 0.4))
    axes.set_title("Seams: scans agree (green) or not (red)", loc="left")


def _covered(result: Any) -> NDArray[np.float64]:
    return np.where(result.coverage > 0, result.coverage, np.nan).astype(np.float64)


def _draw_outlines(axes: "Axes", result: Any, numbers: bool = True) -> None:
    """The border of each scan, and its number at its first corner."""
    y, x = alike(*result.image.axes)
    for index, (matrix, shape) in enumerate(zip(result.to_mosaic, result.shapes, strict=True)):
        ends = apply(matrix, corners(shape) + np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]))
        around = np.concatenate([ends, ends[:1]])
        color = component_color(index)
        down, along = y.offset + y.scale * around[:, 0], x.offset + x.scale * around[:, 1]
        axes.plot(along, down, color="black", linewidth=2.2, clip_on=False)
        axes.plot(along, down, color=color, linewidth=1.2, clip_on=False)
        if numbers:
            at = apply(matrix, np.array([[0.06, 0.06]]) * np.array(shape))[0]
            axes.annotate(
                str(index + 1),
                (x.offset + x.scale * at[1], y.offset + y.scale * at[0]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if sum(color) < 1.4 else "black",
                bbox={"boxstyle": "circle,pad=0.2", "facecolor": color, "edgecolor": "white"},
            )


def _draw_tables(
    figure: "Figure", result: Any, top: float, scans: Sequence[int], pairs: Sequence[int], rows: int
) -> None:
    write(figure, LEFT, top, "Transforms to the first scan, in its positions", fontsize=9)
    cells = {i: _cells_of_scan(result, i) for i in scans}
    draw_table(place(figure, LEFT, top + 0.2, 5.3, _ROW * (rows + 1)), _OF_SCANS, cells, rows)
    write(figure, 6.1, top, "Overlaps that were compared", fontsize=9)
    lines = {i: _cells_of_pair(result, i) for i in pairs}
    # A pair has no colour of its own.
    draw_table(
        place(figure, 6.1, top + 0.2, 5.3, _ROW * (rows + 1)), _OF_PAIRS, lines, rows, colors=[-1] * len(result.pairs)
    )


def _cells_of_scan(result: Any, index: int) -> tuple[str, ...]:
    matrix, name = result.transforms[index], result.names[index]
    label = f"{index + 1}  {name}" if not name.startswith("scan ") else str(index + 1)
    return (
        label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…",
        f"{matrix[0, 2]:.2f}",
        f"{matrix[1, 2]:.2f}",
        f"{angle_of(matrix):.2f}°",
        f"{scale_of(matrix):.4f}",
        f"{float(result.uncertainty[index]):.2f}",
    )


def _cells_of_pair(result: Any, index: int) -> tuple[str, ...]:
    first, second = result.pairs[index] + 1
    points = int(result.pair_inliers[index])
    return (
        f"{first}, {second}",
        result.pair_how[index],
        str(int(result.pair_overlap[index])),
        f"{float(result.pair_correlation[index]):.2f}",
        f"{float(result.pair_score[index]):.1f}",
        f"{points} ± {float(result.pair_residual[index]):.2f}" if points else "–",
        f"{float(result.pair_miss[index]):.2f}",
    )


def _write_numbers(figure: "Figure", result: Any, top: float) -> None:
    texts = [f"mosaic: {size_of(result.image.axes)}"]
    texts += [f"{name}: {text}" for name, text in key_numbers(result).items()]
    texts += [f"Note: {note}" for note in result.provenance.notes]
    write(figure, LEFT, top, "\n".join(wrapped(texts, 160, _KEY_LINES)), linespacing=1.6)


def _draw_maps(figure: "Figure", result: Any, top: float, chosen: Sequence[int]) -> None:
    """Maps of other modalities with the borders of the grains."""
    for spot, index in enumerate(chosen):
        line, column = divmod(spot, 3)
        axes = place(figure, _column(column), top + (_PICTURE + 0.8) * line, _PICTURE - 0.5, _PICTURE)
        draw_values(axes, result.maps[index], result.image.axes, cmap="viridis", bar=True)
        if result.labels is not None:
            draw_borders_over(axes, result.labels, result.image.axes, (1.0, 1.0, 1.0))
        axes.set_title(result.map_names[index], loc="left")


def _heads_of_grains(result: Any) -> dict[str, float]:
    if not result.map_names:
        return {"grain": 0.14, "area": 0.38, "scans": 0.56, "agreement": 0.78, "pattern r": 1.0}
    named = [name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…" for name in result.map_names[:3]]
    fixed = {"grain": 0.08, "area": 0.2, "scans": 0.3, "agreement": 0.42, "pattern r": 0.52}
    return fixed | {name: 0.52 + 0.48 * (i + 1) / len(named) for i, name in enumerate(named)}


def _cells_of_grain(result: Any, index: int) -> tuple[str, ...]:
    units = symbol(result.length_units)
    cells = [
        str(index + 1),
        f"{number(float(result.area[index]))} {units}²",
        ", ".join(str(i + 1) for i in np.flatnonzero(result.in_scan[index])),
        _part(result.agreement[index]),
        _known(result.likeness[index]),
    ]
    for i in range(min(len(result.map_names), 3)):
        mean, spread = float(result.map_mean[index, i]), float(result.map_spread[index, i])
        cells.append(f"{number(mean)} ± {number(spread, 2)}" if np.isfinite(mean) else "–")
    return tuple(cells)


def _part(value: float) -> str:
    return f"{100 * float(value):.0f} %" if np.isfinite(value) else "–"


def _known(value: float) -> str:
    return f"{float(value):.2f}" if np.isfinite(value) else "–"
