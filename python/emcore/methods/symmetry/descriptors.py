"""What is compared from point to point: scores of the lattice alone, whatever the brightness and the place in a cell.

A slope of brightness, as that of a contamination or a bend, correlates with all its copies and would hide a lattice:
the mean over squares of a period is subtracted first. Scores of rotations and reflections depend on where in the cell a
point lies: the largest within a cell is that of its axis or mirror.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.methods.symmetry.period import period
from emcore.methods.symmetry.scores import SymmetryScores, local_symmetry_scores, sizes

# By default points are so many to a patch, and not more than so many in all: of rotations and reflections more, for one
# of them must be near an axis or mirror.
_TO_PATCH = {"translation": 4, "rotation": 12, "reflection": 12}
_POINTS = {"translation": 100_000, "rotation": 250_000, "reflection": 250_000}
# A cell lies within so many periods to all sides of a point.
_CELL = 0.6


class Descriptors(NamedTuple):
    """
    How the points of an image are described.

    Attributes
    ----------
    score : str
    pool : str or None
        See `emcore.local_symmetry_scores`.
    window, patch, stride : int
        In pixels.
    side : int
        Of the squares whose mean is subtracted, in pixels; odd.
    cell : int
        So many points to all sides have the cell of a point.
    reason : str
        Why these.
    """

    score: str
    pool: str | None
    window: int
    patch: int
    stride: int
    side: int
    cell: int
    reason: str


def descriptors_for(
    image: NDArray[Any], score: str, pool: str | None, window: int | None, patch: int | None, stride: int | None
) -> Descriptors:
    """
    How to describe an image, by its period where it is not said.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        Finite.
    score, pool, window, patch
        See `emcore.local_symmetry_scores`.
    stride : int or None
        None is a quarter of the patch, more where there would be more than 100 000 points; of rotations and reflections
        a twelfth and 250 000.

    Examples
    --------
    >>> from emcore.datasets import crystal_grains
    >>> from emcore.methods.symmetry.descriptors import descriptors_for
    >>> found = descriptors_for(crystal_grains((200, 200)).image, "translation", None, None, None, None)
    >>> found.window, found.patch, found.stride
    (15, 12, 3)
    """
    found = period(image)
    needed = ["window", "patch"] if score == "translation" else ["patch"]
    window, patch, reason = sizes(image, window, patch, needed, found)
    if stride is None:
        stride = max(round(patch / _TO_PATCH[score]), math.ceil(math.sqrt(image.size / _POINTS[score])), 1)
        reason += f"{';' if reason == 'asked for' else ','} stride {stride} px"
    length = patch if math.isnan(found.length) else found.length
    cell = max(math.ceil(_CELL * length / stride), 1)
    return Descriptors(score, pool, window, patch, stride, 2 * round(length / 2) + 1, cell, reason)


def described(image: NDArray[Any], how: Descriptors) -> SymmetryScores:
    """
    Scores at points of an image, without its background, and of rotations and reflections the largest in a cell.

    Examples
    --------
    >>> from emcore.datasets import crystal_grains
    >>> from emcore.methods.symmetry.descriptors import Descriptors, described
    >>> image = crystal_grains((200, 200), ("square",), (0.0,), noise=0.1).image
    >>> observed = described(image, Descriptors("rotation", None, 0, 12, 2, 13, 4, ""))
    >>> (observed.scores.min(axis=(0, 1)) > 0.7).tolist()  # of 2, 3, 4 and 6 turns
    [True, False, True, False]
    """
    shifting = how.score == "translation"
    options: dict[str, Any] = {"window": how.window, "pool": how.pool} if shifting else {}
    rest = without_background(image, how.side)
    observed = local_symmetry_scores(rest, how.score, patch=how.patch, stride=how.stride, **options)
    scores = observed.scores if shifting else largest_nearby(observed.scores, how.cell)
    return observed._replace(scores=scores, reason=how.reason)


def without_background(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """
    An image less its mean over squares, taken twice, in units of its largest modulus.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        Finite.
    side : int
        Of the squares in pixels.

    Returns
    -------
    ndarray, shape (height, width), float32

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.descriptors import without_background
    >>> y, x = np.mgrid[:90, :90]
    >>> lattice = np.cos(2 * np.pi * x / 9) + np.cos(2 * np.pi * y / 9)
    >>> flat, sloping = (without_background(each, 9) for each in (lattice, lattice + 0.2 * x))
    >>> round(float(np.corrcoef(flat[20:-20, 20:-20].ravel(), sloping[20:-20, 20:-20].ravel())[0, 1]), 4)
    1.0
    """
    from scipy.ndimage import uniform_filter

    values = image.astype(np.float64)
    values /= max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    values -= values.mean()
    rest: NDArray[np.float32] = (values - uniform_filter(uniform_filter(values, side), side)).astype(np.float32)
    return rest


def largest_nearby(scores: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """
    Of every score the largest within some points to all sides, and of these the mean over as many, against noise.

    Parameters
    ----------
    scores : ndarray, shape (ny, nx, d)
    reach : int

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.descriptors import largest_nearby
    >>> scores = np.array([[[0.25], [0.75], [0.5], [0.0], [0.0]]], np.float32)
    >>> largest_nearby(scores, 1)[0, :, 0].astype(float).round(2).tolist()
    [0.75, 0.75, 0.67, 0.42, 0.17]
    """
    from scipy.ndimage import maximum_filter, uniform_filter

    size = (2 * reach + 1, 2 * reach + 1, 1)
    largest: NDArray[np.float32] = uniform_filter(maximum_filter(scores, size, mode="nearest"), size, mode="nearest")
    return largest


def at_pixels(
    values: NDArray[Any], y: NDArray[np.float64], x: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[Any]:
    """
    At every pixel the value of the nearest point.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
    y, x : ndarray, shape (ny,) and (nx,)
        Places of the points in pixels, evenly spaced.
    shape : (int, int)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.descriptors import at_pixels
    >>> at_pixels(np.array([[1, 2]]), np.array([0.0]), np.array([1.0, 4.0]), (1, 6)).tolist()
    [[1, 1, 1, 2, 2, 2]]
    """
    rows, columns = (
        np.rint(np.interp(np.arange(size), places, np.arange(len(places)))).astype(np.intp)
        for size, places in zip(shape, (y, x), strict=True)
    )
    spread: NDArray[Any] = values[rows[:, None], columns]
    return spread
