"""Where do reflections vary over a scan, and how strong is each of them at every position?

A reflection that some grains have and others have not makes the deviation over the scan large there. Local maxima of
the deviation pattern that stand out of what is around them are the reflections, however weak their mean is. The
strength of a reflection at a position is the sum of the pattern over a small disc less what the ring around it says of
the background below: every pixel of the detector belongs to the reflection that is nearest, so that one visit of the
data gives all strengths, and neighbours that overlap are no background of each other.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source

# A ring begins a pixel beyond the disc and ends at so many radii and pixels.
_RING, _BEYOND = 2.0, 1.5
# Parts of disc and ring that must lie on usable pixels of the detector.
_DISC_PART, _RING_PART = 0.7, 0.4
# How far maxima are apart at least, in radii; how far above the deviation around they are, as a part of it and in
# standard errors of it.
_APART, _ABOVE, _ERRORS = 1.5, 0.02, 5.0
# The autocorrelation of a disc falls to half at this part of its radius.
_HALF = 0.81


@dataclass(frozen=True, eq=False)
class Reflections:
    """Where reflections are, and the pixels that say how strong they are.

    Attributes
    ----------
    places : ndarray, shape (m, 2), float64
        Along ky and kx, in detector pixels; those that stand out most come first.
    prominence : ndarray, shape (m,), float64
        By how much the deviation over the scan is larger in the disc than in the ring around it.
    radius : float
        Of the discs, in detector pixels.
    groups : ndarray, shape (ky, kx), int32
        Of the pixels in the disc of reflection i, i; in its ring, m + i; else -1.
    weights : ndarray, shape (2 m, m), float64
        What sums over these groups are multiplied by to give strengths.
    """

    places: Floats
    prominence: Floats
    radius: float
    groups: NDArray[np.int32]
    weights: Floats

    def __len__(self) -> int:
        return len(self.places)


def find_reflections(
    deviation: Floats,
    usable: NDArray[np.bool_],
    *,
    radius: float,
    center: tuple[float, float],
    annulus: tuple[float, float],
    most: int,
    error: Floats | float = 0.0,
) -> Reflections:
    """
    The local maxima of a deviation pattern in an annulus.

    Parameters
    ----------
    deviation : ndarray, shape (ky, kx)
        Standard deviation over a scan of every pixel.
    usable : ndarray of bool, shape (ky, kx)
        Outside the direct beam, and not broken.
    radius : float
        Of the discs.
    center : (float, float)
        Along ky and kx, in pixels.
    annulus : (float, float)
        Inner and outer radius, in pixels, between which maxima lie.
    most : int
        So many at most, those that stand out most.
    error : ndarray, shape (ky, kx), or float
        Standard error of the deviation of a pixel, as a part of it.

    Returns
    -------
    Reflections
        There may be none.

    Examples
    --------
    >>> ky, kx = np.indices((48, 48))
    >>> spots = np.maximum(2.5 - np.hypot(ky - 10, kx - 20), 0) + np.maximum(2.5 - np.hypot(ky - 30, kx - 35), 0) / 2
    >>> usable = np.ones((48, 48), dtype=bool)
    >>> observed = find_reflections(1 + spots, usable, radius=2, center=(24, 24), annulus=(5, 24), most=9)
    >>> observed.places.tolist()
    [[10.0, 20.0], [30.0, 35.0]]
    """
    from scipy import ndimage

    disc, ring = kernels(radius)
    values, known = np.where(usable, deviation, 0.0), usable.astype(np.float64)
    in_disc, in_ring = (ndimage.convolve(known, kernel, mode="constant") for kernel in (disc, ring))
    inside = ndimage.convolve(values, disc, mode="constant") / np.maximum(in_disc, 1)
    around = ndimage.convolve(values, ring, mode="constant") / np.maximum(in_ring, 1)
    y, x = np.indices(deviation.shape)
    away = np.hypot(y - center[0], x - center[1])
    possible = (away >= annulus[0]) & (away <= annulus[1])
    possible &= (in_disc >= _DISC_PART * disc.sum()) & (in_ring >= _RING_PART * ring.sum())
    prominence = np.where(possible, inside - around, -np.inf)
    noise = error * around * np.sqrt(1 / np.maximum(in_disc, 1) + 1 / np.maximum(in_ring, 1))
    highest = ndimage.maximum_filter(prominence, footprint=disc > 0, mode="constant", cval=-np.inf)
    maxima = possible & (prominence == highest) & (prominence > np.maximum(_ABOVE * around, _ERRORS * noise))
    places, heights = np.argwhere(maxima).astype(np.float64), prominence[maxima]
    order = np.argsort(-heights, kind="stable")
    chosen: list[int] = []
    for i in order:
        if len(chosen) == most:
            break
        apart = np.hypot(*(places[chosen] - places[i]).T)
        if not (apart < max(_APART * radius, 1.5)).any():
            chosen.append(int(i))
    return with_masks(places[chosen], heights[chosen], usable, radius)


def with_masks(places: Floats, prominence: Floats, usable: NDArray[np.bool_], radius: float) -> Reflections:
    """
    Reflections at some places, with the pixels of their discs and rings.

    Of a reflection whose ring has fewer pixels than its disc, so many of the rings nearest by count as its background
    that these have as many.

    Examples
    --------
    >>> observed = with_masks(np.array([[4.0, 4.0]]), np.ones(1), np.ones((9, 9), dtype=bool), 1.0)
    >>> (observed.groups == 0).sum(), (observed.groups == 1).sum(), observed.weights.round(3).tolist()
    (np.int64(5), np.int64(24), [[1.0], [-0.208]])
    """
    from scipy.spatial import cKDTree

    m = len(places)
    groups = np.full(usable.shape, -1, dtype=np.int32)
    weights = np.zeros((2 * m, m))
    if not m:
        return Reflections(places.reshape(0, 2), prominence, radius, groups, weights)
    pixels = np.argwhere(usable)
    away, nearest = cKDTree(places).query(pixels)
    of = np.full(len(pixels), -1, dtype=np.int32)
    disc, ring = away <= radius, (away > radius + 1) & (away <= _RING * radius + _BEYOND)
    of[disc], of[ring] = nearest[disc], m + nearest[ring]
    groups[usable] = of
    areas = np.bincount(of[of >= 0], minlength=2 * m)
    discs, rings = areas[:m], areas[m:]
    for i in range(m):
        weights[i, i] = 1
        near = np.argsort(np.square(places - places[i]).sum(axis=1), kind="stable")
        count = int(np.searchsorted(np.cumsum(rings[near]), discs[i])) + 1
        total = int(rings[near[:count]].sum())
        if total:
            weights[m + near[:count], i] = -discs[i] / total
    return Reflections(places, prominence, radius, groups, weights)


def kernels(radius: float) -> tuple[Floats, Floats]:
    """
    A disc and the ring around it, as pictures of one size.

    Examples
    --------
    >>> disc, ring = kernels(1.0)
    >>> disc.sum(), ring.sum(), disc.shape
    (np.float64(5.0), np.float64(24.0), (7, 7))
    """
    far = math.floor(_RING * radius + _BEYOND)
    y, x = np.mgrid[-far : far + 1, -far : far + 1]
    away = np.hypot(y, x)
    ring = (away > radius + 1) & (away <= _RING * radius + _BEYOND)
    return (away <= radius).astype(np.float64), ring.astype(np.float64)


def spot_radius(deviation: Floats, usable: NDArray[np.bool_]) -> float:
    """
    About the radius of the spots in a pattern, from where its autocorrelation falls to half.

    Examples
    --------
    >>> ky, kx = np.indices((64, 64))
    >>> spots = sum((np.hypot(ky - y, kx - x) < 4.2).astype(float) for y, x in ((12, 40), (30, 12), (50, 50)))
    >>> 3 < spot_radius(spots, np.ones((64, 64), dtype=bool)) < 5
    True
    """
    from scipy import fft, ndimage

    wide = max(min(deviation.shape) // 2, 3)
    known = ndimage.uniform_filter(usable.astype(np.float64), wide)
    smooth = ndimage.uniform_filter(np.where(usable, deviation, 0.0), wide) / np.maximum(known, 1e-9)
    power = np.abs(fft.fft2(np.where(usable, deviation - smooth, 0.0), [2 * side for side in deviation.shape])) ** 2
    correlation, side = fft.ifft2(power).real, min(deviation.shape) // 2
    along = correlation[0, :side] + correlation[:side, 0]
    below = np.flatnonzero(along < 0.5 * along[0])
    if not along[0] > 0 or not below.size:
        return 1.0
    at = int(below[0])
    part = (along[at - 1] - 0.5 * along[0]) / (along[at - 1] - along[at])
    return max(float(at - 1 + part) / _HALF, 1.0)


def strengths_of(
    rows: Source, reflections: Reflections, beam: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], Floats]:
    """
    The strength of every reflection at every position, and a sum for a picture of the scan.

    Parameters
    ----------
    rows : Source, shape (n, ky * kx)
    reflections : Reflections
    beam : ndarray of bool, shape (ky, kx), optional
        Pixels that are summed, none of which is in a disc or ring; by default all.

    Returns
    -------
    strengths : ndarray, shape (n, m), float32
    sums : ndarray, shape (n,), float64
        NaN where the pattern has NaN.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> patterns = np.ones((2, 9, 9))
    >>> patterns[1, 4, 4] = 8
    >>> reflections = with_masks(np.array([[4.0, 4.0]]), np.ones(1), np.ones((9, 9), dtype=bool), 1.0)
    >>> strengths, sums = strengths_of(Source([Stored(patterns, 2)]), reflections, None)
    >>> strengths.round(3).tolist(), sums.tolist()
    ([[0.0], [7.0]], [81.0, 88.0])
    """
    n, m = rows.shape[0], len(reflections)
    others = reflections.groups < 0 if beam is None else beam
    groups = np.where(others, np.int32(2 * m), reflections.groups).ravel()
    strengths, sums = np.empty((n, m), dtype=np.float32), np.empty(n)
    passes = begin(rows, "strengths", None, None, {}, 4 * m + 8, 8 * (rows.shape[1] + 2 * m * m), quiet=True)
    into = [PerRow(passes.source, strengths), PerRow(passes.source, sums)]
    passes.once("strengths", _strengths, (groups, beam is None, reflections), into=into)
    return strengths, sums


def _strengths(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    groups, every, reflections = state
    m = len(reflections)
    sums = _emcore.bin_features(x, groups, reflections.groups.shape[1], 2 * m + 1)
    of_masks = np.ascontiguousarray(sums[:, :-1])
    strengths = _emcore.x_q(of_masks, reflections.weights).astype(np.float32) if m else of_masks
    return (), strengths, sums.sum(axis=1, dtype=np.float64) if every else sums[:, -1].astype(np.float64)
