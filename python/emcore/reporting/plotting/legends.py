"""Which colour is which group: the legend at the right of a map, as many entries as there is room for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emcore.reporting.plotting.colors import component_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Height of an entry and of the title in inches, for the usual and for the small letters.
_LETTERS = ((8.0, 0.178), (6.0, 0.142))
_COLUMNS = 2


def draw_legend(axes: "Axes", count: int, noun: str, empty: bool = False, names: Sequence[str] | None = None) -> None:
    """A legend at the right of what is drawn in `axes`, no higher than their box.

    Parameters
    ----------
    axes : matplotlib Axes
    count : int
        Entries from 1 on, in the colours of the components. Where they have no room in one column the letters become
        smaller, then there are two columns; what has no room there either is an ellipsis.
    noun : str
        What the numbers count, the title.
    empty : bool, default False
        An entry for what has no group, white.
    names : sequence of str, optional
        Of the entries, in place of numbers.
    """
    from matplotlib.patches import Patch

    box = axes.get_position(original=True).transformed(axes.figure.transSubfigure)
    entries = count + empty
    room = [(size, max(int(float(box.height / axes.figure.dpi) / line) - 1, 4)) for size, line in _LETTERS]
    size, rows = next((each for each in room if entries <= each[1]), room[-1])
    columns = min(-(-entries // rows), _COLUMNS)
    shown = count if entries <= rows * columns else rows * columns - empty - 1
    patches = [Patch(color=component_color(i), label=str(i + 1) if names is None else names[i]) for i in range(shown)]
    if shown < count:
        patches.append(Patch(facecolor="none", edgecolor="none", label="…"))
    if empty:
        patches.append(Patch(facecolor="white", edgecolor="0.4", label="–"))
    axes.legend(
        handles=patches,
        title=noun,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.0,
        borderpad=0.6,
        frameon=False,
        fontsize=size,
        title_fontsize=size,
        labelspacing=0.35,
        handlelength=0.9,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=0.8,
        ncols=columns,
    )
