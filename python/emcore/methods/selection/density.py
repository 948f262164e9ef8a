"""Which groups do regions of low density part? Their number is found, not given.

HDBSCAN (Campello, Moulavi & Sander, PAKDD 2013, 160-172): of the tree of what joins as the density falls, the groups
that last longest. Groups may be of any shape and size, as those of a bent crystal are; rows between groups belong to
none. It is run on a sample of the rows, and on the two halves of it, which must agree for an answer to be relied on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.wording import count_of
from emcore.methods.grouping.hdbscan import hdbscan
from emcore.methods.selection.agreement import adjusted_rand_index

# Rows that are looked at; the smallest group in them, and neighbours that make a density.
_SAMPLE, _SMALLEST, _NEIGHBOURS = 10_000, 20, 10
# With at most so many of these any other row is compared.
_COMPARED = 2000
# Of fewer rows, the smallest group is this part of them, but not below so many.
_PART, _FEWEST = 50, 5
# What is clear: at least this agreement of halves, at most this part of rows between groups.
_AGREE, _BETWEEN = 0.9, 0.3


@dataclass(frozen=True, eq=False)
class DensityGroups:
    """Groups of rows that regions of low density part.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
        The group of every row, those between groups to that of the nearest row in one.
    inside : ndarray, shape (n,), bool
        Which rows lie in a group and not between; of those that were not looked at none do.
    n_groups : int
        0 where none are parted; labels are 0 then.
    between : float
        Part of the rows that lie between groups.
    halves : float
        Adjusted Rand index of the groups that two halves of the rows give.
    of_halves : (int, int)
        How many groups each half has.
    """

    labels: NDArray[np.int32]
    inside: NDArray[np.bool_]
    n_groups: int
    between: float
    halves: float
    of_halves: tuple[int, int]

    @property
    def clear(self) -> bool:
        """Whether the groups can be relied on."""
        return self.n_groups > 1 and self.halves >= _AGREE and self.between <= _BETWEEN

    @property
    def reason(self) -> str:
        """What was found, in words."""
        if self.n_groups < 2:
            return "no regions of low density part the rows"
        first, second = self.of_halves
        return (
            f"regions of low density part {count_of(self.n_groups, 'group')}, {self.between:.0%} of the rows lie "
            f"between them; halves of the rows give {first} and {second} (adjusted Rand index {self.halves:.2f})"
        )


def density_groups(places: NDArray[np.floating], seed: int = 0) -> DensityGroups:
    """
    The groups of rows that regions of low density part.

    Parameters
    ----------
    places : ndarray, shape (n, d)
        Finite, of a few features: principal components, say. At least 2 rows.
    seed : int
        Of the sample and its halves.

    Returns
    -------
    DensityGroups
        A group has at least 20 rows of the 10,000 that are looked at, or 1/50 of all where they are fewer than 1000.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.density import density_groups
    >>> rng = np.random.default_rng(0)
    >>> groups = density_groups(rng.normal(size=(900, 2)) + 9 * rng.integers(0, 3, (900, 1)))
    >>> groups.n_groups, groups.clear
    (3, True)
    """
    rng = np.random.default_rng(seed)
    rows = np.ascontiguousarray(places, dtype=np.float32)
    n = len(rows)
    order = rng.permutation(n)[: min(n, _SAMPLE)]
    taken = np.sort(order)
    sample = rows[taken]
    smallest = _smallest(len(sample))
    found = _groups(sample, smallest)
    count = int(found.max()) + 1
    halves = [_groups(sample[side::2], max(_FEWEST, smallest // 2)) for side in (0, 1)]
    of_halves = int(halves[0].max()) + 1, int(halves[1].max()) + 1
    agree = 0.0
    if min(of_halves) > 1:
        spread = [_nearest(sample, sample[side::2], labels) for side, labels in enumerate(halves)]
        agree = adjusted_rand_index(*spread)
    labels = np.zeros(n, dtype=np.int32) if count < 2 else _nearest(rows, sample, found)
    inside = np.zeros(n, dtype=bool)
    if count > 1:
        inside[taken] = found >= 0
        if n == len(sample):
            labels[inside] = found[inside[taken]]
    return DensityGroups(labels, inside, count if count > 1 else 0, float(np.mean(found < 0)), agree, of_halves)


def _smallest(n: int) -> int:
    return max(_FEWEST, min(_SMALLEST, n // _PART))


def _groups(rows: NDArray[np.float32], smallest: int) -> NDArray[np.int32]:
    return hdbscan(rows, smallest, min(_NEIGHBOURS, smallest))


def _nearest(rows: NDArray[np.float32], sample: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """For every row the group of the nearest of the rows of a sample that are in one; of many a part is compared."""
    inside = np.flatnonzero(labels >= 0)
    inside = inside[np.argsort(labels[inside], kind="stable")][:: -(-len(inside) // _COMPARED)]
    places = sample[inside].astype(np.float64)
    nearest, _ = _emcore.kmeans_nearest(rows, places, metric="euclidean", weights=None)
    return labels[inside][nearest]
