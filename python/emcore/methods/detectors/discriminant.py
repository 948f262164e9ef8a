"""Weights of features that separate two groups best: Fisher's linear discriminant with a shrunk covariance.

w = S^-1 (m_a - m_b), with S the covariance within the groups. Of some thousand positions and a thousand features S is
too uncertain to be inverted as it is. Features are scaled by their deviations, and S is shrunk towards the unit matrix
by as much as its own errors say (Ledoit & Wolf 2004, J. Multivar. Anal. 88, 365). Or the noise of counting is added to
S once more: directions in which a sample shows less than that would be weighted by what it does not know of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.detectors.covariance import products_of

# Features that differ from zero in fewer rows, or in a smaller part of them, have no weight.
_LEAST_ROWS, _LEAST_PART = 5, 0.01
# The gain is that of features at this quantile of variance over mean; how many times its noise is added.
_GAIN_OF, _TIMES = 0.25, 2.0


class Shrunk(NamedTuple):
    """A covariance, and by how much it was shrunk, from 0 to 1."""

    covariance: Floats
    shrinkage: float


def ledoit_wolf(centered: NDArray[np.float32]) -> Shrunk:
    """
    The covariance of rows whose mean is zero, shrunk towards a multiple of the unit matrix.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    >>> ledoit_wolf(rows).shrinkage > 0.9, ledoit_wolf(rows * np.arange(1, 21, dtype=np.float32)).shrinkage < 0.5
    (True, True)
    """
    n, d = centered.shape
    sample = products_of(centered, np.zeros(d)) / n
    level = float(np.trace(sample)) / d
    squares = float(np.square(sample).sum())
    fourth = float(np.square(np.einsum("ij,ij->i", centered, centered, dtype=np.float64)).sum())
    apart = squares - d * level**2
    error = min(max((fourth / n - squares) / n, 0.0), apart)
    shrinkage = error / apart if apart > 0 else 1.0
    shrunk = (1 - shrinkage) * sample
    shrunk[np.diag_indices(d)] += shrinkage * level
    return Shrunk(shrunk, shrinkage)


def discriminants(rows: NDArray[np.float32], first: NDArray[np.bool_]) -> tuple[Floats, float]:
    """
    Weights of the features, positive where the first group has more of what tells them apart, in three ways.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        At least two of each group.
    first : ndarray of bool, shape (n,)
        Which are of the first group; the others are of the second.

    Returns
    -------
    weights : ndarray, shape (3, d), float64
        With the covariance shrunk as its errors say; fully, so that only variances are left; and with noise added, as
        much as the features have that vary least for their mean. Zero of features that hardly a row has.
    shrinkage : float
        The first one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = np.arange(200) < 100
    >>> rows = rng.normal(size=(200, 3)) + 3 * first[:, None] * [1, 0, -1]
    >>> weights = discriminants(rows.astype(np.float32), first)[0][0]
    >>> bool(abs(weights[1]) < 0.1 * weights[0] < -0.2 * weights[2])
    True
    """
    means = np.stack([rows[each].mean(axis=0, dtype=np.float64) for each in (first, ~first)])
    difference = means[0] - means[1]
    centered = rows - means.astype(np.float32)[np.where(first, 0, 1)]
    deviation = np.sqrt(np.einsum("ij,ij->j", centered, centered, dtype=np.float64) / len(rows))
    # Of a pixel that counted in few patterns, the deviation is not known, and may look like next to nothing.
    used = (np.count_nonzero(rows, axis=0) >= max(_LEAST_ROWS, _LEAST_PART * len(rows))) & (deviation > 0)
    used &= deviation > 1e-6 * np.abs(means).max(axis=0)
    weights = np.zeros((3, rows.shape[1]))
    if not used.any():
        return np.stack([difference] * 3), 1.0
    scaled = np.ascontiguousarray(centered[:, used] / deviation[used].astype(np.float32))
    aim = difference[used] / deviation[used]
    shrunk, shrinkage = ledoit_wolf(scaled)
    from scipy.linalg import solve

    # A group of a few positions among many features leaves directions without any variance.
    ridge = 1e-6 * np.eye(len(aim))
    weights[0, used] = solve(shrunk + ridge, aim, assume_a="pos") / deviation[used]
    weights[1, used] = aim / deviation[used]
    level = float(np.trace(shrunk)) / len(aim)
    sample = (shrunk - shrinkage * level * np.eye(len(aim))) / max(1 - shrinkage, 1e-12)
    noise = _noise(means[:, used].mean(axis=0), deviation[used]) / deviation[used] ** 2
    if shrinkage < 1:
        weights[2, used] = solve(sample + np.diag(_TIMES * noise) + ridge, aim, assume_a="pos") / deviation[used]
    else:
        weights[2] = weights[1]
    return weights, shrinkage


def _noise(mean: Floats, deviation: Floats) -> Floats:
    """Variance of the counting of each feature: a gain times its mean, or a part of its variance if one is negative."""
    if (mean <= 0).any():
        return _GAIN_OF * deviation**2
    return np.quantile(deviation**2 / mean, _GAIN_OF) * mean
