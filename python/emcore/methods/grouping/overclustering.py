"""More clusters than there are groups, then merged where one normal distribution describes two as well.

k-means cuts a large or long group in several. Two clusters are looked at along the line through their centres, where
the likelihood of two normal distributions, each row known to be of one of them, is compared with that of a single one
(the classification likelihood with the penalty of the Bayesian information criterion; Biernacki, Celeux & Govaert, IEEE
TPAMI 22 (2000) 719). Halves of one normal distribution become one; two of equal size stay apart from about 3.5 of their
deviations on.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.kmeans.fit import kmeans

# Clusters at first, and rows that each has on average at least; starts.
_CLUSTERS, _ROWS, _STARTS = 60, 20, 10
# Parameters of a normal distribution along a line, with its share.
_PARAMETERS = 3


class MergedClusters(NamedTuple):
    """
    Groups of merged clusters.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
    n_groups : int
    before : int
        Clusters before they were merged.
    """

    labels: NDArray[np.int32]
    n_groups: int
    before: int


def merged_clusters(places: NDArray[np.floating[Any]], seed: int = 0) -> MergedClusters:
    """
    Group rows by k-means with up to 60 clusters, and merge those that are no two.

    Parameters
    ----------
    places : ndarray, shape (n, d)
        Finite.
    seed : int

    Returns
    -------
    MergedClusters

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.overclustering import merged_clusters
    >>> rng = np.random.default_rng(0)
    >>> merged_clusters(rng.normal(size=(600, 2)) * (1, 5) + 40 * rng.integers(0, 3, (600, 1))).n_groups
    3
    """
    rows = np.asarray(places, dtype=np.float64)
    k = max(min(_CLUSTERS, len(rows) // _ROWS), 1)
    labels, left = merged(rows, kmeans(rows, k, n_init=_STARTS, random_state=seed).labels)
    return MergedClusters(labels, left, k)


def merged(rows: Floats, labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
    """
    Clusters of rows, shape (n, d), merged while two are no two, and how many are left.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.overclustering import merged
    >>> rows = np.random.default_rng(0).normal(size=(400, 1)) + np.repeat([[0.0], [9.0]], 200, axis=0)
    >>> merged(rows, np.digitize(rows[:, 0], [0.0, 4.5, 9.0]))[1]
    2
    """
    k = int(labels.max()) + 1
    groups = [_Normal.of(rows[labels == i]) for i in range(k)]
    within = sum((group.n * group.covariance for group in groups), np.zeros((rows.shape[1],) * 2)) / len(rows)
    into = np.arange(k)
    left = [i for i in range(k) if groups[i].n]
    gains = {(i, j): _gain(groups[i], groups[j], within) for i in left for j in left if i < j}
    while gains:
        (i, j), gain = min(gains.items(), key=lambda item: item[1])
        if gain > 0:
            break
        groups[i] = groups[i].joined(groups[j])
        into[into == j] = i
        left.remove(j)
        gains = {pair: gain for pair, gain in gains.items() if i not in pair and j not in pair}
        gains |= {(min(i, o), max(i, o)): _gain(groups[i], groups[o], within) for o in left if o != i}
    _, joined = np.unique(into[labels], return_inverse=True)
    return joined.astype(np.int32), len(left)


class _Normal(NamedTuple):
    n: int
    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, rows: Floats) -> "_Normal":
        d = rows.shape[1]
        if not len(rows):
            return cls(0, np.zeros(d), np.zeros((d, d)))
        mean = rows.mean(axis=0)
        return cls(len(rows), mean, (rows - mean).T @ (rows - mean) / len(rows))

    def joined(self, other: "_Normal") -> "_Normal":
        n = self.n + other.n
        a, b, step = self.n / n, other.n / n, other.mean - self.mean
        return _Normal(
            n, self.mean + b * step, a * self.covariance + b * other.covariance + a * b * np.outer(step, step)
        )


def _gain(one: _Normal, other: _Normal, within: Floats) -> float:
    """What two normal distributions explain better than one, along the line through their means, for each row."""
    step = other.mean - one.mean
    apart = float(np.linalg.norm(step))
    if apart == 0:
        return -math.inf
    along = step / apart
    n, both = one.n + other.n, one.joined(other)
    usual = float(along @ within @ along)

    def spread(group: _Normal) -> float:
        # As if one more row had the deviation that is usual: of few rows it may be zero.
        variance = (group.n * float(along @ group.covariance @ along) + usual) / (group.n + 1)
        return 0.5 * group.n * math.log(max(variance, 1e-300))

    better = spread(both) - spread(one) - spread(other)
    known = n * math.log(n) - one.n * math.log(one.n) - other.n * math.log(other.n)
    return (better - known - _PARAMETERS / 2 * math.log(n)) / n
