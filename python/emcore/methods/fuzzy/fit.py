"""Fuzzy clusters: how much of each row belongs to each of a few groups, spherical or of a shape of their own."""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.documentation import documented
from emcore.core.memory import check_room
from emcore.core.validation import as_pixels, as_rows, check_count, check_finite, check_number, check_option
from emcore.core.warning import warn
from emcore.methods.fuzzy import out_of_core as of_source
from emcore.methods.fuzzy.membership import (
    CovarianceSettings,
    check_features,
    check_fuzziness,
    check_volumes,
    in_clusters,
    what_was_done,
)
from emcore.methods.kmeans.fit import check_clusters, check_sample_weight
from emcore.methods.kmeans.out_of_core import seeds_bytes
from emcore.methods.kmeans.starts import starting_centers
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import checked_range
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source

INITS = ("k-means++", "random")


@dataclass(frozen=True, eq=False)
class FuzzyResult:
    """
    k fuzzy clusters of n rows of d features.

    Attributes
    ----------
    memberships : ndarray, shape (n, k)
        How much of a row belongs to each cluster; each row sums to 1. float64 for float64 data, else float32.
    centers : ndarray, shape (k, d), float64
    covariances : ndarray, shape (k, d, d), float64, or None
        With Gustafson-Kessel: of each cluster, as conditioned.
    labels : ndarray, shape (n,), int32
        The cluster of largest membership; of equal ones the first.
    objective : ndarray, shape (n_iter,), float64
        Σ u^m d² in each iteration; it never rises (unless covariances had to be conditioned).
    n_iter : int
    converged : bool
        Whether the last iteration changed no membership by more than `tol`.
    m : float
    rho : ndarray, shape (k,), float64, or None
        With Gustafson-Kessel: the volumes.
    notes : tuple of str
        What had to be done to degenerate data; empty as a rule.
    """

    memberships: NDArray[Any]
    centers: NDArray[np.float64]
    covariances: NDArray[np.float64] | None
    labels: NDArray[np.int32]
    objective: NDArray[np.float64]
    n_iter: int
    converged: bool
    m: float
    rho: NDArray[np.float64] | None
    notes: tuple[str, ...]


