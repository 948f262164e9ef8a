"""Weights of features that separate two groups best: Fisher's linear discriminant with a shrunk covariance.

w = S^-1 (m_a - m_b), with S the covariance within the groups. Of some thousand positions and a thousand features S is
too uncertain to be inverted as it is: features are scaled by their deviations, and S is shrunk towards the unit matrix
by as much as its own errors say (Ledoit & Wolf 2004, J. Multivar. Anal. 88, 365).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats

# Features that differ from zero in fewer rows, or in a smaller part of them, have no weight.
_LEAST_ROWS, _LEAST_PART = 5, 0.01


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
    sample = _emcore.gram(centered, np.zeros(d), np.ones(d)) / n
    level = float(np.trace(sample)) / d
    squares = float(np.square(sample).sum())
    fourth = float(np.square(np.einsum("ij,ij->i", centered, centered, dtype=np.float64)).sum())
    apart = squares - d * level**2
    error = min(max((fourth / n - squares) / n, 0.0), apart)
    shrinkage = error / apart if apart > 0 else 1.0
    shrunk = (1 - shrinkage) * sample
    shrunk[np.diag_indices(d)] += shrinkage * level
    return Shrunk(shrunk, shrinkage)


def discriminants(rows: NDArray[np.float32], first: NDArray[np.bool_]) -> tuple[Floats, tuple[float, ...]]:
    """
    Weights of the features, positive where the first group has more of what tells them apart, less and more shrunk.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        At least two of each group.
    first : ndarray of bool, shape (n,)
        Which are of the first group; the others are of the second.

    Returns
    -------
    weights : ndarray, shape (3, d), float64
        With the covariance shrunk as its errors say; fully, so that only variances are left; and half way, by the
        geometric mean of both. Zero of features that hardly a row has.
    shrinkages : (float, float, float)

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
        return np.stack([difference] * 3), (1.0, 1.0, 1.0)
    scaled = np.ascontiguousarray(centered[:, used] / deviation[used].astype(np.float32))
    aim = difference[used] / deviation[used]
    shrunk, shrinkage = ledoit_wolf(scaled)
    from scipy.linalg import solve

    half = float(np.sqrt(shrinkage))
    level = float(np.trace(shrunk)) / len(aim)
    off = shrunk - np.diag(np.diagonal(shrunk))
    for index, factor in ((0, 1.0), (2, (1 - half) / max(1 - shrinkage, 1e-12))):
        # A group of a few positions among many features leaves directions without any variance.
        matrix = factor * off + (level + 1e-6) * np.eye(len(aim))
        weights[index, used] = solve(matrix, aim, assume_a="pos") / deviation[used]
    weights[1, used] = aim / (level * deviation[used])
    return weights, (shrinkage, 1.0, half)
