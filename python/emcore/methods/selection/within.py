"""Clusters of one ellipsoidal shape, common to all, and how many of them there are.

Where clusters vary inside, as bent crystals do, the directions in which they vary must not decide what is a cluster.
In units of the scatter within clusters all directions weigh the same: labels that make its determinant least are the
most likely ones of normal clusters with one covariance (Friedman & Rubin, J. Am. Stat. Assoc. 62 (1967) 1159). By turns
the scatter within is found and k-means made in units of it. The number of clusters is that of the largest silhouette in
these units, the scatter being that within the groups which regions of low density part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.selection.clusters import silhouette
from emcore.methods.selection.density import DensityGroups

# Runs of k-means of which one start is the best, single runs beside; turns from each; pieces for each cluster.
_STARTS, _SINGLE, _TURNS, _MANY = 5, 2, 20, 3
# Numbers that are tried at first, how many beyond the groups of density, and how many further where the last is best.
_FIRST, _BEYOND, _FURTHER, _LARGEST = 8, 3, 4, 200
# Rows on which shape and number are sought, and of which the silhouette is found.
_ROWS, _SILHOUETTE = 4000, 1500
# Part of the rows that lie farthest out, by which nothing is decided.
_FAR = 0.003
# A silhouette below is no clear structure: numbers that rest on one were wrong in every other case.
_CLEAR = 0.6
# One that is larger by less than this hardly chooses between two numbers.
_SURE = 0.02


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


def common_shape(places: Floats, k: int, groups: DensityGroups, seed: int) -> tuple[NDArray[np.int32], Floats]:
    """
    Labels of k clusters with one covariance, and the places in units of it.

    Parameters
    ----------
    places : ndarray, shape (n, p)
    k : int
    groups : DensityGroups
        Of these places: the scatter within them is one start, the places as they are another.
    seed : int

    Returns
    -------
    labels : ndarray, shape (n,), int32
        Those of the least determinant.
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
    taken = _usual(places, max(_ROWS, 4 * k), seed)
    rows, parted = places[taken], groups.labels[taken]
    bases = [rows, rows / np.maximum(rows.std(axis=0), 1e-300)]
    if groups.n_groups > 1:
        bases.append(in_units_of(rows, scatter_within(rows, parted)))
    many = min(_MANY * k, len(rows) // 4)
    if many > k:
        # Pieces of clusters vary inside as clusters do where these are no balls.
        pieces = [kmeans(base, many, n_init=2, random_state=seed).labels for base in bases]
        bases += [in_units_of(rows, scatter_within(rows, labels)) for labels in pieces]
    starts = [kmeans(base, k, n_init=_STARTS, random_state=seed).labels for base in bases]
    starts += [kmeans(base, k, random_state=seed + i).labels for base in bases[1:] for i in range(_SINGLE)]
    found = [_refined(rows, labels, k) for labels in starts]
    best = min(found, key=lambda each: each[0])[1]
    units = in_units_of(places, scatter_within(rows, best))
    labels = best if len(taken) == len(places) else kmeans(units, k, init=_means(units[taken], best, k)).labels
    return labels, units


def _usual(places: Floats, most: int, seed: int) -> NDArray[np.intp]:
    """Some rows, rising, without the farthest: a determinant is made least by few that lie far out."""
    n = len(places)
    far = np.square((places - places.mean(axis=0)) / np.maximum(places.std(axis=0), 1e-300)).sum(axis=1)
    usual = np.argsort(far, kind="stable")[: n - int(_FAR * n)]
    return np.sort(np.random.default_rng(seed).permutation(usual)[:most])


def _refined(places: Floats, labels: NDArray[np.int32], k: int) -> tuple[float, NDArray[np.int32]]:
    """The least determinant of scatter within that is reached from some labels, and the labels that have it."""
    best = np.inf, labels
    for _ in range(_TURNS):
        scatter = scatter_within(places, labels)
        determinant = _log_determinant(scatter)
        if determinant >= best[0] - 1e-6:
            break
        best = determinant, labels
        units = in_units_of(places, scatter)
        labels = kmeans(units, k, init=_means(units, labels, k)).labels
    return best


def _means(places: Floats, labels: NDArray[np.integer], k: int) -> Floats:
    counts = np.maximum(np.bincount(labels, minlength=k), 1)
    means: Floats = np.stack([np.bincount(labels, column, k) for column in places.T], axis=1) / counts[:, None]
    return means


@dataclass(frozen=True)
class NumberChoice:
    """A number of clusters, and why."""

    n_clusters: int
    reason: str


def number_by_silhouette(places: Floats, groups: DensityGroups, seed: int) -> NumberChoice:
    """
    How many clusters have the largest silhouette, in units of the scatter within groups that low density parts.

    Parameters
    ----------
    places : ndarray, shape (n, p)
        At least 4 rows.
    groups : DensityGroups
        Of these places.
    seed : int

    Returns
    -------
    NumberChoice
        From 2 on; of the reason a part says where it is not clear, or the largest number tried.

    Examples
    --------
    >>> from emcore.methods.selection.density import density_groups
    >>> rng = np.random.default_rng(0)
    >>> places = rng.normal(size=(600, 2)) + 9 * rng.integers(0, 3, (600, 1))
    >>> number_by_silhouette(places, density_groups(places), 0).n_clusters
    3
    """
    taken = _usual(places, _ROWS, seed)
    rows, labels = places[taken], groups.labels[taken]
    units = in_units_of(rows, scatter_within(rows, labels)) if groups.n_groups > 1 else rows
    units = np.ascontiguousarray(units, dtype=np.float32)
    most = min(len(np.unique(units, axis=0)) - 1, _LARGEST)
    values: dict[int, float] = {}
    last = min(max(_FIRST, groups.n_groups + _BEYOND), most)
    while True:
        for k in range(2 + len(values), last + 1):
            found = kmeans(units, k, n_init=_STARTS, random_state=seed).labels
            values[k] = silhouette(units, found, k, min(len(units), _SILHOUETTE), np.random.default_rng(seed))
        if not values:
            return NumberChoice(2, "there are no more different positions")
        best = max(values, key=lambda k: values[k])
        if best < last or last >= most:
            break
        last = min(last + _FURTHER, most)
    second = max((k for k in values if k != best), key=lambda k: values[k], default=best)
    reason = (
        f"{best} have the largest silhouette of 2 to {last}, {values[best]:.2f}; next {second}, {values[second]:.2f}"
    )
    if values[best] < _CLEAR:
        reason += "; no structure is clear, the number is not to be relied on"
    elif best == last < len(units) - 1:
        reason += "; it is the largest number tried: there may be more"
    elif values[best] - values[second] < _SURE:
        reason += f"; {second} are about as likely"
    if groups.n_groups > 1 and groups.n_groups != best:
        reason += f"; regions of low density part {groups.n_groups}"
    return NumberChoice(best, reason)
