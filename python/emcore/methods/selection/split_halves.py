"""Which components do the halves of a measurement share? What only one half has is noise.

Counts are split by thinning: each falls to one half or the other by chance, and the halves are independent Poisson
variables. A principal component of one half is then projected onto the other: of noise, the projection is zero but for
a deviation that is known. Other values are split by positions, every other one; what both have in common is seen in
the angles between the spaces that their first components span, and between their non-negative factors.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.nmf.fit import SWEEPS, nmf
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import Recipe, prepare, recipe_rows

# Of noise, one component in thirty thousand is so many deviations off zero.
_DEVIATIONS = 4.0
# Spaces are shared where the cosine of their largest angle is above the first, factors within so many degrees: clearly,
# or if what comes before is shared too.
_COSINE = 0.7
_CLEAR, _DEGREES = 15.0, 35.0


def weighted_rows(rows: Any, scale: Floats, taken: NDArray[np.intp]) -> Any:
    """Some rows, each divided by the root of its sum, and channels multiplied by their scale."""
    return prepare(Recipe(rows, normalize="root-sum", scale=scale, rows=recipe_rows(rows, taken)))


def thinned(counts: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """
    Half of the counts, drawn at random.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.split_halves import thinned
    >>> half = thinned(np.array([[0, 100, 3]], dtype=np.float32))
    >>> float(half[0, 0]), bool(30 < half[0, 1] < 70), half.dtype.name
    (0.0, True, 'float32')
    """
    half = np.zeros_like(counts)
    filled = counts > 0
    half[filled] = np.random.default_rng(seed).binomial(np.rint(counts[filled]).astype(np.int64), 0.5)
    return half


def count_shared_by_thinning(
    counts: NDArray[np.float32], scale: Floats, taken: NDArray[np.intp], most: int, seed: int = 0
) -> int:
    """
    How many leading components of weighted counts are found in both of their halves.

    Parameters
    ----------
    counts : ndarray, shape (n, d), float32
    scale : ndarray, shape (d,)
        What every channel is multiplied by, see `weighted_rows`.
    taken : ndarray of int
        The rows that take part.
    most : int
        Components that are looked at.
    seed : int

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.split_halves import count_shared_by_thinning
    >>> noise = np.random.default_rng(1).poisson(2.0, (200, 50)).astype(np.float32)
    >>> count_shared_by_thinning(noise, np.full(50, 0.05), np.arange(200), 4)
    1
    """
    one = thinned(counts, seed)
    other = counts - one
    filled = taken[(one[taken].any(axis=1)) & (other[taken].any(axis=1))]
    if len(filled) < 2:
        return 1
    first = weighted_rows(one, scale, filled)
    observed = pca(first, min(most, *first.shape), center=False)
    vectors = np.ascontiguousarray(observed.components.T, dtype=np.float64)
    scores = _emcore.x_q(first, vectors)
    scores /= np.maximum(np.linalg.norm(scores, axis=0), 1e-300)
    sums = other[filled].sum(axis=1, dtype=np.float64)
    projected = np.einsum("ik,ik->k", scores, _emcore.x_q(weighted_rows(other, scale, filled), vectors))
    # Of independent counts the variance is their number.
    squares = _emcore.x_q(np.ascontiguousarray(other[filled]), (vectors * scale[:, None]) ** 2)
    deviations = np.sqrt(np.einsum("ik,ik->k", scores**2 / sums[:, None], squares))
    shared = projected > _DEVIATIONS * deviations
    return max(int(np.argmin(shared)) if not shared.all() else len(shared), 1)


def count_shared_by_positions(
    rows: NDArray[np.generic], scale: Floats, first: NDArray[np.intp], second: NDArray[np.intp], most: int
) -> int:
    """
    How many components two sets of positions share.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
    scale : ndarray, shape (d,)
    first, second : ndarray of int
        Rows of the one and of the other half.
    most : int
        Components that are looked at.

    Returns
    -------
    int
        The largest number that is shared; at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.split_halves import count_shared_by_positions
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.repeat(np.eye(2), 30, axis=1) + 0.1
    >>> rows = rng.poisson(400 * rng.dirichlet([0.4, 0.4], 200) @ spectra).astype(float)
    >>> count_shared_by_positions(rows, rows.sum(axis=0) ** -0.5, np.arange(0, 200, 2), np.arange(1, 200, 2), 6)
    2
    """
    halves = [weighted_rows(rows, scale, taken) for taken in (first, second)]
    most = min(most, *(min(half.shape) for half in halves))
    a, b = (pca(half, most, center=False).components for half in halves)
    farthest = []
    for k in range(2, most + 1):
        together = float(np.linalg.svd(a[:k] @ b[:k].T, compute_uv=False)[-1]) >= _COSINE
        farthest.append(_farthest(*(_factors(half, k) for half in halves)) if together else math.inf)
    # Of three phases of the same strength, halves join other two to make two: what is shared may come after.
    shared = max((k for k, angle in enumerate(farthest, 2) if angle <= _CLEAR), default=1)
    for angle in farthest[shared - 1 :]:
        if angle > _DEGREES:
            break
        shared += 1
    return shared


def _factors(weighted: Any, k: int) -> Floats:
    spectra = np.asarray(nmf(weighted, k, max_iter=300, tol=3e-4, inner_sweeps=SWEEPS).H, dtype=np.float64)
    unit: Floats = spectra / np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), 1e-300)
    return unit


def _farthest(a: Floats, b: Floats) -> float:
    """The largest angle, in degrees, between factors that belong together."""
    from scipy.optimize import linear_sum_assignment

    angles = np.degrees(np.arccos(np.clip(a @ b.T, -1, 1)))
    return float(angles[linear_sum_assignment(angles)].max())
