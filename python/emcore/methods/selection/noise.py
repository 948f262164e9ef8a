"""How many principal components stand out from noise, when every feature has a noise of its own?

Parallel analysis asks which eigenvalues exceed those of data whose columns were shuffled, each by itself. What that
gives need not be drawn: the largest eigenvalue of a covariance matrix of n rows without structure, whose features have
the variances v, tends to the upper edge of the generalised Marchenko-Pastur distribution (Silverstein & Choi, J.
Multivar. Anal. 54 (1995) 295), which depends on n and v alone. Taking out one component after the other, so that a
strong one does not hide a weak one: Dobriban & Owen, J. R. Stat. Soc. B 81 (2019) 163.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import Floats, as_pixels, check_count, check_finite
from emcore.methods.selection.rules import RankChoice

# How far above the edge an eigenvalue must be, since noise is not quite the same in all rows; besides, the largest of n
# rows fluctuates by about n^(-2/3).
_MARGIN = 1.02
# Components that are taken where noise is not known; else the variance of one above its noise, in units of that.
_UNKNOWN, _ABOVE = 10, 0.3


def noise_edge(variances: ArrayLike, n: int) -> float:
    """The largest eigenvalue that noise alone is expected to have.

    Parameters
    ----------
    variances : array_like, shape (d,)
        Variance of every feature.
    n : int
        Number of rows.

    Returns
    -------
    float
        For equal variances v it is ``v (1 + sqrt(d / n))^2``; 0 where all are 0.

    Raises
    ------
    ValueError
        No variances, NaN, infinity or a negative one.

    Examples
    --------
    >>> from emcore.methods.selection.noise import noise_edge
    >>> round(noise_edge([2.0] * 100, 400), 6)
    4.5
    """
    values = as_pixels(variances, "variances", 1)
    check_finite(values, "variances", nonnegative=True)
    v = values[values > 0].astype(np.float64)
    n = check_count(n, "n", 1)
    if not v.size:
        return 0.0
    largest = float(v.max())
    v = v / largest

    def edge(t: float) -> float:
        return float(1 / t + np.sum(v / (1 - v * t)) / n)

    # The least of a convex function on (0, 1), by golden sections.
    low, high = 0.0, 1.0
    section = (5**0.5 - 1) / 2
    left, right = high - section * (high - low), low + section * (high - low)
    at_left, at_right = edge(left), edge(right)
    for _ in range(80):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - section * (high - low)
            at_left = edge(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + section * (high - low)
            at_right = edge(right)
    return largest * min(at_left, at_right)


def count_above_noise(eigenvalues: ArrayLike, components: ArrayLike, variances: ArrayLike, n: int) -> int:
    """How many leading principal components noise does not explain.

    Parameters
    ----------
    eigenvalues : array_like, shape (k,)
        Variances along the components over n, falling: squared singular values over n.
    components : array_like, shape (k, d)
        The principal components.
    variances : array_like, shape (d,)
        Variance of every feature, over n as well: what is left must be right after strong components are taken out.
    n : int
        Number of rows.

    Returns
    -------
    int
        0 to k. Each is compared with the `noise_edge` of what the components before it leave.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.noise import count_above_noise
    >>> from emcore.methods.pca.fit import pca
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 50)) + rng.normal(size=(500, 50)) * rng.uniform(1, 3, 50)
    >>> result = pca(X, 10)
    >>> count_above_noise(result.singular_values**2 / 500, result.components, X.var(axis=0), 500)
    2
    """
    margin = _MARGIN + 2 * n ** (-2 / 3)
    left: NDArray[np.float64] = np.array(variances, dtype=np.float64)
    values, vectors = np.asarray(eigenvalues, dtype=np.float64), np.asarray(components, dtype=np.float64)
    for count, (value, vector) in enumerate(zip(values, vectors, strict=True)):
        if value <= max(margin * noise_edge(left, n), 1e-12 * values[0]):
            return count
        left = np.maximum(left - value * vector**2, 0.0)
    return len(values)


def components_above_noise(variance: Floats, noise: Floats | None) -> tuple[RankChoice, NDArray[np.bool_]]:
    """
    The components whose variance stands above a noise that was measured, as by neighbouring positions.

    Parameters
    ----------
    variance : ndarray, shape (m,)
        Of each component, falling.
    noise : ndarray, shape (m,), or None
        The part of it that is noise; None where that is not known.

    Returns
    -------
    choice : RankChoice
        How many, and why.
    kept : ndarray of bool, shape (m,)
        Which: the first, where none does; the first ten, where noise is not known.

    Examples
    --------
    >>> from emcore.methods.selection.noise import components_above_noise
    >>> choice, kept = components_above_noise(np.array([9.0, 2.0, 1.9]), np.array([1.0, 1.0, 1.8]))
    >>> choice.n, kept.tolist()
    (2, [True, True, False])
    """
    standing = variance > 1e-12 * variance[0]
    order = np.arange(len(standing))
    if noise is None:
        count = min(int(np.count_nonzero(standing)), _UNKNOWN)
        return RankChoice(count, "all", "no two positions are neighbours, noise is not known"), order < count
    above = standing & (variance >= (1 + _ABOVE) * noise)
    if not above.any():
        return RankChoice(1, "noise", "nothing stands out from noise; at least 1 is kept"), order < 1
    count = int(np.count_nonzero(above))
    vary = "varies" if count == 1 else "vary"
    said = f"{count} {vary} by at least {1 + _ABOVE:g} times what neighbouring positions do"
    return RankChoice(count, "noise", said), np.asarray(above, dtype=bool)
