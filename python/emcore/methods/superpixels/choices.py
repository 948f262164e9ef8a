"""How large are segments to be, and how alike what is merged? Both chosen from the data, with a reason.

Noise differs from position to position, signals do not: the covariance of the patterns at two positions, taken over all
pairs at a distance, is free of noise, and falls as fewer pairs lie in one grain. Segments are made a small part as wide
as the distance over which it falls to half.

Mergings of segments are of two kinds, of pieces of one grain and of grains. Between them lies the widest gap among the
angles at which segments merge, arccos of their correlations, best first. Below 10 degrees are pieces of one grain,
beyond 60 grains, whatever the gap.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.selection.agreement import adjusted_rand_index
from emcore.methods.superpixels.slic import merged_to

# A segment's side as a part of the distance over which the covariance falls to half; least side in positions.
_SIDE, _LEAST = 0.5, 3.0
# Lines along each axis from which the covariance is taken; how many distances; the farthest, as a part of the axis.
_LINES, _DISTANCES, _FARTHEST = 24, 40, 0.5
# Covariance of neighbours that stands out of noise, in standard deviations of what noise alone would give.
_CERTAIN = 5.0
# Degrees between which merging may end, and the width of a gap that is clear.
_RANGE, _CLEAR = (10.0, 60.0), 8.0
# Another stop than at the widest gap is taken if its adjusted Rand index is that much better; its narrowest gap.
_BETTER, _NARROWEST = 0.03, 2.0


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
    10.0
    """
    largest = max(math.sqrt(scan[0] * scan[1]) / 4, 1.0)
    return min(max(_SIDE * estimate.half, _LEAST), largest)


@dataclass(frozen=True)
class Stop:
    """Where merging may end.

    Attributes
    ----------
    below, above : float
        Angles of the last merging that is done and of the first that is not, degrees; of none the ends of the range.
    width : float
        Of the gap between them, as far as it lies in the range.
    min_correlation : float
        Amid the gap.
    n_regions : int
        What is left.
    """

    below: float
    above: float
    width: float
    min_correlation: float
    n_regions: int

    @property
    def clear(self) -> bool:
        """Whether the gap is wide beside what angles within a grain differ by."""
        return self.width >= _CLEAR


def stops(history: Floats, n_regions: int) -> list[Stop]:
    """The gaps between the angles at which segments merge, from 10° to 60°, the widest first.

    Parameters
    ----------
    history : ndarray, shape (mergings, 3)
        Of merging until nothing is left to merge, best first, see `emcore.methods.superpixels.borders`.
    n_regions : int
        Before merging.

    Returns
    -------
    list of Stop
        Never empty.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.choices import stops
    >>> history = np.array([[0, 1, 0.99], [2, 3, 0.9], [0, 2, 0.1]])
    >>> [(stop.n_regions, round(stop.width)) for stop in stops(history, 4)]
    [(2, 34), (3, 16)]
    """
    angles = np.degrees(np.arccos(np.clip(np.minimum.accumulate(history[:, 2]), -1.0, 1.0)))
    done = int(np.searchsorted(angles, _RANGE[0], side="right"))
    ends = [_RANGE[0], *(float(angle) for angle in angles[done:] if angle < _RANGE[1]), _RANGE[1]]
    found = []
    for index, (low, high) in enumerate(pairwise(ends)):
        merged = done + index
        below = float(angles[merged - 1]) if merged else _RANGE[0]
        above = float(angles[merged]) if merged < len(angles) else 90.0
        between = float(np.cos(np.radians((low + high) / 2)))
        found.append(Stop(below, above, high - low, between, n_regions - merged))
    found = [stop for stop in found if stop.width > 0] or found[:1]
    return sorted(found, key=lambda stop: (-stop.width, stop.below))


def most_agreeing(
    found: list[Stop], segments: NDArray[np.int32], history: Floats, pieces: NDArray[np.int32]
) -> tuple[Stop, str]:
    """The stop whose regions agree best with pieces that were found otherwise, and why that.

    It is the first unless another agrees with them considerably better.

    Parameters
    ----------
    found : list of Stop
        See `stops`.
    segments : ndarray, shape (y, x), int32
    history : ndarray, shape (mergings, 3)
    pieces : ndarray, shape (y, x), int32
        Of patterns that regions of low density part, see `emcore.methods.selection.density`.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.choices import most_agreeing, stops
    >>> segments = np.repeat(np.arange(4, dtype=np.int32), 5)[None]
    >>> history = np.array([[0, 1, 0.95], [2, 3, 0.8], [0, 2, 0.1]])
    >>> pieces = np.repeat(np.arange(3, dtype=np.int32), (10, 5, 5))[None]
    >>> most_agreeing(stops(history, 4), segments, history, pieces)[0].n_regions
    3
    """
    there = segments >= 0
    of_first = agreement = adjusted_rand_index(
        pieces[there], merged_to(segments, history, found[0].min_correlation)[there]
    )
    best = found[0]
    for stop in found[1:]:
        if stop.width >= _NARROWEST:
            observed = adjusted_rand_index(pieces[there], merged_to(segments, history, stop.min_correlation)[there])
            if observed > max(of_first + _BETTER, agreement):
                best, agreement = stop, observed
    if best is found[0]:
        return best, f"groups of patterns that regions of low density part agree (adjusted Rand index {of_first:.2f})"
    return best, (
        f"not the widest gap: groups of patterns that regions of low density part agree with this cut (adjusted Rand "
        f"index {agreement:.2f}) and not with that at {found[0].below:.0f}° to {found[0].above:.0f}° ({of_first:.2f})"
    )


def best_stop(history: Floats, segments: NDArray[np.int32], pieces: NDArray[np.int32] | None) -> tuple[Stop, str]:
    """Where merging of segments ends, at the widest gap or where it agrees best with pieces, and why there.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.choices import best_stop
    >>> best_stop(np.array([[0, 1, 0.99], [0, 2, 0.1]]), np.array([[0, 1, 2]], dtype=np.int32), None)[0].n_regions
    2
    """
    ends = stops(history, int(segments.max()) + 1)
    chosen, agree = (ends[0], "") if pieces is None else most_agreeing(ends, segments, history, pieces)
    others = [stop for stop in ends if stop is not chosen]
    return chosen, "; ".join(filter(None, (why_stop(chosen, others), agree)))


def why_stop(chosen: Stop, others: list[Stop]) -> str:
    """Why merging ends there, and how clear that is.

    Examples
    --------
    >>> from emcore.methods.superpixels.choices import Stop, why_stop
    >>> why_stop(Stop(12, 60, 48, 0.8, 7), [])
    'segments merge at angles of up to 12° within grains and of 60° and more between them, a clear gap'
    """
    next_one = f"; the next is {others[0].width:.0f}° wide" if others else ""
    if chosen.clear:
        return (
            f"segments merge at angles of up to {chosen.below:.0f}° within grains and of {chosen.above:.0f}° and more "
            f"between them, a clear gap{next_one}"
        )
    return (
        f"of the angles at which segments merge no gap from 10° to 60° is wider than {chosen.width:.0f}°, at "
        f"{chosen.below:.0f}° to {chosen.above:.0f}°{next_one}: where grains end is not clear, see the other cuts"
    )
