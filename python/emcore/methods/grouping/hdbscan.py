"""HDBSCAN of a few thousand rows: the tree is emcore's, which hears Ctrl-C; what is cut from it is scikit-learn's.

Of the tree of what joins as the density falls, the groups that last longest (Campello, Moulavi & Sander, PAKDD 2013,
160-172). Nearly all of the time goes into the tree, of which scikit-learn finds the next edge while it holds the
interpreter: seconds without a signal heard.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import deaf

# In place of 0 between equal rows, which a sparse matrix does not hold: less than any distance of 32-bit numbers.
_NO_DISTANCE = 1e-150


def hdbscan(rows: NDArray[np.float32], min_cluster_size: int, min_samples: int) -> NDArray[np.int32]:
    """
    Label rows as scikit-learn's ``HDBSCAN(min_cluster_size, min_samples=min_samples)`` does, up to the order of ties.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        Finite.
    min_cluster_size : int
        Rows of the smallest group, at least 2.
    min_samples : int
        Rows that make a density, the row itself among them.

    Returns
    -------
    ndarray, shape (n,), int32
        -1 for rows in no group, as all are where there are fewer rows than `min_samples` or two groups need. Groups
        are in the order of their first rows.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.hdbscan import hdbscan
    >>> rows = np.array([0, 1, 2, 60, 61, 63, 30], dtype=np.float32)[:, None]
    >>> hdbscan(rows, 3, 2).tolist()
    [0, 0, 0, 1, 1, 1, 0]
    """
    return next(hdbscan_of_sizes(rows, [min_cluster_size], min_samples))


def hdbscan_of_sizes(
    rows: NDArray[np.float32], min_cluster_sizes: Sequence[int], min_samples: int
) -> Iterator[NDArray[np.int32]]:
    """The labels of `hdbscan` for each of several sizes of the smallest group; the tree is the same for all."""
    from sklearn.cluster import HDBSCAN

    tree = None
    for size in min_cluster_sizes:
        if len(rows) < max(2 * size, min_samples):
            yield np.full(len(rows), -1, dtype=np.int32)
            continue
        tree = _tree(rows, min_samples) if tree is None else tree
        # A density of one row: the edges of the tree are as long as its lengths say.
        model = HDBSCAN(min_cluster_size=size, min_samples=1, metric="precomputed", copy=True)
        with deaf():
            labels = model.fit_predict(tree)
        yield _in_order(labels)


def _in_order(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Groups in the order of their first rows: scikit-learn's follows from edges of equal length as they come."""
    groups, first = np.unique(labels[labels >= 0], return_index=True)
    number = np.full(len(groups) + 1, -1, dtype=np.int32)  # the last for -1
    number[np.argsort(first)] = np.arange(len(groups))
    named: NDArray[np.int32] = number[labels]
    return named


def _tree(rows: NDArray[np.float32], min_samples: int) -> Any:
    """The edges both ways, as a sparse matrix."""
    from scipy.sparse import csr_array

    ends, lengths = _emcore.spanning_tree(np.ascontiguousarray(rows), min_samples)
    one, other = ends.astype(np.int32).T
    both = np.concatenate([one, other]), np.concatenate([other, one])
    return csr_array((np.tile(_told_apart(lengths), 2), both), shape=(len(rows), len(rows)))


def _told_apart(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of equal length in the order in which the tree grew: a row goes with the group that reached it first.

    The edges of a row to two groups are often as long, as its core distance. In no order, it would at times be the one
    that a few others lack to be a group.
    """
    order = np.argsort(lengths, kind="stable")
    values = np.maximum(lengths[order], _NO_DISTANCE)
    rank = np.arange(len(values)) - np.searchsorted(values, values)
    apart = np.empty_like(values)
    apart[order] = values * (1 + rank * np.finfo(np.float64).eps)
    return apart
