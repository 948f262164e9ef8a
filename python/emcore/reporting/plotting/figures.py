"""Whose is a figure? Where there is a display or a notebook, pyplot's, which shows it; else whoever draws it has it."""

import threading
import weakref
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# What pyplot has no window for: backends that write files.
_SILENT = frozenset({"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"})
_latest: list["weakref.ref[Figure]"] = []


class ResultFigure(Figure):
    """A figure that a notebook shows once, though it is the last value of a cell and one of pyplot's as well."""

    def _ipython_display_(self) -> None:
        if "inline" in matplotlib.get_backend():
            import matplotlib.pyplot as plt

            plt.close(self)
        raise NotImplementedError  # and so it is shown as any figure


def silent() -> bool:
    """Whether figures are only written to files here."""
    return matplotlib.get_backend().lower() in _SILENT


def managed(figure: Figure) -> Figure:
    """The figure, which pyplot has from now on as its current one: `plt.show`, `plt.savefig`, `plt.gcf` mean it.

    Where nothing shows figures pyplot has the latest one alone: any number can be made in a loop, and none need be
    closed. In threads, in which windows cannot be opened, it has none.
    """
    if threading.current_thread() is not threading.main_thread():
        return figure
    try:
        import matplotlib.pyplot as plt

        if silent():
            while _latest:
                before = _latest.pop()()
                if before is not None:
                    plt.close(before)
        plt.figure(FigureClass=lambda *_, **__: figure)  # type: ignore[arg-type]
    except ImportError:  # a backend without its toolkit, or without a display
        return figure
    if silent():
        _latest.append(weakref.ref(figure))
    return figure


def shown() -> bool:
    """Show what pyplot has; False where nothing is there to show it."""
    try:
        import matplotlib.pyplot as plt

        if silent():
            return False
        plt.show()
    except ImportError:
        return False
    return True


def pictures_of(axes: Any) -> list[Any]:
    """Those in some axes that show values by colours."""
    return [image for each in axes for image in each.images if image.get_array().ndim == 2]
