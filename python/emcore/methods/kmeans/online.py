"""k-means of rows that come in batches: every centre is the mean of the rows that were ever nearest to it.

A batch is given to the centres that those before it left, and each centre moves towards its rows in the proportion of
how many it has had (MacQueen, Proc. 5th Berkeley Symp. 1 (1967) 281; Sculley, WWW (2010) 1177).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.sparse import rows_at
from emcore.core.validation import Floats


@dataclass(frozen=True, eq=False)
class RunningMeans:
    """
    Attributes
    ----------
    centers : ndarray, shape (k, d), float64
    weights : ndarray, shape (k,), float64
        Of the rows that each centre is the mean of; 0 where there was none yet.
    """

    centers: Floats
    weights: Floats


def with_batch(means: RunningMeans, rows: Any, weights: Floats | None) -> tuple[RunningMeans, NDArray[np.int32], float]:
    """
    The means with a batch of rows; of this batch, nearest centres before they moved, and inertia.

    A centre without a row so far goes to the row that is farthest from its own.

    Parameters
    ----------
    means : RunningMeans
    rows : ndarray or PreparedRows, shape (n, d)
        Checked.
    weights : ndarray, shape (n,), optional

    Examples
    --------
    >>> means = RunningMeans(np.array([[0.0], [10.0]]), np.zeros(2))
    >>> for batch in ([[1.0], [9.0]], [[2.0], [3.0]]):
    ...     means, labels, inertia = with_batch(means, np.array(batch), None)
    >>> means.centers.tolist(), means.weights.tolist(), labels.tolist(), inertia
    ([[2.0], [9.0]], [3.0, 1.0], [0, 0], 5.0)
    """
    start = np.full(rows.shape[0], -1, dtype=np.int32)
    centers = means.centers
    visit = _emcore.kmeans_visit(rows, centers, start, metric="euclidean", weights=weights)
    total = means.weights + visit["weights"]
    share = 1 / np.maximum(total, np.finfo(np.float64).tiny)
    moved = centers + (visit["sums"] - visit["weights"][:, None] * centers) * share[:, None]
    labels, alone = visit["labels"], np.flatnonzero(total == 0)
    if len(alone):
        count = len(alone)
        _, farthest, _ = _emcore.kmeans_farthest(rows, centers, labels, count, metric="euclidean", weights=weights)
        moved[alone[: len(farthest)]] = rows_at(rows, farthest)
    _, inertia = _emcore.kmeans_nearest(rows, centers, metric="euclidean", weights=weights)
    return RunningMeans(moved, total), labels, inertia
