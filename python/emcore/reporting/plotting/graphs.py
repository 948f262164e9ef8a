"""Curves and points over an axis."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import power_of_ten

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_scree(axes: "Axes", evr: NDArray[Any], n_components: int) -> None:
    """Explained variance against component number on a logarithmic scale; the chosen components are filled."""
    shown = np.asarray(evr[:30], dtype=float)
    number = np.arange(1, len(shown) + 1)
    selected = number <= n_components
    shown = np.maximum(shown, shown[shown > 0].min(initial=1.0))
    axes.semilogy(number, shown, color="0.6", linewidth=0.8, zorder=1)
    axes.scatter(number[selected], shown[selected], s=22, color="#0072B2", zorder=2)
    axes.scatter(number[~selected], shown[~selected], s=18, facecolor="white", edgecolor="0.4", zorder=2)
    if n_components < len(shown):
        axes.axvline(n_components + 0.5, color="#D55E00", linewidth=1, linestyle="--")
    axes.set_xlabel("component")
    axes.set_ylabel("explained variance ratio")
    axes.set_xlim(0.4, max(len(shown), 2) + 0.6)
    axes.locator_params(axis="x", integer=True)
    label_decades(axes, shown)
    axes.spines[["top", "right"]].set_visible(False)


def label_decades(axes: "Axes", values: NDArray[np.float64]) -> None:
    """Few labels on a logarithmic scale: of decades, or of 1, 2 and 5 times them where there is no room for a third."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = float(values.min()), float(values.max())
    if high < 1.05 * low:
        low, high = low / 2, high * 2
    axes.set_ylim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
    if high > 30 * low:
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(round(math.log10(value)))))
    elif high > 3 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    else:
        axes.set_yticks([low, high], [f"{value:.3g}" for value in (low, high)])
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_mergings(axes: "Axes", history: NDArray[np.float64], n_segments: int, limit: float) -> None:
    """The angle of every merging against the segments left after it; those that were done are filled."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    left = n_segments - 1 - np.arange(len(history))
    angle = np.degrees(np.arccos(np.clip(history[:, 2], -1.0, 1.0)))
    short = np.flatnonzero(history[:, 2] < limit)
    done = np.arange(len(history)) < (short[0] if short.size else len(history))
    axes.semilogx(left, angle, color="0.6", linewidth=0.8, zorder=1)
    axes.scatter(left[done], angle[done], s=10, color="#0072B2", zorder=2)
    axes.scatter(left[~done], angle[~done], s=10, facecolor="white", edgecolor="0.4", linewidth=0.7, zorder=2)
    axes.axhline(np.degrees(np.arccos(limit)), color="#D55E00", linewidth=1, linestyle="--", zorder=0)
    axes.set_xlim(0.8, 1.25 * max(n_segments, 2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-2, max(90.0, float(angle.max(initial=0))) + 2)
    axes.set_xlabel("segments left")
    axes.set_ylabel("angle when merged (°)")
    axes.spines[["top", "right"]].set_visible(False)


def draw_sizes(axes: "Axes", diameter: NDArray[np.float64], units: str) -> None:
    """How many grains have which equivalent diameter; the median is dashed."""
    bins = int(np.clip(2 * np.sqrt(len(diameter)), 5, 30))
    edges = np.linspace(0, float(diameter.max()) * 1.001, bins + 1)
    axes.hist(diameter, bins=edges.tolist(), color="#0072B2", edgecolor="white", linewidth=0.5)
    axes.axvline(float(np.median(diameter)), color="#D55E00", linewidth=1, linestyle="--")
    axes.set_xlim(0, edges[-1])
    axes.set_xlabel(f"equivalent diameter ({units})")
    axes.set_ylabel("grains")
    axes.locator_params(axis="y", integer=True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_weighted_sizes(
    axes: "Axes", diameter: NDArray[np.float64], area: NDArray[Any], cut: NDArray[np.bool_], units: str
) -> None:
    """Which part of the area of all grains is in grains of which equivalent diameter; light: cut by the border."""
    bins = int(np.clip(2 * np.sqrt(len(diameter)), 5, 20))
    edges = np.linspace(0, float(diameter.max()) * 1.001, bins + 1).tolist()
    share = area / area.sum()
    parts, colors = [diameter[~cut], diameter[cut]], ["#0072B2", "#9CC9E3"]
    axes.hist(
        parts,
        bins=edges,
        weights=[share[~cut], share[cut]],
        stacked=True,
        color=colors,
        edgecolor="white",
        linewidth=0.5,
        label=["whole", "cut by the border"],
    )
    axes.legend(frameon=False, fontsize=7)
    axes.set_xlim(0, edges[-1])
    axes.set_xlabel(f"equivalent diameter ({units})")
    axes.set_ylabel("share of area")
    axes.spines[["top", "right"]].set_visible(False)
