"""What is drawn of a choice of the number of clusters: every criterion."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def overview(choice: Any) -> "Figure":
    """Each criterion against the number of clusters; what it chooses is filled, the recommended number dashed."""
    from emcore.reporting.plotting.figures import ResultFigure

    figure = ResultFigure(figsize=(7.5, 4.4), layout="constrained")
    panels: list[tuple[str, NDArray[np.float64], str | None]] = [
        ("Inertia", choice.inertia, "elbow"),
        ("Davies-Bouldin (low is good)", choice.davies_bouldin, "Davies-Bouldin"),
        ("Calinski-Harabasz", choice.calinski_harabasz, "Calinski-Harabasz"),
        ("Silhouette", choice.silhouette, "silhouette"),
        ("Gap to uniform data", choice.gap, "gap"),
        ("Agreement between seeds", choice.stability, None),
    ]
    for axes, (title, values, vote) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        axes.plot(choice.tried, values, color="0.6", linewidth=0.8, zorder=1)
        if vote == "gap":
            axes.errorbar(choice.tried, values, choice.gap_error, fmt="none", ecolor="0.6", linewidth=0.8, zorder=1)
        chosen = choice.tried == (choice.votes[vote] if vote else -1)
        axes.scatter(choice.tried[chosen], values[chosen], s=26, color="#0072B2", zorder=2)
        axes.scatter(choice.tried[~chosen], values[~chosen], s=16, facecolor="white", edgecolor="0.4", zorder=2)
        axes.axvline(choice.n_clusters, color="#D55E00", linewidth=1, linestyle="--", zorder=0)
        axes.set_title(title, loc="left")
        axes.locator_params(axis="x", integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        if vote is None:
            axes.set_ylim(min(0.0, float(values.min())) - 0.05, 1.05)
    figure.supxlabel("clusters", fontsize=8)
    return figure
