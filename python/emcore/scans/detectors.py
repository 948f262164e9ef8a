"""What a detector in the diffraction plane would have seen: the direct beam, virtual images, the mean pattern (PACBED).

The direct beam is the bright disc of the mean pattern: above each of many thresholds between background and top, the
connected pixels around the brightest place have a centre of mass and an area (Bach Siches 2022). Where the radius of
this area changes least from one threshold to the next is the edge of the disc; centre and radius are the medians over
these thresholds. Single pixels that are far too bright are replaced first.

Virtual images are sums over masks, all in one read of the data, in the type in which the detector wrote it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import as_pixels, check_count, check_finite, check_number, check_result, check_shape
from emcore.outofcore.rows import not_finite
from emcore.scans.patterns import as_pattern_rows

# Levels between background (0) and top of the disc (1) at which it is cut, and how many make an edge.
_LEVELS = np.linspace(0.1, 0.9, 65)
_EDGE = 17
# A pixel so many times brighter than the third brightest of its neighbours is a fault of the detector.
_HOT = 3.0
# So many standard deviations of its mean a disc must be above what is around it: the brightest of noise is up to 27,
# beams are above 190.
_ABOVE_NOISE = 40.0
# So many deviations of what discs of its size differ by elsewhere, if as many of them fit beside it.
_ABOVE_PLACES, _PLACES = 8.0, 4
# Least ratio of the short to the long axis of what is brighter than half of it, of at least so many pixels.
_ROUND, _FEW = 0.5, 5
# A ring is out of the beam if it falls by less than this part of its height a pixel.
_FLAT = 0.01
# The tail of a beam reaches no farther than so many times the width of its edge.
_TAIL = 2.0
# Edge of a disc that is one however large, as a part of its radius.
_SHARP = 0.2
_NO_BEAM = "no bright disc stands out of the pattern, but for single pixels and noise"


@dataclass(frozen=True)
class Beam:
    """The direct beam in a pattern.

    Attributes
    ----------
    center : (float, float)
        Along ky and kx, in pixels; the middle of the first pixel is 0.
    radius : float
        Of the disc of the same area, in pixels.
    edge : float
        How wide its edge is: by how much the radius would change over half of its height.
    reach : float
        Radius from which on the pattern falls no faster than what is around the beam.
    """

    center: tuple[float, float]
    radius: float
    edge: float
    reach: float = 0.0

    @property
    def mask_radius(self) -> float:
        """Radius of a mask that leaves nothing of it: the disc with its blurred edge or the
        tail, and a pixel."""
        return float(max(self.radius + self.edge, self.reach)) + 1

    def is_disc(self, shape: tuple[int, int]) -> bool:
        """Whether it stands out of a pattern of this shape: not so a wide maximum without an
        edge."""
        return math.pi * self.mask_radius**2 < 0.25 * shape[0] * shape[1] or self.edge < _SHARP * self.radius


def find_beam(pattern: ArrayLike) -> Beam:
    """
    Centre and radius of the bright disc of a pattern, to a fraction of a pixel, in spite of hot
    pixels.

    Parameters
    ----------
    pattern : array-like, shape (ky, kx)
        Best the mean over the scan, see `pacbed`.

    Returns
    -------
    Beam

    Raises
    ------
    ValueError
        A pattern that is constant, but for hot pixels, out of whose noise no disc stands, or
        with NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.detectors import find_beam
    >>> ky, kx = np.ogrid[:64, :64]
    >>> beam = find_beam(np.clip(8.5 - np.hypot(ky - 30.3, kx - 33.8), 0, 1))
    >>> [round(value, 1) for value in beam.center], round(beam.radius)
    ([30.3, 33.8], 8)
    """
    from scipy import ndimage

    values = as_pixels(pattern, "pattern", 2).astype(np.float64)
    low, high = check_finite(values, "pattern")
    if low == high:
        raise ValueError(f"pattern is constant, every pixel is {low:g}: there is no beam in it")
    raw, values = values, _without_hot_pixels(values)
    smooth = ndimage.uniform_filter(values, 3, mode="nearest")
    peak_y, peak_x = (int(i) for i in np.unravel_index(int(smooth.argmax()), values.shape))
    # The disc's height, not its single brightest pixel.
    top = float(np.median(values[_disc(values.shape, (peak_y, peak_x), 1.5)]))
    background = float(np.median(values))
    if top <= background:
        background = float(values.min())
    if top <= background:
        raise ValueError(_NO_BEAM)
    levels = background + _LEVELS * (top - background)
    rough = _edge(values, levels, (peak_y, peak_x))
    # Once more around it and, where it is small, on a finer grid, so that its edge is not rounded to pixels.
    reach, finer = math.ceil(3 * rough.radius) + 4, min(max(math.ceil(20 / rough.radius), 1), 8)
    first = [max(peak - reach, 0) for peak in (peak_y, peak_x)]
    part = values[first[0] : peak_y + reach + 1, first[1] : peak_x + reach + 1]
    grid = np.meshgrid(*(np.arange((side - 1) * finer + 1) / finer for side in part.shape), indexing="ij")
    fine = ndimage.map_coordinates(part, grid, order=1)
    beam = _edge(fine, levels, ((peak_y - first[0]) * finer, (peak_x - first[1]) * finer))
    center = beam.center[0] / finer + first[0], beam.center[1] / finer + first[1]
    beam = Beam(center, beam.radius / finer, beam.edge / finer)
    if not (_stands_out(values, beam, np.minimum(raw, top)) and _is_round(values, beam, background, top)):
        raise ValueError(_NO_BEAM)
    return replace(beam, reach=_reach(values, beam, top))


def _stands_out(values: NDArray[np.float64], beam: Beam, noisy: NDArray[np.float64]) -> bool:
    """Whether a disc is brighter than what is around it by more than noise can make the brightest of many places."""
    inside = _disc(values.shape, beam.center, max(beam.radius, 1.0))
    reach = beam.mask_radius
    around = _disc(values.shape, beam.center, 1.5 * reach + 1) & ~_disc(values.shape, beam.center, reach)
    if not around.any():  # of a disc that fills the pattern only corners are left
        return not inside.all() and bool(values[inside].min() > values[~inside].max())
    steps = np.abs(np.concatenate([np.diff(noisy, axis=axis).ravel() for axis in (0, 1)]))
    noise = float(steps.mean()) * math.sqrt(math.pi) / 2  # few differences of neighbours are more than noise
    contrast = float(values[inside].mean() - values[around].mean())
    if not contrast * math.sqrt(np.count_nonzero(inside)) > _ABOVE_NOISE * noise:
        return False
    return _stands_out_of_places(values, beam, contrast)


def _stands_out_of_places(values: NDArray[np.float64], beam: Beam, contrast: float) -> bool:
    """Whether a disc is brighter than discs of its size elsewhere: noise that is smooth has bright places too."""
    from scipy import ndimage

    radius = max(beam.radius, 1.0)
    size = 2 * math.floor(radius) + 1
    window = _disc((size, size), (size // 2, size // 2), radius).astype(np.float64)
    means = ndimage.convolve(values, window / window.sum(), mode="nearest")
    elsewhere = means[~_disc(values.shape, beam.center, 2 * radius + beam.mask_radius)]
    if elsewhere.size < _PLACES * size**2:
        return beam.edge < _SHARP * beam.radius
    middle = np.median(elsewhere)
    return contrast > _ABOVE_PLACES * 1.4826 * float(np.median(np.abs(elsewhere - middle)))


def _is_round(values: NDArray[np.float64], beam: Beam, background: float, top: float) -> bool:
    """Whether what is brighter than half of a beam is as high as it is wide, where the detector does not cut it off."""
    from scipy import ndimage

    y, x = (min(max(round(c), 0), side - 1) for c, side in zip(beam.center, values.shape, strict=True))
    labels, _ = ndimage.label(values >= 0.5 * (background + top))
    if not labels[y, x]:
        return False
    places = np.argwhere(labels == labels[y, x])
    first, last = (places == 0).any(axis=0), (places == np.array(values.shape) - 1).any(axis=0)
    if np.count_nonzero(first & last) == 1:  # a line from one side to the other
        return False
    if len(places) < _FEW or (first | last).any():
        return True
    # Of a square pixel alone the deviation is 1 / 12.
    spread = np.linalg.eigvalsh(np.cov(places.T) + np.eye(2) / 12)
    return bool(spread[0] > _ROUND**2 * spread[1])


def _reach(values: NDArray[np.float64], beam: Beam, top: float) -> float:
    """Radius from which on the median of rings falls by less than a hundredth of the beam's height a pixel."""
    y, x = np.indices(values.shape)
    ring = np.hypot(y - beam.center[0], x - beam.center[1])
    farthest = min(4 * (beam.radius + beam.edge) + 4, 0.5 * min(values.shape))
    most = beam.radius + _TAIL * beam.edge
    edges = np.arange(0.0, farthest + 1)
    rings = np.digitize(ring.ravel(), edges)
    profile = np.array(
        [np.median(values.ravel()[rings == k]) if (rings == k).any() else np.nan for k in range(1, len(edges))]
    )
    steps = profile[:-1] - profile[1:]
    for index in range(math.floor(beam.radius), len(steps)):
        if not steps[index] > _FLAT * (top - profile[-1]):
            return float(min(edges[index] + 0.5, most))
    return 0.0


