"""Where are the particles of an image? Bright islands, cut apart where they touch, edges where the image is steepest.

A threshold (Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62) finds them, on the logarithm of how far the smoothed image
is above its background, so that a few bright ones do not hide the dim; the watershed of the distance to their edges
parts those that touch. Particles differ in brightness, by which one threshold would make dim
ones too small and bright ones too large: of each one the level is taken at which the image falls most steeply along its
edge.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.io.optional import skimage_module

Labels = NDArray[np.int32]

# Smoothing against noise, in pixels.
_SIGMA = 1.0
# Levels between background and particle that are tried as the edge.
_LEVELS = np.linspace(0.1, 0.8, 15)
# How far beyond the threshold an edge is sought, in pixels.
_AROUND = 6
# How many times smaller or larger a particle becomes at most.
_FACTOR = 2.0
# A saddle between two touching particles is at least this part less deep in them than the shallower one, or a pixel.
_NECK = 0.2


class Segmented(NamedTuple):
    """
    Particles.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        -1 where there is none.
    threshold : float
        Of the image.
    """

    labels: Labels
    threshold: float


def segment_particles(image: NDArray[Any], threshold: float | None = None, least: int = 16) -> Segmented:
    """
    The particles of an image, brighter than what is between them.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Finite.
    threshold : float, optional
        Default: Otsu's, of logarithms.
    least : int, default 16
        Pixels of the smallest particle.

    Returns
    -------
    Segmented

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.segment import segment_particles
    >>> y, x = np.mgrid[:40, :60]
    >>> discs = (np.hypot(y - 20, x - 15) < 8) + 0.5 * (np.hypot(y - 20, x - 42) < 9)
    >>> np.bincount(segment_particles(discs).labels[discs > 0]).tolist()
    [249, 193]
    """
    from scipy import ndimage

    values = image.astype(np.float64)
    smooth = ndimage.gaussian_filter(values, _SIGMA)
    if threshold is None:
        threshold = _threshold(smooth)
    inside = ndimage.binary_fill_holes(smooth > threshold)
    labels = parted(inside, least)
    return Segmented(_at_edges(values, smooth, labels, least), threshold)


def _threshold(smooth: Floats) -> float:
    """Otsu's threshold of the logarithm of how far a pixel is above the background, in units of its noise."""
    least, ground = (float(q) for q in np.quantile(smooth, (0.05, 0.25)))
    noise = max(ground - least, 1e-6 * float(np.ptp(smooth)))
    if noise == 0:
        return float(smooth.max())
    height = np.log1p(np.maximum(smooth - ground, 0) / noise)
    return ground + noise * float(np.expm1(skimage_module("filters").threshold_otsu(height)))


def parted(inside: NDArray[np.bool_], least: int = 1) -> Labels:
    """
    Islands of a mask, cut apart at necks, numbered from 0 on; smaller ones than `least` pixels are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.segment import parted
    >>> y, x = np.mgrid[:30, :50]
    >>> touching = (np.hypot(y - 15, x - 15) < 10) | (np.hypot(y - 15, x - 33) < 10)
    >>> int(parted(touching).max())
    1
    """
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    islands, count = ndimage.label(inside)
    if not count:
        return np.full(inside.shape, -1, dtype=np.int32)
    deepest = np.concatenate([[0.0], ndimage.maximum(distance, islands, range(1, count + 1))])
    # A maximum counts if it rises by a part of the island's depth above the saddle to a deeper one.
    height = np.maximum(_NECK * deepest, 1.0)[islands]
    smooth = ndimage.gaussian_filter(distance, 1.0)
    floor = np.where(inside, smooth - np.minimum(height, 0.9 * np.maximum(deepest[islands], 1e-9)), 0.0)
    flooded = skimage_module("morphology").reconstruction(floor, np.where(inside, smooth, 0.0))
    tops = skimage_module("measure").label(inside & _maxima(flooded, inside), connectivity=2)
    parts = skimage_module("segmentation").watershed(-smooth, tops, mask=inside)
    return numbered(np.asarray(parts, dtype=np.int32) - 1, least)


def _maxima(flooded: Floats, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (
        np.asarray(skimage_module("morphology").local_maxima(np.where(inside, flooded, -1.0))) > 0
    )
    return found


def _at_edges(values: Floats, smooth: Floats, labels: Labels, least: int) -> Labels:
    """Each particle to where the image is steepest along its edge."""
    from scipy import ndimage

    count = int(labels.max()) + 1
    if not count:
        return labels
    around = np.asarray(skimage_module("segmentation").expand_labels(labels + 1, _AROUND)) - 1
    index = np.arange(count)
    level = np.asarray(ndimage.median(smooth, labels, index))
    outside = around < 0
    ground = float(np.median(smooth[outside])) if outside.any() else float(smooth.min())
    steep = ndimage.gaussian_gradient_magnitude(values, _SIGMA)
    there = around >= 0
    rise = np.full(smooth.shape, -np.inf)
    rise[there] = (smooth[there] - ground) / np.maximum(level[around[there]] - ground, 1e-300)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    best, taken = np.full(count, -1.0), np.full(count, np.inf)
    for part in _LEVELS:
        within = ndimage.binary_fill_holes(rise > part)
        # The pixels on both sides of the edge.
        edge = ndimage.binary_dilation(within) & there & ~ndimage.binary_erosion(within, border_value=1)
        sides = np.bincount(around[edge], minlength=count)
        mean = np.bincount(around[edge], steep[edge], minlength=count) / np.maximum(sides, 1)
        now = np.bincount(around[within & there], minlength=count)
        better = (mean > best) & (sides > 0) & (now > sizes / _FACTOR) & (now < sizes * _FACTOR)
        best[better], taken[better] = mean[better], part
    refined = np.where(there & (rise > np.append(taken, np.inf)[around]), around, -1).astype(np.int32)
    unsure = np.isinf(taken)[labels] & (labels >= 0)  # no edge near by: as the threshold has it
    refined[unsure] = labels[unsure]
    return numbered(_largest_pieces(refined, count), least)


def _largest_pieces(labels: Labels, count: int) -> Labels:
    """Of each label its largest connected piece, its holes filled."""
    from scipy import ndimage

    whole = np.full(labels.shape, -1, dtype=np.int32)
    for index, where in enumerate(ndimage.find_objects(labels + 1, count)):
        if where is None:
            continue
        pieces, many = ndimage.label(labels[where] == index)
        if many > 1:
            pieces = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        filled = ndimage.binary_fill_holes(pieces > 0)
        whole[where][filled & (whole[where] < 0)] = index
    return whole


def numbered(labels: Labels, least: int) -> Labels:
    """From 0 on in the order of falling size, those of fewer pixels than `least` left out.

    Examples
    --------
    >>> import numpy as np
    >>> numbered(np.array([[3, -1, 7, 7]], dtype=np.int32), 2).tolist()
    [[-1, -1, 0, 0]]
    """
    sizes = np.bincount(labels[labels >= 0])
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] >= max(least, 1)]
    rank = np.full(len(sizes) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(order))
    return rank[labels]
