"""What one pass says of the values of rows out of core: their sums, their mean and variance, their range."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.rows import alike, both, in_order, numbers_of, some_rows
from emcore.outofcore.sources import Source


def row_and_column_sums(
    source: Source, positions: NDArray[np.intp] | None = None, sample: NDArray[np.intp] | None = None
) -> tuple[Floats, Floats, NDArray[np.intp], NDArray[Any]]:
    """Of all rows, and of the features over all rows or those at some positions; the rows of one value, not 0; and what
    the rows of a sample, rising, hold."""
    n, d = source.shape
    sums, counted, same = np.empty(n), np.zeros(n), np.zeros(n, dtype=bool)
    counted[slice(None) if positions is None else positions] = 1
    sample = np.empty(0, np.intp) if sample is None else sample
    held = 2 * len(sample) * d * source.dtype.itemsize
    passes = begin(source, "sums", None, None, {}, 32, 8 * d * 32 + held, quiet=True)
    into = [PerRow(passes.source, of_rows) for of_rows in (sums, same)]
    rows = [PerRow(passes.source, each) for each in (counted, numbers_of(n, sample))]
    columns, number, sampled = passes(_sums, rows=rows, into=into, merge=_sums_of_both)
    return sums, columns, np.flatnonzero(same), in_order(number, sampled)


def _sums(x: Any, state: Any, index: int, counted: Floats, number: NDArray[np.int64]) -> tuple[Any, ...]:
    sums, same = _emcore.x_q(x, np.ones((x.shape[1], 1)))[:, 0], np.zeros(x.shape[0], dtype=bool)
    if isinstance(x, np.ndarray):
        same[alike(x, sums)] = True
    taken = np.flatnonzero(number >= 0)
    return (_emcore.xt_y(x, counted.reshape(-1, 1))[:, 0], number[taken], some_rows(x, taken)), sums, same


def _sums_of_both(a: Partial, b: Partial) -> Partial:
    return a[0] + b[0], *both(a[1:], b[1:])


def sums_by_label(rows: Any, labels: NDArray[np.int32], k: int) -> tuple[Floats, NDArray[np.int64]]:
    """
    The sum of the rows with each of k labels, and how many they are; negative labels are left out.

    Out of core in one pass, or as many as memory for the sums makes necessary.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
    labels : ndarray of int32, shape (n,)
    k : int

    Returns
    -------
    sums : ndarray, shape (k, d), float64
        Of integers exact up to 2^53.
    counts : ndarray, shape (k,), int64

    Examples
    --------
    >>> sums, counts = sums_by_label(np.array([[1, 2], [3, 4], [9, 9]], np.uint8), np.array([1, 1, -1], np.int32), 2)
    >>> sums.tolist(), counts.tolist()
    ([[0.0, 0.0], [4.0, 6.0]], [0, 2])
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    if not isinstance(rows, Source):
        return _emcore.sum_by_label(rows, labels, k)
    together, found = _labels_together(rows), []
    for first in range(0, max(k, 1), together):
        some = min(together, k - first)
        own = np.where((labels >= first) & (labels < first + some), labels - first, -1).astype(np.int32)
        name = f"sums by label from {first}" if first else "sums by label"
        passes = begin(rows, name, None, None, {}, 4, some * _label_bytes(rows), quiet=True)
        found.append(passes.once("sums", _labelled, some, rows=[PerRow(passes.source, own)]))
    return np.concatenate([sums for sums, _ in found]), np.concatenate([counts for _, counts in found])


