"""What passes over the patterns of a scan find, which are alike for patterns in memory and out of core.

A survey finds positions without a measurement and mean patterns, or how patterns deviate from their mean. Rings and
bins of every pattern are added up in one pass, by a kernel that adds each pixel to its group as it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats, check_range
from emcore.outofcore.checkpoint import step
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import moments_at, moments_of_both
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Source
from emcore.scans.binning import binned_pieces
from emcore.scans.gaps import Gaps, first_invalid, kinds_of_rows, place_of

# What is prepared of patterns is in single precision, and so are its squares.
_LARGEST = 1e15
COPIES = 24
"""Copies of the sums of a pass that threads and merging hold."""
# Bytes of a sample of patterns.
_SAMPLE_BYTES = 1 << 26


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
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> from emcore.scans.pattern_passes import survey
    >>> patterns = np.arange(6 * 64).reshape(2, 3, 8, 8)
    >>> patterns[1, 2] = 0
    >>> found = survey(pattern_source(scan_of_patterns(patterns), None, 8), (8, 8), np.zeros(6, np.int32), 1)
    >>> found.gaps.said, found.sums[0, 0, 0]
    ('1 of 6 positions is empty (1 zero throughout)', np.float64(640.0))
    """

    def visit() -> tuple[Any, ...]:
        kinds = np.empty(len(source), dtype=np.uint8)
        passes = begin(source, "survey", None, None, {}, 8, 8 * k * source.shape[1] * COPIES, quiet=True)
        rows, into = [PerRow(passes.source, labels)], [PerRow(passes.source, kinds)]
        low, high, first, sums, counts = passes(_survey, k, rows=rows, into=into, merge=_merged)
        return kinds, np.array([low, high]), np.array(place_of(passes.source, first) or (-1, 0)), sums, counts

    kinds, limits, at, sums, counts = step(source, "survey", visit)
    first = None if at[0] < 0 else (int(at[0]), int(at[1]))
    if source.dtype.kind == "f" and limits[0] <= limits[1]:
        check_range(float(limits[0]), float(limits[1]), "patterns", _LARGEST)
    gaps = Gaps.of_kinds(kinds, first, (float(limits[0]), float(limits[1])))
    return Survey(gaps, sums.reshape(k, *shape), counts)


def check_positive(source: Source, gaps: Gaps, shape: Sequence[int]) -> None:
    """
    Refuse patterns with negative values, of which roots and logarithms cannot be taken.

    Parameters
    ----------
    source : Source, shape (n, ky * kx)
    gaps : Gaps
        As `survey` finds them: where no value is negative nothing is visited.
    shape : sequence of int
        Of the scan.

    Raises
    ------
    ValueError
        Where the first negative value of a measured pattern is.

    Examples
    --------
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> from emcore.scans.pattern_passes import survey
    >>> patterns = np.arange(6 * 64).reshape(2, 3, 8, 8) - 1
    >>> source = pattern_source(scan_of_patterns(patterns), None, 8)
    >>> gaps = survey(source, (8, 8), np.zeros(6, np.int32), 1).gaps
    >>> check_positive(source, gaps, (2, 3, 8, 8))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Negative values in data passed to patterns, first at [0, 0, 0, 0]; subtract the detector's offset ...
    """
    if not gaps.low < 0:
        return
    passes = begin(source, "negative", None, None, {}, 1, 0, quiet=True)
    (first,) = passes(_negative, rows=[PerRow(passes.source, gaps.empty)], merge=first_invalid)
    if (place := place_of(passes.source, first)) is not None:
        index = place[0] * source.shape[1] + place[1]
        at = ", ".join(str(int(i)) for i in np.unravel_index(index, tuple(shape)))
        raise ValueError(
            f"Negative values in data passed to {source.name}, first at [{at}]; subtract the detector's offset or set "
            "them to zero first"
        )


def _negative(x: NDArray[Any], state: Any, index: int, empty: NDArray[np.bool_]) -> tuple[Any, ...]:
    for row in np.flatnonzero(~empty):
        if (below := np.flatnonzero(x[row] < 0)).size:
            return ((np.array([index, row, below[0]]),),)
    return ((np.array([-1, 0, 0]),),)


