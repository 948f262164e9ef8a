"""Positions of a scan that lie side by side, and how much noise they show.

What a scan measures changes slowly from one position to the next, but for borders; noise does not. Half of the mean
square by which neighbours differ is the variance of the noise, and a little more where there are borders.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# How far a variance must be above noise, in standard deviations of what noise alone gives.
_ABOVE = 5.0
# Bytes of rows that are compared together.
_BYTES = 1 << 23


def neighbours(grid: tuple[int, ...], positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """
    Positions that lie side by side in a line of the scan; in a scan of lines of one position, below each other.

    Parameters
    ----------
    grid : tuple of int
        Shape of the scan.
    positions : ndarray of int, shape (m,)
        Rising, of the flattened scan.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Indices of `positions`.

    Examples
    --------
    >>> neighbours((2, 3), np.array([0, 1, 3, 4, 5])).tolist()
    [[0, 1], [2, 3], [3, 4]]
    """
    size, width = math.prod(grid), grid[-1] if grid[-1] > 1 else math.prod(grid)
    index = np.full(size + 1, -1, dtype=np.intp)
    index[positions] = np.arange(len(positions))
    next_one = np.where(positions % width < width - 1, index[np.minimum(positions + 1, size)], -1)
    first = np.flatnonzero(next_one >= 0)
    return np.stack([first, next_one[first]], axis=1)


def noise_between(rows: NDArray[Any], pairs: NDArray[np.intp]) -> Floats:
    """
    Variance of the noise of every feature, from pairs of neighbouring rows: half the mean square they differ by.

    Examples
    --------
    >>> noise_between(np.array([[1, 5], [3, 5], [3, 9]], np.uint8), np.array([[0, 1], [1, 2]])).tolist()
    [1.0, 4.0]
    """
    return squares_between(rows, pairs) / (2 * max(len(pairs), 1))


def squares_between(rows: NDArray[Any], pairs: NDArray[np.intp]) -> Floats:
    """
    The sum, over pairs of rows, of the squares by which they differ in every feature.

    Examples
    --------
    >>> squares_between(np.array([[1, 5], [3, 5], [3, 9]], np.uint8), np.array([[0, 1], [1, 2]])).tolist()
    [4.0, 16.0]
    """
    total: Floats = np.zeros(rows.shape[1])
    step = max(1, _BYTES // (8 * rows.shape[1]))
    for start in range(0, len(pairs), step):
        first, second = (rows[each].astype(np.float64) for each in pairs[start : start + step].T)
        total += np.square(first - second).sum(axis=0)
    return total


def variance_of(rows: NDArray[Any], pairs: NDArray[np.intp]) -> Floats:
    """
    Variance of every feature over the rows of some pairs, each as often as it is in one.

    Compared with `noise_between` of the same pairs: what only one position has, at the end of a line say, is noise.

    Examples
    --------
    >>> rows, pairs = np.array([[9, 0], [0, 1], [0, 0]]), np.array([[0, 1], [1, 2]])
    >>> rows.var(axis=0).round(2).tolist(), variance_of(rows, pairs).round(2).tolist()
    ([18.0, 0.22], [15.19, 0.25])
    """
    total, squares = np.zeros((2, rows.shape[1]))
    start = rows[pairs[0, 0]].astype(np.float64)
    step = max(1, _BYTES // (16 * rows.shape[1]))
    for first in range(0, len(pairs), step):
        values = rows[pairs[first : first + step].ravel()] - start
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
    variance: Floats = np.maximum(squares / pairs.size - np.square(total / pairs.size), 0)
    return variance


def above_noise(variance: Floats, noise: Floats, pairs: int) -> NDArray[np.bool_]:
    """Which variances are so far above noise, as measured by so many pairs, that noise alone does not explain them.

    The variance of n values of noise alone exceeds what n pairs say it is by a part of about sqrt(3 / n), the errors of
    both.

    Examples
    --------
    >>> above_noise(np.array([1.0, 1.5, 0.0]), np.array([1.0, 1.0, 0.0]), 1000).tolist()
    [False, True, False]
    """
    above: NDArray[np.bool_] = variance > (1 + _ABOVE * math.sqrt(3 / max(pairs, 1))) * noise
    return above
