"""Mean patterns of the grains of two scans made comparable, whichever way the patterns are turned.

On a polar grid about the direct beam a turn is a shift along the angle. The square root of the intensity, less the mean
over the scan, as grains are compared elsewhere; the beam left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.images import Picture, picture_of

# Directions and distances of the polar grid.
DIRECTIONS, _DISTANCES = 120, 28
# Channels of a picture of grains.
_CHANNELS = 12


@dataclass(frozen=True)
class Grains:
    """
    The grains of a scan and their mean patterns on a polar grid.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int
        -1 where nothing was measured.
    vectors : ndarray, shape (k, distances, DIRECTIONS), float64
        Of each grain, less the mean of the scan.
    size : ndarray, shape (k,)
        Positions of each.
    """

    labels: NDArray[np.int32]
    vectors: Floats
    size: NDArray[np.int64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where was measured."""
        return self.labels >= 0


def polar(patterns: Floats, center: Floats, step: float, beam: float, reach: float) -> Floats:
    """
    Patterns on a polar grid: square roots, each of mean 1 before, distances counted by their area.

    Parameters
    ----------
    patterns : ndarray, shape (k, ky, kx)
    center : ndarray, shape (2,)
        Of the direct beam, in pixels.
    step : float
        Pixels of one unit of distance.
    beam, reach : float
        The distances from and to which is compared, in that unit.

    Returns
    -------
    ndarray, shape (k, distances, DIRECTIONS)

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:41, :41] - 20.0
    >>> ring = np.exp(-((np.hypot(y, x) - 10) ** 2) / 8)
    >>> seen = polar(ring[None], np.array([20.0, 20.0]), 1.0, 2.0, 20.0)
    >>> seen.shape, bool(seen[0].std(axis=1).max() < 0.05)
    ((1, 28, 120), True)
    """
    from scipy import ndimage

    distance = beam + (np.arange(_DISTANCES) + 0.5) / _DISTANCES * (reach - beam)
    angle = 2 * np.pi / DIRECTIONS * np.arange(DIRECTIONS)
    away = step * distance[:, None]
    places = [center[0] + away * np.cos(angle), center[1] + away * np.sin(angle)]
    sigma = 0.5 * step * (reach - beam) / _DISTANCES
    seen = np.empty((len(patterns), _DISTANCES, DIRECTIONS))
    for i, pattern in enumerate(patterns):
        smooth = ndimage.gaussian_filter(np.maximum(pattern, 0), sigma)
        seen[i] = ndimage.map_coordinates(smooth, places, order=1, mode="nearest")
    seen /= np.maximum(seen.mean(axis=(1, 2), keepdims=True), 1e-300)
    return np.asarray(np.sqrt(seen) * np.sqrt(distance)[:, None])


def turned(vectors: Floats, degrees: float) -> Floats:
    """The patterns as a detector sees them that is turned with the scan, by so many degrees from y towards x.

    Examples
    --------
    >>> import numpy as np
    >>> turned(np.arange(120.0).reshape(1, 1, 120), 6.0)[0, 0, :3].tolist()
    [2.0, 3.0, 4.0]
    """
    shift = degrees / 360 * DIRECTIONS
    whole = int(np.floor(shift))
    part = shift - whole
    low = np.roll(vectors, -whole, axis=-1)
    return low if part == 0 else (1 - part) * low + part * np.roll(vectors, -whole - 1, axis=-1)


def likeness(a: Floats, b: Floats) -> Floats:
    """Correlation of each of some patterns with each of others, shape (k, l).

    Examples
    --------
    >>> import numpy as np
    >>> likeness(np.eye(2)[:, :, None], np.array([[[0.0], [3.0]]])).tolist()
    [[0.0], [1.0]]
    """
    flat = [each.reshape(len(each), -1) for each in (a, b)]
    size = [np.maximum(np.linalg.norm(each, axis=1), 1e-300) for each in flat]
    return np.asarray(flat[0] @ flat[1].T / np.outer(size[0], size[1]))


def channels(fixed: Grains, moving: Grains, degrees: float | None) -> tuple[Picture, Picture]:
    """
    Pictures of two scans in the directions in which the patterns of the first differ most.

    Parameters
    ----------
    fixed, moving : Grains
    degrees : float or None
        By how much a position's direction turns from `fixed` to `moving`, where the patterns turn with the scan.
    """
    vectors = fixed.vectors.reshape(len(fixed.vectors), -1)
    weight = np.sqrt(fixed.size / fixed.size.sum())
    _, strength, basis = np.linalg.svd(vectors * weight[:, None], full_matrices=False)
    basis = basis[: min(_CHANNELS, int(np.count_nonzero(strength > 1e-6 * strength[0])) or 1)]
    theirs = moving.vectors if degrees is None else turned(moving.vectors, degrees)
    pictures = []
    for grains, seen in ((fixed, vectors), (moving, theirs.reshape(len(theirs), -1))):
        values = (seen @ basis.T)[np.maximum(grains.labels, 0)]
        pictures.append(picture_of(np.moveaxis(values, -1, 0), grains.mask))
    return pictures[0], pictures[1]
