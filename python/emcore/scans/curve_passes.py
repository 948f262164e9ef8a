"""What passes over curves find, which are alike for curves in memory and out of core.

A survey finds positions without a measurement, where curves end early, how points vary, and takes a sample. Of groups
of curves a pass finds means, deviations, slopes and percentiles: a sample says between which values these lie all but
for certain, and only values there are gathered, of as many points at a time as memory has room for.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.methods.groups import mean_moduli
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import moments_at, moments_of_both
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.rows import both, in_order, numbers_of
from emcore.outofcore.sample import sample_bytes
from emcore.outofcore.sources import Source
from emcore.scans.gaps import Gaps, common_points, first_invalid, kinds_of_rows, place_of

# Copies of the sums of a pass that threads and merging hold; and of the values that are gathered.
_COPIES, _GATHERED = 24, 3
# So many standard deviations a percentile of all may be away from that of a sample.
_SURE = 4.5
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
    ends = _ends_of_rows(x) if gaps.invalid else (0, x.shape[1], 1, 0, 0)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond any unit are refused later
        moduli = mean_moduli(x)
    return (low, high, first, *moments_at(x, there), number[taken], x[taken], *ends), kinds, moduli


def _surveyed(a: Partial, b: Partial) -> Partial:
    (first,) = first_invalid(a[2:3], b[2:3])
    moments = moments_of_both(a[3:6], b[3:6])
    # Of whole numbers limits are no numbers, which `min` would pass on only by chance.
    low, high = np.minimum(a[0], b[0]), np.maximum(a[1], b[1])
    return low, high, first, *moments, *both(a[6:8], b[6:8]), *_ends_of_both(a[8:], b[8:])


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
    source: Source,
    labels: NDArray[np.int32],
    k: int,
    percentiles: Sequence[float],
    x: Floats,
    limits: tuple[NDArray[Any], Floats],
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
    limits : (ndarray, ndarray)
        As `percentile_limits` gives them.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [6.0, 4.0]])
    >>> labels = np.array([0, 1, 1], np.int32)
    >>> limits = percentile_limits(rows, labels, 2, [0.5])
    >>> found = group_statistics(Source([Stored(rows)]), labels, 2, [0.5], np.arange(2.0), limits)
    >>> found.means.tolist(), found.deviations.tolist(), found.percentiles.tolist(), found.slopes.tolist()
    ([[1.0, 2.0], [4.0, 4.0]], [[0.0, 0.0], [2.0, 0.0]], [[[1.0, 2.0], [4.0, 4.0]]], [1.0, 2.0, -2.0])
    """
    n, d = source.shape
    counts = np.bincount(labels[labels >= 0], minlength=k)
    bounds, share = limits
    copied = copy.copy(source)
    copied.copied = True  # of a block, the rows of a group
    sums = 8 * 2 * k * d * _COPIES
    room = 2 * (check_memory(source.budget) - source.beside - 12 * n - sums) // 3
    value = _GATHERED * (source.dtype.itemsize + 4)
    slopes, at = np.empty(n), np.empty((len(percentiles), k, d))
    away = x - x.mean()
    direction = (away / np.sum(away**2))[:, None]
    made = 0
    moments: Partial = ()
    waiting, per_point = np.arange(d), value * int((counts[:, None] * share).sum() + 1)
    while len(waiting):
        beyond: list[NDArray[np.intp]] = []
        width = max(room // per_point, 1)
        for start in range(0, len(waiting), width):
            points = waiting[start : start + width]
            state = points, bounds[..., points], None if made else direction
            fixed = sums + per_point * len(points)
            passes = begin(copied, f"groups {made}", None, None, {}, 4 if made else 12, fixed, quiet=True)
            into = [] if made else [PerRow(passes.source, slopes)]
            rows = [PerRow(passes.source, labels)]
            found = passes.once("groups", _groups, state, rows=rows, into=into, merge=_groups_of_both)
            moments, made = moments or found[:3], made + 1
            at[..., points], missed = _between_limits(found[3:], bounds[..., points], counts, percentiles)
            beyond.append(points[missed])
        # What lies beyond the limits, as may happen by chance, is looked for among all values.
        waiting, per_point = np.concatenate(beyond), value * n * len(percentiles)
        bounds[..., waiting] = _all_of(bounds.dtype)[:, None, None, None]
    _, means, squares = moments
    return GroupStatistics(means, np.sqrt(squares / np.maximum(counts, 1)[:, None]), at, slopes, made)


def _all_of(dtype: Any) -> NDArray[Any]:
    """The smallest and the largest number of a type."""
    info: Any = None if dtype.kind == "f" else np.iinfo(dtype)
    return np.array([-np.inf, np.inf] if info is None else [info.min, info.max], dtype)


def percentile_limits(
    sample: NDArray[Any], labels: NDArray[np.int32], k: int, percentiles: Sequence[float]
) -> tuple[NDArray[Any], Floats]:
    """
    Between which values percentiles of groups lie, all but for certain, by a sample.

    Parameters
    ----------
    sample : ndarray, shape (m, d)
        Curves as they are stored.
    labels : ndarray, shape (m,)
        Their groups.
    k : int
    percentiles : sequence of p floats

    Returns
    -------
    limits : ndarray, shape (2, p, k, d)
    share : ndarray, shape (k, p)
        Of the values of a group that lie there, at most, about.

    Examples
    --------
    >>> limits, share = percentile_limits(np.arange(1000)[:, None], np.zeros(1000, np.int32), 1, [0.5])
    >>> limits.ravel().tolist(), share.tolist()
    ([427, 572], [[0.145]])
    """
    limits = np.empty((2, len(percentiles), k, sample.shape[1]), sample.dtype)
    limits[:] = _all_of(sample.dtype)[:, None, None, None]
    share = np.ones((k, len(percentiles)))
    for i in range(k):
        rows = np.sort(sample[labels == i], axis=0)
        m = len(rows)
        for j, p in enumerate(percentiles):
            far = _SURE * math.sqrt(m * p * (1 - p)) + 1
            low, high = math.floor((m - 1) * p - far), math.ceil((m - 1) * p + far)
            if low >= 0:
                limits[0, j, i] = rows[low]
            if high < m:
                limits[1, j, i] = rows[high]
            share[i, j] = min((min(high, m) - max(low, 0)) / max(m, 1) if m else 1.0, 1.0)
    return limits, share


def _groups(x: NDArray[Any], state: Any, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    points, (low, high), direction = state
    count, k, width = low.shape
    counts, moments, values, codes = [], [], [], []
    known = np.zeros((4, count, k, width), dtype=np.int64)
    for i in range(k):
        rows = x[labels == i]
        if direction is not None:
            counts.append(len(rows))
            moments.append(np.stack(_emcore.moments(rows)) if len(rows) else np.zeros((2, x.shape[1])))
        some = rows if len(points) == x.shape[1] else rows[:, points]
        for j in range(count):
            first, last = low[j, i], high[j, i]
            inside, at_last = (some > first) & (some < last), (some == last) & (last > first)
            for number, those in enumerate((some < first, some == first, inside, at_last)):
                known[number, j, i] = those.sum(axis=0)
            values.append(some[inside])
            codes.append(((j * k + i) * width + np.nonzero(inside)[1]).astype(np.int32))
    gathered = known, np.concatenate(codes), np.concatenate(values)
    if direction is None:
        return ((0, 0, 0, *gathered),)
    mean, squares = np.stack(moments, axis=1)
    return (np.array(counts), mean, squares, *gathered), _emcore.x_q(x, direction)[:, 0]


def _groups_of_both(a: Partial, b: Partial) -> Partial:
    moments = a[:3] if isinstance(a[0], int) else moments_of_both(a[:3], b[:3])
    return *moments, a[3] + b[3], *both(a[4:], b[4:])


def _between_limits(
    found: Partial, limits: NDArray[Any], counts: NDArray[np.intp], percentiles: Sequence[float]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Percentiles, shape (p, k, points), and the points of which some lie beyond the limits."""
    (below, at_low, inside, at_high), codes, values = found
    values = values[np.lexsort((values, codes))].astype(np.float64)
    starts = (np.cumsum(inside.ravel()) - inside.ravel()).reshape(inside.shape)
    values = np.append(values, np.nan)
    at, missed = np.empty(inside.shape), np.zeros(inside.shape[2], dtype=bool)
    for j, percentile in enumerate(percentiles):
        for i, count in enumerate(counts):
            place = (count - 1) * percentile
            first = math.floor(place)
            low, high = limits[:, j, i].astype(np.float64)
            pair = []
            for rank in (first, min(first + 1, count - 1)):
                within = rank - below[j, i] - at_low[j, i]
                beyond = within - inside[j, i]
                gathered = values[starts[j, i] + np.clip(within, 0, np.maximum(inside[j, i] - 1, 0))]
                pair.append(np.where(within < 0, low, np.where(beyond < 0, gathered, high)))
                missed |= (rank < below[j, i]) | (beyond >= at_high[j, i])
            part = place - first
            at[j, i] = pair[0] + part * (pair[1] - pair[0]) if part > 0 else pair[0]
    return at, missed
