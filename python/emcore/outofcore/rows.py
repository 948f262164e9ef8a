"""Rows that are in memory: NaN and infinity in them, rows of one value, negative values; some of them, by number."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats

# Bytes that are looked at together; values of every row that are looked at first, then so many times more.
_BYTES, _FIRST, _TIMES = 1 << 24, 64, 8
# Sums of rows are right to seven digits.
_DIGITS = 1e-5


def blocks_of_rows(rows: NDArray[Any]) -> Iterator[slice]:
    """Rows that are looked at together."""
    step = max(1, _BYTES // (rows.shape[1] * rows.itemsize))
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows)))


def not_finite(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """
    Which rows hold NaN or infinity.

    Examples
    --------
    >>> not_finite(np.array([[1.0, 2.0], [np.inf, 0.0]])).tolist()
    [False, True]
    """
    observed = np.zeros(len(rows), dtype=bool)
    for block in blocks_of_rows(rows):
        observed[block] = ~np.isfinite(rows[block]).all(axis=1)
    return observed


def alike(rows: NDArray[Any], sums: Floats | None = None) -> NDArray[np.intp]:
    """
    The rows all of whose values are the same; with their sums, which say more quickly which may be, but those of sum 0.

    Examples
    --------
    >>> rows = np.array([[3, 3], [0, 0], [1, 2]])
    >>> alike(rows).tolist(), alike(rows, rows.sum(axis=1).astype(float)).tolist()
    ([0, 1], [0])
    """
    d = rows.shape[1]
    stops = [0, _FIRST]
    while stops[-1] < d:
        stops.append(stops[-1] * _TIMES)
    # From the middle on, where patterns have their beam: most rows are done with then.
    middle = min(d // 2 + math.isqrt(d) // 2, max(d - _FIRST, 0))
    parts = [slice(middle, middle + _FIRST), *(slice(a, b) for a, b in pairwise(stops))]
    observed: list[NDArray[np.intp]] = []
    for block in blocks_of_rows(rows):
        same = np.arange(block.start, block.stop)
        if sums is not None:
            near = np.abs(sums[block] - d * rows[block, 0].astype(np.float64)) <= _DIGITS * np.abs(sums[block])
            same = same[near & (sums[block] != 0)]
        for i, part in enumerate(parts):
            values = rows[block, part] if i == 0 and sums is None else rows[same, part]
            same = same[(values == rows[same, :1]).all(axis=1)]
        observed.append(same)
    return np.concatenate(observed)


def mended(rows: NDArray[Any], *, counts: bool = True) -> NDArray[Any]:
    """
    The rows with zeros for all of a row that holds NaN or infinity and, of counts, for negative values.

    Rows without these are returned as they are.

    Examples
    --------
    >>> mended(np.array([[1.0, -2.0], [np.nan, 9.0]])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    >>> mended(np.array([[1.0, -2.0], [np.nan, 9.0]]), counts=False).tolist()
    [[1.0, -2.0], [0.0, 0.0]]
    """
    _, _, bad, negative = _emcore.value_range(rows)
    if bad is None and (negative is None or not counts):
        return rows
    values: NDArray[Any] = np.maximum(rows, 0) if counts else rows.copy()
    if bad is not None:
        values[not_finite(rows)] = 0
    return values


def numbers_of(n: int, sample: NDArray[np.intp]) -> NDArray[np.int64]:
    """Of each of n rows which one of the sample it is, -1 of the others."""
    number = np.full(n, -1, dtype=np.int64)
    number[sample] = np.arange(len(sample))
    return number


def in_order(number: NDArray[np.int64], rows: NDArray[Any]) -> NDArray[Any]:
    """Rows by their numbers: chunks of a Dask array come in another order than positions."""
    return rows if (np.diff(number) > 0).all() else rows[np.argsort(number)]


def some_rows(x: Any, taken: NDArray[np.intp]) -> NDArray[Any]:
    """Some rows of a block, prepared or not."""
    return x[taken] if isinstance(x, np.ndarray) else np.asarray(x.take(taken.tolist()))


def both(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers and rows of two blocks."""
    return tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))
