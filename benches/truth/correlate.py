"""Correlate: phases from diffraction patterns and X-ray spectra together

emcore at its default settings, left to choose the number and told it; a Gaussian mixture and k-means, told the number,
on principal components of both signals, each divided by the root of its mean (what ten lines of scikit-learn do). Its
own `datasets.correlated_scan` stands beside scans of others' generators, marked "own".
"""

import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import emcore
import emcore.datasets
from table import Row

# Settings of `correlated_scan`.
OWN: dict[str, dict[str, float]] = {"own": {}, "own counts": {"counts": 200.0}, "own bent": {"bend": 1.2}}


def evaluate(path: Path, name: str) -> list[Row]:
    """emcore and its peers on one scan; with the first one of a seed, on those of emcore's own."""
    case = np.load(path)
    rows = _rows(case["patterns"], case["spectra"], case["labels"], name)
    if path == min(path.parent.glob("*.npz")):
        seed = int(name.split()[-1])
        for own, settings in OWN.items():
            scan = emcore.datasets.correlated_scan((64, 64), **settings, seed=seed)
            rows += _rows(np.asarray(scan.diffraction.data), np.asarray(scan.eds.data), scan.labels, f"{own} {seed}")
    return rows


def _rows(patterns: np.ndarray, spectra: np.ndarray, truth: np.ndarray, name: str) -> list[Row]:
    k = int(truth.max()) + 1
    rows = []
    for asked, by in (("auto", "emcore"), (k, "emcore, told")):
        started = time.perf_counter()
        result = emcore.correlate([patterns, spectra], asked)
        seconds = time.perf_counter() - started
        index = adjusted_rand_score(truth.ravel(), result.labels.ravel())
        rows.append(Row(name, by, result.n_clusters, k, {"index": index}, seconds, result.number))
    places = _scores(patterns, spectra, k)
    peers = {
        "GaussianMixture, told": GaussianMixture(k, n_init=5, random_state=0),
        "k-means, told": KMeans(k, n_init=10, random_state=0),
    }
    for by, peer in peers.items():
        started = time.perf_counter()
        labels = peer.fit_predict(places)
        index = adjusted_rand_score(truth.ravel(), labels)
        rows.append(Row(name, by, k, k, {"index": index}, time.perf_counter() - started))
    return rows


def _scores(patterns: np.ndarray, spectra: np.ndarray, k: int) -> np.ndarray:
    """Components of both signals side by side, counts over the roots of their means, of the same variance in all."""
    sides = []
    for signal in (patterns, spectra):
        rows = signal.reshape(_positions(signal), -1).astype(np.float64)
        rows = rows[:, rows.any(axis=0)]
        rows /= np.sqrt(rows.mean(axis=0))
        sides.append(rows / np.sqrt(rows.var(axis=0).sum()))
    return PCA(max(4, k), random_state=0).fit_transform(np.hstack(sides))


def _positions(signal: np.ndarray) -> int:
    return signal.shape[0] * signal.shape[1]
