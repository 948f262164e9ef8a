"""What passes over the patterns of a scan find, which are alike for patterns in memory and out of core.

A survey finds positions without a measurement and mean patterns. Rings and bins of every pattern are added up in one
pass, by a kernel that adds each pixel to its group as it is read. Weighted sums take another.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import DEFAULT
from emcore.core.signals import Signal
from emcore.core.validation import Floats, check_range
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore.checkpoint import step
from emcore.outofcore.engine import begin
from emcore.outofcore.open import as_source
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Source
from emcore.scans.gaps import Gaps, find_gaps
from emcore.scans.reduction import Directions

# What is prepared of patterns is in single precision, and so are its squares.
_LARGEST = 1e15
# Copies of the sums of a pass that threads and merging hold.
_COPIES = 24


def source_of(scan: Signal, memory: Any = None) -> Source:
    """
    The patterns of a scan as rows, ky * kx features each, wherever they lie.

    Parameters
    ----------
    scan : Signal, shape (y, x, ky, kx)
    memory : int or str, optional
        What passes may use; of data in memory by default as much as these take.

    Examples
    --------
    >>> from emcore.scans.patterns import select_patterns
    >>> from emcore.scans.pattern_passes import source_of
    >>> source_of(select_patterns(np.zeros((2, 3, 8, 9), np.uint8))[0]).shape
    (6, 72)
    """
    source = as_source(scan, "patterns")
    assert source is not None, "a signal"
    held = not source.lazy and source.parts[0].map is None and isinstance(source.parts[0].data, np.ndarray)
    source.budget = max(DEFAULT, source.nbytes) if memory is None and held else memory
    return source


@dataclass(frozen=True, eq=False)
class Survey:
    """What the first pass finds.

    Attributes
    ----------
    gaps : Gaps
    sums : ndarray, shape (k, ky, kx), float64
        Of the measured patterns of each group.
    counts : ndarray, shape (k,), int64
    """

    gaps: Gaps
    sums: Floats
    counts: NDArray[np.int64]


def survey(source: Source, shape: tuple[int, int], labels: NDArray[np.int32], k: int) -> Survey:
    """
    Positions without a measurement, and the sums of the other patterns by groups.

    Parameters
    ----------
    source : Source, shape (n, ky * kx)
    shape : (int, int)
        Of a pattern.
    labels : ndarray of int32, shape (n,)
        From 0 to k - 1; of what is negative no sum is made.
    k : int

    Raises
    ------
    ValueError
        Values so large or so small that single precision does not hold their squares.

    Examples
    --------
    >>> from emcore.scans.patterns import select_patterns
    >>> from emcore.scans.pattern_passes import source_of, survey
    >>> patterns = np.arange(6 * 64).reshape(2, 3, 8, 8)
    >>> patterns[1, 2] = 0
    >>> found = survey(source_of(select_patterns(patterns)[0]), (8, 8), np.zeros(6, np.int32), 1)
    >>> found.gaps.said, found.sums[0, 0, 0]
    ('1 of 6 positions is empty (1 zero throughout)', np.float64(640.0))
    """

    def visit() -> tuple[Any, ...]:
        kinds = np.empty(len(source), dtype=np.uint8)
        passes = begin(source, "survey", None, None, {}, 8, 8 * k * source.shape[1] * _COPIES, quiet=True)
        rows, into = [PerRow(passes.source, labels)], [PerRow(passes.source, kinds)]
        low, high, first, sums, counts = passes(_survey, k, rows=rows, into=into, merge=_merged)
        at = [-1, 0] if first[0] < 0 else [passes.source.row_of(int(first[0]), int(first[1])), int(first[2])]
        return kinds, np.array([low, high]), np.array(at), sums, counts

    kinds, limits, at, sums, counts = step(source, "survey", visit)
    zero, constant, invalid = (int(np.count_nonzero(kinds == kind)) for kind in (1, 2, 3))
    first = None if at[0] < 0 else (int(at[0]), int(at[1]))
    if source.dtype.kind == "f" and limits[0] <= limits[1]:
        check_range(float(limits[0]), float(limits[1]), "patterns", _LARGEST)
    gaps = Gaps(kinds > 0, zero, constant, invalid, float(limits[0]), float(limits[1]), first)
    return Survey(gaps, sums.reshape(k, *shape), counts)


def _survey(x: NDArray[Any], k: int, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    gaps = find_gaps(x)
    kinds = gaps.empty.astype(np.uint8)
    kinds[gaps.empty & (x[:, 0] != 0)] = 2
    if gaps.invalid:
        kinds[gaps.empty & ~np.isfinite(x).all(axis=1)] = 3
    low, high = (gaps.low, gaps.high) if not gaps.empty.all() else (np.inf, -np.inf)
    if x.dtype.kind != "f":  # of which only the sign matters
        low, high = (0.0 if x.dtype.kind == "u" else float(x.min())), 0.0
    sums, counts = _emcore.sum_by_label(x, np.where(gaps.empty, -1, labels).astype(np.int32), k)
    first = np.array([-1, 0, 0] if gaps.first is None else [index, *gaps.first])
    return (low, high, first, sums, counts), kinds


def _merged(a: Partial, b: Partial) -> Partial:
    first = a[2] if a[2][0] >= 0 else b[2]
    return min(a[0], b[0]), max(a[1], b[1]), first, a[3] + b[3], a[4] + b[4]


def group_sums(
    source: Source,
    pixels: NDArray[np.int32],
    count: int,
    bins: NDArray[np.int32] | None = None,
    bin_count: int = 0,
    sample: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    What groups of pixels count at every position and, of a sample of positions, what bins of the detector count.

    Parameters
    ----------
    source : Source, shape (n, ky * kx)
    pixels, bins : ndarray of int32, shape (ky, kx)
        The group, and the bin, of every pixel; negative: none.
    count, bin_count : int
        How many there are.
    sample : ndarray of int, optional
        Rising; default no position.

    Returns
    -------
    sums : ndarray, shape (n, count), float32
        Of whole numbers exact up to 16.8 million.
    binned : ndarray, shape (len(sample), bin_count), float32

    Examples
    --------
    >>> from emcore.scans.patterns import select_patterns
    >>> from emcore.scans.pattern_passes import group_sums, source_of
    >>> source = source_of(select_patterns(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2))[0])
    >>> group_sums(source, np.array([[0, -1], [0, 1]], np.int32), 2)[0][1].tolist()
    [10.0, 7.0]
    """
    number = np.full(len(source), -1, dtype=np.int64)
    chosen = np.zeros(0, dtype=np.intp) if sample is None or bins is None else sample
    number[chosen] = np.arange(len(chosen))
    groups = [None if each is None else np.ascontiguousarray(each.ravel()) for each in (pixels, bins)]
    state = pixels.shape[1], (groups[0], count), (groups[1], bin_count)

    def visit() -> tuple[Any, ...]:
        sums = np.empty((len(source), count), dtype=np.float32)
        fixed = 3 * 4 * len(chosen) * bin_count
        passes = begin(source, "group sums", None, None, {}, 4 * count + 8, fixed, quiet=True)
        rows, into = [PerRow(passes.source, number)], [PerRow(passes.source, sums)]
        numbers, binned = passes(_group_sums, state, rows=rows, into=into, merge=_joined)
        # Chunks of a Dask array come in another order than positions.
        return sums, binned[np.argsort(numbers)]

    sums, binned = step(source, "group sums", visit)
    return sums, binned


