"""
Grains of scans of diffraction patterns

`emcore.segment_grains` at default settings, and what ten lines of scikit-learn make of the same scans: principal
components of square roots, then HDBSCAN whose noise goes to the nearest cluster, or k-means that is told the number.
Then the grains by the strength of reflections, `emcore.cluster_reflections`, left to find the number and told it, and
LiberTEM's recipe of it that is told the number, the beam and its size: the values at the maxima of the standard
deviation, each over its mean, Ward's linkage on the grid. The index is adjusted Rand's against the true grains,
connected pieces of one orientation; of k-means on reflections, against the groups of one orientation.
"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.feature import peak_local_max
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import grid_to_graph

from emcore import cluster_reflections, segment_grains
from emcore.datasets import adjusted_rand_index
from table import Row

_COMPONENTS, _LEAST = 20, 20


def reduced(patterns: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Principal components of the square roots of all pixels."""
    rows = np.sqrt(patterns.reshape(-1, patterns.shape[2] * patterns.shape[3]).astype(np.float32))
    scores: NDArray[np.float32] = PCA(_COMPONENTS, svd_solver="randomized", random_state=0).fit_transform(rows)
    return scores


def density_clusters(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """HDBSCAN, every position that it calls noise in the cluster whose mean is nearest."""
    labels: NDArray[np.intp] = HDBSCAN(min_cluster_size=_LEAST, copy=True).fit_predict(scores)
    if labels.max() < 0:
        return np.zeros_like(labels)
    means = np.stack([scores[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    noise = np.flatnonzero(labels < 0)
    if noise.size:
        labels[noise] = ((scores[noise, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return labels


def libertem(patterns: NDArray[np.uint16], k: int, center: tuple[float, float], radius: float) -> NDArray[np.intp]:
    """LiberTEM's cluster analysis, with its masks of a pixel each."""
    lines, width, height, breadth = patterns.shape
    away = np.hypot(*(np.indices((height, breadth)) - np.reshape(center, (2, 1, 1))))
    deviation = np.where((away > radius) & (away < min(height, breadth) / 2), patterns.std(axis=(0, 1)), 0)
    y, x = peak_local_max(deviation, num_peaks=500, min_distance=max(int(radius / 2), 1)).T
    values = patterns[:, :, y, x].reshape(lines * width, -1).astype(np.float64)
    values /= np.abs(values).mean(axis=0)
    ward = AgglomerativeClustering(k, linkage="ward", connectivity=grid_to_graph(lines, width))
    labels: NDArray[np.intp] = ward.fit_predict(values)
    return labels


def by_reflections(
    patterns: NDArray[np.uint16], labels: NDArray[np.int32], groups: NDArray[np.int32], name: str
) -> list[Row]:
    """The grains that the strengths of reflections tell, and LiberTEM's recipe beside."""
    true, kinds = int(labels.max()) + 1, int(groups.max()) + 1
    asked = {
        "emcore, reflections": ("auto", "ward", labels, true),
        "emcore, reflections, told the number": (true, "ward", labels, true),
        "emcore, k-means on reflections": ("auto", "kmeans", groups, kinds),
    }
    rows = []
    for by, (number, method, truth, count) in asked.items():
        started = time.perf_counter()
        result = cluster_reflections(patterns, number, method=method)
        seconds = time.perf_counter() - started
        index = {"index": adjusted_rand_index(truth, result.labels)}
        rows.append(Row(name, by, result.n_clusters, count, index, seconds, result.reason if number == "auto" else ""))
    if result.beam_center is None:
        return rows
    started = time.perf_counter()
    found = libertem(patterns, true, result.beam_center, result.beam_radius).reshape(labels.shape)
    seconds = time.perf_counter() - started
    rows.append(
        Row(
            name,
            "LiberTEM's recipe, told the number",
            true,
            true,
            {"index": adjusted_rand_index(labels, found)},
            seconds,
        )
    )
    return rows


def evaluate(path: Path, name: str) -> list[Row]:
    """The grains that are found in one scan."""
    with np.load(path) as case:
        patterns, labels, groups = case["patterns"], case["labels"], case["groups"]
    true, n_groups = int(labels.max()) + 1, int(groups.max()) + 1
    rows = []
    for method in ("auto", "slic", "graph", "hdbscan"):
        started = time.perf_counter()
        result = segment_grains(patterns, method=method)
        seconds = time.perf_counter() - started
        scores = {"index": adjusted_rand_index(labels, result.labels)}
        by = "emcore" if method == "auto" else f"emcore, {method} alone"
        remark = result.reason.split("; ", 1)[1] if method == "auto" else ""
        rows.append(Row(name, by, result.n_grains, true, scores, seconds, remark))
    places = reduced(patterns)
    peers = {
        "PCA, HDBSCAN": lambda: density_clusters(places),
        "PCA, k-means, told the number": lambda: KMeans(n_groups, n_init=5, random_state=0).fit_predict(places),
    }
    for by, cluster in peers.items():
        started = time.perf_counter()
        found = cluster().reshape(labels.shape)
        index = {"index": adjusted_rand_index(labels, found)}
        rows.append(Row(name, by, int(found.max()) + 1, true, index, time.perf_counter() - started))
    return rows + by_reflections(patterns, labels, groups, name)
