"""Fuzzy clusters: how much of each row belongs to each of a few groups, spherical or of a shape of their own."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.arrays import as_pixels, as_rows, check_count, check_finite, check_number, check_option

INITS = ("k-means++", "random")
MOST_FEATURES = 512
"""Features up to which clusters may have covariances."""


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


def fuzzy_c_means(
    X: ArrayLike,
    n_clusters: int,
    *,
    m: float = 2.0,
    max_iter: int = 300,
    tol: float = 1e-5,
    n_init: int = 1,
    init: str | ArrayLike = "k-means++",
    random_state: int = 0,
) -> FuzzyResult:
    """
    Cluster rows by distance to a few centres, with memberships instead of labels.

    Minimises ``J = Σ u^m |x - v|²`` [1]_: by turns ``u_c = |x - v_c|^(-2/(m-1)) / Σ_j |x - v_j|^(-2/(m-1))`` and
    ``v = Σ u^m x / Σ u^m``, one read of X for both. A row on a centre belongs to that cluster alone.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Any pixel type, any strides, memory-mapped or not; neither converted nor copied.
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
    random_state : int
        Seed of the starts. The number of threads never changes a result.

    Returns
    -------
    FuzzyResult

    Raises
    ------
    ValueError
        NaN or infinity (first position named), one cluster or more than rows, m of 1 or less, a start of another shape,
        starting memberships that are negative or do not sum to 1.
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
    >>> from emcore.cmeans import fuzzy_c_means
    >>> found = fuzzy_c_means([[0.0], [1.0], [4.6], [9.0], [10.0]], 2)
    >>> found.labels.tolist(), found.memberships[2].round(1).tolist()
    ([0, 0, 0, 1, 1], [0.5, 0.5])
    """
    check_count(n_clusters, "n_clusters", 2)
    return _told(cluster(X, n_clusters, m, max_iter, tol, n_init, init, random_state))


def gustafson_kessel(
    X: ArrayLike,
    n_clusters: int,
    *,
    m: float = 2.0,
    max_iter: int = 300,
    tol: float = 1e-5,
    n_init: int = 1,
    init: str | ArrayLike = "k-means++",
    random_state: int = 0,
    gamma: float = 0.0,
    beta: float = 1e15,
    rho: float | ArrayLike = 1.0,
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
    n_clusters, m, max_iter, tol, n_init, init, random_state
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
    >>> from emcore.cmeans import gustafson_kessel
    >>> x = np.linspace(-1, 1, 40)
    >>> wiggle = 0.01 * np.cos(50 * x)
    >>> cross = np.r_[np.c_[x, wiggle], np.c_[wiggle, x]]  # two lines through one point
    >>> found = gustafson_kessel(cross, 2, random_state=1)
    >>> truth = np.repeat([0, 1], 40)
    >>> bool(max(np.mean(found.labels == truth), np.mean(found.labels != truth)) > 0.95)
    True
    """
    check_count(n_clusters, "n_clusters", 2)
    return _told(cluster(X, n_clusters, m, max_iter, tol, n_init, init, random_state, (gamma, beta, rho)))


def memberships(
    X: ArrayLike,
    centers: ArrayLike,
    *,
    m: float = 2.0,
    covariances: ArrayLike | None = None,
    rho: float | ArrayLike = 1.0,
) -> NDArray[Any]:
    """
    Memberships of rows in known clusters.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
    centers : array-like, shape (k, d)
    m : float
        Above 1.
    covariances : array-like, shape (k, d, d), optional
        Those of `gustafson_kessel`.
    rho : float or array-like of shape (k,)
        With `covariances`: the volumes.

    Returns
    -------
    ndarray, shape (n, k)
        float64 for float64 data, else float32.

    Examples
    --------
    >>> from emcore.cmeans import memberships
    >>> memberships([[0.0], [1.0], [5.0]], [[0.0], [4.0]]).round(6).tolist()
    [[1.0, 0.0], [0.9, 0.1], [0.038462, 0.961538]]
    """
    rows = as_rows(X)
    known = np.ascontiguousarray(as_rows(centers, "centers"), dtype=np.float64)
    k, d = known.shape
    if d != rows.shape[1]:
        raise ValueError(f"centers have {d} features and X has {rows.shape[1]}; they must be the same")
    shapes = None
    if covariances is not None:
        matrices = np.ascontiguousarray(as_pixels(covariances, "covariances", 3), dtype=np.float64)
        check_finite(matrices, "covariances")
        if matrices.shape != (k, d, d):
            raise ValueError(f"covariances have shape {matrices.shape}; centers ask for {(k, d, d)}")
        _check_features(d)
        shapes = matrices, _volumes(rho, k)
    return _emcore.memberships(rows, known, m=_fuzziness(m), covariances=shapes)


