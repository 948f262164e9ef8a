"""
Scores of local symmetry: how well does the patch around each point of an image fall onto its own copies?

Pearson correlation of the patch with copies that are shifted ("translation"), turned about the point ("rotation") or
reflected in lines through it ("reflection"); 1 where they are the same, whatever gain and offset (Wang et al., Microsc.
Microanal. 27 (2021) 1454). Kernels, their formulas and cost: `rust/methods/symmetry`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import as_pixels, check_count, check_finite, check_option
from emcore.methods.symmetry.period import Period, period
from emcore.methods.symmetry.settings import Translations, Turns

SCORES = ("translation", "rotation", "reflection")
FOLDS = (2, 3, 4, 6)
PLANES = 10
# Of shifts at most so many are compared; so many of the largest are kept by pool="max".
_SHIFTS, _POOLED = 100, 10
# Squares of larger numbers, or of smaller than one over it, may leave the range of float64.
_SQUARED = 1e140
# Half sizes in pixels where an image has no period, the published ones; the least that a period gives: noise in a score
# is as one over the root of the pixels of the patch.
_WINDOW, _PATCH = 21, 20
_LEAST = {"window": 4, "patch": 8}
# Half sizes in periods: the nearest neighbours lie in the window, a square patch holds two periods, a round one four:
# its few scores are to tell an axis from what noise correlates.
_WINDOW_PERIODS, _PATCH_PERIODS, _ROUND_PERIODS = 1.25, 1.0, 2.0


class SymmetryScores(NamedTuple):
    """
    Scores at points of an image.

    Attributes
    ----------
    scores : ndarray, shape (ny, nx, k), float32
        From -1 to 1; 0 where the patch or its copy is constant.
    y : ndarray, shape (ny,), float64
    x : ndarray, shape (nx,), float64
        Of the points, in pixels; the middle of pixel 0 is 0.
    features : ndarray
        What each score is of: shifts (m, n) along y and x in pixels, shape (k, 2); orders of rotation axes, or angles
        of mirror lines in degrees, counter-clockwise from +x with y up, shape (k,); ranks 1 .. k of pooled scores.
    window, patch : int
        Half sizes in pixels: of the window of shifts (0 for the other scores), and of the patch.
    reason : str
        Why these.
    """

    scores: NDArray[np.float32]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    features: NDArray[Any]
    window: int
    patch: int
    reason: str


def local_symmetry_scores(
    image: ArrayLike,
    score: str = "translation",
    *,
    window: int | None = None,
    patch: int | None = None,
    stride: int = 5,
    pool: str | None = None,
) -> SymmetryScores:
    """
    Correlation of the patch around each of many points with its shifted, turned or reflected
    copies.

    Parameters
    ----------
    image : array-like, shape (height, width)
        Any real numeric type; read as it is, a memory map too.
    score : {"translation", "rotation", "reflection"}, default "translation"
        Copies shifted by up to 100 vectors spread over the window; turned by 2π j / n, the mean
        over j = 1 .. n-1, for n = 2, 3, 4, 6; reflected in 10 lines.
    window : int, optional
        Shifts reach so many pixels in each direction. Default: 1.25 periods of the image by its
        autocorrelation, or 21 where it has none.
    patch : int, optional
        The patch reaches so many pixels from the point: a square for translations, else a
        circle. Default: a period, of a circle two, at least 8; 20 where the image has none.
    stride : int, default 5
        Pixels between neighbouring points.
    pool : {"max"}, optional
        Of translations only the 10 largest scores of a point, falling: they do not change when
        the crystal turns.

    Returns
    -------
    SymmetryScores

    Raises
    ------
    ValueError
        An image that window and patch do not fit into, an option that is not known, NaN or
        infinity.
    TypeError
        Complex numbers, objects or strings; sizes that are not whole numbers.

    References
    ----------
    N. Wang, C. Freysoldt, S. Zhang, C. H. Liebscher, J. Neugebauer, "Segmentation of static and
    dynamic atomic-resolution microscopy data sets with unsupervised machine learning using
    local symmetry descriptors", Microsc. Microanal. 27 (2021) 1454-1464.
    https://doi.org/10.1017/S1431927621012770

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> y, x = np.mgrid[:96, :96]
    >>> square = np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 8)
    >>> found = emcore.local_symmetry_scores(square, "rotation", patch=12, stride=8)
    >>> found.features.tolist(), (found.scores[2, 2] > 0.9).tolist()
    ([2, 3, 4, 6], [True, False, True, False])
    """
    pixels = as_pixels(image, "image", 2)
    low, high = check_finite(pixels, "image")
    largest = max(abs(low), abs(high))
    if largest > _SQUARED or 0 < largest < 1 / _SQUARED:
        pixels = np.ldexp(pixels, -math.frexp(largest)[1])
    check_option(score, SCORES, "score")
    stride = check_count(stride, "stride", 1)
    shifting = score == "translation"
    if pool is not None:
        check_option(pool, ("max",), "pool")
        if not shifting:
            raise ValueError(f"pool={pool!r} goes with score='translation', not {score!r}: leave it out")
    if window is not None and not shifting:
        raise ValueError(f"window={window} goes with score='translation', not {score!r}: leave it out")
    given = {"window": window, "patch": patch} if shifting else {"patch": patch}
    window, patch, reason = sizes(pixels, window, patch, list(given))
    if shifting:
        shifts = spread_shifts(window)
        k = min(_POOLED, len(shifts)) if pool else None
        settings = Translations(patch, stride, shifts, k)
        ny, nx, values = _emcore.translations_shape(pixels.shape, settings)
        scores = np.empty((ny, nx, values), np.float32)
        _emcore.translation_scores(pixels, settings, scores.reshape(-1))
        features, reach = np.arange(1, values + 1) if pool else np.array(shifts), patch + np.abs(shifts).max()
    else:
        turning = score == "rotation"
        turns = Turns(patch, stride, list(FOLDS) if turning else [], 0 if turning else PLANES)
        ny, nx, values = _emcore.turns_shape(pixels.shape, turns)
        scores = np.empty((ny, nx, values), np.float32)
        _emcore.turn_scores(pixels, turns, scores.reshape(-1))
        features, reach = np.array(FOLDS) if turning else 180.0 * np.arange(PLANES) / PLANES, patch
    y, x = (float(reach) + stride * np.arange(count, dtype=np.float64) for count in (ny, nx))
    return SymmetryScores(scores, y, x, features, window if shifting else 0, patch, reason)


def spread_shifts(window: int) -> list[tuple[int, int]]:
    """
    At most 100 shifts spread evenly over a window, without the one that shifts nothing.

    Parameters
    ----------
    window : int
        Shifts reach so many pixels in each direction.

    Examples
    --------
    >>> from emcore.methods.symmetry.scores import spread_shifts
    >>> len(spread_shifts(21)), spread_shifts(1)[:3]
    (80, [(-1, -1), (-1, 0), (-1, 1)])
    """
    steps = min(window, (math.isqrt(_SHIFTS) - 1) // 2)
    along = np.rint(np.linspace(-window, window, 2 * steps + 1)).astype(int).tolist()
    return [(m, n) for m in along for n in along if m or n]


def sizes(
    pixels: NDArray[Any], window: int | None, patch: int | None, needed: Sequence[str], found: Period | None = None
) -> tuple[int, int, str]:
    """
    Half sizes of the window and of the patch, and why these.

    Parameters
    ----------
    pixels : ndarray, shape (height, width)
    window, patch : int or None
        As they are asked for; None leaves one to the period.
    needed : sequence of {"window", "patch"}
        Without a window the patch is a circle.
    found : Period, optional
        That of the image, where it is known.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.scores import sizes
    >>> y, x = np.mgrid[:96, :96]
    >>> window, patch, reason = sizes(np.cos(2 * np.pi * x / 12) + np.cos(2 * np.pi * y / 12), None, 20, ["window"])
    >>> window, patch, reason.rpartition(": ")[2]
    (15, 20, 'window 15 px')
    """
    most = max(max(pixels.shape) // 2, 1)
    asked = {
        name: None if size is None else check_count(size, name, 2 if name == "patch" else 1, most, "half of the image")
        for name, size in (("window", window), ("patch", patch))
    }
    missing = [name for name in needed if asked[name] is None]
    if not missing:
        return asked["window"] or 0, asked["patch"] or 0, "asked for"
    found = period(pixels) if found is None else found
    if math.isnan(found.length):
        default = {"window": _WINDOW, "patch": _PATCH}
        why = "the image does not repeat itself: "
    else:
        periods = {"window": _WINDOW_PERIODS, "patch": _PATCH_PERIODS if "window" in needed else _ROUND_PERIODS}
        default = {name: max(round(many * found.length), _LEAST[name]) for name, many in periods.items()}
        why = f"the image repeats itself after {found.length:.3g} px (correlation {found.correlation:.2f}): "
    chosen = {name: asked[name] or default[name] for name in default}
    return chosen["window"], chosen["patch"], why + ", ".join(f"{name} {chosen[name]} px" for name in missing)
