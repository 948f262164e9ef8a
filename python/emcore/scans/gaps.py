"""Which positions of a scan have no measurement?

A position is empty if its signal is zero throughout, holds NaN or infinity, or is one value throughout where no
measurement is. An acquisition that was stopped leaves such positions behind, as do a lost frame and a curve that broke
off. Nothing can be said of them, so they take no part in any mean, quantile, threshold or clustering.

What is zero throughout says nothing of phase or group even where that is what was measured, as of a spectrum with so
low a dose that no count came: it is empty too, and counted with the others. What is one value but zero may be a
measurement of a curve, a current at its limit or a flat response; of a spectrum or pattern of at least 8 values
it is none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.preprocessing import Recipe, sums_of
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import row_and_column_sums
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.rows import alike, blocks_of_rows, not_finite
from emcore.outofcore.sources import Source

# A spectrum or pattern of fewer values may have them all alike by chance.
FEW = 8


@dataclass(frozen=True, eq=False)
class Gaps:
    """The positions of a scan that have no measurement, and those that have.

    Attributes
    ----------
    empty : ndarray of bool, shape (n,)
    zero, constant, invalid : int
        How many are zero throughout, one other value throughout, or hold NaN or infinity.
    low, high : float
        The smallest and the largest value of the others; of whole numbers not looked for, NaN.
    first : (int, int), optional
        Row and feature of the first NaN or infinity.
    """

    empty: NDArray[np.bool_]
    zero: int
    constant: int
    invalid: int
    low: float = float("nan")
    high: float = float("nan")
    first: tuple[int, int] | None = None

    @classmethod
    def of_kinds(
        cls, kinds: NDArray[np.uint8], first: tuple[int, int] | None = None, limits: tuple[float, float] | None = None
    ) -> Self:
        """Of a number for each position: 0 where it was measured, 1 zero throughout, 2 constant, 3 invalid."""
        zero, constant, invalid = (int(np.count_nonzero(kinds == kind)) for kind in (1, 2, 3))
        low, high = limits or (math.nan, math.nan)
        return cls(kinds > 0, zero, constant, invalid, low, high, first)

    @property
    def n_empty(self) -> int:
        """How many positions are empty."""
        return self.zero + self.constant + self.invalid

    @property
    def measured(self) -> NDArray[np.intp]:
        """The others, rising."""
        return np.flatnonzero(~self.empty)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of them: nothing where there are none."""
        return (f"{self.said}: {'it takes' if self.n_empty == 1 else 'they take'} no part",) if self.n_empty else ()

    @property
    def said(self) -> str:
        """How many they are, and why.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.scans.gaps import find_gaps
        >>> find_gaps(np.array([[1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]])).said
        '2 of 3 positions are empty (1 zero throughout, 1 with NaN or infinity)'
        """
        reasons = {"zero throughout": self.zero, "constant": self.constant, "with NaN or infinity": self.invalid}
        counts = [f"{count} {reason}" for reason, count in reasons.items() if count]
        what = f" ({', '.join(counts)})" if counts else ""
        return f"{self.n_empty} of {self.empty.size} positions {'is' if self.n_empty == 1 else 'are'} empty{what}"

    def check(self, name: str, shape: Sequence[int], least: int = 2) -> None:
        """Refuse a scan of which too little was measured; `shape` is that of the data, `least` what is needed.

        Raises
        ------
        ValueError
            With the first NaN or infinity, if all positions have some.
        """
        if self.first is not None and self.invalid == self.empty.size:
            index = self.first[0] * (math.prod(shape) // self.empty.size) + self.first[1]
            at = ", ".join(str(int(i)) for i in np.unravel_index(index, tuple(shape)))
            raise ValueError(
                f"Input {name} contains NaN or infinity at every position, first at [{at}]; replace or crop such "
                "values first"
            )
        if self.empty.size - self.n_empty < least:
            raise ValueError(f"{name}: {self.said}, too few are left")

    def of_measured(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows that were measured: all as they are, a view where they lie side by side, else a copy.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.scans.gaps import find_gaps
        >>> rows = np.array([[1, 2], [3, 4], [0, 0]])
        >>> np.shares_memory(find_gaps(rows).of_measured(rows), rows)
        True
        """
        if not self.n_empty:
            return rows
        taken = self.measured
        together = slice(*(taken[[0, -1]] + (0, 1))) if len(taken) else slice(0)
        return rows[together] if len(range(len(rows))[together]) == len(taken) else rows[taken]

    def recipe(self, rows: NDArray[Any], positions: NDArray[np.intp], **preparation: Any) -> Recipe:
        """How rows at some measured positions are prepared: without a copy, but of scattered ones beside NaN.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.methods.preprocessing import prepare
        >>> from emcore.scans.gaps import find_gaps
        >>> rows = np.array([[1.0, 2.0], [np.nan, 0.0], [3.0, 4.0]])
        >>> gaps = find_gaps(rows)
        >>> np.asarray(prepare(gaps.recipe(rows, gaps.measured))).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        """
        if len(positions) == len(rows):
            return Recipe(rows, **preparation)
        first, last = int(positions[0]), int(positions[-1])
        if last - first + 1 == len(positions):
            return Recipe(rows[first : last + 1], **preparation)
        return Recipe(rows[positions], **preparation) if self.invalid else Recipe(rows, rows=positions, **preparation)

    def spread(self, values: NDArray[Any], fill: float) -> NDArray[Any]:
        """Values of the measured positions, shape (m, ...), as those of all, shape (n, ...), `fill` elsewhere.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.scans.gaps import find_gaps
        >>> find_gaps(np.array([[1, 2], [0, 0], [3, 4]])).spread(np.array([1, 0]), -1)
        array([ 1, -1,  0])
        """
        if not self.n_empty:
            return values
        whole = np.full((self.empty.size, *values.shape[1:]), fill, dtype=values.dtype)
        whole[~self.empty] = values
        return whole


def find_gaps(rows: Any, constant: bool = True) -> Gaps:
    """The positions without a measurement.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
        One of the pixel types, neither changed nor copied. Out of core the smallest and largest value are not looked
        for.
    constant : bool, default True
        Whether one value throughout, that is not zero, is no measurement, if there are at least 8; False for curves.

    Returns
    -------
    Gaps

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.gaps import find_gaps
    >>> counts = np.array([[0] * 8, [3] * 8, [0, 3, 0, 0, 1, 0, 0, 0]], dtype=np.uint16)
    >>> find_gaps(counts).empty.tolist(), find_gaps(counts, constant=False).empty.tolist()
    ([True, True, False], [True, False, False])
    """
    if isinstance(rows, Source):
        return _gaps_out_of_core(rows, constant)
    same = alike(rows)
    zero, single, invalid = (np.zeros(len(rows), dtype=bool) for _ in range(3))
    zero[same] = rows[same, 0] == 0
    if constant and rows.shape[1] >= FEW:
        single[same] = ~zero[same] & np.isfinite(rows[same, 0])
    low = high = math.nan
    first = None
    if rows.dtype.kind == "f":
        low, high, first, _ = _emcore.value_range(rows)
        invalid = invalid if first is None else not_finite(rows)
    empty = zero | single | invalid
    if rows.dtype.kind == "f" and empty.any():
        low, high = _range(rows, ~empty)
    return Gaps(empty, int(zero.sum()), int(single.sum()), int(invalid.sum()), low, high, first)


def _gaps_out_of_core(rows: Source, constant: bool) -> Gaps:
    kinds = np.empty(rows.shape[0], dtype=np.uint8)
    passes = begin(rows, "gaps", None, None, {}, 1, 0, quiet=True)
    (first,) = passes(_kinds, constant, into=[PerRow(passes.source, kinds)], merge=first_invalid)
    return Gaps.of_kinds(kinds, place_of(passes.source, first))


def place_of(source: Source, first: NDArray[np.int64]) -> tuple[int, int] | None:
    """Row and feature of what lies in a block there, if anything does."""
    return None if first[0] < 0 else (source.row_of(int(first[0]), int(first[1])), int(first[2]))


def kinds_of_rows(x: NDArray[Any], constant: bool, index: int) -> tuple[Gaps, NDArray[np.int64], NDArray[np.uint8]]:
    """The gaps of a block, where in which block the first NaN or infinity is, and `Gaps.of_kinds`' numbers."""
    gaps = find_gaps(x, constant)
    kinds = gaps.empty.astype(np.uint8)
    lost = not_finite(x) if gaps.invalid else np.zeros(len(x), dtype=bool)
    kinds[gaps.empty & (x[:, 0] != 0)] = 2
    kinds[lost] = 3
    return gaps, np.array([-1, 0, 0] if gaps.first is None else [index, *gaps.first]), kinds


def _kinds(x: NDArray[Any], constant: bool, index: int) -> tuple[Any, ...]:
    _, first, kinds = kinds_of_rows(x, constant, index)
    return (first,), kinds


def first_invalid(a: Partial, b: Partial) -> Partial:
    """Of two blocks that of the first NaN or infinity."""
    return a if a[0][0] >= 0 else b


def common_points(rows: NDArray[Any]) -> tuple[slice, NDArray[np.bool_]]:
    """The points that all curves have which have only lost some at their ends, and which curves these are.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Curves with NaN or infinity where a point was not measured; those without a point are left out of it.

    Returns
    -------
    common : slice
        Empty where there are none.
    short : ndarray of bool, shape (n,)
        Curves that lack points at their ends, and only there.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.gaps import common_points
    >>> nan = np.nan
    >>> common_points(np.array([[1, 2, 3, nan], [nan, 5, 6, 7], [nan] * 4, [1, 2, 3, 4]]))
    (slice(1, 3, None), array([ True,  True, False, False]))
    """
    d = rows.shape[1]
    finite = np.isfinite(rows)
    first, last = finite.argmax(axis=1), d - finite[:, ::-1].argmax(axis=1)
    count = finite.sum(axis=1)
    whole = (count > 0) & (count == last - first)  # nothing lacks between
    short = whole & (count < d)
    if not whole.any():
        return slice(0, 0), short
    start, stop = int(first[whole].max()), int(last[whole].min())
    return slice(start, max(start, stop)), short


def measured_part(picture: NDArray[Any], least: int) -> tuple[slice, slice]:
    """The lines and columns of a picture between those at its edges that hold no measurement.

    Parameters
    ----------
    picture : ndarray, shape (H, W)
    least : int
        Lines or columns of one value, the same in all, are no measurement if they are so many, as where a scan was
        stopped or a picture was moved in its frame. Those of NaN or infinity are none in any case.

    Returns
    -------
    lines, columns : slice
        All where nothing would be left.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.gaps import measured_part
    >>> picture = np.arange(100.0).reshape(10, 10)
    >>> picture[7:], picture[:, 0] = 0, np.nan
    >>> measured_part(picture, 3), measured_part(picture, 4)
    ((slice(0, 7, None), slice(1, 10, None)), (slice(0, 10, None), slice(1, 10, None)))
    """
    lines, columns = slice(0, picture.shape[0]), slice(0, picture.shape[1])
    for count in (_invalid_lines, partial(_constant_lines, least=least)):
        lines = _between(picture[lines, columns], lines.start, count)
        columns = _between(picture[lines, columns].T, columns.start, count)
    return lines, columns


def _between(picture: NDArray[Any], start: int, count: Callable[[NDArray[Any]], int]) -> slice:
    """The lines, counted from `start`, between so many at both ends; all where none would be left."""
    first, last = count(picture), count(picture[::-1])
    if first + last >= len(picture):
        first = last = 0
    return slice(start + first, start + len(picture) - last)


def _invalid_lines(lines: NDArray[Any]) -> int:
    """How many lines at the start hold nothing but NaN and infinity."""
    count = 0
    while count < len(lines) and not np.isfinite(lines[count]).any():
        count += 1
    return count


def _constant_lines(lines: NDArray[Any], least: int) -> int:
    """How many lines at the start hold one value, the same in all, if they are at least so many."""
    count = 0
    while count < len(lines) and (lines[count] == lines[0, 0]).all():
        count += 1
    return count if count >= least else 0


def counts_of(
    rows: Any, positions: NDArray[np.intp] | None = None, sample: NDArray[np.intp] | None = None
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[Any]]:
    """Counts of every row, of every channel in the rows at some positions, which rows are constant, and some rows.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
        Not negative.
    positions : ndarray of int, optional
        Rising; by default all. Constant rows are left out of them.
    sample : ndarray of int, shape (m,), optional
        Rising; by default none.

    Returns
    -------
    counts : ndarray, shape (n,), float64
        Zero for constant rows too, which are no measurement.
    sums : ndarray, shape (d,), float64
    constant : ndarray of bool, shape (n,)
        Rows of at least 8 channels that hold one value, not 0.
    sampled : ndarray, shape (m, d)
        The rows of the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.gaps import counts_of
    >>> counts, sums, constant, _ = counts_of(np.array([[0] * 8, [3] * 8, [0, 3, 0, 0, 1, 0, 0, 0]], dtype=np.uint16))
    >>> counts.tolist(), sums.tolist(), constant.tolist()
    ([0.0, 0.0, 4.0], [0.0, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [False, True, False])
    """
    if isinstance(rows, Source):
        counts, sums, same, sampled = row_and_column_sums(rows, positions, sample)
    else:
        counts, sums = sums_of(rows, positions)
        same, sampled = alike(rows, counts), rows[[] if sample is None else sample]
    constant = np.zeros(len(counts), dtype=bool)
    if len(same) and rows.shape[1] >= FEW:
        constant[same], counts[same] = True, 0
        sums = sums_of(rows, np.setdiff1d(np.arange(len(counts)) if positions is None else positions, same))[1]
    return counts, sums, constant, sampled


def _range(rows: NDArray[Any], taken: NDArray[np.bool_]) -> tuple[float, float]:
    """The smallest and the largest value of the rows that are taken; zeros where none is."""
    ranges = [
        _emcore.value_range(rows[block][taken[block]])[:2] for block in blocks_of_rows(rows) if taken[block].any()
    ]
    return min((low for low, _ in ranges), default=0.0), max((high for _, high in ranges), default=0.0)
