"""Curves and points over an axis."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_scree(axes: "Axes", evr: NDArray[Any], n_components: int) -> None:
    """Explained variance against component number on a logarithmic scale; the chosen components are filled."""
    shown = np.asarray(evr[:30], dtype=float)
    number = np.arange(1, len(shown) + 1)
    kept = number <= n_components
    shown = np.maximum(shown, shown[shown > 0].min(initial=1.0))
    axes.semilogy(number, shown, color="0.6", linewidth=0.8, zorder=1)
    axes.scatter(number[kept], shown[kept], s=22, color="#0072B2", zorder=2)
    axes.scatter(number[~kept], shown[~kept], s=18, facecolor="white", edgecolor="0.4", zorder=2)
    if n_components < len(shown):
        axes.axvline(n_components + 0.5, color="#D55E00", linewidth=1, linestyle="--")
    axes.set_xlabel("component")
    axes.set_ylabel("explained variance ratio")
    axes.set_xlim(0.4, max(len(shown), 2) + 0.6)
    axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
