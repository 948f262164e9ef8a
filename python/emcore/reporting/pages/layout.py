"""A page and what stands where on it: positions count in inches from the page's top left corner."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emcore.reporting.plotting import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A4 on its side, in inches.
WIDTH, HEIGHT = 11.7, 8.27
LEFT = 0.55


def new_page(height: float = HEIGHT) -> "Figure":
    """An empty page."""
    from emcore.reporting.plotting.figures import ResultFigure

    return ResultFigure(figsize=(WIDTH, height))


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
    axes: "Axes",
    heads: Mapping[str, float],
    lines: Mapping[int, Sequence[str]],
    rows: int,
    blocks: int = 1,
    colors: Sequence[int] | None = None,
) -> None:
    """A table of components: the colour of each, then its cells, in side-by-side blocks of at most `rows` lines.

    Parameters
    ----------
    axes : Axes
        Filled by the table.
    heads : dict of str to float
        Head of each column and where it ends on the right, as a part of the block's width; negative where it starts on
        the left.
    lines : dict of int to sequence of str
        The cells of each component, by its index.
    rows, blocks : int
        Lines that have room in a block; blocks side by side, more where that does not suffice.
    colors : sequence of int, optional
        The component whose colour each line has, by its index; -1 for none; by default the index itself.
    """
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(rows + 1, 0)
    blocks = max(blocks, -(-len(lines) // rows))
    for spot, (index, cells) in enumerate(lines.items()):
        block, row = divmod(spot, rows)
        left, wide = block / blocks, 0.92 / blocks
        stops = [(left + wide * abs(stop), "left" if stop < 0 else "right") for stop in heads.values()]
        if row == 0:
            for (stop, side), head in zip(stops, heads, strict=True):
                axes.text(stop, 0.5, head, ha=side, va="center", color="0.35")
            axes.plot([left, left + wide], [0.95, 0.95], color="0.35", linewidth=0.6)
        color = index if colors is None else colors[index]
        if color >= 0:
            axes.plot(left + 0.04 * wide, row + 1.5, "s", color=component_color(color), markersize=8)
        for (stop, side), cell in zip(stops, cells, strict=True):
            axes.text(stop, row + 1.5, cell, ha=side, va="center")


def whole(axes: "Axes") -> "Figure":
    """The page on which `axes` are."""
    page: Any = axes.figure
    return page  # type: ignore[no-any-return]


def inset(axes: "Axes", beside: float, below: float, high: float) -> None:
    """Make room inside the box of `axes` for what stands at its left and below it, in inches; of a limited height."""
    wide, tall = whole(axes).get_size_inches()
    box = axes.get_position(original=True)
    height = min(high, box.height * tall - below)
    axes.set_position((box.x0 + beside / wide, box.y1 - height / tall, box.width - beside / wide, height / tall))


def wrapped(texts: Sequence[str], width: int, most: int) -> list[str]:
    """The texts in lines of so many letters; where there are more lines than `most` the last says where to look."""
    lines = [line for text in texts for line in textwrap.wrap(text, width)]
    return lines if len(lines) <= most else [*lines[: most - 1], "… (all notes stand on the last page)"]
