"""Patterns with their detector binned, block by block: a float copy of a scan is never made.

Neighbouring pixels of a detector say nearly the same of a reflection, each with a noise of its own. Sums over squares
of pixels are fewer, and counts enough to take roots of.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.scans.patterns import PatternRows

# Bytes that are read together, and that the sums of them may take: of 32 MB and more every block would be new memory,
# whose pages cost more than the sums.
_BYTES = 1 << 24


def bin_factor(shape: tuple[int, int], side: int) -> int:
    """How many pixels along either axis make one, for a detector of a shape to have at most so many a side.

    Examples
    --------
    >>> bin_factor((128, 128), 32), bin_factor((515, 515), 64), bin_factor((20, 30), 32)
    (4, 9, 1)
    """
    return max(1, -(-max(shape) // side))


def bin_numbers(keep: NDArray[np.bool_], factor: int) -> tuple[NDArray[np.int32], int]:
    """The number of the bin in which each pixel of a detector is, line by line, and how many bins there are.

    Parameters
    ----------
    keep : ndarray of bool, shape (ky, kx)
        The other pixels are in none, -1; bins without any are not counted.
    factor : int
        Side of a bin; bins at the far edges end where the detector does.

    Examples
    --------
    >>> numbers, count = bin_numbers(np.tri(4, dtype=bool), 2)
    >>> numbers.tolist(), count
    ([[0, -1, -1, -1], [0, 0, -1, -1], [1, 1, 2, -1], [1, 1, 2, 2]], 3)
    """
    height, width = keep.shape
    places = np.arange(height)[:, None] // factor * -(-width // factor) + np.arange(width) // factor
    used = np.unique(places[keep])
    numbers = np.where(keep, np.searchsorted(used, places), -1)
    return numbers.astype(np.int32), len(used)


def visit_binned(
    matrix: PatternRows,
    positions: NDArray[np.intp],
    keep: NDArray[np.bool_],
    factor: int,
    work: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> NDArray[Any]:
    """
    What a function makes of the binned patterns at some positions, a few at a time, one below the other.

    Parameters
    ----------
    matrix : PatternRows
    positions : ndarray of int, shape (m,)
        Rising.
    keep : ndarray of bool, shape (ky, kx)
        The other pixels count as zero. Bins without any are left out.
    factor : int
        Side of a bin.
    work : callable
        Of binned patterns, shape (b, bins), float32, gives an array with b rows, which may be the same array.

    Returns
    -------
    ndarray, shape (m, ...)
        The same on any number of threads.

    Examples
    --------
    >>> from emcore.scans.patterns import as_pattern_rows
    >>> matrix = as_pattern_rows(np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4))
    >>> visit_binned(matrix, np.array([0, 4]), np.tri(4, dtype=bool), 2, lambda bins: bins).tolist()
    [[9.0, 42.0, 39.0], [201.0, 298.0, 231.0]]
    """
    rows = matrix.rows
    numbers, count = bin_numbers(keep, factor)
    groups = np.ascontiguousarray(matrix.features(numbers))
    step = max(1, _BYTES // max(rows.shape[1] * rows.itemsize, 4 * count))
    made: NDArray[Any] | None = None
    for start in range(0, len(positions), step):
        some = positions[start : start + step]
        together = int(some[-1]) - int(some[0]) + 1 == len(some)
        patterns = rows[some[0] : some[-1] + 1] if together else rows[some]
        part = work(_emcore.bin_features(patterns, groups, keep.shape[1], count))
        if made is None:
            made = np.empty((len(positions), *part.shape[1:]), dtype=part.dtype)
        made[start : start + step] = part
    assert made is not None, "no position"
    return made