def _survey(x: NDArray[Any], k: int, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    gaps, first, kinds = kinds_of_rows(x, True, index)
    low, high = (gaps.low, gaps.high) if not gaps.empty.all() else (np.inf, -np.inf)
    if x.dtype.kind != "f":  # of which only the sign matters
        low, high = (0.0 if x.dtype.kind == "u" else float(x.min())), 0.0
    sums, counts = _emcore.sum_by_label(x, np.where(gaps.empty, -1, labels).astype(np.int32), k)
    return (low, high, first, sums, counts), kinds


def _merged(a: Partial, b: Partial) -> Partial:
    (first,) = first_invalid(a[2:3], b[2:3])
    return min(a[0], b[0]), max(a[1], b[1]), first, a[3] + b[3], a[4] + b[4]


def gaps_and_moments(rows: Source) -> tuple[Gaps, Floats, Floats]:
    """
    The positions without a measurement, and of the others mean and sum of squared deviations, in one pass.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> gaps, mean, squares = gaps_and_moments(Source([Stored(np.array([[1.0, 2.0], [np.nan, 0.0], [3.0, 4.0]]))]))
    >>> gaps.n_empty, mean.tolist(), squares.tolist()
    (1, [2.0, 3.0], [2.0, 2.0])
    """
    kinds = np.empty(rows.shape[0], dtype=np.uint8)
    passes = begin(rows, "gaps and moments", None, None, {}, 1, 8 * 2 * rows.shape[1] * 24, quiet=True)
    into = [PerRow(passes.source, kinds)]
    first, *moments = passes.once("gaps and moments", _kinds_and_moments, True, into=into, merge=_first_and_moments)
    return Gaps.of_kinds(kinds, place_of(passes.source, first)), moments[1], moments[2]


def _kinds_and_moments(x: NDArray[Any], constant: bool, index: int) -> tuple[Any, ...]:
    _, first, kinds = kinds_of_rows(x, constant, index)
    there = np.flatnonzero(kinds == 0)
    return (first, *moments_at(x, there)), kinds


def _first_and_moments(a: Partial, b: Partial) -> Partial:
    return *first_invalid(a[:1], b[:1]), *moments_of_both(a[1:], b[1:])


def sample_size(source: Source, features: int) -> int:
    """How many patterns a sample has room for, of so many numbers each."""
    budget = min(_SAMPLE_BYTES, check_memory(source.budget) // 16)
    return max(budget // (4 * features), 256)


def group_sums(
    source: Source,
    pixels: NDArray[np.int32],
    count: int,
    bins: NDArray[np.int32] | None = None,
    bin_count: int = 0,
    sample: NDArray[np.intp] | None = None,
    scale: Floats | None = None,
    empty: NDArray[np.bool_] | None = None,
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
    scale : ndarray, shape (count,), optional
        What sums are divided by.
    empty : ndarray of bool, shape (n,), optional
        Positions of which the sums are 0, whatever their values.

    Returns
    -------
    sums : ndarray, shape (n, count), float32
        Of whole numbers exact up to 16.8 million.
    binned : ndarray, shape (len(sample), bin_count), float32

    Examples
    --------
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> from emcore.scans.pattern_passes import group_sums
    >>> source = pattern_source(scan_of_patterns(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)), None, 8)
    >>> group_sums(source, np.array([[0, -1], [0, 1]], np.int32), 2)[0][1].tolist()
    [10.0, 7.0]
    """
    number = np.full(len(source), -1, dtype=np.int64)
    chosen = np.zeros(0, dtype=np.intp) if sample is None or bins is None else sample
    number[chosen] = np.arange(len(chosen))
    groups = [None if each is None else np.ascontiguousarray(each.ravel()) for each in (pixels, bins)]
    divisor = None if scale is None else scale.astype(np.float32)
    state = pixels.shape[1], (groups[0], count, divisor), (groups[1], bin_count)
    left_out = np.zeros(len(source), dtype=bool) if empty is None else empty

    def visit() -> tuple[Any, ...]:
        sums = np.empty((len(source), count), dtype=np.float32)
        fixed = 3 * 4 * len(chosen) * bin_count
        passes = begin(source, "group sums", None, None, {}, 4 * count + 9, fixed, quiet=True)
        rows = [PerRow(passes.source, each) for each in (number, left_out)]
        into = [PerRow(passes.source, sums)]
        numbers, binned = passes(_group_sums, state, rows=rows, into=into, merge=_joined)
        # Chunks of a Dask array come in another order than positions.
        return sums, binned[np.argsort(numbers)]

    sums, binned = step(source, "group sums", visit)
    return sums, binned


def _group_sums(
    x: NDArray[Any], state: Any, index: int, number: NDArray[np.int64], empty: NDArray[np.bool_]
) -> tuple[Any, ...]:
    width, (groups, count, divisor), (bins, bin_count) = state
    taken = np.flatnonzero(number >= 0)
    binned = np.empty((len(taken), bin_count), dtype=np.float32)
    for some, values in binned_pieces(x, taken, bins, width, bin_count):
        binned[some] = values
    sums = _emcore.bin_features(x, groups, width, count)
    if divisor is not None:
        np.divide(sums, divisor, out=sums)
    sums[empty] = 0
    return (number[taken], binned), sums


def _joined(a: Partial, b: Partial) -> Partial:
    return tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))
