"""Bins of a detector.

Neighbouring pixels of a detector say nearly the same of a reflection, each with a noise of its own. Sums over squares
of pixels are fewer, and counts enough to take roots of.
"""

import numpy as np
from numpy.typing import NDArray


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