def _group_sums(x: NDArray[Any], state: Any, index: int, number: NDArray[np.int64]) -> tuple[Any, ...]:
    width, (groups, count), (bins, bin_count) = state
    taken = np.flatnonzero(number >= 0)
    binned = np.zeros((len(taken), bin_count), dtype=np.float32)
    if len(taken):
        some = x if len(taken) == len(x) else x[taken]
        binned = _emcore.bin_features(some, bins, width, bin_count)
    return (number[taken], binned), _emcore.bin_features(x, groups, width, count)


def _joined(a: Partial, b: Partial) -> Partial:
    return tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))


def weighted_sums(source: Source, weights: Floats) -> Floats:
    """
    At every position the sum of the pattern times weights, shape (ky, kx).

    Examples
    --------
    >>> from emcore.scans.patterns import select_patterns
    >>> from emcore.scans.pattern_passes import source_of, weighted_sums
    >>> source = source_of(select_patterns(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2))[0])
    >>> weighted_sums(source, np.array([[1.0, 0], [0, -1]])).tolist()
    [-3.0, -3.0, -3.0, -3.0, -3.0, -3.0]
    """
    column = np.ascontiguousarray(weights.reshape(-1, 1))

    def visit() -> tuple[Any, ...]:
        products = np.empty(len(source))
        passes = begin(source, "weighted sums", None, None, {}, 8, 16 * column.size, quiet=True)
        passes(_weighted, column, into=[PerRow(passes.source, products)])
        return (products,)

    (products,) = step(source, "weighted sums", visit)
    found: Floats = products
    return found


def _weighted(x: NDArray[Any], column: Floats, index: int) -> tuple[Any, ...]:
    return (), _emcore.x_q(x, column)[:, 0]


@dataclass(frozen=True, eq=False)
class Nearest:
    """How a pattern gets a label: binned, roots taken or not, in some directions, and the nearest of centres there."""

    bins: NDArray[np.int32]
    count: int
    normalize: str
    directions: Directions
    centers: Floats

    def of(self, x: NDArray[Any]) -> NDArray[np.int32]:
        """The label of each row."""
        binned = _emcore.bin_features(x, np.ascontiguousarray(self.bins.ravel()), self.bins.shape[1], self.count)
        places = _emcore.x_q(
            prepare(Recipe(binned, normalize=self.normalize)), self.directions.basis, self.directions.mean
        )
        return _emcore.kmeans_nearest(places.astype(np.float32), self.centers, metric="euclidean", weights=None)[0]


def label_all(
    source: Source, nearest: Nearest, empty: NDArray[np.bool_], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], Floats]:
    """
    The nearest centre of every pattern, -1 of those that are empty; and the sums of the patterns of each.

    Returns
    -------
    labels : ndarray, shape (n,), int32
    sums : ndarray, shape (k, ky, kx), float64
    """
    k = len(nearest.centers)

    def visit() -> tuple[Any, ...]:
        labels = np.empty(len(source), dtype=np.int32)
        passes = begin(source, "labels", None, None, {}, 8, 8 * k * source.shape[1] * _COPIES, quiet=True)
        rows, into = [PerRow(passes.source, empty)], [PerRow(passes.source, labels)]
        (sums,) = passes(_label_all, nearest, rows=rows, into=into)
        return labels, sums

    labels, sums = step(source, "labels", visit)
    return labels, sums.reshape(k, *shape)


def _label_all(x: NDArray[Any], nearest: Nearest, index: int, empty: NDArray[np.bool_]) -> tuple[Any, ...]:
    labels = np.full(len(x), -1, dtype=np.int32)
    there = np.flatnonzero(~empty)
    if len(there):
        labels[there] = nearest.of(x if len(there) == len(x) else x[there])
    return (_emcore.sum_by_label(x, labels, len(nearest.centers))[0],), labels
