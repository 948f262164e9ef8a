"""What the rows of each group have in common: means, spreads, percentiles, and straight lines fitted to them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.preprocessing import quantiles

# Converted to float64 at a time.
_BLOCK_BYTES = 1 << 24


def mean_moduli(rows: NDArray[np.generic]) -> NDArray[np.float32]:
    """
    Mean of |x| of every row.

    Examples
    --------
    >>> mean_moduli(np.array([[1, -3], [0, 2]], dtype=np.int16)).tolist()
    [2.0, 1.0]
    """
    means = np.empty(len(rows), dtype=np.float32)
    step = max(1, _BLOCK_BYTES // (8 * rows.shape[1]))
    for start in range(0, len(rows), step):
        means[start : start + step] = np.abs(rows[start : start + step].astype(np.float64)).mean(axis=1)
    return means


def group_statistics(
    rows: NDArray[np.generic], labels: NDArray[np.int32], k: int, percentiles: Sequence[float]
) -> tuple[Floats, Floats, Floats]:
    """
    Mean, standard deviation and percentiles of every feature in every group.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
    labels : ndarray, shape (n,)
        From 0 to k - 1, each at least once.
    k : int
    percentiles : sequence of p floats
        Between 0 and 1.

    Returns
    -------
    means, deviations : ndarray, shape (k, d), float64
    percentiles : ndarray, shape (p, k, d), float64

    Examples
    --------
    >>> means, deviations, middle = group_statistics(np.array([[1.0], [2.0], [6.0]]), np.array([0, 1, 1]), 2, [0.5])
    >>> means.tolist(), deviations.tolist(), middle.tolist()
    ([[1.0], [4.0]], [[0.0], [2.0]], [[[1.0], [4.0]]])
    """
    n, d = rows.shape
    statistics = np.empty((2 + len(percentiles), k, d))
    members = [np.flatnonzero(labels == i) for i in range(k)]
    step = max(1, _BLOCK_BYTES // (8 * n))
    for start in range(0, d, step):
        block = rows[:, start : start + step].astype(np.float64)
        for i, where in enumerate(members):
            group = block[where]
            statistics[0, i, start : start + step] = group.mean(axis=0)
            statistics[1, i, start : start + step] = group.std(axis=0)
            statistics[2:, i, start : start + step] = quantiles(group, percentiles)
    return statistics[0], statistics[1], statistics[2:]


def group_slopes(slopes: Floats, labels: NDArray[np.int32], means: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """
    Slopes of rows over `x` in every group, and how straight its mean row is.

    Parameters
    ----------
    slopes : ndarray, shape (n,)
        Of every row, by least squares.
    labels : ndarray, shape (n,)
    means : ndarray, shape (k, d)
        Of the rows of every group.
    x : ndarray, shape (d,)

    Returns
    -------
    slopes, deviations : ndarray, shape (k,)
        Mean and standard deviation of the slopes.
    r_squared : ndarray, shape (k,)
        Part of the variation of the mean row that a straight line explains.

    Examples
    --------
    >>> mean = np.array([[0.0, 2.0, 4.0]])
    >>> slopes, deviations, r_squared = group_slopes(np.array([1.0, 3.0]), np.zeros(2, int), mean, np.arange(3.0))
    >>> slopes.tolist(), deviations.tolist(), r_squared.round(12).tolist()
    ([2.0], [1.0], [1.0])
    """
    away = x - x.mean()
    groups = [slopes[labels == i] for i in range(len(means))]
    centred = means - means.mean(axis=1, keepdims=True)
    fitted = (centred @ away) ** 2 / np.sum(away**2)
    total = np.sum(centred**2, axis=1)
    straight = np.divide(fitted, total, out=np.zeros_like(total), where=total > 0)
    return np.array([g.mean() for g in groups]), np.array([g.std() for g in groups]), np.minimum(straight, 1.0)