def _edge(values: NDArray[np.float64], levels: NDArray[np.float64], seed: tuple[int, int]) -> Beam:
    """Centre and radius where the radius changes least from level to level."""
    cuts = np.array([_cut(values, level, seed) for level in levels])
    change = cuts[: -_EDGE + 1, 2] - cuts[_EDGE - 1 :, 2]
    first = int(change.argmin())
    center_y, center_x, radius = (float(value) for value in np.median(cuts[first : first + _EDGE], axis=0))
    per_level = float(change[first]) / (_LEVELS[_EDGE - 1] - _LEVELS[0])
    return Beam((center_y, center_x), radius, max(0.5 * per_level, 0.0))


def _cut(values: NDArray[np.float64], threshold: float, seed: tuple[int, int]) -> tuple[float, float, float]:
    """Centre and radius of the connected pixels above a threshold around the seed."""
    from scipy import ndimage

    labels, _ = ndimage.label(values >= min(threshold, values[seed]))
    y, x = np.nonzero(labels == labels[seed])
    return float(y.mean()), float(x.mean()), math.sqrt(len(y) / math.pi)


def _without_hot_pixels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels far above all but two of their neighbours replaced by the median of these."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="reflect" if min(values.shape) > 1 else "edge")
    around = np.stack([padded[i : i + height, j : j + width] for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    around.sort(axis=0)
    floor = float(np.median(values))
    hot = values - floor > _HOT * np.maximum(around[5] - floor, 0)
    return np.where(hot, (around[3] + around[4]) / 2, values)


def disc(shape: tuple[int, int], center: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    """
    A mask of the pixels of a pattern whose middle is at most `radius` from `center`.

    Parameters
    ----------
    shape : (int, int)
        Pixels along ky and kx.
    center : (float, float)
        Along ky and kx, in pixels; may lie outside.
    radius : float
        In pixels, not negative.

    Examples
    --------
    >>> from emcore.scans.detectors import disc
    >>> int(disc((5, 5), (2, 2), 1).sum())
    5
    """
    return _disc(shape, center, check_number(radius, "radius", 0))


def annulus(shape: tuple[int, int], center: tuple[float, float], inner: float, outer: float) -> NDArray[np.bool_]:
    """
    A mask of the pixels of a pattern that are more than `inner` and at most `outer` from
    `center`.

    So a disc of radius `inner`, this, and the rest have no pixel in common and none left out.

    Parameters
    ----------
    shape : (int, int)
        Pixels along ky and kx.
    center : (float, float)
        Along ky and kx, in pixels; may lie outside.
    inner, outer : float
        In pixels, 0 <= inner <= outer.

    Examples
    --------
    >>> from emcore.scans.detectors import annulus
    >>> int(annulus((5, 5), (2, 2), 0.5, 1).sum())
    4
    """
    outer = check_number(outer, "outer", 0)
    inner = check_number(inner, "inner", 0, outer)
    return _disc(shape, center, outer) & ~_disc(shape, center, inner)


def _disc(shape: tuple[int, ...], center: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    height, width = check_shape(shape, "shape")
    if not hasattr(center, "__len__") or len(center) != 2:
        raise TypeError(f"center={center!r}: two numbers are needed, along ky and kx")
    y, x = (check_number(value, f"center[{i}]", -np.inf) for i, value in enumerate(center))
    ky, kx = np.ogrid[:height, :width]
    inside: NDArray[np.bool_] = (ky - y) ** 2 + (kx - x) ** 2 <= min(radius, 1e150) ** 2
    return inside


def masked_beam(
    mean: NDArray[np.float64], mask_beam: bool, beam_radius: float | None
) -> tuple[tuple[float, float] | None, float | None, tuple[str, ...]]:
    """
    Centre and radius of a mask over the beam of a mean pattern, where there is one, and what is
    to be said.

    Raises
    ------
    TypeError, ValueError
        `mask_beam` that is neither True nor False, a radius that is negative or goes without
        it, no pattern.
    """
    if not isinstance(mask_beam, bool | np.bool_):
        raise TypeError(f"mask_beam is a {type(mask_beam).__name__}; True or False is needed")
    if beam_radius is not None:
        beam_radius = check_number(beam_radius, "beam_radius", 0)
        if not mask_beam:
            raise ValueError(f"beam_radius={beam_radius:g} goes with mask_beam=True: leave one out")
    if not mask_beam:
        return None, None, ()
    mean = as_pixels(mean, "mean", 2).astype(np.float64)
    low, high = check_finite(mean, "mean")
    if low == high:
        return None, None, ("the mean pattern is constant: there is no beam to mask",)
    try:
        beam = find_beam(mean)
    except ValueError:
        return None, None, ("no bright disc stands out of the mean pattern: nothing was masked",)
    if beam_radius is None and not beam.is_disc(mean.shape):
        said = "no bright disc stands out of the mean pattern: nothing was masked (beam_radius masks one)"
        return None, None, (said,)
    return beam.center, beam.mask_radius if beam_radius is None else beam_radius, ()


def virtual_images(patterns: Any, masks: ArrayLike) -> NDArray[np.float64]:
    """
    Images that virtual detectors see: at every scan position the sum of the pattern over a
    mask.

    Parameters
    ----------
    patterns : array-like, Signal or HyperSpy signal, shape (y, x, ky, kx)
        Any pixel type, memory-mapped too; read once however many masks there are, neither
        converted nor copied.
    masks : array-like, shape (m, ky, kx) or (ky, kx)
        Booleans, or weights.

    Returns
    -------
    ndarray, shape (m, y, x) or (y, x), float64
        Exact for integers up to 16.8 million a sum, beyond to seven digits; no number where a
        pattern holds none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.detectors import annulus, disc, virtual_images
    >>> patterns = np.ones((4, 5, 16, 16), dtype=np.uint16)
    >>> masks = [disc((16, 16), (8, 8), 3), annulus((16, 16), (8, 8), 3, 6)]
    >>> virtual_images(patterns, masks)[:, 0, 0]
    array([29., 84.])
    """
    matrix = as_pattern_rows(patterns)
    weights = as_pixels(masks, "masks", (2, 3)).astype(np.float64)
    if weights.shape[-2:] != matrix.shape:
        raise ValueError(f"masks have shape {weights.shape}, but a pattern has {matrix.shape}: they must agree")
    check_finite(weights, "masks")
    columns = np.stack([matrix.features(mask) for mask in weights.reshape(-1, *matrix.shape)], axis=1)
    sums = _emcore.x_q(matrix.rows, np.ascontiguousarray(columns)).T
    lost = ~np.isfinite(sums).all(axis=0)
    if lost.any() and not not_finite(matrix.rows[lost]).all():
        check_result(sums, "patterns and masks")
    images: NDArray[np.float64] = np.ascontiguousarray(sums).reshape(*weights.shape[:-2], *matrix.scan)
    return images


def pacbed(patterns: Any) -> NDArray[np.float64]:
    """
    The mean pattern of a scan, position-averaged convergent-beam electron diffraction (LeBeau
    et al. 2010).

    Parameters
    ----------
    patterns : array-like, Signal or HyperSpy signal, shape (y, x, ky, kx)
        Any pixel type, memory-mapped too; read once, never copied.

    Returns
    -------
    ndarray, shape (ky, kx), float64
        Of integers from their exact sum.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.detectors import pacbed
    >>> patterns = np.arange(2 * 2 * 4 * 4, dtype=np.uint8).reshape(2, 2, 4, 4)
    >>> pacbed(patterns)[0]
    array([24., 25., 26., 27.])
    """
    matrix = as_pattern_rows(patterns)
    mean: NDArray[np.float64] = sum_by_label(matrix, np.zeros(len(matrix.rows), dtype=np.intp), 1)[0]
    mean /= len(matrix.rows)
    return mean


def sum_by_label(patterns: Any, labels: NDArray[np.integer[Any]], k: int) -> NDArray[np.float64]:
    """
    The sum of the patterns with each label, in one read of the data.

    Parameters
    ----------
    patterns : array-like, Signal, HyperSpy signal or PatternRows, shape (y, x, ky, kx)
    labels : ndarray of int below k, shape (y, x); negative ones are left out
    k : int

    Returns
    -------
    ndarray, shape (k, ky, kx), float64, of integers exact up to 2^53

    Raises
    ------
    TypeError, ValueError
        Labels of other positions, or that are no whole numbers below k.
    """
    matrix, numbers, k = as_pattern_rows(patterns), np.asarray(labels), check_count(k, "k", 1, 2**31 - 1)
    if numbers.dtype.kind not in "iu" or numbers.size != len(matrix.rows):
        message = f"labels are {numbers.dtype} of shape {numbers.shape}; a whole number for each position is needed"
        raise ValueError(message)
    if numbers.max() >= k:
        raise ValueError(f"labels reach {numbers.max()}, and k={k}: they must lie below it")
    numbers = np.maximum(numbers, -1) if numbers.dtype.kind == "i" else numbers
    sums, _ = _emcore.sum_by_label(matrix.rows, np.ascontiguousarray(numbers.ravel(), dtype=np.int32), k)
    pictures: NDArray[np.float64] = matrix.pictures(sums)
    return pictures
