"""Groups of diffraction patterns

What `emcore.cluster_diffraction` finds at its default settings, left to choose the number and told it; HDBSCAN, and
k-means told the number, on square roots of the patterns reduced to 20 principal components (what ten lines of
scikit-learn do). True are the groups that patterns can tell: grains of one orientation and phase are one.
"""

import time
from pathlib import Path

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import emcore
from table import Row


def evaluate(path: Path, name: str) -> list[Row]:
    """emcore and its peers on one scan."""
    case = np.load(path)
    patterns, truth = case["patterns"], case["groups"].ravel()
    k = int(truth.max()) + 1
    rows = []
    for asked, by in (("auto", "emcore"), (k, "emcore, told")):
        started = time.perf_counter()
        result = emcore.cluster_diffraction(patterns, asked)
        seconds = time.perf_counter() - started
        rows.append(_row(name, by, result.n_clusters, truth, result.labels.ravel(), seconds, result.reason))
    started = time.perf_counter()
    roots = np.sqrt(patterns.reshape(len(truth), -1).astype(np.float32))
    places = PCA(20, random_state=0).fit_transform(roots)
    reduced = time.perf_counter() - started
    peers = {
        "HDBSCAN": HDBSCAN(min_cluster_size=20, copy=True),
        "k-means, told": KMeans(k, n_init=10, random_state=0),
    }
    for by, peer in peers.items():
        started = time.perf_counter()
        labels = peer.fit_predict(places)
        seconds = reduced + time.perf_counter() - started
        rows.append(_row(name, by, int(labels.max()) + 1, truth, labels, seconds))
    return rows


def _row(
    name: str, by: str, found: int, truth: np.ndarray, labels: np.ndarray, seconds: float, remark: str = ""
) -> Row:
    index = adjusted_rand_score(truth, labels)
    return Row(name, by, found, int(truth.max()) + 1, {"index": index}, seconds, remark)
