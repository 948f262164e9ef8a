"""A page and what stands where on it: positions count in inches from the page's top left corner."""

from typing import TYPE_CHECKING, Any

from emcore.plotting import component_color

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