def label_passes(rows: Source, k: int) -> int:
    """In how many passes `sums_by_label` sums rows out of core."""
    return -(-k // _labels_together(rows))


def _labels_together(rows: Source) -> int:
    return max(3 * (check_memory(rows.budget) - rows.beside) // 4 // _label_bytes(rows), 1)


def _label_bytes(rows: Source) -> int:
    """Of the sums of a label in a block, and of those of earlier blocks that wait to be merged in pairs."""
    blocks = rows.nbytes // max(min(1 << 26, check_memory(rows.budget) // 16), 1)
    return 8 * int(rows.shape[1]) * (6 + blocks.bit_length())


def _labelled(x: Any, k: int, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    return (_emcore.sum_by_label(x, np.ascontiguousarray(labels), k),)


def products_with(rows: Any, columns: Floats, name: str = "products") -> Floats:
    """
    Every row times some columns, shape (d, k): one visit of rows in memory or out of core, of this name, gives n x k.

    Examples
    --------
    >>> products_with(np.array([[1, 2], [3, 4]], np.uint8), np.array([[1.0], [1.0]])).tolist()
    [[3.0], [7.0]]
    """
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    if not isinstance(rows, Source):
        return _emcore.x_q(rows, columns)
    k = columns.shape[1]
    products = np.empty((rows.shape[0], k))
    passes = begin(rows, name, None, None, {}, 8 * k, 8 * columns.size, quiet=True)
    passes(_products_with, columns, into=[PerRow(passes.source, products)])
    return products


def _products_with(x: Any, columns: Floats, index: int) -> tuple[Any, ...]:
    return (), _emcore.x_q(x, columns)


def products_of_rows(source: Source, weights: Floats) -> Floats:
    """Sums over all rows, each multiplied by its weights, shape (n, k): one of shape (d, k)."""
    d, k = source.shape[1], weights.shape[1]
    passes = begin(source, "sums of products", None, None, {}, 0, 8 * d * k * 24, quiet=True)
    (sums,) = passes(_products, rows=[PerRow(passes.source, weights)])
    products: Floats = sums
    return products


def _products(x: Any, state: Any, index: int, weights: Floats) -> tuple[Any, ...]:
    return ((_emcore.xt_y(x, np.ascontiguousarray(weights)),),)


def mean_and_squares(passes: Passes, weights: Floats | None = None) -> Partial:
    """Mean and sum of squared deviations of every feature; of rows with weights, as of n rows."""
    if weights is None:
        _, mean, squares = passes.once("moments", _moments, merge=moments_of_both)
        return mean, squares
    of_rows = [PerRow(passes.source, weights)]
    total, mean, squares = passes.once("weighted moments", _weighted_moments, rows=of_rows, merge=moments_of_both)
    return mean, squares * (len(passes.source) / total)


def _moments(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((x.shape[0], *_emcore.moments(x)),)


def _weighted_moments(x: Any, state: Any, index: int, weights: Floats) -> tuple[Any, ...]:
    mean, squares = _emcore.moments(x, weights)
    total = float(weights.sum())
    return ((total, mean, squares * (total / x.shape[0])),)


def moments_at(x: NDArray[Any], rows: NDArray[np.intp]) -> Partial:
    """
    How many rows these are, with the mean and the sum of squared deviations of every feature over them; 0 of none.

    Examples
    --------
    >>> count, mean, squares = moments_at(np.array([[1.0], [9.0], [3.0]]), np.array([0, 2]))
    >>> count, mean.tolist(), squares.tolist()
    (2, [2.0], [2.0])
    """
    if not len(rows):
        return (0, *np.zeros((2, x.shape[1])))
    return (len(rows), *_emcore.moments(x if len(rows) == len(x) else x[rows]))


def moments_of_both(a: Partial, b: Partial) -> Partial:
    """
    Of ``(count, mean, squares)`` of two sets of rows, or of each of k groups of both, those of all rows.

    Chan, Golub & LeVeque (1983), as in the kernel.

    Examples
    --------
    >>> count, mean, squares = moments_of_both((2, np.array([2.0]), np.array([2.0])), (1, np.array([8.0]), np.zeros(1)))
    >>> count, mean.tolist(), squares.tolist()
    (3, [4.0], [26.0])
    """
    count, step = a[0] + b[0], b[1] - a[1]
    count = np.where(count > 0, count, 1)
    share, weight = (np.asarray(each)[..., None] for each in (b[0] / count, a[0] * b[0] / count))
    return a[0] + b[0], a[1] + step * share, a[2] + b[2] + step * step * weight


def mean(passes: Passes) -> float:
    """Of all values."""
    if passes.mean is None:
        passes.mean = float(passes.once("mean", _sum)[0]) / len(passes.source)
    return passes.mean


def _sum(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((_emcore.mean(x) * x.shape[0],),)


def check_values(source: Source, memory: Any, *, nonnegative: bool = False) -> None:
    """Refuse what `checked_range` refuses, before anything else is done with these rows."""
    if _range_without_pass(source, nonnegative) is None:
        checked_range(begin(source, "range", memory, None, {}, 0, 0, quiet=True), nonnegative=nonnegative)


def checked_range(passes: Passes, *, nonnegative: bool = False) -> tuple[float, float]:
    """
    The smallest and largest value of rows that are finite and, if asked, not negative; no pass where the type says so.

    Raises
    ------
    ValueError
        NaN, infinity or a negative value, with the first position.
    """
    source = passes.source
    if (limits := _range_without_pass(source, nonnegative)) is not None:
        return limits
    return check_observed(source, passes.once("range", _range, merge=widest), nonnegative=nonnegative)


def check_observed(source: Source, observed: Any, *, nonnegative: bool = False) -> tuple[float, float]:
    """What `checked_range` does with what a pass has observed, merged by `widest` from `range_of` of its blocks."""
    low, high, bad, negative = observed

    def position(place: Any) -> str:
        at = [*source.position(source.row_of(int(place[0]), int(place[1]))), place[2]]
        return ", ".join(str(int(i)) for i in at)

    if bad[0] >= 0:
        raise ValueError(
            f"Input {source.name} contains NaN or infinity, first at [{position(bad)}]; "
            "replace or crop such values first"
        )
    if nonnegative and negative[0] >= 0:
        raise ValueError(
            f"Negative values in data passed to {source.name}, first at [{position(negative)}]; "
            "subtract the detector's offset or set them to zero first"
        )
    source.observed["range"] = float(low), float(high)
    return float(low), float(high)


def _range_without_pass(source: Source, nonnegative: bool) -> tuple[float, float] | None:
    """By the type, or an earlier pass."""
    kind = source.dtype.kind if source.recipes is None else "f"
    if kind == "u" or (kind == "i" and not nonnegative):
        info: Any = np.iinfo(source.dtype.name)
        return info.min, info.max
    limits: tuple[float, float] | None = source.observed.get("range")
    return None if limits is None or (nonnegative and limits[0] < 0) else limits


def _range(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return (range_of(x, index),)


def range_of(x: Any, index: int) -> Partial:
    """The smallest and largest value of a block, and where in it the first NaN or infinity and negative value is."""
    low, high, *places = _emcore.value_range(x)
    return low, high, *(np.array([-1, 0, 0] if at is None else [index, *at]) for at in places)


def widest(a: Partial, b: Partial) -> Partial:
    """Of two blocks."""
    first = (x if x[0] >= 0 else y for x, y in zip(a[2:], b[2:], strict=True))
    return min(a[0], b[0]), max(a[1], b[1]), *first
