"""Groups that regions of low density part, rows between them left as noise, and how their settings were chosen.

HDBSCAN (Campello, Moulavi & Sander, PAKDD 2013, 160-172) has two settings: of how many rows a group is at least, and
how many neighbours make a density. Both are tried on a sample of the rows, and taken where the answer changes least.
HDBSCAN looks at every pair of rows; of more than it bears it is fitted on a sample, and every other row joins the group
of its nearest row of the sample that is in one, if it lies as densely among the rows of the sample as that group does
at least.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads
from emcore.core.validation import Floats, check_count
from emcore.core.wording import count_of
from emcore.methods.grouping.hdbscan import hdbscan, hdbscan_of_sizes
from emcore.methods.selection.agreement import adjusted_rand_index

# Rows on which settings are tried; the parts of all rows that are tried as the smallest group, and the neighbours.
_TRIED_ON = 2000
_PARTS, _NEIGHBOURS = (0.002, 0.004, 0.008, 0.016, 0.032), (5, 10, 20)
_LEAST = 5
# Settings whose agreement with their neighbours is less than this below the best are as good.
_AS_GOOD = 0.01
# Rows for which neighbours are sought together.
_BLOCK = 20_000
AUTO_SAMPLE = 20_000
"""Rows that HDBSCAN is fitted on at most, if no other number is given."""


@dataclass(frozen=True, eq=False)
class DensityClusters:
    """Groups of rows, and noise.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
        -1 for rows that are in no group.
    n_groups : int
        0 where none are parted; all labels are -1 then.
    min_cluster_size, min_samples : int
        The settings, the first in rows of all.
    tried : ndarray, shape (m, 5), float64
        For each pair of settings that was tried: `min_cluster_size`, `min_samples`, how many groups, the part that is
        noise, and the mean adjusted Rand index with the labels of neighbouring settings. None tried where both are
        given.
    fitted : int
        Rows that HDBSCAN was fitted on.
    reason : str
        Why these settings.
    """

    labels: NDArray[np.int32]
    n_groups: int
    min_cluster_size: int
    min_samples: int
    tried: Floats
    fitted: int
    reason: str

    @property
    def agreement(self) -> float | None:
        """Of the labels of these settings with those of neighbouring ones; None where no group or none was tried."""
        mine = (self.tried[:, 0] == self.min_cluster_size) & (self.tried[:, 1] == self.min_samples)
        return float(self.tried[mine, 4][0]) if mine.any() and self.n_groups > 1 else None


def density_clusters(
    places: NDArray[np.floating[Any]],
    min_cluster_size: int | str = "auto",
    min_samples: int | str = "auto",
    sample: int = AUTO_SAMPLE,
    seed: int = 0,
) -> DensityClusters:
    """
    Group rows by HDBSCAN, with settings that are given or found.

    Parameters
    ----------
    places : ndarray, shape (n, d)
        Finite, of a few features.
    min_cluster_size : int or "auto", default "auto"
        Rows of the smallest group.
    min_samples : int or "auto", default "auto"
        Neighbours that make a density, the row itself among them.
    sample : int
        Rows that HDBSCAN is fitted on at most.
    seed : int
        Of the samples.

    Returns
    -------
    DensityClusters

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.density import density_clusters
    >>> rng = np.random.default_rng(0)
    >>> groups = [rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 20]
    >>> places = np.concatenate([*groups, rng.uniform(-40, 60, (200, 2))])
    >>> found = density_clusters(places)
    >>> found.n_groups, bool(abs(np.mean(found.labels < 0) - 0.25) < 0.04)
    (2, True)
    """
    rows = np.ascontiguousarray(places, dtype=np.float32)
    n = len(rows)
    sizes = None if isinstance(min_cluster_size, str) else (check_count(min_cluster_size, "min_cluster_size", 2, n),)
    counts = _NEIGHBOURS if isinstance(min_samples, str) else (check_count(min_samples, "min_samples", 1, n),)
    tried, reason = np.zeros((0, 5)), "both settings were asked for"
    if sizes is None or len(counts) > 1:
        tried = _tried(rows[stratified(n, _TRIED_ON, seed)], n, sizes, counts)
        size, neighbours, reason = _chosen(tried)
    else:
        size, neighbours = sizes[0], counts[0]
    taken = stratified(n, sample, seed + 1)
    fitted = rows[taken]
    found = hdbscan(fitted, max(round(size * len(taken) / n), 2), neighbours)
    labels = np.full(n, -1, dtype=np.int32)
    labels[taken] = found
    if len(taken) < n and found.max() >= 0:
        others = np.setdiff1d(np.arange(n), taken)
        labels[others] = assigned(rows[others], fitted, found, neighbours)
    return DensityClusters(labels, int(found.max()) + 1, size, neighbours, tried, len(taken), reason)


def stratified(n: int, m: int, seed: int = 0) -> NDArray[np.intp]:
    """
    Of n rows in the order of the scan m, one drawn from each of m stretches of equal length; all, where m is not less.

    Examples
    --------
    >>> stratified(6, 3).tolist(), stratified(3, 9).tolist()
    ([1, 2, 4], [0, 1, 2])
    """
    if m >= n:
        return np.arange(n)
    edges = np.arange(m + 1) * n // m
    return edges[:-1] + np.floor(np.random.default_rng(seed).random(m) * np.diff(edges)).astype(np.intp)


def assigned(
    rows: NDArray[np.float32], fitted: NDArray[np.float32], labels: NDArray[np.int32], neighbours: int
) -> NDArray[np.int32]:
    """
    The groups of other rows, of those that rows of a sample are in.

    The distance to as many neighbours as made the density of the sample is the core distance of a row; that of the
    least dense row of a group is how far the group reaches. A row joins the group of the nearest of its neighbours that
    is in one, if both its core distance and that neighbour are within that reach.

    Parameters
    ----------
    rows : ndarray, shape (m, d)
    fitted : ndarray, shape (s, d)
    labels : ndarray, shape (s,)
        -1 for noise; at least one group.
    neighbours : int

    Returns
    -------
    ndarray, shape (m,), int32

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.density import assigned
    >>> fitted = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0]], dtype=np.float32)
    >>> labels = np.array([0, 0, 0, 1, 1, 1, -1], dtype=np.int32)
    >>> assigned(np.array([[0.05], [5.15], [8.0]], dtype=np.float32), fitted, labels, 2).tolist()
    [0, 1, -1]
    """
    from sklearn.neighbors import NearestNeighbors

    neighbours = min(neighbours, len(fitted))
    tree = NearestNeighbors(n_neighbors=neighbours, n_jobs=get_num_threads()).fit(fitted)
    inside = np.flatnonzero(labels >= 0)
    core = tree.kneighbors(fitted[inside])[0][:, -1]
    reach = np.zeros(int(labels.max()) + 1)
    np.maximum.at(reach, labels[inside], core)
    groups = np.full(len(rows), -1, dtype=np.int32)
    for start in range(0, len(rows), _BLOCK):
        distances, nearest = tree.kneighbors(rows[start : start + _BLOCK])
        of_them = labels[nearest]
        first = (of_them >= 0).argmax(axis=1)[:, None]  # the nearest in a group; 0 where none is
        group = np.take_along_axis(of_them, first, axis=1)[:, 0]
        near = np.maximum(np.take_along_axis(distances, first, axis=1)[:, 0], distances[:, -1]) <= reach[group]
        groups[start : start + _BLOCK] = np.where(near & (group >= 0), group, -1)
    return groups


def _tried(
    rows: NDArray[np.float32], n: int, asked: tuple[int, ...] | None, counts: tuple[int, ...]
) -> NDArray[np.float64]:
    """What each pair of settings gives on a sample of n rows, see `DensityClusters.tried`."""
    m = len(rows)
    sizes = asked or tuple(sorted({max(round(part * n), round(_LEAST * n / m)) for part in _PARTS}))
    smallest = [max(round(size * m / n), 2) for size in sizes]
    labels = list(zip(*(hdbscan_of_sizes(rows, smallest, count) for count in counts), strict=True))
    agree = np.zeros((len(sizes), len(counts)))
    pairs = np.zeros_like(agree)
    for i, j in np.ndindex(agree.shape):
        for other in ((i + 1, j), (i, j + 1)):
            if other[0] < len(sizes) and other[1] < len(counts):
                index = adjusted_rand_index(labels[i][j], labels[other[0]][other[1]])
                agree[i, j] += index
                agree[other] += index
                pairs[i, j] += 1
                pairs[other] += 1
    agree /= np.maximum(pairs, 1)
    return np.array(
        [
            (size, count, labels[i][j].max() + 1, np.mean(labels[i][j] < 0), agree[i, j])
            for i, size in enumerate(sizes)
            for j, count in enumerate(counts)
        ],
        dtype=np.float64,
    )


def _chosen(tried: Floats) -> tuple[int, int, str]:
    """The settings whose labels change least with them; of those as good the most neighbours, the smallest group."""
    parted = tried[:, 2] > 1
    best = float(tried[parted, 4].max(initial=-1.0))
    good = np.flatnonzero(parted & (tried[:, 4] >= best - _AS_GOOD))
    if not good.size:
        middle = len(tried) // 2
        return int(tried[middle, 0]), int(tried[middle, 1]), "no settings part the positions into groups"
    size, neighbours, groups, between, agree = min((tried[i] for i in good), key=lambda row: (-row[1], row[0]))
    return (
        int(size),
        int(neighbours),
        f"of {len(tried)} settings tried, groups of at least {count_of(int(size), 'position')} and {int(neighbours)} "
        f"neighbours change least with either (adjusted Rand index {agree:.2f}); there {int(groups)} groups, "
        f"{between:.1%} noise",
    )