@documented()
def fuzzy_c_means(
    X: ArrayLike,
    n_clusters: int,
    *,
    m: float = 2.0,
    max_iter: int = 300,
    tol: float = 1e-5,
    n_init: int = 1,
    init: str | ArrayLike = "k-means++",
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> FuzzyResult:
    """
    Cluster rows by distance to a few centres, with memberships instead of labels.

    Minimises ``J = Σ u^m |x - v|²`` [1]_: by turns ``u_c = |x - v_c|^(-2/(m-1)) / Σ_j |x - v_j|^(-2/(m-1))`` and
    ``v = Σ u^m x / Σ u^m``, one read of X for both. A row on a centre belongs to that cluster alone.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Any pixel type, any strides; neither converted nor copied. Of more than two axes
        the last one is the features, and rows are in the order of the others, in memory and out of core.
    n_clusters : int
        k, between 2 and n.
    m : float
        Fuzziness, above 1: near 1 memberships are all or nothing as in k-means, the larger the more even they are.
    max_iter : int
        At most so many iterations of each run.
    tol : float
        Stop when no membership changes by more.
    n_init : int
        Runs from different starts, of which the one of lowest J is kept; given centres or memberships are one start.
    init : {"k-means++", "random"} or array-like of shape (k, d) or (n, k)
        Where to start: rows far from each other [2]_, any rows, these centres, or these memberships.
    sample_weight : array-like, shape (n,), optional
        What each row counts for, at least 0: the same as a row that often.
    random_state : int
        Seed of the starts. The number of threads never changes a result.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    FuzzyResult

    Raises
    ------
    ValueError
        NaN or infinity (first position named), one cluster or more than rows that count, m of 1 or less, a start of
        another shape, starting memberships that are negative or do not sum to 1, negative weights.
    TypeError
        `X` does not hold real numbers.

    Warns
    -----
    RuntimeWarning
        What `FuzzyResult.notes` holds.

    References
    ----------
    .. [1] J. C. Bezdek, Pattern Recognition with Fuzzy Objective Function Algorithms, Plenum (1981).
    .. [2] D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, SODA (2007) 1027-1035.

    Examples
    --------
    >>> from emcore.methods.fuzzy.fit import fuzzy_c_means
    >>> found = fuzzy_c_means([[0.0], [1.0], [4.6], [9.0], [10.0]], 2, init=[[0.0], [9.0]])
    >>> found.labels.tolist(), found.memberships[2].round(1).tolist()
    ([0, 0, 0, 1, 1], [0.7, 0.3])
    """
    check_count(n_clusters, "n_clusters", 2)
    options: dict[str, Any] = {"where": (memory, checkpoint), "sample_weight": sample_weight}
    return _with_warnings(cluster(X, n_clusters, m, max_iter, tol, n_init, init, random_state, **options))


def gustafson_kessel(
    X: ArrayLike,
    n_clusters: int,
    *,
    m: float = 2.0,
    max_iter: int = 300,
    tol: float = 1e-5,
    n_init: int = 1,
    init: str | ArrayLike = "k-means++",
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
    gamma: float = 0.0,
    beta: float = 1e15,
    rho: float | ArrayLike = 1.0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> FuzzyResult:
    """
    Cluster rows into ellipsoids, each of a shape and direction of its own, with memberships.

    Like `fuzzy_c_means`, with the distance [1]_ ``d² = (x - v)ᵀ A (x - v)``, ``A = (rho det F)^(1/d) F⁻¹``, F being the
    fuzzy covariance of the cluster. Results do not depend on the units of the features, nor on any invertible linear
    map of them. It begins with up to ten spherical iterations on features of equal variance, unless memberships are
    given.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        As in `fuzzy_c_means`; d at most 512.
    n_clusters, m, max_iter, tol, n_init, init, sample_weight, random_state, memory, checkpoint
        As in `fuzzy_c_means`.
    gamma : float
        Between 0 and 1: the share in each F of ``det(F_0)^(1/d)`` times the unit matrix, F_0 being the covariance of
        all rows [2]_.
    beta : float
        At least 1: eigenvalues of F that are below the largest over `beta` are raised to it [2]_. For data other than
        float64 the arithmetic allows no more than 1e6. Both in units of the features' standard deviations.
    rho : float or array-like of shape (k,)
        Volumes of the clusters, above 0.

    Returns
    -------
    FuzzyResult
        `notes` says which covariances were conditioned by `beta`, and how often.

    Raises
    ------
    ValueError, TypeError
        As in `fuzzy_c_means`; too many features; gamma, beta or rho out of range.

    Warns
    -----
    RuntimeWarning
        What `FuzzyResult.notes` holds.

    References
    ----------
    .. [1] D. E. Gustafson and W. C. Kessel, Fuzzy clustering with a fuzzy covariance matrix, IEEE CDC (1979) 761-766.
    .. [2] R. Babuška, P. J. van der Veen and U. Kaymak, Improved covariance estimation for Gustafson-Kessel
       clustering, FUZZ-IEEE (2002) 1081-1085.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.fuzzy.fit import gustafson_kessel
    >>> x = np.linspace(-1, 1, 40)
    >>> wiggle = 0.02 * np.cos(40 * x)
    >>> lines = np.r_[np.c_[x, x + wiggle], np.c_[x, 2 - x + wiggle]]  # which meet in a point
    >>> found = gustafson_kessel(lines, 2)
    >>> truth = np.repeat([0, 1], 40)
    >>> bool(max(np.mean(found.labels == truth), np.mean(found.labels != truth)) > 0.95)
    True
    """
    check_count(n_clusters, "n_clusters", 2)
    options: dict[str, Any] = {"where": (memory, checkpoint), "sample_weight": sample_weight}
    options["shape"] = CovarianceSettings(rho, gamma, beta)
    return _with_warnings(cluster(X, n_clusters, m, max_iter, tol, n_init, init, random_state, **options))


def cluster(
    X: ArrayLike,
    n_clusters: int,
    m: float,
    max_iter: int,
    tol: float,
    n_init: int,
    init: Any,
    random_state: Any,
    shape: CovarianceSettings | None = None,
    where: tuple[Any, Any] = (None, None),
    sample_weight: ArrayLike | None = None,
) -> FuzzyResult:
    """
    What `fuzzy_c_means` and, with a `shape`, `gustafson_kessel` do, without a warning; `where` is
    ``(memory, checkpoint)``.

    One cluster is allowed here.

    Examples
    --------
    >>> cluster([[0], [1], [9]], 2, 2.0, 10, 1e-5, 1, "k-means++", 0).notes
    ()
    """
    rows: Any = open_rows(X, memory=where[0], checkpoint=where[1])
    rows = rows if isinstance(rows, Source) else as_rows(rows, squared=True)
    n, d = rows.shape
    weights, unit = _weights(sample_weight, n)
    k = check_clusters(n_clusters, n if weights is None else int(np.count_nonzero(weights)))
    m = check_fuzziness(m)
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    runs = check_count(n_init, "n_init", 1, 2**20)
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    covariances = None
    if shape is not None:
        check_features(d)
        gamma, beta = check_number(shape.gamma, "gamma", 0, 1), check_number(shape.beta, "beta", 1)
        covariances = CovarianceSettings(check_volumes(shape.rho, k), gamma, beta)
    start = memberships = None
    if isinstance(init, str):
        init = check_option(init, INITS, "init")
    else:
        runs = 1
        start, memberships = _start(init, rows, k)
    fits: Any = _InMemory(rows, memberships, weights)
    check_room(2 * n * k * (8 if rows.dtype == np.float64 else 4), f"memberships of {n} rows in {k} clusters")
    if isinstance(rows, Source):
        settings: dict[str, Any] = {"n_clusters": k, "m": m, "tol": tol, "runs": runs, "seed": seed}
        settings.update(init=init if isinstance(init, str) else np.asarray(init), covariances=covariances)
        settings.update({} if weights is None else {"weights": weights})
        drawn = seeds_bytes(k) if isinstance(init, str) and init == "k-means++" else 0
        per_row = of_source.row_bytes(k, rows.dtype, weights is not None) + drawn
        rows = begin(rows, "fuzzy", *where, settings, per_row, of_source.sums_bytes(d, k, covariances is not None))
        checked_range(rows)
        fits = of_source.FuzzyPasses(rows, memberships, weights)
    options = {"m": m, "max_iter": max_iter, "tol": tol, "covariances": covariances}
    stream, best = np.random.default_rng(seed), fits.best
    for run in range(runs):
        if isinstance(init, str):
            start = fits.start(k, init, stream)
        if run >= fits.first_run:
            fitted = fits.fit(run, best, k, start, options)
            best = fitted if best is None or fitted["objective"][-1] < best["objective"][-1] else best
    centers, matrices, objective = best["centers"], best["covariances"], unit * best["objective"]
    rho = None if covariances is None else covariances.rho
    u = in_clusters(rows, centers, m, matrices, rho)
    # About objective * k^(m - 1) / n, whose factors leave the range of floats where m is large.
    count = n if weights is None else unit * float(weights.sum())
    size = math.exp(min(math.log(max(float(objective[-1]), 5e-324)) + (m - 1) * math.log(k) - math.log(count), 700.0))
    notes = what_was_done(centers, matrices, size, best["conditioned"], best["empty"], len(objective))
    return FuzzyResult(
        u,
        centers,
        matrices,
        _emcore.cmeans_labels(u),
        objective,
        len(objective),
        best["converged"],
        m,
        None if rho is None else np.array(rho),
        notes,
    )


class _InMemory:
    """The runs of a fuzzy clustering of rows in memory, from a start or from memberships."""

    first_run, best = 0, None

    def __init__(
        self, rows: NDArray[Any], memberships: NDArray[Any] | None, weights: NDArray[np.float64] | None
    ) -> None:
        self.rows, self.memberships, self.weights = rows, memberships, weights

    def start(self, k: int, init: str, stream: np.random.Generator) -> NDArray[np.float64]:
        return starting_centers(self.rows, k, init, "euclidean", self.weights, stream)

    def fit(self, run: int, best: Any, k: int, start: NDArray[np.float64] | None, options: dict[str, Any]) -> Any:
        return _emcore.cmeans(self.rows, centers=start, memberships=self.memberships, weights=self.weights, **options)


def _weights(sample_weight: ArrayLike | None, n: int) -> tuple[NDArray[np.float64] | None, float]:
    """Weights in a unit, a power of two, in which the largest is near 1, and that; None where every row counts once."""
    weights = check_sample_weight(sample_weight, n)
    if weights is None or (weights == 1).all():
        return None, 1.0
    unit = math.ldexp(1.0, math.frexp(float(weights.max()))[1])
    return weights / unit, unit


def _with_warnings(result: FuzzyResult) -> FuzzyResult:
    for note in result.notes:
        warn(note)
    return result


def _start(init: Any, rows: Any, k: int) -> tuple[NDArray[np.float64] | None, NDArray[Any] | None]:
    """Starting centres, or memberships."""
    (n, d), array = rows.shape, as_pixels(init, "init", 2)
    if array.shape == (k, d):
        check_finite(array, "init")
        return np.ascontiguousarray(array, dtype=np.float64), None
    if array.shape != (n, k):
        raise ValueError(
            f"init has shape {array.shape}; give centres of shape {(k, d)} (clusters, features) "
            f"or memberships of shape {(n, k)} (rows, clusters)"
        )
    check_finite(array, "init", nonnegative=True)
    u = array.astype(np.float64 if rows.dtype == np.float64 else np.float32, order="C", copy=False)
    row, total = _emcore.cmeans_farthest_from_one(u)
    if abs(total - 1) > 1e-4:
        raise ValueError(f"memberships in init[{row}] sum to {total:.6g}; each row must sum to 1")
    return None, u
