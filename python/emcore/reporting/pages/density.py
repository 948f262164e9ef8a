"""What a grouping by density found besides its groups: how settings were chosen, grains, the map of a peak."""

from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import count_of, number, quantity, symbol
from emcore.methods.superpixels.sizes import weighted_quantiles
from emcore.reporting.pages.layout import LEFT, place, write
from emcore.reporting.pages.scan import as_picture, draw_values, line_of
from emcore.reporting.plotting import draw_grains, draw_weighted_sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = 3.6
_SIDE, _COLUMN = 2.9, 3.65
_NUMBERED = 12
_QUANTILES = (0.1, 0.5, 0.9)


def parts(result: Any) -> list[Any]:
    """What there is to draw, each a function of the figure, the result and where it stands."""
    drawn: list[Any] = []
    if result.tried is not None:
        drawn.append(_draw_choice)
    if result.peak_map is not None:
        drawn.append(_draw_peak_map)
    if result.grains is not None and len(result.grain_size) and line_of(result.image.axes) is None:
        drawn += [_draw_grains, _draw_sizes]
    if result.shifts is not None:
        drawn.append(_draw_shifts)
    return drawn


def draw(figure: "Figure", result: Any, top: float) -> float:
    """All of it, three to a line; how high it is."""
    drawn = parts(result)
    for spot, each in enumerate(drawn):
        line, column = divmod(spot, 3)
        each(figure, result, LEFT + _COLUMN * column, top + HEIGHT * line)
    return HEIGHT * -(-len(drawn) // 3)


def grain_sizes(result: Any) -> list[str]:
    """Equivalent diameters of the grains, weighted by area, with and without those that the border cuts."""
    if result.grain_size is None or not len(result.grain_size):
        return []
    said = []
    for which, name in ((np.ones_like(result.grain_cut), "all grains"), (~result.grain_cut, "not cut by the border")):
        if not which.any():
            said.append(f"{name}: none")
            continue
        diameter, size = result.grain_diameter[which], result.grain_size[which]
        low, middle, high = (
            quantity(float(each), result.length_units) for each in weighted_quantiles(diameter, size, _QUANTILES)
        )
        count = count_of(int(which.sum()), "grain")
        said.append(f"{name}: {count}, half of their area in grains above {middle} (10 % below {low}, above {high})")
    return said


def _draw_choice(figure: "Figure", result: Any, left: float, top: float) -> None:
    """Groups and noise for every pair of settings that was tried; the pair that was taken has a frame."""
    from matplotlib.patches import Rectangle

    sizes, counts = (np.unique(result.tried[:, column]) for column in (0, 1))
    table = result.tried.reshape(len(sizes), len(counts), 5)
    axes = place(figure, left + 0.5, top + 0.1, _SIDE - 0.5, 2.4)
    axes.imshow(table[..., 4], cmap="Blues", vmin=0.4, vmax=1.4, aspect="auto")
    for i, j in np.ndindex(table.shape[:2]):
        groups, noise, agree = table[i, j, 2:]
        text = f"{int(groups)}, {noise:.0%}\n{agree:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=6.5)
        if (sizes[i], counts[j]) == (result.min_cluster_size, result.min_samples):
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=1.6, clip_on=False)
            )
    axes.set_xticks(range(len(counts)), [str(int(count)) for count in counts])
    axes.set_yticks(range(len(sizes)), [str(int(size)) for size in sizes])
    axes.set_xlabel("neighbours (min_samples)")
    axes.set_ylabel("smallest group (min_cluster_size)")
    axes.set_title("Groups, noise; agreement with neighbours", loc="left")


def _draw_peak_map(figure: "Figure", result: Any, left: float, top: float) -> None:
    axes = place(figure, left, top + 0.1, _SIDE - 0.1, _SIDE - 0.3)
    values = np.where(result.measured, np.asarray(result.peak_map.data), np.nan)
    draw_values(axes, values, result.peak_map.axes, cmap="viridis", label="peak", bar=True)
    axes.set_title(result.peak_map.title.replace(", ", ",\n", 1), loc="left")


def _draw_grains(figure: "Figure", result: Any, left: float, top: float) -> None:
    axes = place(figure, left, top + 0.1, _SIDE, _SIDE - 0.3)
    labels, y, x = as_picture(result.grains, result.image.axes)
    draw_grains(axes, labels, y.values, x.values, _NUMBERED, x.units, said="no grain")
    axes.set_title(f"{count_of(len(result.grain_size), 'grain')}, pieces of one group", loc="left")


def _draw_sizes(figure: "Figure", result: Any, left: float, top: float) -> None:
    axes = place(figure, left + 0.5, top + 0.1, _SIDE - 0.5, 1.5)
    units = symbol(result.length_units)
    draw_weighted_sizes(axes, result.grain_diameter, result.grain_size, result.grain_cut, units)
    axes.set_title("Share of the grains' area", loc="left")
    lines = [line for text in grain_sizes(result) for line in _lines(text)]
    write(figure, left, top + 2.1, "\n".join(lines), linespacing=1.5, fontsize=7)


def _lines(text: str) -> list[str]:
    head, _, tail = text.partition(", ")
    first, _, last = tail.partition(" (")
    return [head, f"   {first}", f"   ({last}"] if tail else [head]


def _draw_shifts(figure: "Figure", result: Any, left: float, top: float) -> None:
    axes = place(figure, left + 0.5, top + 0.1, _SIDE - 0.5, 1.9)
    for index, (name, color) in enumerate((("y", "#0072B2"), ("x", "#D55E00"))):
        axes.plot(np.arange(1, len(result.shifts) + 1), result.shifts[:, index], color=color, linewidth=1, label=name)
    axes.set_xlabel("image")
    axes.set_ylabel("lies off the first by (px)")
    axes.legend(frameon=False)
    axes.set_title(f"Registration, up to {number(float(np.abs(result.shifts).max()), 2)} px", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
