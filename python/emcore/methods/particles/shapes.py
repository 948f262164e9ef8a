"""Which shapes do particles have? A fingerprint of each, and classes of fingerprints.

The distance from the centroid to the edge along 360 directions, lengths inside added up where a particle is concave, in
units of the radius of the disc of the same area, and turned so that the largest is in the middle (Chen, EMC 2024 no.
115): what does not change with place, size and rotation. A particle may lie on either face, so it is mirrored to have
more of its length in the quarter before the middle than in that behind. Principal components and a Gaussian mixture
give the classes, of which those are merged that one normal distribution describes as well: sizes differ, and with them
how rough the edges are.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.grouping.mixture import mixture_clusters
from emcore.methods.grouping.overclustering import merged
from emcore.methods.pca.fit import pca, scores

DIRECTIONS = 360
"""Directions of a fingerprint."""
# Steps along a direction in pixels; directions over which pixels at the edge are smoothed.
_STEP, _SMOOTH = 0.2, 3.0
# Components kept: the least part of the variance, and how many.
_LEAST, _MOST = 0.02, 6
# Particles that a class takes on average at least, and classes that are tried.
_EACH, _CLASSES = 10, 8


class Shapes(NamedTuple):
    """
    Classes of shape.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
        In the order of falling share.
    n_classes : int
    reason : str
    """

    labels: NDArray[np.int32]
    n_classes: int
    reason: str


def fingerprint(inside: NDArray[np.bool_], scale: tuple[float, float] = (1.0, 1.0)) -> Floats:
    """
    The lengths of a particle along 360 directions from its centroid.

    Parameters
    ----------
    inside : ndarray of bool, shape (y, x)
        One particle, at least one pixel.
    scale : (float, float)
        Height and width of a pixel.

    Returns
    -------
    ndarray, shape (360,), float64
        In units of the radius of the disc of the same area; the largest at 180.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.shapes import fingerprint
    >>> y, x = np.mgrid[:61, :61]
    >>> disc = fingerprint(np.hypot(y - 30, x - 30) < 25)
    >>> bool(abs(disc - 1).max() < 0.03)
    True
    """
    from scipy import ndimage

    mask = np.pad(inside, 1).astype(np.float64)
    y, x = np.nonzero(mask)
    height, width = (abs(float(each)) for each in scale)
    radius = np.sqrt(len(y) * height * width / np.pi)
    reach = float(np.hypot((y - y.mean()) * height, (x - x.mean()) * width).max()) + height + width
    step = _STEP * min(height, width)
    along = (np.arange(int(reach / step) + 1) + 0.5) * step
    angle = 2 * np.pi / DIRECTIONS * np.arange(DIRECTIONS)[:, None]
    places = y.mean() + along * np.sin(angle) / height, x.mean() + along * np.cos(angle) / width
    lengths = step * (ndimage.map_coordinates(mask, places, order=1, mode="constant") >= 0.5).sum(axis=1) / radius
    smooth: Floats = ndimage.gaussian_filter1d(lengths, _SMOOTH, mode="wrap")
    turned: Floats = np.roll(smooth, DIRECTIONS // 2 - int(smooth.argmax()))
    half, quarter = DIRECTIONS // 2, DIRECTIONS // 4
    # By the quarters beside the middle: halves of what has a two-fold axis are alike.
    if turned[half + 1 : half + quarter].sum() > turned[half - quarter + 1 : half].sum():
        turned[1:] = turned[1:][::-1]
    return turned


def fingerprints_of(labels: NDArray[np.int32], scale: tuple[float, float] = (1.0, 1.0)) -> Floats:
    """
    The fingerprint of each of n labels, shape (n, 360).

    Examples
    --------
    >>> fingerprints_of(np.array([[0, 0, -1], [0, 0, 1]], dtype=np.int32)).shape
    (2, 360)
    """
    from scipy import ndimage

    boxes = ndimage.find_objects(labels + 1)
    return np.stack([fingerprint(labels[box] == index, scale) for index, box in enumerate(boxes)])


def shape_classes(fingerprints: NDArray[Any], seed: int = 0) -> Shapes:
    """
    Group fingerprints by a Gaussian mixture of their principal components, their number by BIC.

    Parameters
    ----------
    fingerprints : ndarray, shape (n, 360)
    seed : int

    Returns
    -------
    Shapes
        One class of fewer than 20 particles.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.shapes import shape_classes
    >>> two = np.repeat([np.ones(360), 1 + 0.3 * np.cos(np.arange(360) * np.pi / 45)], 30, axis=0)
    >>> shape_classes(two + 0.02 * np.random.default_rng(0).normal(size=two.shape)).n_classes
    2
    """
    n = len(fingerprints)
    if n < 2 * _EACH:
        return Shapes(
            np.zeros(n, dtype=np.int32), 1, f"{count_of(n, 'particle')}, too few to tell classes of shape apart"
        )
    found = pca(fingerprints, min(_MOST, n - 1), random_state=seed)
    kept = max(int(np.count_nonzero(found.explained_variance_ratio >= _LEAST)), 1)
    places = scores(fingerprints, found)[:, :kept]
    mixture = mixture_clusters(places, most=min(_CLASSES, n // _EACH), seed=seed)
    joined, count = merged(places, mixture.labels)
    order = np.argsort(-np.bincount(joined), kind="stable")
    labels = np.argsort(order)[joined].astype(np.int32)
    reason = f"{mixture.reason}, of {count_of(kept, 'principal component')}"
    if count < mixture.n_groups:
        reason += f"; {count} are left where those were merged that one normal distribution describes as well"
    return Shapes(labels, count, reason)
