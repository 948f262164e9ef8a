"""What does a result look like? Every picture that emcore draws, on the screen and in a report, is drawn here.

Figures are drawn without pyplot, which is handed what `plot` gives back (`figures`). Pictures have their origin at the
top left, a true aspect ratio and calibrated coordinates; a component has one colour everywhere.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from emcore.core.extras import install
from emcore.reporting.plotting.colors import component_color
from emcore.reporting.plotting.graphs import draw_mergings, draw_scree, draw_sizes, draw_weighted_sizes
from emcore.reporting.plotting.legends import draw_legend
from emcore.reporting.plotting.maps import NOT_MEASURED, draw_map, draw_scale_bar, scale_bar_length, shown_size
from emcore.reporting.plotting.memberships import draw_memberships
from emcore.reporting.plotting.profiles import draw_labels_along, draw_profiles
from emcore.reporting.plotting.regions import draw_borders, draw_grains, draw_labels, draw_regions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "NOT_MEASURED",
    "as_written",
    "component_color",
    "draw_borders",
    "draw_grains",
    "draw_labels",
    "draw_labels_along",
    "draw_legend",
    "draw_map",
    "draw_memberships",
    "draw_mergings",
    "draw_profiles",
    "draw_regions",
    "draw_scale_bar",
    "draw_scree",
    "draw_sizes",
    "draw_weighted_sizes",
    "scale_bar_length",
    "shown_size",
    "style",
]

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.titley": 1.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "text.usetex": False,
    # Names come from files: a dollar is a dollar.
    "text.parse_math": False,
    "pdf.fonttype": 42,
}


def as_written(figure: "Figure") -> "Figure":
    """The figure, in which a dollar in a name from a file is a dollar and begins no mathematics."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if "$" in text.get_text() and "mathdefault" not in text.get_text():  # as matplotlib writes powers of ten
            text.set_parse_math(False)
    return figure


def style() -> AbstractContextManager[None]:
    """The look of every figure, independent of the user's matplotlib settings while it lasts."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(f"drawing needs matplotlib: {install('plot')}") from error
    return matplotlib.rc_context(_STYLE)
