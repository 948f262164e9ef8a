"""Bins of a detector.

Neighbouring pixels of a detector say nearly the same of a reflection, each with a noise of its own. Sums over squares
of pixels are fewer, and counts enough to take roots of.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore

# Bytes of bins, or of copied patterns, that are looked at together.
_BYTES = 1 << 20


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


def binned_pieces(
    x: NDArray[Any], rows: NDArray[np.intp], groups: NDArray[np.int32], width: int, count: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """
    Some rows with their detector binned, a few at a time: those of all together would be new memory.

    Parameters
    ----------
    x : ndarray, shape (n, ky * kx)
    rows : ndarray of int, shape (m,)
        Rising.
    groups : ndarray of int32, shape (ky * kx,)
        The bin of every pixel; negative: none.
    width : int
        kx.
    count : int
        How many bins there are.

    Yields
    ------
    slice
        Which of `rows` these are.
    ndarray, shape (some, count), float32

    Examples
    --------
    >>> x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    >>> for some, bins in binned_pieces(x, np.array([0, 2]), np.array([0, 0, 1, -1], np.int32), 2, 2):
    ...     some, bins.tolist()
    (slice(0, 2, None), [[1.0, 2.0], [17.0, 10.0]])
    """
    side_by_side = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
    # Of rows that are not, a copy is made.
    row_bytes = 4 * count if side_by_side else max(4 * count, x.shape[1] * x.itemsize)
    step = max(_BYTES // row_bytes, 1)
    for start in range(0, len(rows), step):
        some = slice(start, min(start + step, len(rows)))
        own = x[rows[0] + some.start : rows[0] + some.stop] if side_by_side else x[rows[some]]
        yield some, _emcore.bin_features(own, groups, width, count)


def piece_bytes() -> int:
    """What a piece takes at most, and what is made of it.

    Examples
    --------
    >>> piece_bytes()
    6291456
    """
    return 6 * _BYTES