def cluster(
    X: ArrayLike,
    n_clusters: int,
    m: float,
    max_iter: int,
    tol: float,
    n_init: int,
    init: Any,
    random_state: Any,
    shape: tuple[float, float, Any] | None = None,
) -> FuzzyResult:
    """
    What `fuzzy_c_means` and, with ``shape = (gamma, beta, rho)``, `gustafson_kessel` do, without a warning.

    One cluster is allowed here.

    Examples
    --------
    >>> cluster([[0], [1], [9]], 2, 2.0, 10, 1e-5, 1, "k-means++", 0).notes
    ()
    """
    rows = as_rows(X)
    n, d = rows.shape
    k = check_count(n_clusters, "n_clusters", 1)
    if k > n:
        raise ValueError(f"n_samples={n} should be >= n_clusters={k}; ask for fewer clusters")
    m = _fuzziness(m)
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    runs = check_count(n_init, "n_init", 1)
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    covariances = None
    if shape is not None:
        _check_features(d)
        gamma, beta = check_number(shape[0], "gamma", 0, 1), check_number(shape[1], "beta", 1)
        covariances = _volumes(shape[2], k), gamma, beta
    centers, given = np.zeros((k, d)), None
    if isinstance(init, str):
        init = check_option(init, INITS, "init")
    else:
        runs = 1
        centers, given = _given(init, rows, k)
    stream = np.random.default_rng(seed)
    best: Any = None
    for _ in range(runs):
        if isinstance(init, str):
            centers = _start(rows, k, init, stream)
        run = _emcore.cmeans(rows, centers, given, m=m, max_iter=max_iter, tol=tol, covariances=covariances)
        if best is None or run[3][-1] < best[3][-1]:
            best = run
    u, centers, found, objective, converged, conditioned, empty = best
    size = float(objective[-1]) * k ** (m - 1) / n
    notes = _notes(centers, found, size, conditioned, empty, len(objective))
    return FuzzyResult(
        u,
        centers,
        found,
        u.argmax(axis=1).astype(np.int32),
        objective,
        len(objective),
        converged,
        m,
        None if covariances is None else np.array(covariances[0]),
        notes,
    )


def _told(result: FuzzyResult) -> FuzzyResult:
    for note in result.notes:
        warnings.warn(note, RuntimeWarning, stacklevel=3)
    return result


def _notes(
    centers: NDArray[np.float64],
    covariances: NDArray[np.float64] | None,
    size: float,
    conditioned: list[int],
    empty: list[int],
    n_iter: int,
) -> tuple[str, ...]:
    """What had to be done; `size` is about the mean squared distance of a row."""
    notes = []
    if any(conditioned):
        notes.append(
            f"the covariances of clusters {_named(np.flatnonzero(conditioned))} were (nearly) singular in up to "
            f"{max(conditioned)} of {n_iter} iterations: their smallest eigenvalues were raised to the largest over "
            "beta. Constant or dependent features or too many clusters do this; leave them out, or use PCA first"
        )
    if any(empty):
        notes.append(
            f"clusters {_named(np.flatnonzero(empty))} lost all members; their centres stayed; use fewer clusters"
        )
    gaps = ((centers[:, None] - centers) ** 2).sum(axis=-1)
    same = gaps <= 1e-8 * (size + ((centers - centers.mean(axis=0)) ** 2).sum(axis=1).max())
    if covariances is not None:
        scale = np.abs(covariances).max(axis=(1, 2))
        differ = np.abs(covariances[:, None] - covariances).max(axis=(2, 3))
        same &= differ <= 1e-4 * np.maximum(scale[:, None], scale)
    np.fill_diagonal(same, False)
    if same.any():
        notes.append(
            f"the centres of clusters {_named(np.flatnonzero(same.any(axis=1)))} coincide, and share their members "
            "equally: there are fewer groups than n_clusters, or m is too large"
        )
    return tuple(notes)


def _named(indices: NDArray[Any]) -> str:
    return ", ".join(str(int(i)) for i in indices)


def _fuzziness(m: Any) -> float:
    number = check_number(m, "m", 1, 1000)
    if number < 1.001:
        raise ValueError(f"m={m} is too close to 1; it must be above 1.001 (for m = 1 use k-means)")
    return number


def _check_features(d: int) -> None:
    if d > MOST_FEATURES:
        raise ValueError(
            f"X has {d} features; a covariance matrix for each cluster is limited to {MOST_FEATURES}. "
            "Reduce them first, for example with emcore.PCA"
        )


def _volumes(rho: Any, k: int) -> list[float]:
    volumes = np.asarray(rho, dtype=np.float64)
    if volumes.shape not in ((), (k,)):
        raise ValueError(f"rho has shape {volumes.shape}; give one number, or one for each of {k} clusters")
    volumes = np.broadcast_to(volumes, k)
    if not (np.isfinite(volumes).all() and (volumes > 0).all()):
        raise ValueError("rho holds values that are not positive numbers; it is the volume of each cluster")
    return [float(x) for x in volumes]


def _given(init: Any, rows: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Starting centres, or memberships."""
    (n, d), array = rows.shape, as_rows(init, "init")
    if array.shape == (k, d):
        return np.ascontiguousarray(array, dtype=np.float64), None
    if array.shape != (n, k):
        raise ValueError(
            f"init has shape {array.shape}; give centres of shape {(k, d)} (clusters, features) "
            f"or memberships of shape {(n, k)} (rows, clusters)"
        )
    check_finite(array, "init", nonnegative=True)
    off = np.abs(array.sum(axis=1, dtype=np.float64) - 1)
    if off.max() > 1e-4:
        row = int(off.argmax())
        raise ValueError(f"memberships in init[{row}] sum to {array[row].sum():.6g}; each row must sum to 1")
    return np.zeros((k, d)), array.astype(np.float64 if rows.dtype == np.float64 else np.float32, order="C")


def _start(rows: NDArray[Any], k: int, init: str, stream: np.random.Generator) -> NDArray[np.float64]:
    """Rows to begin with, of some of all."""
    n, d = rows.shape
    some = stream.choice(n, min(n, max(20 * k, 2**21 // d)), replace=False)
    sample = np.asarray(rows.take(some) if isinstance(rows, _emcore.PreparedRows) else rows[some], dtype=np.float64)
    if init == "random":
        return sample[:k]
    chosen = [0]
    nearest = np.full(len(sample), np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, ((sample - sample[chosen[-1]]) ** 2).sum(axis=1))
        total = nearest.sum()
        chosen.append(int(stream.choice(len(sample), p=nearest / total)) if total > 0 else len(chosen))
    return sample[chosen]
