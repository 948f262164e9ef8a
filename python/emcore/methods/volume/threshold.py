"""What values a volume holds, and which of them are the phase.

Values are counted plane by plane: those of 8 and 16 bits each, others in bins between the smallest and the largest. The
threshold is that of Otsu (IEEE Trans. Syst. Man Cybern. 9 (1979) 62), which parts them so that the two sides vary least
about their means; where there are two values only it lies between these.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats, check_number, check_option

PHASES = ("bright", "dark")
_BINS = 4096


class Values(NamedTuple):
    """
    What a volume holds.

    Attributes
    ----------
    levels : ndarray, shape (n,), float64
        Rising values, or middles of bins, that there are.
    counts : ndarray, shape (n,), int64
        How many voxels have each.
    mean : float
    """

    levels: Floats
    counts: NDArray[np.int64]
    mean: float


def limits_of(planes: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """
    The smallest and largest value of blocks of planes.

    Raises
    ------
    ValueError
        NaN or infinity, with the first position.

    Examples
    --------
    >>> limits_of([np.array([[[1.0, 5.0]]]), np.array([[[-2.0, 3.0]]])])
    (-2.0, 5.0)
    """
    low, high, start = np.inf, -np.inf, 0
    for block in planes:
        rows = block.reshape(len(block) * block.shape[1], -1)
        least, most, bad, _ = _emcore.value_range(rows)
        if bad is not None:
            z, y = divmod(bad[0], block.shape[1])
            raise ValueError(
                f"volume contains NaN or infinity, first at [{start + z}, {y}, {bad[1]}]; replace or crop such values "
                "first"
            )
        low, high, start = min(low, least), max(high, most), start + len(block)
    return float(low), float(high)


def values_of(planes: Iterable[NDArray[Any]], dtype: np.dtype[Any], limits: tuple[float, float]) -> Values:
    """
    Count the values of blocks of planes.

    Parameters
    ----------
    planes : iterable of ndarray
    dtype : dtype
        Of all of them.
    limits : (float, float)
        The smallest and the largest value, of types of 32 bits and more.

    Returns
    -------
    Values

    Examples
    --------
    >>> values_of([np.array([[[3, 3, 7]]], dtype=np.uint8)], np.dtype("u1"), (0, 0)).counts.tolist()
    [2, 1]
    """
    exact = dtype.kind in "iu" and dtype.itemsize <= 2
    first = int(np.iinfo(dtype).min) if exact else 0
    size = 1 << 8 * dtype.itemsize if exact else _BINS
    width = max((limits[1] - limits[0]) / size, np.finfo(np.float64).tiny)
    counts = np.zeros(size, dtype=np.int64)
    total, voxels = 0.0, 0
    for block in planes:
        for plane in block:
            if exact:
                bins = plane if first == 0 else plane.astype(np.int32) - first
            else:
                scaled = (plane.astype(np.float64) - limits[0]) / width
                bins = np.minimum(scaled.astype(np.intp), size - 1)
                total += float(plane.sum(dtype=np.float64))
            counts += np.bincount(bins.ravel(), minlength=size)
            voxels += plane.size
    there = np.flatnonzero(counts)
    levels = there.astype(np.float64)
    levels = levels + first if exact else limits[0] + (levels + 0.5) * width
    mean = float(levels @ counts[there]) / voxels if exact else total / voxels
    return Values(levels, counts[there], mean)


class Phase(NamedTuple):
    """
    Which voxels are the phase.

    Attributes
    ----------
    threshold : float
    low, high : float
        Values of the phase, both included.
    share : float
        Part of the voxels that they are, to a bin.
    how : str
        How the threshold was found, in words.
    """

    threshold: float
    low: float
    high: float
    share: float
    how: str


def phase_of(values: Values, threshold: float | None, phase: str) -> Phase:
    """
    The phase by a threshold that is given or found.

    Parameters
    ----------
    values : Values
    threshold : float, optional
    phase : {"bright", "dark"}
        The side of the threshold; a voxel on it is bright.

    Raises
    ------
    ValueError
        A volume of one value, or no voxel on that side.

    Examples
    --------
    >>> phase_of(Values(np.array([0.0, 9.0]), np.array([30, 10]), 2.25), None, "bright")[0::3]
    (4.5, 0.25)
    """
    check_option(phase, PHASES, "phase")
    levels, counts = values.levels, values.counts
    if threshold is not None:
        limit, how = check_number(threshold, "threshold", -np.inf), "given"
    elif len(levels) == 1:
        raise ValueError(f"volume is constant, every voxel is {levels[0]:g}: there is nothing to tell apart")
    elif len(levels) == 2:
        limit, how = float(levels.mean()), "the volume has two values"
    else:
        limit, how = otsu(levels, counts), "Otsu's"
    bright = levels >= limit
    share = float(counts[bright if phase == "bright" else ~bright].sum() / counts.sum())
    if share == 0:
        side = "at or above" if phase == "bright" else "below"
        raise ValueError(
            f"threshold={limit:g}: no voxel is {side} it, values lie between {levels[0]:g} and {levels[-1]:g}; give "
            "another one, or the other phase"
        )
    most = float(np.finfo(np.float64).max)
    low, high = (limit, most) if phase == "bright" else (-most, float(np.nextafter(limit, -np.inf)))
    return Phase(limit, low, high, share, how)


def otsu(levels: Floats, counts: NDArray[np.int64]) -> float:
    """
    The value between two levels that parts values into two sides that vary least about their means.

    Examples
    --------
    >>> otsu(np.array([0.0, 1.0, 8.0, 9.0]), np.array([5, 5, 5, 5]))
    4.5
    """
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * levels)
    between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    best = int(np.argmax(between))
    return float(levels[best] + levels[best + 1]) / 2
