"""How large are segments to be, and how alike what is merged? Both chosen from the data, with a reason.

Noise differs from position to position, signals do not: the covariance of the patterns at two positions, taken over all
pairs at a distance, is free of noise, and falls as fewer pairs lie in one grain. Segments are made a small part as wide
as the distance over which it falls to half.

Mergings of segments are of two kinds, of pieces of one grain and of grains. Between them lies the widest gap among the
angles between mean patterns, arccos of the correlations at which segments merge, best first.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# A segment's side as a part of the distance over which the covariance falls to half; least side in positions.
_SIDE, _LEAST = 0.4, 3.0
# Lines along each axis from which the covariance is taken; how many distances; the farthest, as a part of the axis.
_LINES, _DISTANCES, _FARTHEST = 24, 40, 0.5
# Covariance of neighbours that stands out of noise, in standard deviations of what noise alone would give.
_CERTAIN = 5.0
# Least correlation at which what merges may be of one grain.
_ALIKE = 0.15


@dataclass(frozen=True)
class Extent:
    """Over how far patterns are alike.

    Attributes
    ----------
    half : float
        Distance in positions at which the covariance is half of that of neighbours; infinite where it is never.
    certain : bool
        Whether that of neighbours stands out of noise at all.
    """

    half: float
    certain: bool


def extent(values: NDArray[np.float32], scan: tuple[int, int], measured: NDArray[np.bool_] | None = None) -> Extent:
    """How far patterns stay alike along y and x.

    Parameters
    ----------
    values : ndarray, shape (y * x, channels)
    scan : (int, int)
    measured : ndarray of bool, shape (y * x,), optional
        Positions that count; the values of others are zero.

    Returns
    -------
    Extent

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.choices import extent
    >>> squares = np.kron(np.random.default_rng(0).random((6, 6, 50)), np.ones((10, 10, 1)))
    >>> estimate = extent(squares.reshape(3600, 50).astype(np.float32), (60, 60))
    >>> 4 < estimate.half < 7, estimate.certain
    (True, True)
    """
    grid = values.reshape(*scan, -1)
    there = np.ones(scan, dtype=bool) if measured is None else measured.reshape(scan)
    lines = [
        (line, there[:, i] if axis == 0 else there[i])
        for axis in (0, 1)
        for i in np.unique(np.linspace(0, scan[1 - axis] - 1, _LINES).astype(np.intp))
        if len(line := grid[:, i] if axis == 0 else grid[i]) > 1
    ]
    if not lines:
        return Extent(math.inf, False)
    count = sum(int(of_line.sum()) for _, of_line in lines)
    if not count:
        return Extent(math.inf, False)
    mean = (sum(line.sum(axis=0, dtype=np.float64) for line, _ in lines) / count).astype(np.float32)
    farthest = max(int(_FARTHEST * max(scan)), 2)
    distances = np.unique(np.geomspace(1, farthest, _DISTANCES).astype(np.intp))
    total, pairs = np.zeros(farthest + 1), np.zeros(farthest + 1)
    strength = 0.0
    for line, of_line in lines:
        part = line - mean
        part[~of_line] = 0
        strength += float(np.square(part).sum(dtype=np.float64))
        for distance in distances[distances < max(_FARTHEST * len(part), 2)]:
            total[distance] += np.einsum("ij,ij->", part[distance:], part[:-distance], dtype=np.float64)
            pairs[distance] += int(np.count_nonzero(of_line[distance:] & of_line[:-distance]))
    looked = np.flatnonzero(pairs)
    if strength == 0:
        return Extent(math.inf, False)
    covariance = total[looked] / pairs[looked]
    noise = strength / count / math.sqrt(pairs[1] * values.shape[1])
    if covariance[0] <= _CERTAIN * noise:
        return Extent(math.inf, False)
    below = np.flatnonzero(covariance < 0.5 * covariance[0])
    if not below.size:
        return Extent(math.inf, True)
    at = int(below[0])  # at least 1: the first is no less than half of itself
    part_of = (covariance[at - 1] - 0.5 * covariance[0]) / (covariance[at - 1] - covariance[at])
    return Extent(float(looked[at - 1] + part_of * (looked[at] - looked[at - 1])), True)


def segment_side(estimate: Extent, scan: tuple[int, int]) -> float:
    """Side of a segment in positions: small beside what is alike, and never the whole scan.

    Examples
    --------
    >>> from emcore.methods.superpixels.choices import Extent, segment_side
    >>> segment_side(Extent(20.0, True), (256, 256))
    8.0
    """
    largest = max(math.sqrt(scan[0] * scan[1]) / 4, 1.0)
    return min(max(_SIDE * estimate.half, _LEAST), largest)


def choose_correlation(history: Floats) -> tuple[float, str]:
    """The correlation between those of pieces of one grain and those of grains, and why.

    Parameters
    ----------
    history : ndarray, shape (mergings, 3)
        Of merging until nothing is left to merge, see `emcore.merge_similar`.

    Returns
    -------
    min_correlation : float
    reason : str

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.choices import choose_correlation
    >>> choose_correlation(np.array([[0, 1, 0.99], [2, 3, 0.9], [0, 2, 0.1]]))[0].__round__(2)
    0.57
    """
    correlations = np.append(
        np.sort(history[:, 2])[::-1], 0.0
    )  # nothing is less alike than what does not correlate at all
    angles = np.degrees(np.arccos(np.clip(correlations, 0.0, 1.0)))
    gaps = np.where(correlations[:-1] >= _ALIKE, np.diff(angles), -1.0)
    if not gaps.size or gaps.max() <= 0:
        return _ALIKE, f"no two segments that touch correlate by {_ALIKE:g}: nothing was merged"
    at = int(gaps.argmax())
    between = float(np.cos(np.radians((angles[at] + angles[at + 1]) / 2)))
    reason = (
        f"of the angles between mean patterns at which segments merge, the widest gap is from {angles[at]:.0f}° to "
        f"{angles[at + 1]:.0f}°, correlations of {correlations[at]:.2f} and {max(correlations[at + 1], 0.0):.2f}"
    )
    return between, reason
