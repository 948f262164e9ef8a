"""Where the drawing of a result is found: it lies in a layer above those whose results it draws.

The package names the functions that draw when it is imported (`set_backend`), and imports their modules, with
matplotlib, when something is drawn: nothing below depends on them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BACKEND: dict[str, str] = {}


def set_backend(**places: str) -> None:
    """Name the modules of the functions `plot`, `show`, `write_report`, `write_html`, `in_notebook`, `export`."""
    _BACKEND.update(places)


def backend(function: str) -> Any:
    """The function of that name, its module imported if need be."""
    return getattr(import_module(_BACKEND[function]), function)


class Drawable:
    """What has a page of its own: `page` names its file in `emcore.reporting.pages`."""

    page: ClassVar[str]

    def plot(self) -> "Figure":
        """Draw everything that has a picture on one page.

        Returns
        -------
        matplotlib.figure.Figure
            pyplot's current one, see `emcore.results.result.Result.plot`.

        Raises
        ------
        ImportError
            If the extra `plot` is not installed.
        """
        figure: Figure = backend("plot")(self)
        return figure

    def show(self) -> None:
        """Plot and show it, as ``plt.show()`` does; without a display, warn of that.

        Raises
        ------
        ImportError
            If the extra `plot` is not installed.
        """
        backend("show")(self)
