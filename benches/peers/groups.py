"""
Grouping spectra without a number, against the same steps written with NumPy and scikit-learn.

5120 low-loss spectra of 300 channels in u16: divided by their norm, reduced to the principal components that vary by
more than neighbouring positions do, grouped by HDBSCAN with given settings, and the mean spectrum of every group.
HDBSCAN is scikit-learn's on both sides, and takes most of the time; of 30,000 spectra emcore fits it on 5000 of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import harness

SIZE, NEIGHBOURS = 60, 10


def losses(shape: tuple[int, int] = (64, 80)) -> harness.Data:
    from emcore.datasets import plasmon_spectra

    return {"spectra": plasmon_spectra(shape).signal.data}


def large() -> harness.Data:
    return losses((150, 200))


def ours(sample: int) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        import emcore

        spectra = data["spectra"]
        size = SIZE * spectra[..., 0].size // 5120

        def run() -> Any:
            found = emcore.group_signals(spectra, min_cluster_size=size, min_samples=NEIGHBOURS, sample=sample)
            return {"labels": found.labels, "signals": found.signals}

        return run

    return setup


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster  # noqa: F401

    return lambda: plain(data["spectra"])


def plain(spectra: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    rows = spectra.reshape(-1, spectra.shape[-1]).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = PCA(32, random_state=0).fit_transform(unit)
    steps = np.diff(scores.reshape(*spectra.shape[:2], -1), axis=1)
    noise = np.square(steps).mean(axis=(0, 1)) / 2
    kept = scores.var(axis=0) >= 1.3 * noise
    places = scores[:, kept] / np.sqrt(noise[kept])
    size = SIZE * len(rows) // 5120
    labels = HDBSCAN(min_cluster_size=size, min_samples=NEIGHBOURS, copy=True, n_jobs=-1).fit_predict(places)
    order = np.argsort(-np.bincount(labels[labels >= 0]))
    labels = np.where(labels < 0, -1, np.argsort(order)[labels])
    signals = np.stack([rows[labels == group].mean(axis=0) for group in range(labels.max() + 1)])
    return {"labels": labels.reshape(spectra.shape[:2]), "signals": signals}


def groups_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], least: float = 0.99) -> None:
    from emcore.datasets import adjusted_rand_index

    index = adjusted_rand_index(ours["labels"], theirs["labels"])
    assert index > least, f"labels differ, adjusted Rand index {index:.3f}"


def nearly(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    groups_agree(ours, theirs, 0.9)


PEERS = {"NumPy and scikit-learn": plain_in_process}
WORKLOADS = [
    harness.Workload(
        "groups of 5120 spectra, all fitted", losses, ours(20_000), PEERS, groups_agree, rows=("as delivered",)
    ),
    harness.Workload("groups of 30000 spectra, 5000 fitted", large, ours(5_000), PEERS, nearly, rows=("as delivered",)),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
