"""Some rows of a matrix, in memory or out of core, that stand for all: how many, which, and what they hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import check_observed, range_of, widest
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.rows import both, in_order, numbers_of, some_rows

# Bytes of a sample at most; but so many rows at least.
_BYTES, _LEAST = 1 << 25, 2000


def sample_size(d: int, itemsize: int, least: int = 0) -> int:
    """
    How many rows of d features a sample has, at most: a number that no budget changes, and at least `least`.

    Examples
    --------
    >>> sample_size(200, 4), sample_size(100_000, 4), sample_size(200, 4, 100_000)
    (41943, 2000, 100000)
    """
    return max(_BYTES // (d * itemsize), _LEAST, least)


def sample_of(positions: NDArray[np.intp], size: int, seed: int) -> NDArray[np.intp]:
    """
    Some positions, rising, or all of them.

    Examples
    --------
    >>> sample_of(np.arange(4), 9, 0).tolist(), len(sample_of(np.arange(100), 9, 0))
    ([0, 1, 2, 3], 9)
    """
    if len(positions) <= size:
        return positions
    return np.sort(np.random.default_rng(seed).choice(positions, size, replace=False))


def sample_bytes(rows: Any, count: int) -> int:
    """What so many rows take while they are gathered."""
    return 2 * count * int(rows.shape[1]) * int(rows.dtype.itemsize)


def take_sample(passes: Passes, sample: NDArray[np.intp], check: bool = True) -> NDArray[Any]:
    """
    Some rows, in one pass; that all values are finite is checked on the way.

    Parameters
    ----------
    passes : Passes
        Over n rows, with room for `sample_bytes` and 8 bytes for each row.
    sample : ndarray of int
        Rising.
    check : bool

    Raises
    ------
    ValueError
        NaN or infinity (first position named).

    Examples
    --------
    >>> from emcore.outofcore.engine import begin
    >>> from emcore.outofcore.sources import Source
    >>> from emcore.outofcore.stored import Stored
    >>> passes = begin(Source([Stored(np.arange(6.0).reshape(3, 2))]), "sample", None, None, {}, 8, 0)
    >>> take_sample(passes, np.array([0, 2])).tolist()
    [[0.0, 1.0], [4.0, 5.0]]
    """
    rows = [PerRow(passes.source, numbers_of(len(passes.source), sample))]
    at, taken, *observed = passes.once("sample", _taken, check, rows=rows, merge=_both)
    if check:
        check_observed(passes.source, observed)
    return in_order(at, taken)


def _taken(x: Any, check: bool, index: int, number: NDArray[np.int64]) -> tuple[Any, ...]:
    taken = np.flatnonzero(number >= 0)
    return ((number[taken], some_rows(x, taken), *(range_of(x, index) if check else ())),)


def _both(a: Partial, b: Partial) -> Partial:
    return *both(a[:2], b[:2]), *(widest(a[2:], b[2:]) if len(a) > 2 else ())
