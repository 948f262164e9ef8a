"""Patterns with their detector binned, block by block: a float copy of a scan is never made.

Neighbouring pixels of a detector say nearly the same of a reflection, each with a noise of its own. Sums over squares
of pixels are fewer, and counts enough to take roots of.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads
from emcore.scans.patterns import PatternRows

# Bytes of patterns that are binned together.
_BYTES = 1 << 22


def bin_factor(shape: tuple[int, int], side: int) -> int:
    """How many pixels along either axis make one, for a detector of a shape to have at most so many a side.

    Examples
    --------
    >>> bin_factor((128, 128), 32), bin_factor((515, 515), 64), bin_factor((20, 30), 32)
    (4, 9, 1)
    """
    return max(1, -(-max(shape) // side))


def bin_patterns(patterns: NDArray[Any], factor: int) -> NDArray[Any]:
    """
    Sums over squares of pixels.

    Parameters
    ----------
    patterns : ndarray, shape (n, ky, kx)
        A few.
    factor : int
        Side of a square; squares at the far edges end where the detector does.

    Returns
    -------
    ndarray, shape (n, ceil(ky / factor), ceil(kx / factor))
        Whole numbers of 32 bits of what is stored in up to 16, of 64 bits of longer ones; float64 of floats.

    Examples
    --------
    >>> bin_patterns(np.arange(12, dtype=np.uint16).reshape(1, 3, 4), 2).tolist()
    [[[10, 18], [17, 21]]]
    """
    kind: Any = np.float64 if patterns.dtype.kind == "f" else np.int32 if patterns.dtype.itemsize <= 2 else np.int64
    return _summed(_summed(patterns, factor, 1, kind), factor, 2, kind)


def _summed(values: NDArray[Any], factor: int, axis: int, kind: Any) -> NDArray[Any]:
    """Sums of so many neighbours along an axis: sums of slices, which are several times faster than NumPy's own."""

    def every(first: int) -> NDArray[Any]:
        return values[(slice(None),) * axis + (slice(first, None, factor),)]

    sums = every(0).astype(kind)
    for first in range(1, min(factor, values.shape[axis])):
        addend = every(first)
        part = sums[(slice(None),) * axis + (slice(0, addend.shape[axis]),)]
        part += addend
    return sums


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
        Of binned patterns, shape (b, bins), float32, gives an array with b rows. It is called from several threads.

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
    rows, shape = matrix.rows, matrix.shape
    kept = matrix.features(keep).reshape(shape)
    hidden = None if kept.all() else np.flatnonzero(~kept)
    bins = np.flatnonzero(bin_patterns(kept[None].astype(np.uint8), factor)[0])
    step = max(1, _BYTES // (rows.shape[1] * rows.itemsize))

    def block(start: int) -> NDArray[Any]:
        some = positions[start : start + step]
        together = int(some[-1]) - int(some[0]) + 1 == len(some)
        patterns = rows[some[0] : some[-1] + 1] if together else rows[some]
        if hidden is not None:
            patterns = patterns.copy() if together else patterns
            patterns[:, hidden] = 0
        sums = bin_patterns(patterns.reshape(len(some), *shape), factor)
        return work(sums.reshape(len(some), -1)[:, bins].astype(np.float32))

    starts = range(0, len(positions), step)
    if len(starts) == 1:
        return block(0)
    with ThreadPoolExecutor(min(get_num_threads(), len(starts)), "emcore-bin") as pool:
        return np.concatenate(list(pool.map(block, starts)))
