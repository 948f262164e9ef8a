"""
Grains by the strength of reflections, against LiberTEM's recipe of it written with NumPy, SciPy and scikit-learn.

A scan of 96 x 96 patterns of 128 x 128 pixels u8 over 30 bent grains: standard deviation over the scan, its local
maxima around the beam, the disc over each less the ring around it at every position, Ward's linkage on the grid, mean
pattern of every grain. Both are told the number of grains, and the peer the beam and its size. The peer's discs and
rings are the rows of a sparse matrix; another has single pixels, as LiberTEM's cluster analysis. Answers are compared
with the truth.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import harness

GRAINS = 30


@cache
def scan() -> harness.Data:
    from emcore.datasets import bent_polycrystal

    sample = bent_polycrystal((96, 96), n_grains=GRAINS)
    return {"patterns": np.asarray(sample.patterns.data), "labels": sample.labels}


def emcore(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import scipy.ndimage
    import scipy.spatial  # noqa: F401

    import emcore

    patterns, true = data["patterns"], data["labels"]

    def run() -> harness.Data:
        observed = emcore.cluster_reflections(patterns, GRAINS)
        return {"labels": observed.labels, "signals": observed.signals, "true": true}

    return run


def discs(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster
    import sklearn.feature_extraction.image  # noqa: F401
    from skimage.feature import peak_local_max

    return lambda: recipe(data["patterns"], peak_local_max, True) | {"true": data["labels"]}


def pixels(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster
    import sklearn.feature_extraction.image  # noqa: F401
    from skimage.feature import peak_local_max

    return lambda: recipe(data["patterns"], peak_local_max, False) | {"true": data["labels"]}


def recipe(patterns: np.ndarray, peak_local_max: Callable[..., np.ndarray], with_rings: bool) -> harness.Data:
    """What LiberTEM's cluster analysis does, with what it is told here: centre, radii, radius of a disc."""
    from scipy import sparse
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.image import grid_to_graph

    lines, width, height, breadth = patterns.shape
    center, inner, outer, radius = ((height - 1) / 2, (breadth - 1) / 2), 7.0, 60.0, 3.1
    y, x = np.indices((height, breadth))
    away = np.hypot(y - center[0], x - center[1])
    deviation = np.where((away > inner) & (away < outer), patterns.std(axis=(0, 1)), 0)
    places = peak_local_max(deviation, num_peaks=500, min_distance=int(1.5 * radius))
    rows = patterns.reshape(lines * width, -1)
    if with_rings:
        masks = []
        for place in places:
            distance = np.hypot(y - place[0], x - place[1])
            disc, ring = distance <= radius, (distance > radius + 1) & (distance <= 2 * radius + 1.5)
            masks.append(sparse.csr_matrix((disc - ring * (disc.sum() / ring.sum())).reshape(1, -1)))
        matrix = sparse.vstack(masks).astype(np.float32)
        values = np.concatenate([(matrix @ rows[i : i + 512].T).T for i in range(0, len(rows), 512)])
    else:
        values = rows[:, places[:, 0] * breadth + places[:, 1]].astype(np.float64)
    values = values / np.abs(values).mean(axis=0)
    ward = AgglomerativeClustering(GRAINS, linkage="ward", connectivity=grid_to_graph(lines, width))
    labels = ward.fit_predict(values)
    signals = np.stack([rows[labels == label].mean(axis=0) for label in range(GRAINS)])
    return {"labels": labels.reshape(lines, width), "signals": signals.reshape(-1, height, breadth)}


def compare(ours: harness.Data, theirs: harness.Data) -> None:
    from emcore.datasets import adjusted_rand_index

    observed = [adjusted_rand_index(each["true"], each["labels"]) for each in (ours, theirs)]
    print(f"adjusted Rand index {observed[0]:.4f}, the peer's {observed[1]:.4f}")
    assert observed[0] >= observed[1] - 0.02, f"adjusted Rand index {observed[0]:.4f}, the peer's {observed[1]:.4f}"


WORKLOADS = [
    harness.Workload(
        name="96 x 96 patterns of 128 x 128 u8 to grains by reflections",
        data=scan,
        emcore=emcore,
        peers={"discs less rings, Ward": discs, "single pixels, Ward": pixels},
        compare=compare,
        rows=("as delivered",),
        bytes=3.0 * 96**2 * 128**2,
    )
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
