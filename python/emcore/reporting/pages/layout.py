"""A page and what stands where on it: positions count in inches from the page's top left corner."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.reporting.plotting import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A4 on its side, in inches.
WIDTH, HEIGHT = 11.7, 8.27
LEFT = 0.55


def new_page(height: float = HEIGHT) -> "Figure":
    """An empty page."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height))


def place(figure: "Figure", left: float, top: float, width: float, height: float, anchor: str = "NW") -> "Axes":
    """Axes in a box given in inches from the page's top left corner; a picture of true aspect keeps to `anchor`."""
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    axes.set_anchor(anchor)
    return axes


def write(figure: "Figure", left: float, top: float, text: str, **style: Any) -> None:
    """Text whose upper left corner is given in inches from the page's top left corner; $ is a dollar."""
    wide, high = figure.get_size_inches()
    figure.text(left / wide, 1 - top / high, text, va="top", parse_math=False, **style)


def frame(axes: "Axes", index: int, title: str) -> None:
    """Title, and a frame in the colour of component `index`."""
    axes.set_title(title, loc="left")
    for spine in axes.spines.values():
        spine.set_color(component_color(index))
        spine.set_linewidth(2.0)


def draw_table(
    axes: "Axes", heads: Mapping[str, float], lines: Mapping[int, Sequence[str]], rows: int, blocks: int = 1
) -> None:
    """A table of components: the colour of each, then its cells, in side-by-side blocks of at most `rows` lines.

    Parameters
    ----------
    axes : Axes
        Filled by the table.
    heads : dict of str to float
        Head of each column and where it ends on the right, as a part of the block's width.
    lines : dict of int to sequence of str
        The cells of each component, by its index.
    rows, blocks : int
        Lines that have room in a block; blocks side by side, more where that does not suffice.
    """
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(rows + 1, 0)
    blocks = max(blocks, -(-len(lines) // rows))
    for spot, (index, cells) in enumerate(lines.items()):
        block, row = divmod(spot, rows)
        left, wide = block / blocks, 0.92 / blocks
        stops = [left + wide * stop for stop in heads.values()]
        if row == 0:
            for stop, head in zip(stops, heads, strict=True):
                axes.text(stop, 0.5, head, ha="right", va="center", color="0.35")
            axes.plot([left, left + wide], [0.95, 0.95], color="0.35", linewidth=0.6)
        axes.plot(left + 0.04 * wide, row + 1.5, "s", color=component_color(index), markersize=8)
        for stop, cell in zip(stops, cells, strict=True):
            axes.text(stop, row + 1.5, cell, ha="right", va="center")


def folded(values: NDArray[Any], axes: Sequence[Axis], fill: float | None = None) -> tuple[NDArray[Any], Axis, Axis]:
    """A map of the scan as a picture with its axes y and x: positions without a grid are laid out line by line.

    What is missing in the last line is `fill`, by default the smallest value.
    """
    if values.ndim == 2:
        return values, axes[0], axes[1]
    width = math.ceil(math.sqrt(1.3 * values.size)) if values.ndim == 1 else values.shape[-1]
    rest = np.full(-values.size % width, values.min() if fill is None else fill, dtype=values.dtype)
    picture = np.append(values.ravel(), rest).reshape(-1, width)
    return picture, Axis("y", len(picture)), Axis("x", width)
