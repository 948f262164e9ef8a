"""A map of another modality on the grid of a mosaic: registered on a fiducial image, upsampled, averaged by grain."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.images import inside, picture_of
from emcore.methods.registration.refine import level, refine
from emcore.methods.registration.search import starts
from emcore.methods.registration.transforms import angle_of, apart, apply, grid_of, inverse

# Turns that are tried, in degrees, and the largest that may be found; smoothings of the refinement.
_TURNS, _MOST, _SIGMAS = np.arange(-10.0, 10.1, 2.5), 15.0, (3.0, 1.5, 0.7)
# Least score of what is believed, by how much it must be above that of another place, and what part of the longer side
# of the map this is away.
_BELIEVED, _ABOVE, _ELSEWHERE = 6.0, 2.0, 0.15


class Registered(NamedTuple):
    """
    A map on the mosaic.

    Attributes
    ----------
    transform : ndarray, shape (3, 3)
        From pixels of the map to positions of the mosaic.
    correlation, score : float
        Of the fiducial image and the mosaic where both are; below 0 where one is bright where the other is dark.
    """

    transform: Floats
    correlation: float
    score: float


def register_map(mosaic: Floats, fiducial: NDArray[Any], step: tuple[float, float]) -> Registered | None:
    """
    Where the pixels of an image of another modality lie on a mosaic; None where it is not known.

    Parameters
    ----------
    mosaic : ndarray, shape (Y, X)
        NaN where nothing was measured.
    fiducial : ndarray, shape (h, w)
        What both show, bright or dark.
    step : (float, float)
        Positions of the mosaic from pixel to pixel, along y and x.
    """
    fixed = picture_of(mosaic)
    up = np.diag([step[0], step[1], 1.0])
    # Upsampled to the positions of the mosaic.
    shape = tuple(int((size - 1) * each) + 1 for size, each in zip(fiducial.shape, step, strict=True))
    values = at_places(fiducial.astype(np.float64), apply(inverse(up), grid_of(shape))).reshape(shape)
    found: list[tuple[float, float, Floats]] = []
    for sign in (1.0, -1.0):
        moving = picture_of(sign * values)
        levels = [level(fixed, moving, sigma) for sigma in _SIGMAS]
        for start in starts(fixed, moving, turns=_TURNS, kept=3):
            refined = refine(levels, start.transform, "rigid")
            if refined is not None and abs(angle_of(refined.transform)) <= _MOST:
                found.append((refined.score, sign * refined.correlation, inverse(refined.transform)))
    if not found:
        return None
    score, correlation, transform = max(found, key=lambda each: each[0])
    others = [each for each, _, other in found if apart(other, transform, shape) > _ELSEWHERE * max(shape)]
    if score < max(_BELIEVED, *(each + _ABOVE for each in others), 0.0):
        return None
    return Registered(transform @ up, correlation, score)


def at_places(image: Floats, places: Floats) -> Floats:
    """Values between pixels by lines, at places of shape (n, 2); NaN outside."""
    from scipy import ndimage

    known = np.isfinite(image)
    on = inside(places, known)
    values = np.full(len(places), np.nan)
    filled = np.where(known, image, 0.0)
    values[on] = ndimage.map_coordinates(filled, places[on].T, order=1, mode="nearest")
    return values


def on_mosaic(image: NDArray[Any], transform: Floats, shape: tuple[int, int]) -> Floats:
    """A map upsampled to the positions of a mosaic, NaN where it has none."""
    places = apply(inverse(transform), grid_of(shape))
    return at_places(image.astype(np.float64), places).reshape(shape)


def of_labels(values: Floats, labels: NDArray[np.int32], count: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation of a map in each grain; NaN where it has no value there.

    Examples
    --------
    >>> import numpy as np
    >>> mean, spread = of_labels(np.array([[1.0, 3.0, np.nan]]), np.array([[0, 0, 1]], dtype=np.int32), 2)
    >>> mean.tolist(), spread.tolist()
    ([2.0, nan], [1.0, nan])
    """
    there = (labels >= 0) & np.isfinite(values)
    of, seen = labels[there], values[there]
    many = np.bincount(of, minlength=count)
    mean = np.bincount(of, seen, count) / np.where(many > 0, many, np.nan)
    square = np.bincount(of, (seen - mean[of]) ** 2, count) / np.where(many > 0, many, np.nan)
    return mean, np.sqrt(square)
