"""
The whole curves job, against the same steps written with NumPy and scikit-learn.

7000 current-voltage curves of 200 points, as in C-AFM, of three kinds: k-means with ten starts, and for every group the
mean, the standard deviation, two percentiles, and the least-squares slope of every curve.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import harness

KINDS = 3


def film() -> harness.Data:
    from emcore.datasets import iv_curves

    sample = iv_curves()
    return {"curves": sample.curves, "bias": sample.bias}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        observed = emcore.cluster_curves(data["curves"], KINDS, x=data["bias"])
        return {"labels": observed.labels, "signals": observed.signals, "high": observed.high}

    return run


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster  # noqa: F401

    return lambda: plain(data["curves"], data["bias"])


def plain(curves: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from sklearn.cluster import KMeans

    rows = curves.reshape(-1, curves.shape[-1])
    labels = KMeans(KINDS, n_init=10, random_state=0).fit(rows).labels_
    order = np.argsort(-np.bincount(labels))
    labels = np.argsort(order)[labels]
    groups = [rows[labels == kind] for kind in range(KINDS)]
    slopes = np.polyfit(bias, rows.T, 1)[0]
    return {
        "labels": labels.reshape(curves.shape[:-1]),
        "signals": np.stack([group.mean(axis=0) for group in groups]),
        "spread": np.stack([group.std(axis=0) for group in groups]),
        "low": np.stack([np.quantile(group, 0.05, axis=0) for group in groups]),
        "high": np.stack([np.quantile(group, 0.95, axis=0) for group in groups]),
        "slope": np.array([[slopes[labels == kind].mean(), slopes[labels == kind].std()] for kind in range(KINDS)]),
    }


def groups_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert np.mean(ours["labels"] == theirs["labels"]) > 0.999, "labels differ"
    for name in ("signals", "high"):
        assert np.allclose(ours[name], theirs[name], rtol=1e-2, atol=1e-2), f"{name} differ"


WORKLOADS = [
    harness.Workload(
        "curves 7000 x 200 f32, 3 groups, in one process",
        film,
        emcore_in_process,
        {"NumPy, scikit-learn": plain_in_process},
        groups_agree,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
