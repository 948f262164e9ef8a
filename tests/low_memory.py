"""Functions and estimators called with less and less memory to be had: ``python tests/low_memory.py [NAME ...]``."""

import ctypes
import gc
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import emcore
from emcore import _emcore, preprocessing
from emcore.methods.nmf.settings import Parameters, Penalty

MORE = (1 << 20, 4 << 20, 16 << 20)
"""Bytes that a call may have beside what is held; without any the small change of a process has none either."""


def calls() -> dict[str, Callable[[], Any]]:
    """Each of a size at which it needs some megabytes."""
    rng = np.random.default_rng(0)
    n, d, k = 400_000, 4, 24
    rows = rng.integers(0, 9, (n, d), dtype=np.uint8)
    rows[:, 0] += 1
    many, wide = np.tile(rows, (4, 1)), rows.reshape(-1, 64)
    spectra = rng.random((k, d)) + np.eye(k, d) + 0.1
    labels = (np.arange(n) % k).astype(np.int32)
    w = np.ones((n, k), np.float32)
    whole = preprocessing.prepare(preprocessing.Recipe(rows, normalize="sqrt"))
    image = rng.integers(0, 9, (600, 600), dtype=np.uint8)
    large = rng.integers(0, 9, (1400, 1400), dtype=np.uint8)
    shapes = np.broadcast_to(np.eye(64), (200, 64, 64)).copy()
    parameters = Parameters("hals", "frobenius", 1, 2, 0.0, Penalty(), Penalty())
    near = {"metric": "euclidean", "weights": None}
    return {
        "moments": lambda: _emcore.moments(wide.reshape(20, -1)),
        "quantiles": lambda: _emcore.quantiles(wide.reshape(20, -1), [0.1, 0.5, 0.9]),
        "x_q": lambda: _emcore.x_q(rows, spectra.T),
        "xt_x_q": lambda: _emcore.xt_x_q(wide.reshape(20, -1), np.ones((wide.size // 20, 4))),
        "residuals": lambda: _emcore.residuals(rows, w, spectra),
        "correlations": lambda: _emcore.correlations(rows, spectra),
        "bin_features": lambda: _emcore.bin_features(rows, np.arange(d, dtype=np.int32), d, 30),
        "gram": lambda: _emcore.gram(wide.reshape(200, -1)[:, :3000].copy(), np.zeros(3000), np.ones(3000)),
        "kmeans": lambda: _emcore.kmeans(rows, spectra, max_iter=2, tol=0.0, **near),
        "kmeans of the cosine": lambda: _emcore.kmeans(
            rows, spectra, max_iter=2, tol=0.0, **near | {"metric": "cosine"}
        ),
        "kmeans_seeds": lambda: _emcore.kmeans_seeds(rows, 3, draws=np.full(_emcore.kmeans_draws(3), 0.5), **near),
        "kmeans_nearest": lambda: _emcore.kmeans_nearest(rows, spectra, **near),
        "kmeans_distances": lambda: _emcore.kmeans_distances(rows, spectra, metric="euclidean"),
        "kmeans_spread": lambda: _emcore.kmeans_spread(rows, labels, k, metric="euclidean"),
        "kmeans_farthest": lambda: _emcore.kmeans_farthest(rows, spectra, labels, 9, **near),
        "kmeans_attempts": lambda: _emcore.kmeans_attempts(rows, spectra[:1], None, **near),
        "kmeans_visit": lambda: _emcore.kmeans_visit(rows, spectra, labels, **near),
        "memberships": lambda: _emcore.memberships(rows, spectra, m=2.0, covariances=None, rho=None),
        "memberships of ellipsoids": lambda: _emcore.memberships(
            wide, np.ones((200, 64)), m=2.0, covariances=shapes, rho=[1.0] * 200
        ),
        "cmeans of ellipsoids": lambda: emcore.GustafsonKessel(60, max_iter=1).fit(wide[:2000]),
        "nmf of many features": lambda: _emcore.nmf(
            wide.reshape(40, -1), np.ones((40, 9), np.float32), np.ones((9, wide.size // 40)), parameters, None
        ),
        "pure_rows": lambda: _emcore.pure_rows(many, 2, None),
        "sum_by_label": lambda: _emcore.sum_by_label(rows, labels, 2_000_000),
        "merge_similar": lambda: _emcore.merge_similar(
            rows, labels + np.arange(n, dtype=np.int32) // 2, (n // 100, 100), n, 0.9
        ),
        "merge_borders": lambda: _emcore.merge_borders(
            3_000_000, np.zeros((0, 2), np.uint32), np.zeros(0), np.zeros(0)
        ),
        "slic": lambda: _emcore.slic(
            rows,
            (n // 100, 100),
            np.array([[1.0, 1.0]]),
            compactness=0.5,
            adaptive=False,
            n_iter=2,
            spacing=9.0,
            reach=(9.0, 9.0),
            mask=None,
            connected=2,
        ),
        "confidence": lambda: _emcore.confidence(rows, labels, spectra, np.zeros(d)),
        "prepared rows": lambda: np.asarray(whole),
        "pca": lambda: _emcore.pca(
            wide.reshape(400, -1), components=3, center=True, weights=None, solver="exact", seed=0
        ),
        "randomized pca": lambda: _emcore.pca(
            wide.reshape(20, -1), components=3, center=True, weights=None, solver="randomized", seed=0
        ),
        "FuzzyCMeans": lambda: emcore.FuzzyCMeans(k, max_iter=2).fit(rows),
        "NMF": lambda: emcore.NMF(k, max_iter=2, init="random").fit(wide),
        "KMeans": lambda: emcore.KMeans(k, n_init=1, max_iter=2).fit(rows),
        "PCA": lambda: emcore.PCA(3).fit_transform(rows),
        "windowed_power_spectra": lambda: emcore.windowed_power_spectra(image, 64, 4),
        "local_symmetry_scores": lambda: emcore.local_symmetry_scores(large, "rotation", patch=12, stride=1),
    }


def limited(call: Callable[[], Any], more: int) -> str:
    """What came of a call that gets no more than so many bytes."""
    import resource  # which is not for Windows

    gc.collect()
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + more, resource.RLIM_INFINITY))
    try:
        call()
        return "fits"
    except MemoryError as error:
        return str(error) or "nothing said"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    every = calls()
    # Or what was freed would be had again: M_MMAP_THRESHOLD of glibc.
    ctypes.CDLL(None).mallopt(-3, 1 << 16)
    for name in sys.argv[1:] or every:
        every[name]()  # so that threads are there, and what is imported when it is needed
        for more in MORE:
            print(f"{name}|{more >> 10}|{limited(every[name], more)}", flush=True)
