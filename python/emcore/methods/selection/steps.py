"""Of several ways to part a scan's positions, in which does the scan step least within clusters?

The determinant of the scatter within clusters (Friedman & Rubin, J. Am. Stat. Assoc. 62 (1967) 1159) takes every
variation for the same. A crystal that is bent varies much, but slowly along the scan; two phases that were taken for
one step where they touch. So the determinant of the scatter of steps, between positions of one cluster that are a
little apart, is counted as well: a cut through a bent phase hardly makes it less, a border that was missed makes it
more. Pieces are joined, two by two, by what makes the product of both grow least.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import Floats

# Positions of a step are so far apart: two before a border and two after it, where phases reach into each other.
APART = 3
# Of the variance of all places, what is added to a scatter so that it has a determinant.
_RIDGE = 1e-9


def steps_apart(grid: Sequence[int], positions: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """
    Pairs of positions of a scan that lie three apart in a line or a column.

    Parameters
    ----------
    grid : sequence of int
        Shape of the scan; only one of two axes has such pairs.
    positions : ndarray of int, shape (m,), optional
        Rising, of the flattened scan; default all of it.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Indices of `positions`.

    Examples
    --------
    >>> steps_apart((2, 4)).tolist()
    [[0, 3], [4, 7]]
    >>> steps_apart((2, 4), np.array([0, 3, 4, 6])).tolist()
    [[0, 1]]
    """
    if len(grid) != 2:
        return np.empty((0, 2), dtype=np.intp)
    size = grid[0] * grid[1]
    at = np.arange(size) if positions is None else positions
    index = np.full(size, -1, dtype=np.intp)
    index[at] = np.arange(len(at))
    scan = index.reshape(tuple(grid))
    ends = ((scan[:, :-APART], scan[:, APART:]), (scan[:-APART], scan[APART:]))
    pairs = np.concatenate([np.stack([first.ravel(), second.ravel()], axis=1) for first, second in ends])
    return pairs[(pairs >= 0).all(axis=1)]


def spread(places: Floats, labels: NDArray[np.integer], pairs: NDArray[np.intp]) -> float:
    """
    Logarithm of the determinant of the scatter within clusters, and of that of the steps within them.

    Parameters
    ----------
    places : ndarray, shape (n, p)
    labels : ndarray of int, shape (n,)
    pairs : ndarray of int, shape (pairs, 2)
        Rows between which there are steps; without any the scatter within alone counts.

    Returns
    -------
    float

    Examples
    --------
    >>> y, x = np.mgrid[:12, :12]
    >>> slope_and_step = np.stack([y.ravel(), 1.0 * (x.ravel() > 5)], axis=1)
    >>> above, right = y.ravel() > 5, x.ravel() > 5
    >>> pairs = steps_apart((12, 12))
    >>> spread(slope_and_step, right, pairs) < spread(slope_and_step, above, pairs)
    True
    """
    pieces = _Pieces(places, labels, pairs)
    return pieces.of_scatter() + float(pieces.of_steps(pieces.steps, pieces.n_steps))


def spread_of_steps(places: Floats, labels: NDArray[np.integer], pairs: NDArray[np.intp]) -> float:
    """
    The part of `spread` that the steps make.

    Examples
    --------
    >>> scan, pairs = np.repeat([0.0, 5.0], 8)[:, None], steps_apart((4, 4))
    >>> whole = spread_of_steps(scan, np.zeros(16, dtype=int), pairs)
    >>> whole > spread_of_steps(scan, np.repeat([0, 1], 8), pairs) + 2
    True
    """
    pieces = _Pieces(places, labels, pairs)
    return float(pieces.of_steps(pieces.steps, pieces.n_steps))


def joined(places: Floats, labels: NDArray[np.integer], pairs: NDArray[np.intp], k: int) -> NDArray[np.int32]:
    """
    Pieces joined until k are left, each time the two by which `spread` grows least.

    Parameters
    ----------
    places, labels, pairs
        As of `spread`, labels those of the pieces.
    k : int
        At least 1.

    Returns
    -------
    ndarray, shape (n,), int32
        Of the pieces as they are, where there are no more than k.

    Examples
    --------
    >>> places, none = np.array([[0.0], [1.0], [9.0], [10.0], [30.0]]), np.empty((0, 2), dtype=int)
    >>> joined(places, np.arange(5), none, 3).tolist()
    [0, 0, 1, 1, 2]
    """
    pieces = _Pieces(places, labels, pairs)
    while len(pieces.means) > max(k, 1):
        pieces.join(*pieces.least())
    return pieces.labels


class _Pieces:
    """Scatter and steps within some clusters, and those that joining two would add, in units of all places."""

    def __init__(self, places: Floats, labels: NDArray[np.integer], pairs: NDArray[np.intp]) -> None:
        rows = places / np.maximum(places.std(axis=0), 1e-300)
        own, found = np.unique(labels, return_inverse=True)
        self.labels: NDArray[np.int32] = found.astype(np.int32)
        self.n, self.counts = len(rows), np.bincount(found).astype(np.float64)
        self.means = np.stack([np.bincount(found, column) for column in rows.T], axis=1) / self.counts[:, None]
        inside = rows - self.means[found]
        self.scatter = np.einsum("ni,nj->ij", inside, inside) + _RIDGE * self.n * np.eye(rows.shape[1])
        # Steps from one cluster to another, and within one on the diagonal: both directions are one.
        self.between: dict[tuple[int, int], tuple[Floats, int]] = {}
        ends = np.sort(found[pairs], axis=1)
        change = rows[pairs[:, 1]] - rows[pairs[:, 0]]
        key = ends[:, 0] * len(own) + ends[:, 1]
        for each in np.unique(key):
            of = change[key == each]
            self.between[divmod(int(each), len(own))] = np.einsum("ni,nj->ij", of, of) / 2, len(of)
        within = [self.between.pop((i, i)) for i in range(len(own)) if (i, i) in self.between]
        self.steps: Floats = sum((steps for steps, _ in within), np.zeros_like(self.scatter))
        self.n_steps = sum(count for _, count in within)

    def of_scatter(self) -> float:
        return float(np.linalg.slogdet(self.scatter / self.n)[1])

    def of_steps(self, steps: Floats, count: ArrayLike) -> Any:
        """As many more as there are features are taken to be as large as the scatter, so that few decide nothing."""
        p = len(self.scatter)
        weight = np.asarray(count, dtype=np.float64)[..., None, None] + p
        return np.linalg.slogdet((steps + self.scatter * (p / self.n)) / weight)[1]

    def least(self) -> tuple[int, int]:
        """The two clusters by whose joining the spread grows least."""
        first, second = np.triu_indices(len(self.means), 1)
        apart = self.means[first] - self.means[second]
        weight = self.counts[first] * self.counts[second] / (self.counts[first] + self.counts[second])
        squared = np.einsum("ni,ni->n", apart, np.linalg.solve(self.scatter, apart.T).T)
        grows = np.log1p(weight * squared)
        touching = sorted(self.between)
        if touching:
            more, counts = zip(*(self.between[each] for each in touching), strict=True)
            steps = self.of_steps(self.steps + np.stack(more), self.n_steps + np.array(counts))
            at = np.array(touching)
            grows[_place(at[:, 0], at[:, 1], len(self.means))] += steps - self.of_steps(self.steps, self.n_steps)
        best = int(grows.argmin())
        return int(first[best]), int(second[best])

    def join(self, a: int, b: int) -> None:
        """Join cluster b to cluster a < b; those behind b move up."""
        apart = self.means[a] - self.means[b]
        both = self.counts[a] + self.counts[b]
        self.scatter += self.counts[a] * self.counts[b] / both * np.outer(apart, apart)
        self.means[a] = (self.counts[a] * self.means[a] + self.counts[b] * self.means[b]) / both
        self.counts[a] = both
        self.means, self.counts = np.delete(self.means, b, axis=0), np.delete(self.counts, b)
        new = np.arange(len(self.counts) + 1)
        new[b], new[b + 1 :] = a, new[b + 1 :] - 1
        self.labels = new[self.labels].astype(np.int32)
        before, self.between = self.between, {}
        for (i, j), (steps, count) in before.items():
            i, j = sorted((int(new[i]), int(new[j])))
            if i == j:
                self.steps, self.n_steps = self.steps + steps, self.n_steps + count
            else:
                others, many = self.between.get((i, j), (0.0, 0))
                self.between[i, j] = steps + others, count + many


def _place(first: NDArray[np.intp], second: NDArray[np.intp], m: int) -> NDArray[np.intp]:
    """Where a pair stands among `numpy.triu_indices` of m."""
    place: NDArray[np.intp] = first * m - first * (first + 1) // 2 + second - first - 1
    return place
