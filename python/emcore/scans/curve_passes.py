"""What passes over curves find, which are alike for curves in memory and out of core.

A survey finds positions without a measurement, where curves end early, how points vary, and takes a sample. Of groups
of curves a pass finds means, deviations, slopes and percentiles. A percentile near an end is found without the others:
of each group the few lowest and highest values of every point are kept, as many points at a time as memory has room
for.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.methods.groups import mean_moduli
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sample import both, in_order, numbers_of, sample_bytes
from emcore.outofcore.sources import Source
from emcore.scans.gaps import Gaps, common_points, first_invalid, kinds_of_rows, place_of

# Copies of the sums of a pass that threads and merging hold; and of the values at the ends.
_COPIES, _ENDS = 24, 4
# What the survey keeps of each curve, in bytes.
_PER_CURVE = 13


@dataclass(frozen=True)
class Ends:
    """
    Where curves end early, with NaN or infinity from there on.

    Attributes
    ----------
    common : slice
        The points that all have which have only lost some at their ends: empty where there are none.
    short : int
        Curves that lack points at their ends, and only there.
    fewest : int
        Points that the shortest of them lacks.
    """

    common: slice
    short: int
    fewest: int

    @classmethod
    def of(cls, found: Sequence[Any]) -> "Ends":
        """Of the partial of a pass."""
        start, stop, whole, short, fewest = (int(value) for value in found)
        return cls(slice(start, max(start, stop)) if whole else slice(0, 0), short, fewest)


@dataclass(frozen=True, eq=False)
class Survey:
    """
    What the first pass finds.

    Attributes
    ----------
    gaps : Gaps
    ends : Ends
    mean, variance : ndarray, shape (d,), float64
        Over the measured curves.
    moduli : ndarray, shape (n,), float32
        Mean modulus of every curve, 0 where nothing was measured.
    sample : ndarray, shape (m, d)
        The curves that were asked for, as they are stored.
    """

    gaps: Gaps
    ends: Ends
    mean: Floats
    variance: Floats
    moduli: NDArray[np.float32]
    sample: NDArray[Any]


def ends_of(source: Source) -> Ends:
    """
    Where curves end early, in a pass of its own.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> ends_of(Source([Stored(np.array([[1, 2, 3, np.nan], [np.nan, 5, 6, 7]]))]))
    Ends(common=slice(1, 3, None), short=2, fewest=1)
    """
    copied = copy.copy(source)
    copied.copied = True
    passes = begin(copied, "ends", None, None, {}, 0, 0, quiet=True)
    return Ends.of(passes.once("ends", _ends, merge=_ends_of_both))


def _ends(x: NDArray[Any], state: Any, index: int) -> tuple[Any, ...]:
    return (_ends_of_rows(x),)


def _ends_of_rows(x: NDArray[Any]) -> Partial:
    common, short = common_points(x)
    fewest = x.shape[1] - int(np.isfinite(x[short]).sum(axis=1).min()) if short.any() else 0
    return common.start, common.stop, int(common.stop > 0), int(short.sum()), fewest


def _ends_of_both(a: Partial, b: Partial) -> Partial:
    (start, stop) = (max(a[0], b[0]), min(a[1], b[1])) if a[2] and b[2] else (a[:2] if a[2] else b[:2])
    return start, stop, max(a[2], b[2]), a[3] + b[3], max(a[4], b[4])


def survey_bytes(source: Source, count: int) -> int:
    """What the sums of a survey take, and so many curves."""
    return 8 * 2 * int(source.shape[1]) * _COPIES + sample_bytes(source, count)


def survey(source: Source, sample: NDArray[np.intp]) -> Survey:
    """
    Positions without a measurement, how points vary over the others, and some curves.

    Parameters
    ----------
    source : Source, shape (n, d)
    sample : ndarray of int, shape (m,)
        Rising.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> found = survey(Source([Stored(np.array([[1.0, 3.0], [0.0, 0.0], [3.0, -5.0]]))]), np.array([2]))
    >>> found.gaps.said, found.mean.tolist(), found.moduli.tolist(), found.sample.tolist()
    ('1 of 3 positions is empty (1 zero throughout)', [2.0, -1.0], [2.0, 0.0, 4.0], [[3.0, -5.0]])
    """
    n = len(source)
    number = numbers_of(n, sample)
    kinds, moduli = np.empty(n, dtype=np.uint8), np.empty(n, dtype=np.float32)
    copied = copy.copy(source)
    copied.copied = True  # of a block, the rows that are measured
    passes = begin(copied, "survey", None, None, {}, _PER_CURVE, survey_bytes(source, len(sample)), quiet=True)
    into = [PerRow(passes.source, each) for each in (kinds, moduli)]
    found = passes.once("survey", _survey, rows=[PerRow(passes.source, number)], into=into, merge=_surveyed)
    low, high, first, count, mean, squares, at, taken, *ends = found
    gaps = Gaps.of_kinds(kinds, place_of(passes.source, first), (float(low), float(high)))
    moduli[gaps.empty] = 0
    return Survey(gaps, Ends.of(ends), mean, squares / max(int(count), 1), moduli, in_order(at, taken))


def _survey(x: NDArray[Any], state: Any, index: int, number: NDArray[np.int64]) -> tuple[Any, ...]:
    gaps, first, kinds = kinds_of_rows(x, False, index)
    there, taken = np.flatnonzero(kinds == 0), np.flatnonzero(number >= 0)
    low, high = (gaps.low, gaps.high) if len(there) else (math.inf, -math.inf)
    moments = np.zeros((2, x.shape[1]))
    if len(there):
        moments = np.stack(_emcore.moments(x if len(there) == len(x) else x[there]))
    ends = _ends_of_rows(x) if gaps.invalid else (0, x.shape[1], 1, 0, 0)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond any unit are refused later
        moduli = mean_moduli(x)
    return (low, high, first, len(there), *moments, number[taken], x[taken], *ends), kinds, moduli


def _surveyed(a: Partial, b: Partial) -> Partial:
    (first,) = first_invalid(a[2:3], b[2:3])
    moments = _moments_of_both(a[3:6], b[3:6])
    # Of whole numbers limits are no numbers, which `min` would pass on only by chance.
    low, high = np.minimum(a[0], b[0]), np.maximum(a[1], b[1])
    return low, high, first, *moments, *both(a[6:8], b[6:8]), *_ends_of_both(a[8:], b[8:])


def _moments_of_both(a: Partial, b: Partial) -> Partial:
    """Of ``(count, mean, squares)``, also of several groups (Chan, Golub & LeVeque 1983), as in the kernel."""
    count, step = np.maximum(a[0] + b[0], 1), b[1] - a[1]
    share, weight = (np.asarray(each)[..., None] for each in (b[0] / count, a[0] * b[0] / count))
    return a[0] + b[0], a[1] + step * share, a[2] + b[2] + step * step * weight


@dataclass(frozen=True, eq=False)
class GroupStatistics:
    """
    What groups of curves have in common.

    Attributes
    ----------
    means, deviations : ndarray, shape (k, d), float64
    percentiles : ndarray, shape (p, k, d), float64
    slopes : ndarray, shape (n,), float64
        Of every curve, by least squares.
    passes : int
    """

    means: Floats
    deviations: Floats
    percentiles: Floats
    slopes: Floats
    passes: int


def group_statistics(
    source: Source, labels: NDArray[np.int32], k: int, percentiles: Sequence[float], x: Floats
) -> GroupStatistics:
    """
    Mean, deviation and percentiles of every point in every group, and the slopes of curves over `x`.

    Parameters
    ----------
    source : Source, shape (n, d)
    labels : ndarray of int32, shape (n,)
        From 0 to k - 1, each at least once; negative: no group.
    k : int
    percentiles : sequence of float
        Between 0 and 1.
    x : ndarray, shape (d,)

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> source = Source([Stored(np.array([[1.0, 2.0], [2.0, 4.0], [6.0, 4.0]]))])
    >>> found = group_statistics(source, np.array([0, 1, 1], np.int32), 2, [0.5], np.arange(2.0))
    >>> found.means.tolist(), found.deviations.tolist(), found.percentiles.tolist(), found.slopes.tolist()
    ([[1.0, 2.0], [4.0, 4.0]], [[0.0, 0.0], [2.0, 0.0]], [[[1.0, 2.0], [4.0, 4.0]]], [1.0, 2.0, -2.0])
    """
    n, d = source.shape
    counts = np.bincount(labels[labels >= 0], minlength=k)
    ranks = [[_rank(int(count), p) for p in percentiles] for count in counts]
    lowest, highest = ([max((r.take for r in of if r.low == low), default=0) for of in ranks] for low in (True, False))
    copied = copy.copy(source)
    copied.copied = True  # of a block, the rows of a group
    sums = 8 * 2 * k * d * _COPIES
    per_point = _ENDS * source.dtype.itemsize * (sum(lowest) + sum(highest))
    room = (check_memory(source.budget) - source.beside - 12 * n - sums) // 2
    width = min(max(room // max(per_point, 1), 1), d)
    slopes = np.empty(n)
    away = x - x.mean()
    direction = (away / np.sum(away**2))[:, None]
    found: list[Partial] = []
    for start in range(0, d, width):
        stop = min(start + width, d)
        state = lowest, highest, slice(start, stop), None if start else direction
        name = f"groups from {start}" if start else "groups"
        passes = begin(copied, name, None, None, {}, 12, sums + per_point * (stop - start), quiet=True)
        into = [] if start else [PerRow(passes.source, slopes)]
        merge = partial(_groups_of_both, lowest=lowest, highest=highest, moments=not start)
        rows = [PerRow(passes.source, labels)]
        found.append(passes.once("groups", _groups, state, rows=rows, into=into, merge=merge))
    _, means, squares = found[0][:3]
    at = np.empty((len(percentiles), k, d))
    for i, ranked in enumerate(ranks):
        low, high = (np.concatenate([each[3 + side * k + i] for each in found], axis=1) for side in (0, 1))
        low, high = np.sort(low.astype(np.float64), axis=0), np.sort(high.astype(np.float64), axis=0)[::-1]
        for j, rank in enumerate(ranked):
            values = low if rank.low else high
            below, above = values[rank.below], values[rank.above]
            at[j, i] = below + rank.part * (above - below) if rank.part > 0 else below
    return GroupStatistics(means, np.sqrt(squares / np.maximum(counts, 1)[:, None]), at, slopes, len(found))


class _Rank(NamedTuple):
    """Between which two values a percentile lies, counted from the lower or the upper end."""

    low: bool
    take: int
    below: int
    above: int
    part: float


def _rank(count: int, percentile: float) -> _Rank:
    place = (count - 1) * percentile
    below = math.floor(place)
    above = min(below + 1, count - 1)
    if above < count - below:
        return _Rank(True, above + 1, below, above, place - below)
    return _Rank(False, count - below, count - 1 - below, count - 1 - above, place - below)


def _groups(x: NDArray[Any], state: Any, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    lowest, highest, points, direction = state
    counts, moments, low, high = [], [], [], []
    for i, (fewest, most) in enumerate(zip(lowest, highest, strict=True)):
        rows = x[labels == i]
        if direction is not None:
            counts.append(len(rows))
            moments.append(np.stack(_emcore.moments(rows)) if len(rows) else np.zeros((2, x.shape[1])))
        low.append(_first(rows[:, points], fewest))
        high.append(_last(rows[:, points], most))
    if direction is None:
        return ((0, 0, 0, *low, *high),)
    mean, squares = np.stack(moments, axis=1)
    return (np.array(counts), mean, squares, *low, *high), _emcore.x_q(x, direction)[:, 0]


def _first(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """The lowest values of every column."""
    return np.partition(rows, count - 1, axis=0)[:count].copy() if 0 < count < len(rows) else rows[: count or 0].copy()


def _last(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """The highest."""
    if 0 < count < len(rows):
        return np.partition(rows, len(rows) - count, axis=0)[len(rows) - count :].copy()
    return rows[: count or 0].copy()


def _groups_of_both(a: Partial, b: Partial, lowest: list[int], highest: list[int], moments: bool) -> Partial:
    k = len(lowest)
    low = (_first(np.concatenate(each), n) for *each, n in zip(a[3 : 3 + k], b[3 : 3 + k], lowest, strict=True))
    high = (_last(np.concatenate(each), n) for *each, n in zip(a[3 + k :], b[3 + k :], highest, strict=True))
    return *(_moments_of_both(a[:3], b[:3]) if moments else a[:3]), *low, *high
