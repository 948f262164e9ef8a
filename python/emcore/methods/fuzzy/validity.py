"""Validity of fuzzy clusters: how compact and how far apart they are, to compare numbers of clusters and settings."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.sparse import rows_at
from emcore.core.validation import as_pixels, as_rows, check_finite, check_number, check_result
from emcore.methods.fuzzy.membership import check_volumes
from emcore.methods.kmeans.fit import check_sample_weight

_BLOCK_BYTES = 1 << 22


class Validity(NamedTuple):
    """
    Indices of fuzzy clusters, as `fuzzy_validity` finds them.

    Attributes
    ----------
    partition_coefficient : float
        ``Σ u² / n``, from 1/k (no structure) to 1 (crisp) [1]_.
    modified_partition_coefficient : float
        The same scaled to 0 to 1, so that numbers of clusters can be compared [2]_. Larger is
        better.
    partition_entropy : float
        ``-Σ u ln u / n``, from 0 (crisp) to ln k [1]_.
    xie_beni : float
        ``Σ u^m d² / (n min |v_i - v_j|²)`` [3]_. Smaller is better; infinite where two centres
        coincide.
    fukuyama_sugeno : float
        ``Σ u^m (d² - |v - x̄|²)`` [4]_, x̄ being the mean of all rows. Smaller is better.

    References
    ----------
    .. [1] J. C. Bezdek, Pattern Recognition with Fuzzy Objective Function Algorithms, Plenum
           (1981).
    .. [2] R. N. Davé, Pattern Recognit. Lett. 17 (1996) 613-623.
    .. [3] X. L. Xie and G. Beni, IEEE TPAMI 13 (1991) 841-847.
    .. [4] Y. Fukuyama and M. Sugeno, Proc. 5th Fuzzy Syst. Symp. (1989) 247-250.
    """

    partition_coefficient: float
    modified_partition_coefficient: float
    partition_entropy: float
    xie_beni: float
    fukuyama_sugeno: float


def fuzzy_validity(
    X: ArrayLike,
    memberships: ArrayLike,
    centers: ArrayLike,
    *,
    m: float = 2.0,
    covariances: ArrayLike | None = None,
    rho: float | ArrayLike = 1.0,
    sample_weight: ArrayLike | None = None,
) -> Validity:
    """
    How good fuzzy clusters are, by five indices, in one read of the data, a few rows at a time.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        What was clustered.
    memberships : array-like, shape (n, k)
    centers : array-like, shape (k, d)
    m : float
        The exponent with which it was clustered.
    covariances : array-like, shape (k, d, d), optional
        Of Gustafson-Kessel clusters, whose distances then count; distances between centres
        remain plain ones.
    rho : float or array-like of shape (k,)
        With `covariances`: the volumes.
    sample_weight : array-like, shape (n,), optional
        What each row counts for, with which it was clustered.

    Returns
    -------
    Validity

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or infinity, negative memberships or weights, a covariance
        that is not positive definite.

    Examples
    --------
    >>> from emcore.methods.fuzzy.fit import fuzzy_c_means
    >>> from emcore.methods.fuzzy.validity import fuzzy_validity
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> found = fuzzy_c_means(X, 2)
    >>> round(fuzzy_validity(X, found.memberships, found.centers).partition_coefficient, 3)
    0.994
    """
    rows, u, v = as_rows(X), as_pixels(memberships, "memberships", 2), as_pixels(centers, "centers", 2)
    (n, d), k = rows.shape, len(v)
    if v.shape[1] != d or u.shape != (n, k):
        raise ValueError(
            f"X has shape {rows.shape}, memberships {u.shape} and centers {v.shape}; "
            "(n, d), (n, k) and (k, d) are needed"
        )
    if k < 2:
        raise ValueError("centers holds one cluster; validity compares at least 2")
    check_finite(u, "memberships", nonnegative=True)
    check_finite(v, "centers")
    m = check_number(m, "m", 1)
    counts = check_sample_weight(sample_weight, n)
    counts = np.ones(n) if counts is None else counts
    v = v.astype(np.float64)
    whitening = None if covariances is None else _whitening(covariances, rho, k, d)

    squares = entropy = compactness = 0.0
    mass, total = np.zeros(k), np.zeros(d)
    step = max(1, _BLOCK_BYTES // (8 * d))
    for start in range(0, n, step):
        x = _rows(rows, start, min(start + step, n))
        part, count = u[start : start + step].astype(np.float64), counts[start : start + step, None]
        total += (count * x).sum(axis=0)
        squares += float((count * part**2).sum())
        entropy -= float((count * part * np.log(np.where(part > 0, part, 1))).sum())
        weights = count * part**m
        mass += weights.sum(axis=0)
        for c in range(k):
            z = x - v[c] if whitening is None else (x - v[c]) @ whitening[c].T
            compactness += float(weights[:, c] @ np.einsum("ij,ij->i", z, z))
    gaps = ((v[:, None] - v) ** 2).sum(axis=-1)[~np.eye(k, dtype=bool)].min()
    check_result([compactness, *total], "X and centers")
    n = float(counts.sum())
    coefficient = squares / n
    return Validity(
        coefficient,
        1 - k / (k - 1) * (1 - coefficient),
        entropy / n,
        compactness / (n * gaps) if gaps > 0 else np.inf,
        compactness - float(mass @ ((v - total / n) ** 2).sum(axis=1)),
    )


def _rows(rows: NDArray[Any], start: int, stop: int) -> NDArray[np.float64]:
    some = rows_at(rows, range(start, stop))
    return np.asarray(some, dtype=np.float64)


def _whitening(covariances: ArrayLike, rho: Any, k: int, d: int) -> NDArray[np.float64]:
    """Matrices whose product with a difference is as long as the difference in the metric of the covariance."""
    f = as_pixels(covariances, "covariances", 3).astype(np.float64)
    if f.shape != (k, d, d):
        raise ValueError(f"covariances have shape {f.shape}; centers ask for {(k, d, d)}")
    values, vectors = np.linalg.eigh(f)
    if not (values > 0).all():
        raise ValueError(f"covariances[{int(np.argmin(values.min(axis=1)))}] is not positive definite")
    scale = np.exp((np.log(check_volumes(rho, k)) + np.log(values).sum(axis=1)) / (2 * d))
    return np.asarray(scale[:, None, None] * vectors.transpose(0, 2, 1) / np.sqrt(values)[:, :, None])
