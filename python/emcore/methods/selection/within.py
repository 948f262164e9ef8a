"""Clusters of one ellipsoidal shape, common to all.

Where clusters vary inside, as bent crystals do, the directions in which they vary must not decide what is a cluster.
In units of the scatter within clusters all directions weigh the same: labels that make its determinant least are the
most likely ones of normal clusters with one covariance (Friedman & Rubin, J. Am. Stat. Assoc. 62 (1967) 1159). By turns
the scatter within is found and k-means made in units of it, from many starts, pieces that were joined among them; of
what these end in, those labels are best within which the scan also steps least (`emcore.methods.selection.steps`).
"""

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.selection.density import DensityGroups
from emcore.methods.selection.steps import joined, spread

# Runs of k-means of which one start is the best, single runs beside; turns from each; pieces for each cluster.
_STARTS, _SINGLE, _TURNS, _MANY = 5, 2, 20, 3
# Rows on which the shape is sought; pieces that are joined, at most.
_ROWS, _JOINED = 4000, 150
# Part of the rows that lie farthest out, by which nothing is decided.
_FAR = 0.003


def scatter_within(places: Floats, labels: NDArray[np.integer]) -> Floats:
    """
    Covariance of rows about the mean of their own cluster.

    Examples
    --------
    >>> scatter_within(np.array([[0.0], [2.0], [9.0], [11.0]]), np.array([0, 0, 1, 1])).tolist()
    [[1.0]]
    """
    inside = places - _means(places, labels, int(labels.max()) + 1)[labels]
    scatter: Floats = np.einsum("ni,nj->ij", inside, inside) / len(places)
    return scatter


def in_units_of(places: Floats, scatter: Floats) -> Floats:
    """
    Places in directions in which the scatter is 1.

    Examples
    --------
    >>> in_units_of(np.array([[4.0, 1.0]]), np.diag([4.0, 1.0])).tolist()
    [[1.0, 2.0]]
    """
    values, vectors = np.linalg.eigh(scatter)
    lengths = np.sqrt(np.maximum(values, 1e-9 * max(float(values[-1]), 1e-300)))
    return np.ascontiguousarray(np.einsum("ni,ij->nj", places, vectors / lengths))


def _log_determinant(scatter: Floats) -> float:
    values = np.linalg.eigvalsh(scatter)
    return float(np.log(np.maximum(values, 1e-9 * max(float(values[-1]), 1e-300))).sum())


def common_shape(
    places: Floats, k: int, groups: DensityGroups, seed: int, pairs: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.int32], Floats]:
    """
    Labels of k clusters with one covariance, and the places in units of it.

    Parameters
    ----------
    places : ndarray, shape (n, p)
    k : int
    groups : DensityGroups
        Of these places: the scatter within them is one start, the places as they are another.
    seed : int
    pairs : ndarray of int, shape (pairs, 2), optional
        Rows between which the scan steps, as `steps_apart` gives them.

    Returns
    -------
    labels : ndarray, shape (n,), int32
        Those of the least `spread`.
    units : ndarray, shape (n, p)

    Examples
    --------
    >>> from emcore.methods.selection.density import density_groups
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=400)
    >>> places = np.stack([30 * rng.normal(size=400), 6.0 * truth + rng.normal(size=400)], axis=1)
    >>> labels, _ = common_shape(places, 2, density_groups(places), 0)
    >>> bool(max(np.mean(labels == truth), np.mean(labels != truth)) > 0.99)
    True
    """
    taken, pairs = _with_steps(places, max(_ROWS, 4 * k), seed, pairs)
    rows, parted = places[taken], groups.labels[taken]
    bases = [rows, rows / np.maximum(rows.std(axis=0), 1e-300)]
    if groups.n_groups > 1:
        bases.append(in_units_of(rows, scatter_within(rows, parted)))
    starts = []
    many = min(_MANY * k, len(rows) // 4)
    if many > k:
        # Pieces of clusters vary inside as clusters do where these are no balls.
        pieces = [kmeans(base, many, n_init=2, random_state=seed).labels for base in bases]
        bases += [in_units_of(rows, scatter_within(rows, labels)) for labels in pieces]
        if many <= _JOINED:
            starts += [joined(rows, labels, pairs, k) for labels in pieces]
    starts += [kmeans(base, k, n_init=_STARTS, random_state=seed).labels for base in bases]
    starts += [kmeans(base, k, random_state=seed + i).labels for base in bases[1:] for i in range(_SINGLE)]
    found = [_refined(rows, labels, k) for labels in starts]
    best = min(found, key=lambda labels: spread(rows, labels, pairs))
    units = in_units_of(places, scatter_within(rows, best))
    labels = best if len(taken) == len(places) else kmeans(units, k, init=_means(units[taken], best, k)).labels
    return labels, units


def _with_steps(
    places: Floats, most: int, seed: int, pairs: NDArray[np.intp] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Some rows as `usual` has them, such that there are steps between them, and the pairs of these."""
    taken = usual(places, most, seed)
    if pairs is None or not len(pairs):
        return taken, np.empty((0, 2), dtype=np.intp)
    if len(places) > most:
        usual_ones = np.zeros(len(places), dtype=bool)
        usual_ones[usual(places, len(places), seed)] = True
        pairs = pairs[usual_ones[pairs].all(axis=1)]
        pairs = np.random.default_rng(seed).permutation(pairs)[: most // 2]
        taken = np.union1d(pairs[:, 0], pairs[:, 1])
    index = np.full(len(places), -1, dtype=np.intp)
    index[taken] = np.arange(len(taken))
    pairs = index[pairs]
    return taken, pairs[(pairs >= 0).all(axis=1)]


def usual(places: Floats, most: int, seed: int) -> NDArray[np.intp]:
    """
    Some rows without the farthest: a determinant is made least by few that lie far out.

    Parameters
    ----------
    places : ndarray, shape (n, p)
    most : int
        Rows to take.
    seed : int

    Returns
    -------
    ndarray of int
        Rising.

    Examples
    --------
    >>> places = np.append(np.arange(999.0) % 7, 1e6)[:, None]
    >>> 999 in usual(places, 1000, 0), len(usual(places, 100, 0))
    (False, 100)
    """
    n = len(places)
    far = np.square((places - places.mean(axis=0)) / np.maximum(places.std(axis=0), 1e-300)).sum(axis=1)
    near = np.argsort(far, kind="stable")[: n - int(_FAR * n)]
    return np.sort(np.random.default_rng(seed).permutation(near)[:most])


def _refined(places: Floats, labels: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    """Labels of the least determinant of scatter within that is reached from some labels."""
    least, best = np.inf, labels
    for _ in range(_TURNS):
        scatter = scatter_within(places, labels)
        determinant = _log_determinant(scatter)
        if determinant >= least - 1e-6:
            break
        least, best = determinant, labels
        units = in_units_of(places, scatter)
        labels = kmeans(units, k, init=_means(units, labels, k)).labels
    return best


def _means(places: Floats, labels: NDArray[np.integer], k: int) -> Floats:
    counts = np.maximum(np.bincount(labels, minlength=k), 1)
    means: Floats = np.stack([np.bincount(labels, column, k) for column in places.T], axis=1) / counts[:, None]
    return means
